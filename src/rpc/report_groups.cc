#include "rpc/report_groups.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "kezek/report_arithmetic.h"

namespace kezek::rpc {
namespace {

constexpr std::int64_t kFine = kMillion * kMillion;  // targets are rounded once, at the end

const Account& At(const Directory& directory, AccountId id) { return directory.accounts.at(id); }

// The highest at or above it; none: there is none of the kind.
std::optional<AccountId> OfKind(const Directory& directory, AccountId id, const std::string& kind) {
  std::optional<AccountId> found;
  for (AccountId at = id; at; at = At(directory, at).parent) {
    if (At(directory, at).kind == kind) found = at;
  }
  return found;
}

std::string AttributeOf(const Directory& directory, AccountId id, const std::string& name) {
  for (AccountId at = id; at; at = At(directory, at).parent) {
    const auto& attributes = At(directory, at).attributes;
    if (const auto found = attributes.find(name); found != attributes.end()) return found->second;
  }
  return "";
}

std::string LabelOf(const Directory& directory, AccountId unit, v1::ReportGroup by) {
  const auto path = [&](const std::optional<AccountId>& id) {
    return id ? PathOf(directory, *id) : std::string();
  };
  if (by == v1::REPORT_GROUP_SECTOR) return path(OfKind(directory, unit, "sector"));
  if (by == v1::REPORT_GROUP_INSTITUTION) return path(OfKind(directory, unit, "institution"));
  if (by == v1::REPORT_GROUP_PROJECT) return path(unit);
  if (by == v1::REPORT_GROUP_OWNERSHIP) return AttributeOf(directory, unit, "ownership");
  if (by == v1::REPORT_GROUP_COUNTRY) return AttributeOf(directory, unit, "country");
  if (by == v1::REPORT_GROUP_FUNDING) return AttributeOf(directory, unit, "funding");
  return "";
}

// How finely accounts are told apart.
enum class Level : std::uint8_t { kTop, kSector, kInstitution, kProject };

Level LevelOf(const std::vector<v1::ReportGroup>& by) {
  Level level = Level::kTop;
  for (const v1::ReportGroup one : by) {
    if (!IsAboutAccounts(one)) continue;
    const Level needed = one == v1::REPORT_GROUP_PROJECT  ? Level::kProject
                         : one == v1::REPORT_GROUP_SECTOR ? Level::kSector
                                                          : Level::kInstitution;
    level = std::max(level, needed);
  }
  return level;
}

AccountId UnitOf(const Directory& directory, AccountId id, AccountId top, Level level) {
  if (level == Level::kTop) return top;
  if (level == Level::kProject) return id;
  const char* kind = level == Level::kSector ? "sector" : "institution";
  const AccountId unit = OfKind(directory, id, kind).value_or(id);
  return IsWithin(directory, unit, top) ? unit : top;
}

// Of an account, the one of `tops` that it is at or below.
std::optional<AccountId> TopOf(const Directory& directory, AccountId id,
                               const std::set<AccountId>& tops) {
  std::optional<AccountId> top;
  for (AccountId at = id; at; at = At(directory, at).parent) {
    if (tops.contains(at)) top = at;
  }
  return top;
}

std::set<AccountId> Parents(const Directory& directory) {
  std::set<AccountId> parents;
  for (const auto& [id, account] : directory.accounts) parents.insert(account.parent);
  return parents;
}

// Numbers of groups, in the order in which they come up.
class Numbers {
 public:
  std::int32_t Of(const std::vector<std::string>& labels) {
    const auto next = static_cast<std::int32_t>(numbers_.size());
    return numbers_.try_emplace(labels, next).first->second;
  }
  std::vector<std::vector<std::string>> Labels() const {
    std::vector<std::vector<std::string>> labels(numbers_.size());
    for (const auto& [text, number] : numbers_) labels[static_cast<std::size_t>(number)] = text;
    return labels;
  }

 private:
  std::map<std::vector<std::string>, std::int32_t> numbers_;
};

}  // namespace

bool IsAboutAccounts(v1::ReportGroup by) {
  return by == v1::REPORT_GROUP_SECTOR || by == v1::REPORT_GROUP_INSTITUTION ||
         by == v1::REPORT_GROUP_PROJECT || by == v1::REPORT_GROUP_OWNERSHIP ||
         by == v1::REPORT_GROUP_COUNTRY || by == v1::REPORT_GROUP_FUNDING;
}

ReportGroups GroupAccounts(const Directory& directory, const std::set<AccountId>& tops,
                           const std::vector<v1::ReportGroup>& by) {
  const Level level = LevelOf(by);
  const std::set<AccountId> parents = Parents(directory);
  ReportGroups groups;
  Numbers numbers;
  std::set<AccountId> units;
  for (const auto& [id, account] : directory.accounts) {
    const auto top = TopOf(directory, id, tops);
    if (!top) continue;
    const AccountId unit = UnitOf(directory, id, *top, level);
    std::vector<std::string> labels;
    for (const v1::ReportGroup one : by) labels.push_back(LabelOf(directory, unit, one));
    const std::int32_t group = numbers.Of(labels);
    groups.accounts.emplace_back(id, group);
    const bool leaf = !parents.contains(id);
    if (leaf && units.insert(unit).second) groups.units.emplace_back(unit, group);
  }
  groups.labels = numbers.Labels();
  return groups;
}

void KeepReached(const Caller& caller, ReportGroups* groups) {
  if (caller.everywhere) return;
  for (auto* list : {&groups->accounts, &groups->units}) {
    std::erase_if(*list, [&](const auto& row) { return !caller.ReachesAccount(row.first); });
  }
}

void DropEmpty(ReportGroups* groups) {
  std::set<std::int32_t> stood_for;
  for (const auto& [unit, group] : groups->units) stood_for.insert(group);
  std::erase_if(groups->accounts, [&](const auto& row) { return !stood_for.contains(row.second); });
  const auto labels = std::exchange(groups->labels, {});
  std::map<std::int32_t, std::int32_t> became;
  for (const std::int32_t group : stood_for) {
    became[group] = static_cast<std::int32_t>(groups->labels.size());
    groups->labels.push_back(labels[static_cast<std::size_t>(group)]);
  }
  for (auto* list : {&groups->accounts, &groups->units}) {
    for (auto& [account, group] : *list) group = became.at(group);
  }
}

void Relabel(ReportGroups* groups,
             const std::function<std::vector<std::string>(std::int32_t group)>& label) {
  Numbers numbers;
  std::vector<std::int32_t> became;
  for (std::size_t i = 0; i < groups->labels.size(); ++i) {
    became.push_back(numbers.Of(label(static_cast<std::int32_t>(i))));
  }
  for (auto* list : {&groups->accounts, &groups->units}) {
    for (auto& [account, group] : *list) group = became[static_cast<std::size_t>(group)];
  }
  groups->labels = numbers.Labels();
}

std::vector<AccountId> Institutions(const Directory& directory) {
  const auto groups = GroupAccounts(directory, {kRootAccount}, {v1::REPORT_GROUP_INSTITUTION});
  std::vector<AccountId> institutions;
  for (const auto& [unit, group] : groups.units) institutions.push_back(unit);
  return institutions;
}

void MergeSmall(const Directory& directory, std::size_t least, ReportGroups* groups) {
  const std::map<AccountId, std::int32_t> group_of(groups->accounts.begin(),
                                                   groups->accounts.end());
  std::vector<std::size_t> sizes(groups->labels.size(), 0);
  for (const AccountId institution : Institutions(directory)) {
    const auto found = group_of.find(institution);
    if (found != group_of.end()) ++sizes[static_cast<std::size_t>(found->second)];
  }
  std::vector<std::size_t> by_size(sizes.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return sizes[a] < sizes[b]; });
  std::set<std::size_t> merged;
  std::size_t together = 0;
  for (const std::size_t group : by_size) {
    const bool enough = merged.empty() || together >= least;
    if (sizes[group] >= least && enough) break;
    merged.insert(group);
    together += sizes[group];
  }
  const auto labels = groups->labels;
  Relabel(groups, [&](std::int32_t group) {
    const auto at = static_cast<std::size_t>(group);
    if (!merged.contains(at)) return labels[at];
    return std::vector<std::string>(labels[at].size(), kOtherGroups);
  });
}

std::map<AccountId, std::int64_t> TargetsPpm(const Directory& directory,
                                             const std::string& gpu_type) {
  struct Level {
    std::int64_t left = kMillion;
    WideInt weights = 0;
  };
  const auto share_of = [&](const Account& account) {
    const auto found = account.settings.shares.find(gpu_type);
    return found == account.settings.shares.end() ? Share{} : found->second;
  };
  std::map<AccountId, Level> levels;
  for (const auto& [id, account] : directory.accounts) {
    if (account.closed) continue;
    const Share share = share_of(account);
    Level& level = levels[account.parent];
    level.left -= share.target_ppm.value_or(0);
    level.weights += share.target_ppm ? 0 : share.weight_milli;
  }
  // A parent's id may be above its child's: it has been moved.
  std::map<AccountId, std::int64_t> fine;
  const std::function<std::int64_t(AccountId)> fine_of = [&](AccountId id) {
    if (id == kRootAccount) return kFine;
    if (const auto known = fine.find(id); known != fine.end()) return known->second;
    const Account& account = At(directory, id);
    const Share share = share_of(account);
    const Level& level = levels[account.parent];
    WideInt part = 0;
    if (account.closed) {
      part = 0;
    } else if (share.target_ppm) {
      part = static_cast<WideInt>(*share.target_ppm) * kMillion;
    } else if (level.weights > 0) {
      part = static_cast<WideInt>(std::max<std::int64_t>(0, level.left)) * kMillion *
             share.weight_milli / level.weights;
    }
    const auto mine = static_cast<std::int64_t>(fine_of(account.parent) * part / kFine);
    fine[id] = mine;
    return mine;
  };
  std::map<AccountId, std::int64_t> targets;
  for (const auto& [id, account] : directory.accounts) {
    targets[id] = (fine_of(id) + kMillion / 2) / kMillion;
  }
  return targets;
}

}  // namespace kezek::rpc

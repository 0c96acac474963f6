#include "rpc/report_rows.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "kezek/report_arithmetic.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

// What a key has for a group that is asked for.
std::string LabelOf(const Directory& directory, const ReportGroups& groups, const ReportKey& key,
                    v1::ReportGroup by, std::size_t at) {
  if (by == v1::REPORT_GROUP_USER) {
    const auto found = directory.users.find(key.user);
    return found == directory.users.end() ? "" : found->second.name;
  }
  if (by == v1::REPORT_GROUP_CLASS) return key.job_class;
  if (by == v1::REPORT_GROUP_GPU_TYPE) return key.gpu_type;
  if (by == v1::REPORT_GROUP_KIND) return key.kind;
  if (!IsAboutAccounts(by)) return key.period;
  return groups.labels.at(static_cast<std::size_t>(key.group)).at(at);
}

bool Among(const std::vector<v1::ReportGroup>& by, v1::ReportGroup one) {
  return std::find(by.begin(), by.end(), one) != by.end();
}

// What the standing of one group comes to over GPU types.
struct Standing {
  MilliGpuMs entitled = 0;
  MilliGpuMs held = 0;
  MilliGpuMs demanded = 0;
  MilliGpuMs apart = 0;
  void Add(const AccountFigures& figures, std::int64_t rate_milli) {
    entitled += Rated(figures.entitled, rate_milli);
    held += Rated(figures.held, rate_milli);
    demanded += Rated(figures.demanded, rate_milli);
    apart += Rated(figures.apart, rate_milli);
  }
};

// Of each type its part in the whole: what targets of several types are weighed by.
using TypeWeights = std::map<std::string, MilliGpuMs>;

std::vector<std::int64_t> TargetsOf(const Directory& directory, const EquityBasis& basis,
                                    const ReportGroups& groups, TypeWeights weights) {
  std::vector<std::int64_t> targets(groups.labels.size(), 0);
  WideInt all = 0;
  for (const auto& [type, weight] : weights) all += weight;
  if (all == 0) {
    weights = {{basis.gpu_type.empty() ? directory.default_gpu_type : basis.gpu_type, 1}};
    all = 1;
  }
  std::vector<WideInt> sums(targets.size(), 0);
  for (const auto& [type, weight] : weights) {
    const auto of = TargetsPpm(directory, type);
    for (const auto& [unit, group] : groups.units) {
      sums[static_cast<std::size_t>(group)] += static_cast<WideInt>(of.at(unit)) * weight;
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    targets[i] = static_cast<std::int64_t>(sums[i] / all);
  }
  return targets;
}

void FillJain(const Directory& directory, const std::map<AccountId, Standing>& accounts,
              v1::ReportEquityResponse* response) {
  std::vector<Satisfaction> institutions;
  for (const AccountId id : Institutions(directory)) {
    const auto found = accounts.find(id);
    if (found == accounts.end() || found->second.demanded <= 0) continue;
    institutions.push_back({found->second.held, found->second.entitled});
  }
  response->set_institutions(static_cast<std::int32_t>(institutions.size()));
  response->set_jain_ppm(JainPpm(institutions));
}

// Numbers in place of names: most received first.
void Number(v1::ReportEquityResponse* response) {
  auto& rows = *response->mutable_rows();
  std::stable_sort(rows.pointer_begin(), rows.pointer_end(), [](const auto* a, const auto* b) {
    return a->received_milli_gpu_ms() > b->received_milli_gpu_ms();
  });
  std::int64_t number = 0;
  for (auto& row : rows) {
    if (row.group() != kOtherGroups) row.set_group("institution " + std::to_string(++number));
  }
}

}  // namespace

Result<void> CheckGpuType(const Directory& directory, const std::string& gpu_type) {
  if (gpu_type.empty() || directory.rate_milli.contains(gpu_type)) return {};
  return NotFound("NO_SUCH_GPU_TYPE", "gpu_type", "this cluster has no '" + gpu_type + "'");
}

Result<AccountId> ReachedAccount(const Caller& caller, const std::string& path) {
  const auto account = FindVisibleAccount(caller, path, "account");
  if (!account || caller.everywhere || caller.ReachesAccount(*account)) return account;
  return NotFound("ACCOUNT_NOT_FOUND", "account",
                  "there is no account '" + path + "' whose figures you may see");
}

void SetWaits(const WaitSums& waits, v1::WaitFigures* wire) {
  wire->set_jobs(waits.jobs);
  wire->set_mean_ms(waits.jobs == 0 ? 0 : waits.sum_ms / waits.jobs);
  wire->set_p50_ms(waits.p50_ms);
  wire->set_p95_ms(waits.p95_ms);
  wire->set_max_ms(waits.max_ms);
}

void AddSums(const ReportSums& sums, v1::ReportUsageRow* row) {
  row->set_jobs(row->jobs() + sums.jobs);
  row->set_charged_milli_gpu_ms(row->charged_milli_gpu_ms() + sums.charged);
  row->set_refunded_milli_gpu_ms(row->refunded_milli_gpu_ms() + sums.refunded);
  row->set_foreign_milli_gpu_ms(row->foreign_milli_gpu_ms() + sums.foreign);
  row->set_used_milli_gpu_ms(row->used_milli_gpu_ms() + sums.used);
  row->set_preempted(row->preempted() + sums.preempted);
  row->set_lost_milli_gpu_ms(row->lost_milli_gpu_ms() + sums.lost);
  row->set_failed(row->failed() + sums.failed);
  row->set_expired_milli_gpu_ms(row->expired_milli_gpu_ms() + sums.expired);
}

void AddFigures(const AccountFigures& figures, v1::ReportUsageRow* row) {
  const MilliGpuMs unused = figures.no_demand + figures.by_limits + figures.by_budgets;
  row->set_guaranteed_milli_gpu_ms(row->guaranteed_milli_gpu_ms() + figures.held -
                                   figures.borrowed);
  row->set_borrowed_milli_gpu_ms(row->borrowed_milli_gpu_ms() + figures.borrowed);
  row->set_entitled_milli_gpu_ms(row->entitled_milli_gpu_ms() + figures.entitled);
  row->set_unused_milli_gpu_ms(row->unused_milli_gpu_ms() + unused);
  row->set_apart_milli_gpu_ms(row->apart_milli_gpu_ms() + figures.apart);
}

bool TellsStanding(const std::vector<v1::ReportGroup>& by) {
  return !Among(by, v1::REPORT_GROUP_USER) && !Among(by, v1::REPORT_GROUP_CLASS) &&
         !Among(by, v1::REPORT_GROUP_KIND);
}

void FillUsage(const Directory& directory, const std::vector<v1::ReportGroup>& by,
               const ReportGroups& groups, const std::set<AccountId>& tops,
               const ReportFigures& figures, const std::vector<HistoryRow>& history,
               v1::ReportUsageResponse* response) {
  std::map<std::vector<std::string>, v1::ReportUsageRow> rows;
  const auto row_of = [&](const ReportKey& key) -> v1::ReportUsageRow& {
    std::vector<std::string> labels;
    for (std::size_t i = 0; i < by.size(); ++i) {
      labels.push_back(LabelOf(directory, groups, key, by[i], i));
    }
    return rows[labels];
  };
  v1::ReportUsageRow& total = *response->mutable_total();
  for (const auto& [key, sums] : figures.rows) {
    v1::ReportUsageRow& row = row_of(key);
    AddSums(sums, &row);
    SetWaits(sums.waits, row.mutable_waits());
    AddSums(sums, &total);
  }
  const std::map<AccountId, std::int32_t> group_of(groups.units.begin(), groups.units.end());
  const bool tell_standing = TellsStanding(by);
  for (const HistoryRow& hours : history) {
    if (tops.contains(hours.account)) AddFigures(hours.figures, &total);
    const auto group = group_of.find(hours.account);
    if (!tell_standing || group == group_of.end()) continue;
    ReportKey key;
    key.group = group->second;
    if (Among(by, v1::REPORT_GROUP_GPU_TYPE)) key.gpu_type = hours.gpu_type;
    key.period = hours.period;
    AddFigures(hours.figures, &row_of(key));
  }
  SetWaits(figures.waits, total.mutable_waits());
  for (auto& [labels, row] : rows) {
    for (const std::string& label : labels) row.add_group(label);
    *response->add_rows() = std::move(row);
  }
}

void FillEquity(const Directory& directory, const EquityBasis& basis, const ReportGroups& groups,
                const ReportFigures& figures, const std::vector<HistoryRow>& history,
                v1::ReportEquityResponse* response) {
  std::map<AccountId, Standing> accounts;
  TypeWeights weights;
  const std::map<AccountId, std::int32_t> group_of(groups.units.begin(), groups.units.end());
  std::vector<Standing> sums(groups.labels.size());
  for (const HistoryRow& hours : history) {
    const auto known = directory.rate_milli.find(hours.gpu_type);
    const bool alone = !basis.gpu_type.empty() || known == directory.rate_milli.end();
    const std::int64_t rate = alone ? 1000 : known->second;
    accounts[hours.account].Add(hours.figures, rate);
    const auto group = group_of.find(hours.account);
    if (group == group_of.end()) continue;
    sums[static_cast<std::size_t>(group->second)].Add(hours.figures, rate);
    weights[hours.gpu_type] += Rated(hours.figures.entitled, rate);
  }
  std::vector<std::int64_t> entitled;
  std::vector<std::int64_t> held;
  for (const Standing& sum : sums) {
    entitled.push_back(sum.entitled);
    held.push_back(sum.held);
  }
  const std::vector<std::int64_t> targets = TargetsOf(directory, basis, groups, weights);
  const std::vector<std::int64_t> entitled_ppm = PartsPpm(entitled);
  const std::vector<std::int64_t> received_ppm = PartsPpm(held);
  std::map<std::string, v1::EquityRow> rows;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    v1::EquityRow& row = rows[groups.labels[i].at(0)];
    row.set_group(groups.labels[i].at(0));
    row.set_target_ppm(targets[i]);
    row.set_entitled_ppm(entitled_ppm[i]);
    row.set_received_ppm(received_ppm[i]);
    row.set_off_ppm(received_ppm[i] - targets[i]);
    row.set_unmet_ppm(Ppm(sums[i].demanded - sums[i].held, sums[i].demanded));
    row.set_received_milli_gpu_ms(sums[i].held);
    row.set_apart_milli_gpu_ms(sums[i].apart);
    ReportKey key;
    key.group = static_cast<std::int32_t>(i);
    const auto happened = figures.rows.find(key);
    if (happened != figures.rows.end()) SetWaits(happened->second.waits, row.mutable_waits());
  }
  for (auto& [label, row] : rows) {
    if (label != kOtherGroups) *response->add_rows() = row;
  }
  if (const auto other = rows.find(kOtherGroups); other != rows.end()) {
    *response->add_rows() = other->second;
  }
  response->set_policy_error_ppm(PolicyErrorPpm(received_ppm, targets));
  FillJain(directory, accounts, response);
  if (basis.anonymous && basis.by == v1::REPORT_GROUP_INSTITUTION) Number(response);
}

std::map<std::string, std::int64_t> OverridesOf(const Caller& caller,
                                                const std::vector<OverrideCount>& counts) {
  const Directory& directory = caller.directory();
  std::map<std::string, std::int64_t> overrides = {
      {"hold", 0}, {"limit", 0}, {"priority", 0}, {"reservation", 0}};
  for (const OverrideCount& count : counts) {
    if (!directory.accounts.contains(count.project)) continue;
    if (!caller.everywhere && !caller.ReachesAccount(count.project)) continue;
    overrides[count.kind] += count.count;
  }
  return overrides;
}

void FillCauses(const AccountFigures& figures, v1::ExplainShareResponse* response) {
  // As sentences in the order of ShareCause.
  constexpr std::array<std::string_view, kShareCauseCodes.size()> kSentences = {
      "Nobody asked for it.",
      "Asked for by jobs that limits stop.",
      "Asked for by jobs that budgets stop.",
      "Others did not ask for theirs, or were stopped.",
      "So many were free, but not in the shape or place that jobs wait for.",
      "Held by others, scavengers and what was ending.",
      "Nothing could be started: the cluster or the scheduler stood still.",
      "Held beyond what it was entitled to: others left it, or asked for it only while jobs ran "
      "on."};
  const auto causes = CausesOf(figures);
  response->set_due_milli_gpu_ms(figures.due);
  response->set_held_milli_gpu_ms(figures.held);
  for (std::size_t i = 0; i < causes.size(); ++i) {
    if (causes[i] == 0) continue;
    v1::ShareCause& cause = *response->add_causes();
    cause.mutable_reason()->set_code(std::string(kShareCauseCodes[i]));
    cause.mutable_reason()->set_sentence(std::string(kSentences[i]));
    cause.set_milli_gpu_ms(causes[i]);
  }
}

}  // namespace kezek::rpc

#include "quota/account_tree.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kezek/check.h"

namespace kezek::quota {
namespace {

constexpr std::size_t kLowIdsPerAccount = 4;

constexpr std::size_t kMaxName = 64;
const std::string kEmpty;
const std::vector<std::string> kNoNames;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsName(std::string_view text) {
  if (text.empty() || text.size() > kMaxName) return false;
  if (!IsLower(text[0]) && !IsDigit(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsLower(c) || IsDigit(c) || c == '.' || c == '_' || c == '-';
  });
}

bool IsKind(std::string_view text) {
  if (text.empty() || text.size() > kMaxName || !IsLower(text[0])) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '_' || c == '-'; });
}

// `where` is a path where there is one, else "#ID".
Error Problem(const std::string& where, const std::string& field, std::string reason,
              std::string message) {
  return FieldProblem(Code::kInvalidArgument, FieldError{.field = field,
                                                         .reason = std::move(reason),
                                                         .message = std::move(message),
                                                         .values = {{"account", where}}});
}

std::string ById(AccountId id) { return "#" + std::to_string(id.value); }

Result<void> CheckWords(const Account& account) {
  const std::string where = account.name.empty() ? ById(account.id) : account.name;
  if (!IsName(account.name)) {
    return Problem(where, "path", "BAD_NAME",
                   "a name has 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit");
  }
  if (!IsKind(account.kind)) {
    return Problem(where, "kind", "BAD_KIND",
                   "a kind has 1 to 64 of a-z 0-9 _ - and begins with a letter");
  }
  return {};
}

// Each account alone and its parent's existence.
Result<void> CheckAccounts(const std::map<AccountId, Account>& accounts) {
  const auto root = accounts.find(kRootAccount);
  if (root == accounts.end()) {
    return Problem(ById(kRootAccount), "path", "NO_ROOT", "there is no root account");
  }
  for (const auto& [id, account] : accounts) {
    KEZEK_CHECK(id == account.id, "an account stands under another's id");
    if (auto words = CheckWords(account); !words) return words;
    if (id == kRootAccount) {
      if (account.parent) {
        return Problem(account.name, "path", "ROOT_HAS_PARENT", "the root has no parent");
      }
      continue;
    }
    const auto parent = accounts.find(account.parent);
    if (parent == accounts.end()) {
      return Problem(account.name, "path", "NO_SUCH_ACCOUNT",
                     "its parent " + ById(account.parent) + " does not exist");
    }
    if (parent->second.kind == "project") {
      return Problem(account.name, "path", "BELOW_PROJECT",
                     "nothing can be below the project " + parent->second.name);
    }
  }
  return {};
}

}  // namespace

Result<AccountTree> AccountTree::Build(const std::map<AccountId, Account>& accounts) {
  if (auto checked = CheckAccounts(accounts); !checked) return checked.error();
  std::map<AccountId, std::vector<AccountId>> children;  // ascending: the map's own order
  for (const auto& [id, account] : accounts) {
    if (account.parent) children[account.parent].push_back(id);
  }
  AccountTree tree;
  std::vector<std::pair<AccountId, AccountIndex>> open{{kRootAccount, kNoAccount}};
  while (!open.empty()) {
    const auto [id, parent] = open.back();
    open.pop_back();
    const AccountIndex index = tree.size();
    Node node{.account = accounts.at(id), .path = {}};
    Place place{.id = id, .parent = parent, .closed = node.account.closed};
    if (parent != kNoAccount) {
      const Node& above = tree.node(parent);
      place.depth = tree.depth(parent) + 1;
      place.closed |= tree.IsClosed(parent);
      node.path = above.path.empty() ? node.account.name : above.path + "/" + node.account.name;
    }
    if (place.depth > kMaxDepth) {
      return Problem(
          node.path, "path", "TOO_DEEP",
          "the tree has at most " + std::to_string(kMaxDepth) + " levels below the root");
    }
    if (!tree.by_path_.emplace(node.path, index).second) {
      return Problem(node.path, "path", "NAME_TAKEN", "a sibling has the same name");
    }
    tree.by_id_.push_back({id, index});
    tree.nodes_.push_back(std::move(node));
    tree.places_.push_back(place);
    const std::vector<AccountId>& below = children[id];
    for (auto child = below.rbegin(); child != below.rend(); ++child) {
      open.emplace_back(*child, index);
    }
  }
  std::sort(tree.by_id_.begin(), tree.by_id_.end());
  tree.of_low_ids_.assign(kLowIdsPerAccount * tree.by_id_.size(), kNoAccount);
  for (const auto& [known, at] : tree.by_id_) {
    const auto low = static_cast<std::size_t>(known.value);
    if (known.value >= 0 && low < tree.of_low_ids_.size()) tree.of_low_ids_[low] = at;
  }
  for (const auto& [id, account] : accounts) {
    if (tree.IndexOf(id) == kNoAccount) {
      return Problem(account.name, "path", "CYCLE", "it is below itself");
    }
  }
  tree.PlaceChildren();
  return tree;
}

void AccountTree::PlaceChildren() {
  const auto at = [this](AccountIndex i) -> Place& { return places_[static_cast<std::size_t>(i)]; };
  for (AccountIndex i = size() - 1; i >= 0; --i) {
    at(i).subtree_end = std::max(at(i).subtree_end, i + 1);
    if (i == kRootIndex) continue;
    Place& above = at(parent(i));
    above.subtree_end = std::max(above.subtree_end, at(i).subtree_end);
    ++above.children;
  }
  std::uint32_t placed = 0;
  for (Place& place : places_) {
    place.first_child = placed;
    placed += std::exchange(place.children, 0);
  }
  children_.resize(placed);
  for (AccountIndex i = kRootIndex + 1; i < size(); ++i) {
    Place& above = at(parent(i));
    children_[above.first_child + above.children++] = i;
  }
}

const AccountTree::Node& AccountTree::node(AccountIndex i) const {
  KEZEK_CHECK(i >= 0 && i < size(), "no account has this index");
  return nodes_[static_cast<std::size_t>(i)];
}

AccountIndex AccountTree::IndexOf(AccountId id) const {
  const auto low = static_cast<std::size_t>(id.value);
  if (id.value >= 0 && low < of_low_ids_.size()) return of_low_ids_[low];
  const auto found =
      std::lower_bound(by_id_.begin(), by_id_.end(), id,
                       [](const auto& known, AccountId asked) { return known.first < asked; });
  return found == by_id_.end() || found->first != id ? kNoAccount : found->second;
}

AccountIndex AccountTree::Find(std::string_view path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? kNoAccount : found->second;
}

AccountIndex AccountTree::LowestCommonAncestor(AccountIndex a, AccountIndex b) const {
  while (!IsAncestor(a, b)) a = parent(a);
  return a;
}

AccountIndex AccountTree::ChildToward(AccountIndex above, AccountIndex below) const {
  while (parent(below) != above) below = parent(below);
  return below;
}

bool AccountTree::HoldsJobs(AccountIndex i) const {
  return children(i).empty() && node(i).account.kind == "project";
}

const Share& AccountTree::share(AccountIndex i, const std::string& gpu_type) const {
  static const Share kDefault;
  const auto& shares = account(i).settings.shares;
  const auto found = shares.find(gpu_type);
  return found == shares.end() ? kDefault : found->second;
}

MilliGpus AccountTree::Guarantee(AccountIndex i, const std::string& gpu_type) const {
  return IsClosed(i) ? 0 : share(i, gpu_type).guarantee_milli;
}

std::vector<MilliGpus> AccountTree::Guarantees(const std::string& gpu_type) const {
  std::vector<MilliGpus> guarantees;
  guarantees.reserve(nodes_.size());
  for (AccountIndex i = 0; i < size(); ++i) guarantees.push_back(Guarantee(i, gpu_type));
  return guarantees;
}

std::optional<MilliGpus> AccountTree::ShareCap(AccountIndex i, const std::string& gpu_type) const {
  const Share& own = share(i, gpu_type);
  if (!own.borrow_max_milli) return std::nullopt;
  return Guarantee(i, gpu_type) + *own.borrow_max_milli;
}

const std::string& AccountTree::SlurmAccount(AccountIndex i) const {
  for (; i != kNoAccount; i = parent(i)) {
    if (!account(i).settings.slurm_account.empty()) return account(i).settings.slurm_account;
  }
  return kEmpty;
}

const std::string& AccountTree::SlurmQos(AccountIndex i) const {
  for (; i != kNoAccount; i = parent(i)) {
    if (!account(i).settings.slurm_qos.empty()) return account(i).settings.slurm_qos;
  }
  return kEmpty;
}

const std::vector<std::string>& AccountTree::Classes(AccountIndex i) const {
  for (; i != kNoAccount; i = parent(i)) {
    if (!account(i).settings.classes.empty()) return account(i).settings.classes;
  }
  return kNoNames;
}

const std::string& AccountTree::HighestClassification(AccountIndex i) const {
  for (; i != kNoAccount; i = parent(i)) {
    const std::string& own = account(i).settings.highest_classification;
    if (!own.empty()) return own;
  }
  return kEmpty;
}

const std::string& AccountTree::DefaultClass(AccountIndex i) const {
  for (; i != kNoAccount; i = parent(i)) {
    const std::string& own = account(i).settings.default_class;
    if (!own.empty()) return own;
  }
  return kEmpty;
}

DurationMs AccountTree::DefaultTimeLimit(AccountIndex i, const ClassRules& job_class) const {
  for (; i != kNoAccount; i = parent(i)) {
    const DurationMs own = account(i).settings.default_time_limit_ms;
    if (own > 0) return own;
  }
  return job_class.default_limit_ms;
}

bool SameParents(const std::map<AccountId, Account>& before,
                 const std::map<AccountId, Account>& after) {
  return std::all_of(before.begin(), before.end(), [&after](const auto& entry) {
    const auto now = after.find(entry.first);
    return now != after.end() && now->second.parent == entry.second.parent;
  });
}

bool SamePath(const AccountTree& before, const AccountTree& after, AccountId account) {
  AccountIndex was = before.IndexOf(account);
  AccountIndex is = after.IndexOf(account);
  while (was != kNoAccount && is != kNoAccount && before.id(was) == after.id(is)) {
    was = before.parent(was);
    is = after.parent(is);
  }
  return was == is;  // both at the end
}

}  // namespace kezek::quota

#include "scheduler/control/directory.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "kezek/check.h"
#include "quota/counted.h"

namespace kezek::control {
namespace {

Error Problem(Code code, std::string field, std::string reason, std::string message) {
  return FieldProblem(code, {std::move(field), std::move(reason), std::move(message), {}});
}

// The path, or none if an ancestor is missing or there is a cycle.
std::optional<std::string> PathOf(const std::map<AccountId, Account>& accounts, AccountId id) {
  std::string path;
  for (int depth = 0; depth <= quota::kMaxDepth; ++depth) {
    const auto found = accounts.find(id);
    if (found == accounts.end()) return std::nullopt;
    if (id == kRootAccount) return path;
    path.insert(0, path.empty() ? found->second.name : found->second.name + "/");
    id = found->second.parent;
  }
  return std::nullopt;
}

template <class Map>
std::int64_t NextId(const Map& map) {
  return map.empty() ? 1 : map.rbegin()->first.value + 1;
}

// As the API's AccountChange names its fields.
Error OfAccount(Code code, const PutAccounts::Item& item, std::string reason, std::string message) {
  const std::string& above = item.parent_path;
  const std::string path = (above.empty() ? "" : above + "/") + item.account.name;
  return FieldProblem(code, {"path", std::move(reason), std::move(message), {{"account", path}}});
}

// Accounts while a command changes them: by id, and by name below their parents.
class Draft {
 public:
  explicit Draft(const std::map<AccountId, Account>& accounts) : accounts_(accounts) {
    for (const auto& [id, account] : accounts_) names_[{account.parent, account.name}] = id;
  }
  const std::map<AccountId, Account>& accounts() const { return accounts_; }

  void Put(const Account& account) {
    const auto before = accounts_.find(account.id);
    if (before != accounts_.end()) {
      const auto name = names_.find({before->second.parent, before->second.name});
      if (name != names_.end() && name->second == account.id) names_.erase(name);
    }
    accounts_[account.id] = account;
    names_[{account.parent, account.name}] = account.id;
  }

  // None if there is no such account by now.
  AccountId Find(const std::string& path) const {
    AccountId at = kRootAccount;
    for (std::size_t begin = 0; begin < path.size();) {
      const std::size_t end = std::min(path.find('/', begin), path.size());
      const auto found = names_.find({at, path.substr(begin, end - begin)});
      if (found == names_.end()) return {};
      at = found->second;
      begin = end + 1;
    }
    return at;
  }

  // Names that several accounts of one parent have.
  std::set<std::pair<AccountId, std::string>> Taken() const {
    std::set<std::pair<AccountId, std::string>> seen;
    std::set<std::pair<AccountId, std::string>> taken;
    for (const auto& [id, account] : accounts_) {
      if (!seen.insert({account.parent, account.name}).second) {
        taken.insert({account.parent, account.name});
      }
    }
    return taken;
  }

 private:
  std::map<AccountId, Account> accounts_;
  std::map<std::pair<AccountId, std::string>, AccountId> names_;
};

// Where the item hangs: by parent_path, by id, or (a changed account) where it hung.
Result<AccountId> ParentOf(const Draft& draft, const PutAccounts::Item& item) {
  if (!item.parent_path.empty()) {
    if (const AccountId found = draft.Find(item.parent_path)) return found;
    return OfAccount(Code::kNotFound, item, "NO_SUCH_ACCOUNT",
                     "there is no account " + item.parent_path);
  }
  if (item.account.parent) {
    if (draft.accounts().contains(item.account.parent)) return item.account.parent;
    return OfAccount(Code::kNotFound, item, "NO_SUCH_ACCOUNT", "there is no such parent account");
  }
  if (!item.account.id) return kRootAccount;
  return draft.accounts().at(item.account.id).parent;
}

// The item as an account with its id, parent and version.
Result<Account> Complete(const Draft& draft, const PutAccounts::Item& item, std::int64_t version) {
  Account account = item.account;
  if (account.id) {
    const auto known = draft.accounts().find(account.id);
    if (known == draft.accounts().end()) {
      return Problem(Code::kNotFound, "", "NO_SUCH_ACCOUNT", "there is no account with this id");
    }
    if (known->second.version != account.version) {
      return Problem(
          Code::kAborted, "", "VERSION_CHANGED",
          "somebody else has just changed this account: look at that, then repeat yours");
    }
  }
  if (account.id != kRootAccount) {
    Result<AccountId> parent = ParentOf(draft, item);
    if (!parent) return parent.error();
    account.parent = *parent;
  } else {
    account.parent = {};
  }
  if (!account.id) account.id = AccountId{NextId(draft.accounts())};
  account.version = version;
  return account;
}

// First thing that two users may not share.
Result<void> CheckUser(const Directory& draft, const User& user, std::int64_t min_uid) {
  if (user.name.empty()) {
    return Problem(Code::kInvalidArgument, "name", "REQUIRED", "a user needs a global id");
  }
  if (!user.unix_account.empty() && user.unix_uid < min_uid) {
    return Problem(Code::kInvalidArgument, "unix_account", "OUT_OF_RANGE",
                   "a Unix account for jobs has a uid of at least " + std::to_string(min_uid) +
                       "; system users run no jobs");
  }
  for (const RoleGrant& grant : user.roles) {
    if (!draft.accounts.contains(grant.account)) {
      return Problem(Code::kInvalidArgument, "roles", "NO_SUCH_ACCOUNT",
                     "a role names an account that does not exist");
    }
  }
  for (const auto& [id, other] : draft.users) {
    if (id == user.id) continue;
    if (other.name == user.name) {
      return Problem(Code::kAlreadyExists, "name", "NAME_TAKEN", user.name + " exists already");
    }
    if (user.unix_account.empty() || other.unix_account.empty()) continue;
    if (other.unix_account == user.unix_account || other.unix_uid == user.unix_uid) {
      return Problem(Code::kAlreadyExists, "unix_account", "UNIX_ACCOUNT_TAKEN",
                     user.unix_account + " is the Unix account of " + other.name);
    }
  }
  return {};
}

// 2: a cluster admin who can sign in, by a Unix account or a token that is not revoked; 1: one who
// cannot; 0: none.
int AdminsLeft(const Directory& directory) {
  int left = 0;
  for (const auto& [id, user] : directory.users) {
    const bool is_admin =
        std::any_of(user.roles.begin(), user.roles.end(),
                    [](const RoleGrant& grant) { return grant.role == Role::kClusterAdmin; });
    if (user.disabled || !is_admin) continue;
    const bool has_token = std::any_of(
        directory.tokens.begin(), directory.tokens.end(), [&id = id](const auto& token) {
          return token.second.user == id && token.second.revoked_ms == 0;
        });
    left = std::max(left, has_token || !user.unix_account.empty() ? 2 : 1);
  }
  return left;
}

// What a problem is about, however much it comes to.
auto About(const quota::AccountTree& tree, const quota::SettingProblem& problem) {
  const FieldError& detail = problem.error.details.at(0);
  const auto named = [&detail](const char* what) {
    const auto found = detail.values.find(what);
    return found == detail.values.end() ? std::string() : found->second;
  };
  return std::tuple(tree.id(problem.subject), detail.field, detail.reason, named("class"),
                    named("node"));
}

// What was wrong before and has not become worse is in nobody's way: a class that left the
// configuration, or a smaller machine, concerns who set it. Who changes such settings lessens what
// is wrong with them, or mends it.
Result<void> CheckChange(const std::map<AccountId, Account>& accounts,
                         const std::vector<Account>& changed, const quota::AccountTree& after,
                         const quota::TreeRules& rules) {
  const std::vector<quota::SettingProblem> problems = after.Problems(rules);
  if (problems.empty()) return {};
  const Result<quota::AccountTree> before = quota::AccountTree::Build(accounts);
  KEZEK_CHECK(before.has_value(), "accounts that were committed make no tree");
  std::map<decltype(About(after, problems[0])), std::int64_t> known;
  for (const auto& problem : before->Problems(rules)) {
    known.emplace(About(*before, problem), problem.excess);
  }
  std::set<AccountId> own;
  for (const Account& account : changed) own.insert(account.id);
  for (const auto& problem : problems) {
    const auto stood = known.find(About(after, problem));
    if (stood == known.end() || problem.excess > stood->second) return problem.error;
    const bool lessened = problem.excess < stood->second;
    if (own.contains(after.id(problem.subject)) && !lessened) return problem.error;
  }
  return {};
}

}  // namespace

Directory MakeDirectory(const ControlConfig& config, const Snapshot& snapshot) {
  Directory directory;
  directory.classes = config.classes;
  directory.classifications = config.classifications;
  directory.rate_milli = config.rate_milli;
  directory.default_gpu_type = config.default_gpu_type;
  for (const Account& account : snapshot.accounts) directory.accounts[account.id] = account;
  for (const User& user : snapshot.users) directory.users[user.id] = user;
  for (const Token& token : snapshot.tokens) directory.tokens[token.hash] = token;
  for (const AdminReservation& one : snapshot.admin_reservations) {
    directory.reservations[one.name] = one;
  }
  if (!directory.accounts.contains(kRootAccount)) {
    Account root;
    root.id = kRootAccount;
    root.name = "cluster";
    root.kind = "cluster";
    directory.accounts[kRootAccount] = root;
  }
  Reindex(directory);
  return directory;
}

void Reindex(Directory& directory) {
  directory.user_by_name.clear();
  for (const auto& [id, user] : directory.users) directory.user_by_name[user.name] = id;
  directory.account_by_path.clear();
  directory.owners = OwnersOf(directory.accounts, directory.classes);
  directory.settings_version = 0;
  for (const auto& [id, account] : directory.accounts) {
    directory.settings_version = std::max(directory.settings_version, account.version);
    if (const auto path = PathOf(directory.accounts, id)) directory.account_by_path[*path] = id;
  }
}

quota::TreeRules RulesOf(const ControlConfig& config, const std::map<std::string, Node>& nodes) {
  quota::TreeRules rules;
  for (const auto& [type, size] : quota::GpuTypes(nodes)) {
    rules.configured_milli[type] = size.configured_milli;
  }
  rules.classes = config.classes;
  rules.nodes = nodes;
  rules.classifications = config.classifications;
  return rules;
}

Result<std::vector<Account>> PrepareAccounts(const Directory& directory, const PutAccounts& command,
                                             const quota::TreeRules& rules) {
  Draft draft(directory.accounts);
  std::vector<Account> result;
  for (const PutAccounts::Item& item : command.accounts) {
    Result<Account> account = Complete(draft, item, directory.settings_version + 1);
    if (!account) return account.error();
    draft.Put(*account);
    result.push_back(std::move(*account));
  }
  // Looked at in the end: accounts may exchange their names.
  const auto taken = draft.Taken();
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!taken.contains({result[i].parent, result[i].name})) continue;
    return OfAccount(Code::kAlreadyExists, command.accounts[i], "NAME_TAKEN",
                     "its parent has an account " + result[i].name + " already");
  }
  const Result<quota::AccountTree> tree = quota::AccountTree::Build(draft.accounts());
  if (!tree) return tree.error();
  if (auto valid = CheckChange(directory.accounts, result, *tree, rules); !valid) {
    return valid.error();
  }
  return result;
}

Result<std::vector<User>> PrepareUsers(const Directory& directory, const PutUsers& command,
                                       std::int64_t min_uid) {
  Directory draft = directory;
  std::vector<User> result;
  for (const UserChange& change : command.users) {
    const auto known = draft.users.find(change.id);
    if (change.id && known == draft.users.end()) {
      return Problem(Code::kNotFound, "name", "NO_SUCH_USER", "there is no user with this id");
    }
    User user = Changed(change.id ? known->second : User{}, change);
    if (!user.id) user.id = UserId{NextId(draft.users)};
    // What was set under other rules stands in the way of no other change.
    const std::int64_t least = change.unix_account ? min_uid : 0;
    if (const Result<void> valid = CheckUser(draft, user, least); !valid) return valid.error();
    draft.users[user.id] = user;
    result.push_back(std::move(user));
  }
  if (AdminsLeft(draft) < AdminsLeft(directory)) {
    return Problem(Code::kFailedPrecondition, "name", "LAST_ADMIN",
                   "no cluster admin would be left who can sign in: make another one, or a token "
                   "for one, first");
  }
  return result;
}

Result<Token> PrepareToken(const Directory& directory, const PutToken& command) {
  Token token = command.token;
  if (!directory.users.contains(token.user)) {
    return Problem(Code::kInvalidArgument, "user", "NO_SUCH_USER",
                   "a token belongs to a user who exists");
  }
  std::int64_t last = 0;
  bool known = false;
  for (const auto& [hash, other] : directory.tokens) {
    last = std::max(last, other.id.value);
    known = known || other.id == token.id;
    if (hash == token.hash && other.id != token.id) {
      return Problem(Code::kAlreadyExists, "", "TOKEN_EXISTS", "this token exists already");
    }
  }
  if (!token.id && directory.users.at(token.user).disabled) {
    return Problem(Code::kFailedPrecondition, "user", "USER_DISABLED",
                   directory.users.at(token.user).name + " has no access");
  }
  if (!token.id) {
    token.id = TokenId{last + 1};
    return token;
  }
  if (known) return token;
  return Problem(Code::kNotFound, "id", "NO_SUCH_TOKEN", "there is no token with this id");
}

}  // namespace kezek::control

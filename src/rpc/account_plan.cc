#include "rpc/account_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "rpc/account_convert.h"
#include "rpc/account_diff.h"
#include "rpc/accounts_after.h"
#include "rpc/budgets_back.h"
#include "rpc/dedicated_nodes.h"
#include "rpc/field_checks.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

constexpr int kAttributesMost = 100;
constexpr std::size_t kTitleBytes = 200;
constexpr std::size_t kAttributeBytes = 200;  // of a name, or a value

// Splits "a/b/c" into "a/b" and "c".
std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// Path an account has after its change.
const std::string& FinalPath(const v1::AccountChange& change) {
  return change.move_to().empty() ? change.path() : change.move_to();
}

Error NotRuled(const std::string& path) {
  return Denied("NOT_ADMINISTRATOR", "you do not administer '" + path + "'");
}

// An account, and what it was given, is ruled by those above it, also where its own admins ask.
Error NotRuled(const Caller& caller, const std::string& path) {
  const auto known = caller.directory().account_by_path.find(path);
  const bool own =
      known != caller.directory().account_by_path.end() && caller.ReachesAccount(known->second);
  if (!own) return NotRuled(path);
  return Denied("NOT_ADMINISTRATOR",
                "the settings of '" + path +
                    "' itself, its weight, guarantee, limits and budgets, are set by those who "
                    "administer the account above it; yours are those of what is below");
}

// An account of the caller's, or above one.
bool Sees(const Caller& caller, AccountId account) {
  return caller.ReachesAccount(account) ||
         std::any_of(caller.accounts.begin(), caller.accounts.end(),
                     [&](AccountId own) { return IsWithin(caller.directory(), own, account); });
}

// What the change says besides the path.
Result<void> Amend(const v1::AccountChange& change, const std::string& field, Account* account) {
  if (!change.kind().empty()) account->kind = change.kind();
  if (account->kind.empty()) {
    return Invalid(field + ".kind", "a new account needs a kind, such as institution or project");
  }
  FieldChecks checks(field + ".");
  checks.Line("title", change.title(), kTitleBytes);
  for (const auto& [name, value] : change.attributes()) {
    checks.Require(!name.empty(), "attributes", "a name is empty");
    checks.Line("attributes", name, kAttributeBytes);
    checks.Line("attributes[" + name + "]", value, kAttributeBytes);
  }
  if (!checks.ok()) return checks.error();
  if (change.has_title()) account->title = change.title();
  if (change.attributes_size() > kAttributesMost) {
    return Invalid(field + ".attributes", "are more than " + std::to_string(kAttributesMost));
  }
  for (const auto& [name, value] : change.attributes()) {
    if (value.empty()) {
      account->attributes.erase(name);
    } else {
      account->attributes[name] = value;
    }
  }
  if (change.closed() && account->id == kRootAccount) {
    return Invalid(field + ".closed", "the root is not closed: close what is below it");
  }
  if (change.has_closed()) account->closed = change.closed();
  if (change.has_settings()) {
    auto settings = ReadSettings(change.settings(), field + ".settings");
    if (!settings) return settings.error();
    account->settings = std::move(*settings);
  }
  return {};
}

// Under which names jobs are run in Slurm is for those who administer the cluster.
Result<void> CheckSlurmNames(const Caller& caller, const AccountSettings& before,
                             const AccountSettings& after, const std::string& field) {
  if (caller.everywhere) return {};
  for (const auto& [name, member] : {std::pair{"slurm_account", &AccountSettings::slurm_account},
                                     std::pair{"slurm_qos", &AccountSettings::slurm_qos}}) {
    if (before.*member == after.*member) continue;
    return FieldProblem(Code::kPermissionDenied, {field + "." + name,
                                                  "NOT_ADMINISTRATOR",
                                                  "is set by those who administer the cluster",
                                                  {}});
  }
  return {};
}

class Planning {
 public:
  Planning(const Caller& caller, const v1::ApplyAccountsRequest& request)
      : caller_(caller), directory_(caller.directory()), request_(request) {
    plan_.command.reason = request.reason();
    for (const auto& change : request.changes()) {
      const auto known = directory_.account_by_path.find(change.path());
      if (!change.has_settings() || known == directory_.account_by_path.end()) continue;
      const auto settings = ReadSettings(change.settings(), "");
      if (settings) said_[known->second] = settings->dedicated_nodes;
    }
  }

  Result<void> Take(int index) {
    const auto& change = request_.changes(index);
    const std::string field = "changes[" + std::to_string(index) + "]";
    if (!named_.insert(change.path()).second) return Invalid(field + ".path", "is there twice");
    // Before anything else: whether there is an account is not told to those who do not rule it.
    for (const std::string& path : {change.path(), FinalPath(change)}) {
      if (RulesPath(caller_, path)) continue;
      if (Changes(change)) return NotRuled(caller_, path);
      return {};
    }
    auto item = Begin(change, field);
    if (!item) return item.error();
    const AccountSettings before = item->account.settings;
    if (const auto amended = Amend(change, field, &item->account); !amended) return amended;
    if (const auto names =
            CheckSlurmNames(caller_, before, item->account.settings, field + ".settings");
        !names) {
      return names;
    }
    made_.insert(FinalPath(change));
    const auto put = Put(std::move(*item), change.path(), FinalPath(change));
    fields_.resize(plan_.command.accounts.size(), field + ".settings");
    return put;
  }

  // What the request does not name: closed where it is below `complete_below`, and without the
  // nodes that an account above it loses.
  Result<void> ChangeOthers() {
    const std::string& top = request_.complete_below();
    if (!top.empty() && !RulesPath(caller_, top + "/")) return NotRuled(top);
    if (!top.empty() && !directory_.account_by_path.contains(top)) {
      return NotFound("ACCOUNT_NOT_FOUND", "complete_below", "there is no account '" + top + "'");
    }
    for (const auto& [path, id] : directory_.account_by_path) {
      if (named_.contains(path)) continue;
      PutAccounts::Item item{directory_.accounts.at(id), {}};
      item.account.settings.dedicated_nodes = NodesLeft(directory_, item.account, said_);
      if (!top.empty() && path.starts_with(top + "/")) item.account.closed = true;
      if (item.account == directory_.accounts.at(id)) continue;
      if (const auto put = Put(std::move(item), path, path); !put) return put;
    }
    return {};
  }

  // What only the whole tells: that it is a tree, and whose nodes come to be whose.
  Result<void> CheckWhole() const {
    const auto after = MakeAccounts(directory_, plan_.command);
    if (!after) return InRequest(request_, after.error());
    std::map<AccountId, std::string> changed;
    for (std::size_t i = 0; i < fields_.size(); ++i) changed[after->ids[i]] = fields_[i];
    return CheckDedicated(caller_, after->tree, changed);
  }

  AccountPlan plan() && { return std::move(plan_); }

 private:
  // False: it says of an account that the caller sees what it is already, as an export does of
  // those above the caller's.
  bool Changes(const v1::AccountChange& change) const {
    const auto known = directory_.account_by_path.find(change.path());
    if (known == directory_.account_by_path.end() || !Sees(caller_, known->second)) return true;
    if (FinalPath(change) != change.path()) return true;
    Account account = directory_.accounts.at(known->second);
    const v1::Account before = ToWire(directory_, account);
    if (!Amend(change, "", &account)) return true;
    std::vector<v1::FieldChange> differences;
    AddDifferences(before, ToWire(directory_, account), &differences);
    return !differences.empty();
  }

  // The account as it is, or a new one, where it shall hang.
  Result<PutAccounts::Item> Begin(const v1::AccountChange& change, const std::string& field) {
    PutAccounts::Item item;
    const auto existing = directory_.account_by_path.find(change.path());
    const bool known = existing != directory_.account_by_path.end();
    if (known) item.account = directory_.accounts.at(existing->second);
    item.account.settings.dedicated_nodes = NodesLeft(directory_, item.account, said_);
    if (!known && !change.move_to().empty()) {
      return NotFound("ACCOUNT_NOT_FOUND", field + ".path",
                      "there is no account '" + change.path() + "' to move");
    }
    if (known && FinalPath(change) == change.path()) return item;
    if (item.account.id == kRootAccount) {
      return Invalid(field + ".move_to", "the root stays where it is");
    }
    const auto [parent_path, name] = SplitPath(FinalPath(change));
    if (name.empty()) {
      return Invalid(field + (known ? ".move_to" : ".path"),
                     "'" + FinalPath(change) + "' ends with a slash: a name goes there");
    }
    if (!directory_.account_by_path.contains(parent_path) && !made_.contains(parent_path)) {
      return NotFound("ACCOUNT_NOT_FOUND", field + (known ? ".move_to" : ".path"),
                      "there is no account '" + parent_path + "' to make '" + name + "' in");
    }
    item.account.name = name;
    item.account.parent = parent_path.empty() ? kRootAccount : AccountId{};
    item.parent_path = parent_path;
    return item;
  }

  Result<void> Put(PutAccounts::Item item, const std::string& path, const std::string& final_path) {
    const bool is_new = !item.account.id;
    v1::Account before;
    if (is_new) {
      *before.mutable_settings() = ToWire(AccountSettings{});
    } else {
      before = ToWire(directory_, directory_.accounts.at(item.account.id));
    }
    v1::Account after = ToWire(directory_, item.account);
    after.set_path(final_path);
    const std::size_t changes = plan_.changes.size();
    AddDifferences(before, after, &plan_.changes);
    if (plan_.changes.size() == changes) return {};
    if (!is_new) {
      const auto unchanged = CheckVersion(path, directory_.accounts.at(item.account.id));
      if (!unchanged) return unchanged;
    }
    plan_.command.accounts.push_back(std::move(item));
    return {};
  }

  // Whether somebody was faster: an account that the request changes has changed since the version
  // that was looked at.
  Result<void> CheckVersion(const std::string& path, const Account& account) const {
    if (request_.base_version() == 0 || account.version <= request_.base_version()) return {};
    const std::string version = std::to_string(account.version);
    return FieldProblem(Code::kAborted, {"base_version",
                                         "VERSION_CHANGED",
                                         "'" + path + "' was changed by version " + version +
                                             " of the settings: look again",
                                         {{"version", version}, {"account", path}}});
  }

  const Caller& caller_;
  const Directory& directory_;
  const v1::ApplyAccountsRequest& request_;
  std::set<std::string> named_;
  std::set<std::string> made_;  // paths that there are by now
  NodesSaid said_;
  AccountPlan plan_;
  std::vector<std::string> fields_;  // of the settings of the plan's first items: those named
};

// The change that makes this path, or -1. Where the desk knows no whole path, the last part counts.
int ChangeOf(const v1::ApplyAccountsRequest& request, const std::string& account) {
  int found = -1;
  for (int i = 0; i < request.changes_size(); ++i) {
    const std::string& path = FinalPath(request.changes(i));
    if (path == account) return i;
    if (path.ends_with("/" + account)) found = i;
  }
  return found;
}

}  // namespace

bool RulesPath(const Caller& caller, const std::string& path) {
  if (caller.everywhere) return true;
  const auto& known = caller.directory().account_by_path;
  for (std::string above = path; !above.empty();) {
    above = SplitPath(above).first;
    const auto found = known.find(above);
    if (found != known.end()) return caller.ReachesAccount(found->second);
  }
  return false;
}

Result<AccountPlan> PlanAccounts(const Caller& caller, const v1::ApplyAccountsRequest& request) {
  std::vector<int> order;
  for (int i = 0; i < request.changes_size(); ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return FinalPath(request.changes(a)) < FinalPath(request.changes(b));  // parents first
  });
  Planning planning(caller, request);
  for (const int i : order) {
    if (const auto taken = planning.Take(i); !taken) return taken.error();
  }
  if (const auto others = planning.ChangeOthers(); !others) return others.error();
  if (const auto whole = planning.CheckWhole(); !whole) return whole.error();
  return std::move(planning).plan();
}

Result<AccountPlan> PlanRevert(const Caller& caller, AccountId top,
                               const std::map<AccountId, Account>& past,
                               const v1::RevertAccountsRequest& request) {
  const Directory& directory = caller.directory();
  AccountPlan plan;
  plan.command.reason = request.reason();
  Directory draft;
  draft.accounts = directory.accounts;
  std::map<AccountId, std::string> changed;  // and the field of its settings
  for (const auto& [id, now] : directory.accounts) {
    if (!IsWithin(directory, id, top)) continue;
    Account& wanted = draft.accounts.at(id);
    if (const auto then = past.find(id); then != past.end()) {
      wanted = then->second;
      wanted.version = now.version;  // what it is made on
      std::vector<v1::Reason> warnings;
      BringBudgetsBack(*caller.view, now, &wanted.settings.budgets, &warnings);
      if (caller.ReachesAccount(id)) {
        plan.warnings.insert(plan.warnings.end(), warnings.begin(), warnings.end());
      }
    } else {
      wanted.closed = true;
    }
    if (wanted != now) changed[id] = "account.settings";
  }
  for (const auto& [id, field] : changed) {
    const Account& wanted = draft.accounts.at(id);
    for (const AccountId parent : {directory.accounts.at(id).parent, wanted.parent}) {
      if (!caller.everywhere && !(parent && caller.ReachesAccount(parent))) {
        // What the caller does not see is not named.
        return caller.ReachesAccount(id) ? NotRuled(caller, PathOf(directory, id))
                                         : NotRuled(request.account());
      }
    }
    const AccountSettings& now = directory.accounts.at(id).settings;
    const auto names = CheckSlurmNames(caller, now, wanted.settings, "account");
    if (!names) return names.error();
    const std::size_t before = plan.changes.size();
    AddDifferences(ToWire(directory, directory.accounts.at(id)), ToWire(draft, wanted),
                   &plan.changes);
    if (plan.changes.size() > before) plan.command.accounts.push_back({wanted, {}});
  }
  if (const auto nodes = CheckDedicated(caller, draft, changed); !nodes) return nodes.error();
  return plan;
}

Error Naming(const Error& error) {
  if (error.details.size() != 1) return error;
  FieldError detail = error.details.front();
  const auto found = detail.values.find("account");
  if (found == detail.values.end()) return error;
  detail.message = "account '" + found->second + "': " + detail.message;
  return FieldProblem(error.code, std::move(detail));
}

Error InRequest(const v1::ApplyAccountsRequest& request, const Error& error) {
  if (error.details.size() != 1 || error.details.front().field.empty()) return error;
  FieldError detail = error.details.front();
  const auto account = detail.values.find("account");
  if (account == detail.values.end()) return error;
  // What does not fit below an account is due to its children, or to itself.
  const auto parent = detail.values.find("parent_account");
  const int child = ChangeOf(request, account->second);
  const bool by_parent = child < 0 && parent != detail.values.end();
  const int index = by_parent ? ChangeOf(request, parent->second) : child;
  detail.field = index < 0 ? "changes" : "changes[" + std::to_string(index) + "]." + detail.field;
  if (by_parent && index >= 0) detail.values["account"] = parent->second;
  return Naming(FieldProblem(error.code, std::move(detail)));
}

}  // namespace kezek::rpc

#include "rpc/account_convert.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "rpc/status.h"

namespace kezek::rpc {
namespace {

constexpr int kAttributesMost = 100;

void SetLimits(const Limits& limits, v1::Limits* wire) {
  if (limits.running_milli) wire->set_running_milli_gpus(*limits.running_milli);
  if (limits.jobs_running) wire->set_jobs_running(*limits.jobs_running);
  if (limits.jobs_queued) wire->set_jobs_queued(*limits.jobs_queued);
  if (limits.job_milli) wire->set_job_milli_gpus(*limits.job_milli);
  if (limits.time_limit_ms) wire->set_time_limit_ms(*limits.time_limit_ms);
}

Limits ReadLimits(const v1::Limits& wire) {
  Limits limits;
  if (wire.has_running_milli_gpus()) limits.running_milli = wire.running_milli_gpus();
  if (wire.has_jobs_running()) limits.jobs_running = wire.jobs_running();
  if (wire.has_jobs_queued()) limits.jobs_queued = wire.jobs_queued();
  if (wire.has_job_milli_gpus()) limits.job_milli = wire.job_milli_gpus();
  if (wire.has_time_limit_ms()) limits.time_limit_ms = wire.time_limit_ms();
  return limits;
}

void SetBudgets(const std::vector<BudgetSpec>& budgets, v1::AccountSettings* wire) {
  for (const BudgetSpec& budget : budgets) *wire->add_budgets() = ToWire(budget);
}

Result<std::vector<BudgetSpec>> ReadBudgets(const v1::AccountSettings& wire,
                                            const std::string& field) {
  std::vector<BudgetSpec> budgets;
  for (const v1::BudgetSpec& one : wire.budgets()) {
    if (!v1::BudgetExhaustion_IsValid(one.at_exhaustion())) {
      return Invalid(field + ".budgets[" + one.name() + "].at_exhaustion", "is not known");
    }
    const bool scavenge = one.at_exhaustion() == v1::BUDGET_EXHAUSTION_SCAVENGE;
    budgets.push_back({.name = one.name(),
                       .gpu_type = one.gpu_type(),
                       .milli_gpu_hours = one.milli_gpu_hours(),
                       .start_ms = one.start_ms(),
                       .end_ms = one.end_ms(),
                       .at_exhaustion = scavenge ? AtExhaustion::kScavenge : AtExhaustion::kStop,
                       .carry_over_percent = one.carry_over_percent()});
  }
  std::stable_sort(budgets.begin(), budgets.end(), [](const BudgetSpec& a, const BudgetSpec& b) {
    return a.start_ms < b.start_ms;
  });
  return budgets;
}

// Children of each account by name.
using Children = std::map<AccountId, std::map<std::string, AccountId>>;

Children ChildrenOf(const Directory& directory) {
  Children children;
  for (const auto& [id, account] : directory.accounts) {
    if (account.parent) children[account.parent][account.name] = id;
  }
  return children;
}

void Walk(const Children& children, AccountId account, std::vector<AccountId>* out) {
  out->push_back(account);
  const auto below = children.find(account);
  if (below == children.end()) return;
  for (const auto& [name, child] : below->second) Walk(children, child, out);
}

std::string Json(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "";
}

void AddChange(const std::string& path, const std::string& field, const std::string& before,
               const std::string& after, std::vector<v1::FieldChange>* out) {
  if (before == after) return;
  v1::FieldChange change;
  change.set_account(path);
  change.set_field(field);
  change.set_before(before);
  change.set_after(after);
  out->push_back(std::move(change));
}

void Compare(const std::string& path, const v1::Account& before, const v1::Account& after,
             std::vector<v1::FieldChange>* out) {
  const auto text = [](const std::string& value) {
    return value.empty() ? "" : "\"" + value + "\"";
  };
  AddChange(path, "kind", text(before.kind()), text(after.kind()), out);
  AddChange(path, "title", text(before.title()), text(after.title()), out);
  AddChange(path, "closed", before.closed() ? "true" : "false", after.closed() ? "true" : "false",
            out);
  AddChange(path, "settings", Json(before.settings()), Json(after.settings()), out);
  std::set<std::string> names;
  for (const auto& [name, value] : before.attributes()) names.insert(name);
  for (const auto& [name, value] : after.attributes()) names.insert(name);
  const auto value_of = [&](const v1::Account& account, const std::string& name) {
    const auto found = account.attributes().find(name);
    return found == account.attributes().end() ? "" : text(found->second);
  };
  for (const auto& name : names) {
    AddChange(path, "attributes[" + name + "]", value_of(before, name), value_of(after, name), out);
  }
}

// Splits "a/b/c" into "a/b" and "c".
std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<void> Amend(const v1::AccountChange& change, const std::string& field, Account* account) {
  if (!change.move_to().empty()) return NotYet(field + ".move_to", "moving accounts");
  if (!change.kind().empty()) account->kind = change.kind();
  if (account->kind.empty()) {
    return Invalid(field + ".kind", "a new account needs a kind, such as institution or project");
  }
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
  if (change.has_closed()) account->closed = change.closed();
  if (change.has_settings()) {
    auto settings = ReadSettings(change.settings(), field + ".settings");
    if (!settings) return settings.error();
    account->settings = std::move(*settings);
  }
  return {};
}

// What somebody rules begins below the own account: nobody changes what was given to them. The
// nearest account above this path that there is; none above the root.
AccountId NearestAbove(const Directory& directory, const std::string& path) {
  for (std::string above = path; !above.empty();) {
    above = SplitPath(above).first;
    const auto found = directory.account_by_path.find(above);
    if (found != directory.account_by_path.end()) return found->second;
  }
  return {};
}

// One change as an item of the command. Accounts made earlier in the request are in `made`.
Result<PutAccounts::Item> PlanOne(const Caller& caller, const v1::AccountChange& change,
                                  const std::string& field, const std::set<std::string>& made) {
  const Directory& directory = caller.directory();
  // Before anything else: whether there is an account is not told to those who do not rule it.
  const AccountId above = NearestAbove(directory, change.path());
  if (!caller.everywhere && (!above || !caller.ReachesAccount(above))) {
    return Denied("NOT_ADMINISTRATOR", "you do not administer '" + change.path() + "'");
  }
  PutAccounts::Item item;
  const auto existing = directory.account_by_path.find(change.path());
  const auto [parent_path, name] = SplitPath(change.path());
  if (existing != directory.account_by_path.end()) {
    item.account = directory.accounts.at(existing->second);
  } else {
    const auto parent = directory.account_by_path.find(parent_path);
    if (parent == directory.account_by_path.end() && !made.contains(parent_path)) {
      return NotFound("ACCOUNT_NOT_FOUND", field + ".path",
                      "there is no account '" + parent_path + "' to make '" + name + "' in");
    }
    item.account.name = name;
    item.parent_path = parent_path;
    if (parent != directory.account_by_path.end()) item.account.parent = parent->second;
  }
  const AccountSettings before = item.account.settings;
  const auto amended = Amend(change, field, &item.account);
  if (!amended) return amended.error();
  const AccountSettings& after = item.account.settings;
  const bool in_slurm =
      after.slurm_account != before.slurm_account || after.slurm_qos != before.slurm_qos;
  if (in_slurm && !caller.everywhere) {
    return Denied("NOT_ADMINISTRATOR", "only cluster admins set accounts and QOS of Slurm");
  }
  return item;
}

}  // namespace

v1::BudgetSpec ToWire(const BudgetSpec& budget) {
  v1::BudgetSpec wire;
  wire.set_name(budget.name);
  wire.set_gpu_type(budget.gpu_type);
  wire.set_milli_gpu_hours(budget.milli_gpu_hours);
  wire.set_start_ms(budget.start_ms);
  wire.set_end_ms(budget.end_ms);
  wire.set_at_exhaustion(budget.at_exhaustion == AtExhaustion::kStop
                             ? v1::BUDGET_EXHAUSTION_STOP
                             : v1::BUDGET_EXHAUSTION_SCAVENGE);
  wire.set_carry_over_percent(budget.carry_over_percent);
  return wire;
}

v1::AccountSettings ToWire(const AccountSettings& settings) {
  v1::AccountSettings wire;
  for (const auto& [type, share] : settings.shares) {
    auto& slot = (*wire.mutable_shares())[type];
    slot.set_weight_milli(share.weight_milli);
    slot.set_guarantee_milli_gpus(share.guarantee_milli);
    if (share.borrow_max_milli) slot.set_borrow_max_milli_gpus(*share.borrow_max_milli);
    if (share.lend_max_milli) slot.set_lend_max_milli_gpus(*share.lend_max_milli);
  }
  if (settings.account_limits != Limits{}) {
    SetLimits(settings.account_limits, wire.mutable_account_limits());
  }
  if (settings.user_limits != Limits{}) SetLimits(settings.user_limits, wire.mutable_user_limits());
  for (const auto& name : settings.classes) wire.add_job_classes(name);
  wire.set_highest_classification(settings.highest_classification);
  wire.set_default_time_limit_ms(settings.default_time_limit_ms);
  wire.set_rule(static_cast<v1::ProjectRule>(static_cast<int>(settings.rule) + 1));
  SetBudgets(settings.budgets, &wire);
  wire.set_slurm_account(settings.slurm_account);
  wire.set_slurm_qos(settings.slurm_qos);
  return wire;
}

v1::Account ToWire(const Directory& directory, const Account& account) {
  v1::Account wire;
  wire.set_path(PathOf(directory, account.id));
  wire.set_id(account.id.value);
  wire.set_kind(account.kind);
  wire.set_title(account.title);
  wire.mutable_attributes()->insert(account.attributes.begin(), account.attributes.end());
  wire.set_closed(account.closed);
  *wire.mutable_settings() = ToWire(account.settings);
  wire.set_settings_version(account.version);
  std::int32_t members = 0;
  for (const auto& [id, user] : directory.users) {
    for (const auto& grant : user.roles) {
      if (grant.account != account.id) continue;
      if (grant.role == Role::kInstitutionAdmin) wire.add_administrators(user.name);
      members += grant.role <= Role::kProjectLead ? 1 : 0;
    }
  }
  wire.set_members(members);
  return wire;
}

AccountSettings Effective(const Directory& directory, AccountId account) {
  AccountSettings result = directory.accounts.at(account).settings;
  AccountId above = directory.accounts.at(account).parent;
  while (above) {
    const Account& parent = directory.accounts.at(above);
    if (result.classes.empty()) result.classes = parent.settings.classes;
    if (result.highest_classification.empty()) {
      result.highest_classification = parent.settings.highest_classification;
    }
    if (result.slurm_account.empty()) result.slurm_account = parent.settings.slurm_account;
    if (result.slurm_qos.empty()) result.slurm_qos = parent.settings.slurm_qos;
    above = parent.parent;
  }
  for (const auto& [type, rate] : directory.rate_milli) result.shares.try_emplace(type);
  return result;
}

namespace {

// Empty: the parent's.
bool IsSlurmName(std::string_view text) {
  const auto sound = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return text.size() < 64 && !text.starts_with('-') && std::ranges::all_of(text, sound);
}

}  // namespace

Result<AccountSettings> ReadSettings(const v1::AccountSettings& wire, const std::string& field) {
  if (!wire.default_class().empty()) return NotYet(field + ".default_class", "a default class");
  if (!wire.dedicated_nodes().empty()) {
    return NotYet(field + ".dedicated_nodes", "dedicated nodes");
  }
  AccountSettings settings;
  for (const auto& [type, share] : wire.shares()) {
    const std::string path = field + ".shares[" + type + "]";
    if (share.has_target_ppm()) return NotYet(path + ".target_ppm", "policy targets");
    Share& slot = settings.shares[type];
    if (share.has_weight_milli()) slot.weight_milli = share.weight_milli();
    slot.guarantee_milli = share.guarantee_milli_gpus();
    if (share.has_borrow_max_milli_gpus()) slot.borrow_max_milli = share.borrow_max_milli_gpus();
    if (share.has_lend_max_milli_gpus()) slot.lend_max_milli = share.lend_max_milli_gpus();
  }
  settings.account_limits = ReadLimits(wire.account_limits());
  settings.user_limits = ReadLimits(wire.user_limits());
  settings.classes.assign(wire.job_classes().begin(), wire.job_classes().end());
  settings.highest_classification = wire.highest_classification();
  settings.default_time_limit_ms = wire.default_time_limit_ms();
  if (!v1::ProjectRule_IsValid(wire.rule())) return Invalid(field + ".rule", "is not a known rule");
  if (wire.rule() != v1::PROJECT_RULE_UNSPECIFIED) {
    settings.rule = static_cast<ProjectRule>(static_cast<int>(wire.rule()) - 1);
  }
  auto budgets = ReadBudgets(wire, field);
  if (!budgets) return budgets.error();
  settings.budgets = std::move(*budgets);
  settings.slurm_account = wire.slurm_account();
  settings.slurm_qos = wire.slurm_qos();
  for (const auto& [name, text] : {std::pair{".slurm_account", settings.slurm_account},
                                   std::pair{".slurm_qos", settings.slurm_qos}}) {
    if (!IsSlurmName(text)) {
      return Invalid(field + name,
                     "is no name in Slurm: letters, digits, '.', '_' and '-', 63 at most");
    }
  }
  return settings;
}

namespace {

// Whether somebody was faster: the account has changed since the version that was looked at.
Result<void> CheckVersion(const v1::ApplyAccountsRequest& request, const std::string& path,
                          const Account& account) {
  if (request.base_version() == 0 || account.version <= request.base_version()) return {};
  const std::string version = std::to_string(account.version);
  return FieldProblem(Code::kAborted, {"base_version",
                                       "VERSION_CHANGED",
                                       "'" + path + "' was changed by version " + version +
                                           " of the settings: look again",
                                       {{"version", version}, {"account", path}}});
}

}  // namespace

Result<AccountPlan> PlanAccounts(const Caller& caller, const v1::ApplyAccountsRequest& request) {
  if (!request.complete_below().empty()) {
    return NotYet("complete_below", "closing what a file does not name");
  }
  if (request.what_if()) return NotYet("what_if", "trying settings on the queue");
  const Directory& directory = caller.directory();
  AccountPlan plan;
  plan.command.reason = request.reason();
  std::vector<int> order;
  for (int i = 0; i < request.changes_size(); ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return request.changes(a).path() < request.changes(b).path();  // parents first
  });
  std::set<std::string> made;
  for (const int i : order) {
    const auto& change = request.changes(i);
    const std::string field = "changes[" + std::to_string(i) + "]";
    if (!made.insert(change.path()).second) return Invalid(field + ".path", "is there twice");
    auto item = PlanOne(caller, change, field, made);
    if (!item) return item.error();
    v1::Account before;
    if (item->account.id) {
      const Account& known = directory.accounts.at(item->account.id);
      const auto unchanged = CheckVersion(request, change.path(), known);
      if (!unchanged) return unchanged.error();
      before = ToWire(directory, known);
    }
    v1::Account after = before;
    after.set_kind(item->account.kind);
    after.set_title(item->account.title);
    after.set_closed(item->account.closed);
    *after.mutable_settings() = ToWire(item->account.settings);
    after.clear_attributes();
    after.mutable_attributes()->insert(item->account.attributes.begin(),
                                       item->account.attributes.end());
    const std::size_t known = plan.changes.size();
    Compare(change.path(), before, after, &plan.changes);
    if (plan.changes.size() > known) plan.command.accounts.push_back(std::move(*item));
  }
  return plan;
}

Error InRequest(const v1::ApplyAccountsRequest& request, const Error& error) {
  if (error.details.size() != 1 || error.details.front().field.empty()) return error;
  FieldError detail = error.details.front();
  const auto found = detail.values.find("account");
  if (found == detail.values.end()) return error;
  const std::string& account = found->second;
  std::string place = "changes";
  for (int i = 0; i < request.changes_size(); ++i) {
    const std::string& path = request.changes(i).path();
    if (path != account && !path.ends_with("/" + account)) continue;
    place = "changes[" + std::to_string(i) + "]." + detail.field;
    if (path == account) break;
  }
  detail.field = place;
  detail.message = "account '" + account + "': " + detail.message;
  return FieldProblem(error.code, std::move(detail));
}

std::vector<AccountId> VisibleAccounts(const Caller& caller) {
  const Directory& directory = caller.directory();
  std::set<AccountId> above;
  for (AccountId account : caller.accounts) {
    while (account) {
      above.insert(account);
      const auto found = directory.accounts.find(account);
      account = found == directory.accounts.end() ? AccountId{} : found->second.parent;
    }
  }
  std::vector<AccountId> all;
  Walk(ChildrenOf(directory), kRootAccount, &all);
  std::erase_if(all, [&](AccountId account) {
    return !directory.accounts.contains(account) ||
           (!caller.ReachesAccount(account) && !above.contains(account));
  });
  return all;
}

}  // namespace kezek::rpc

#include "rpc/account_convert.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "kezek/host_list.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

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
    if (share.target_ppm) slot.set_target_ppm(*share.target_ppm);
  }
  if (settings.account_limits != Limits{}) {
    SetLimits(settings.account_limits, wire.mutable_account_limits());
  }
  if (settings.user_limits != Limits{}) SetLimits(settings.user_limits, wire.mutable_user_limits());
  for (const auto& name : settings.classes) wire.add_job_classes(name);
  wire.set_default_class(settings.default_class);
  wire.set_highest_classification(settings.highest_classification);
  wire.set_default_time_limit_ms(settings.default_time_limit_ms);
  wire.set_rule(static_cast<v1::ProjectRule>(static_cast<int>(settings.rule) + 1));
  SetBudgets(settings.budgets, &wire);
  wire.set_slurm_account(settings.slurm_account);
  wire.set_slurm_qos(settings.slurm_qos);
  if (!settings.dedicated_nodes.empty()) {
    wire.add_dedicated_nodes(CompressHostList(settings.dedicated_nodes));
  }
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
    if (result.default_class.empty()) result.default_class = parent.settings.default_class;
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

// Sorted, each once.
Result<std::vector<std::string>> ReadNodes(const v1::AccountSettings& wire,
                                           const std::string& field) {
  std::set<std::string> nodes;
  for (const std::string& list : wire.dedicated_nodes()) {
    const auto names = ExpandHostList(list);
    if (!names) return Invalid(field, names.error().message);
    nodes.insert(names->begin(), names->end());
  }
  return std::vector<std::string>(nodes.begin(), nodes.end());
}

}  // namespace

Result<AccountSettings> ReadSettings(const v1::AccountSettings& wire, const std::string& field) {
  AccountSettings settings;
  auto nodes = ReadNodes(wire, field + ".dedicated_nodes");
  if (!nodes) return nodes.error();
  settings.dedicated_nodes = std::move(*nodes);
  for (const auto& [type, share] : wire.shares()) {
    const std::string path = field + ".shares[" + type + "]";
    Share& slot = settings.shares[type];
    if (share.has_target_ppm()) {
      if (share.target_ppm() < 0 || share.target_ppm() > 1'000'000) {
        return Invalid(path + ".target_ppm", "a target is from 0 to 1000000 millionths");
      }
      slot.target_ppm = share.target_ppm();
    }
    if (share.has_weight_milli()) slot.weight_milli = share.weight_milli();
    slot.guarantee_milli = share.guarantee_milli_gpus();
    if (share.has_borrow_max_milli_gpus()) slot.borrow_max_milli = share.borrow_max_milli_gpus();
    if (share.has_lend_max_milli_gpus()) slot.lend_max_milli = share.lend_max_milli_gpus();
  }
  settings.account_limits = ReadLimits(wire.account_limits());
  settings.user_limits = ReadLimits(wire.user_limits());
  settings.classes.assign(wire.job_classes().begin(), wire.job_classes().end());
  settings.default_class = wire.default_class();
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

#include "rpc/account_warnings.h"

#include <map>
#include <string>
#include <utility>

#include "kezek/budget_periods.h"
#include "kezek/node_owners.h"
#include "kezek/reason_text.h"
#include "rpc/accounts_after.h"
#include "rpc/caller.h"

namespace kezek::rpc {
namespace {

constexpr DurationMs kSoon = 31 * kDayMs;

// Of shared nodes in service: guarantees are about no others.
std::map<std::string, MilliGpus> CapacityOf(const View& view, const Directory& after) {
  const NodeOwners owners = OwnersOf(after.accounts, view.directory->classes);
  std::map<std::string, MilliGpus> capacity;
  for (const auto& [name, node] : view.nodes) {
    if (node.health != NodeHealth::kUp || owners.contains(name)) continue;
    capacity[node.gpu_type] += 1000LL * (node.gpus - node.foreign_gpus);
  }
  return capacity;
}

std::string PathAfter(const Directory& directory, const PutAccounts::Item& item) {
  if (!item.parent_path.empty()) return item.parent_path + "/" + item.account.name;
  if (!item.account.id) return item.account.name;
  return PathOf(directory, item.account.id);
}

v1::Reason Warning(const std::string& code, std::map<std::string, std::string> fields,
                   const std::string& sentence) {
  v1::Reason reason;
  reason.set_code(code);
  reason.mutable_fields()->insert(fields.begin(), fields.end());
  reason.set_sentence(sentence);
  return reason;
}

std::string Named(const std::string& path) { return path.empty() ? "the root" : path; }

}  // namespace

std::vector<v1::Reason> WarningsOf(const View& view, const PutAccounts& command) {
  std::vector<v1::Reason> warnings;
  const auto after = MakeAccounts(*view.directory, command);
  if (!after) return warnings;  // it is refused
  const auto capacity = CapacityOf(view, after->tree);
  for (const PutAccounts::Item& item : command.accounts) {
    const Account& account = item.account;
    if (account.closed) continue;
    const std::string path = PathAfter(*view.directory, item);
    for (const auto& [type, share] : account.settings.shares) {
      const auto found = capacity.find(type);
      const MilliGpus there = found == capacity.end() ? 0 : found->second;
      if (share.guarantee_milli <= there) continue;
      const std::string guarantee = GpuText(share.guarantee_milli);
      warnings.push_back(Warning("GUARANTEE_ABOVE_CAPACITY",
                                 {{"account", path},
                                  {"gpu_type", type},
                                  {"guarantee", guarantee},
                                  {"capacity", GpuText(there)}},
                                 "The guarantee of " + Named(path) + ", " + guarantee + " " + type +
                                     ", is above the " + GpuText(there) +
                                     " on shared nodes in service now: it cannot be kept in "
                                     "full."));
    }
    for (const BudgetSpec& budget : account.settings.budgets) {
      if (budget.milli_gpu_hours == 0 && budget.end_ms > view.now_ms) {
        warnings.push_back(
            Warning("BUDGET_IS_EMPTY", {{"account", path}, {"budget", budget.name}},
                    "Budget " + budget.name + " of " + Named(path) +
                        " has 0 GPU-hours: nothing can be held of it but what is carried over."));
      }
      const bool soon = budget.end_ms > view.now_ms && budget.end_ms - view.now_ms <= kSoon;
      if (!soon || NextPeriod(account.settings.budgets, budget) != nullptr) continue;
      warnings.push_back(Warning(
          "BUDGET_HAS_NO_NEXT",
          {{"account", path}, {"budget", budget.name}, {"end_ms", std::to_string(budget.end_ms)}},
          "Budget " + budget.name + " of " + Named(path) + " ends " +
              reason_text::UtcText(budget.end_ms) + ", and no later one is set."));
    }
  }
  return warnings;
}

}  // namespace kezek::rpc

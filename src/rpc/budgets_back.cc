#include "rpc/budgets_back.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "kezek/budget_periods.h"
#include "rpc/caller.h"

namespace kezek::rpc {
namespace {

// Today's that stay, by name.
using Staying = std::map<std::string, const BudgetSpec*>;

bool HasBookings(const View& view, AccountId account, const std::string& name) {
  if (view.budgets == nullptr) return false;
  return std::any_of(
      view.budgets->begin(), view.budgets->end(), [&](const BudgetStanding& standing) {
        return standing.ref == BudgetRef{account, name} && IsBooked(standing.balance);
      });
}

bool IsInTheWay(const Staying& staying, const BudgetSpec& spec) {
  return std::any_of(staying.begin(), staying.end(),
                     [&spec](const auto& other) { return PeriodsOverlap(*other.second, spec); });
}

v1::Reason Warning(const char* code, const std::string& path, const std::string& budget,
                   const std::string& what) {
  v1::Reason warning;
  warning.set_code(code);
  (*warning.mutable_fields())["account"] = path;
  (*warning.mutable_fields())["budget"] = budget;
  warning.set_sentence("Budget " + budget + " of " + (path.empty() ? "the root" : path) + what);
  return warning;
}

}  // namespace

void BringBudgetsBack(const View& view, const Account& now, std::vector<BudgetSpec>* budgets,
                      std::vector<v1::Reason>* warnings) {
  Staying staying;
  for (const BudgetSpec& spec : now.settings.budgets) {
    if (spec.end_ms > view.now_ms && !HasBookings(view, now.id, spec.name)) continue;
    staying[spec.name] = &spec;
  }
  const std::string path = PathOf(*view.directory, now.id);
  const auto keep = [&](const BudgetSpec& spec) {
    warnings->push_back(
        Warning("BUDGET_KEPT", path, spec.name,
                " stays as it is today: it has been drawn on or carried into, or is over."));
  };
  std::vector<BudgetSpec> back;
  Staying since = staying;  // that there was no budget for
  for (const BudgetSpec& spec : *budgets) {
    if (const auto found = staying.find(spec.name); found != staying.end()) {
      if (*found->second != spec) keep(*found->second);
      back.push_back(*found->second);
      since.erase(spec.name);
    } else if (spec.end_ms <= view.now_ms || IsInTheWay(staying, spec)) {
      warnings->push_back(
          Warning("BUDGET_LEFT_OUT", path, spec.name,
                  " is not brought back: it is over, or at the time of one that stays."));
    } else {
      back.push_back(spec);
    }
  }
  for (const auto& [name, spec] : since) {
    keep(*spec);
    back.push_back(*spec);
  }
  *budgets = std::move(back);
}

}  // namespace kezek::rpc

#include "rpc/budget_rows.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kezek/budget_forecast.h"
#include "rpc/account_convert.h"

namespace kezek::rpc {
namespace {

v1::Budget ToBudget(const View& view, const BudgetStanding& standing, MilliGpuMs spent_lately) {
  const BudgetBalance& balance = standing.balance;
  v1::Budget wire;
  wire.set_account(PathOf(*view.directory, standing.ref.account));
  *wire.mutable_spec() = ToWire(standing.spec);
  wire.set_granted_milli_gpu_ms(balance.granted + balance.carried_in);
  wire.set_spent_milli_gpu_ms(balance.spent);
  wire.set_held_milli_gpu_ms(balance.held);
  wire.set_refunded_milli_gpu_ms(balance.refunded);
  wire.set_left_milli_gpu_ms(balance.left);
  wire.set_expired_milli_gpu_ms(balance.expired);
  wire.set_warned_percent(balance.warned_percent);
  const BudgetPace pace{spent_lately, PaceTime(standing.spec, view.now_ms)};
  const BudgetForecast forecast =
      ForecastOf(standing.spec, balance, pace, view.now_ms,
                 view.budgets != nullptr && HasNextPeriod(*view.budgets, standing));
  wire.set_runs_out_ms(forecast.runs_out_ms);
  wire.set_will_expire_milli_gpu_ms(forecast.will_expire);
  return wire;
}

}  // namespace

Result<std::vector<BudgetStanding>> BudgetsOf(const Caller& caller, const std::string& account,
                                              const WhichBudgets& which) {
  const View& view = *caller.view;
  const Directory& directory = caller.directory();
  std::vector<AccountId> of;
  if (!account.empty()) {
    const auto found = FindVisibleAccount(caller, account, "account");
    if (!found) return found.error();
    of.push_back(*found);
  } else if (caller.everywhere) {
    of.push_back(kRootAccount);
  } else {
    of.assign(caller.accounts.begin(), caller.accounts.end());
  }
  const bool below = which.below || (account.empty() && caller.everywhere);
  const std::vector<AccountId> visible = VisibleAccounts(caller);
  std::vector<BudgetStanding> wanted;
  if (view.budgets == nullptr) return wanted;
  for (const BudgetStanding& standing : *view.budgets) {
    const AccountId owner = standing.ref.account;
    const bool current =
        standing.spec.start_ms <= view.now_ms && view.now_ms < standing.spec.end_ms;
    const bool asked = std::any_of(of.begin(), of.end(), [&](AccountId one) {
      return IsWithin(directory, one, owner) || (below && IsWithin(directory, owner, one));
    });
    const bool seen = std::find(visible.begin(), visible.end(), owner) != visible.end();
    if (asked && seen && (current || which.all_periods)) wanted.push_back(standing);
  }
  return wanted;
}

Result<void> AddBudgets(const Caller& caller, const std::vector<BudgetStanding>& budgets,
                        Reader& reader, google::protobuf::RepeatedPtrField<v1::Budget>* out) {
  if (budgets.empty()) return {};
  const View& view = *caller.view;
  std::vector<BudgetRef> refs;
  refs.reserve(budgets.size());
  for (const BudgetStanding& standing : budgets) refs.push_back(standing.ref);
  const auto spent = reader.SpentSince(refs, view.now_ms - kPaceMs);
  if (!spent) return spent.error();
  for (const BudgetStanding& standing : budgets) {
    const auto lately = spent->find(standing.ref);
    v1::Budget& wire = *out->Add();
    wire = ToBudget(view, standing, lately == spent->end() ? 0 : lately->second);
    const auto jobs = view.waiting_for_budget.find(standing.ref);
    if (jobs == view.waiting_for_budget.end()) continue;
    if (!caller.ReachesAccount(standing.ref.account)) continue;
    wire.set_jobs_waiting(jobs->second);
  }
  return {};
}

}  // namespace kezek::rpc

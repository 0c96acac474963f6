// Budgets: what a start draws on, and what becomes of it.
//
// A budget is one period of an account: [start, end). Its hours are in pots (kezek/event.h), and
// every entry of Book::kBudget moves some from one pot to another, so that their sum never changes:
//
//   grant       grants -> left (or back, when it is cut)
//   hold        left -> held       at a start, of every budget on the path that covers the job
//   settlement  held -> spent      at the end: what it cost
//   release     held -> left       what the hold did not need
//   refund      spent -> left      given back for a fault
//   adjustment  left -> spent (or back), decided by two people
//   carry_over  left -> carried -> left of the next period; of a late refund: spent -> carried
//   expiry      left -> expired    at the end of the period, and of what comes back later
//
// A hold belongs to the period of its start, which keeps it up to hold_beyond past the period's
// end; what it may run after that is held of the next period. So a hold is a few slices of the
// attempt's time, each dated at its beginning; what the attempt cost is taken from them in order.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "kezek/account.h"
#include "kezek/budget.h"
#include "kezek/event.h"
#include "kezek/reason.h"
#include "kezek/result.h"
#include "quota/account_tree.h"
#include "quota/charge.h"

namespace kezek::quota {

// Of an account's periods for a GPU type together: keeps every sum of a budget below 2^63.
inline constexpr std::int64_t kMaxMilliGpuHours = 2'000'000'000'000;

// The budgets' balances: the fold of Book::kBudget.
class Budgets {
 public:
  // As it was stored.
  void Restore(const BudgetRef& ref, const BudgetBalance& balance) { balances_[ref] = balance; }
  // A pot that would fall below 0 is a bug: KEZEK_CHECK. With another grant no warning counts as
  // given.
  void Book(const LedgerEntry& entry);
  void Warned(const BudgetWarning& warning);
  const BudgetBalance& Of(const BudgetRef& ref) const;
  const std::map<BudgetRef, BudgetBalance>& all() const { return balances_; }
  bool operator==(const Budgets&) const = default;

 private:
  std::map<BudgetRef, BudgetBalance> balances_;
};

// What may be held against a budget at all: its spec in milli-GPU-ms.
MilliGpuMs GrantOf(const BudgetSpec& spec);
// Null: the account has no such budget (any more).
const BudgetSpec* FindBudget(const AccountTree& tree, const BudgetRef& ref);

// A start as budgets see it.
struct Cost {
  AccountId project;
  std::string gpu_type;
  MilliGpus counted_milli = 0;
  DurationMs limit_ms = 0;
  std::int64_t rate_milli = 1000;
  std::int64_t factor_milli = 1000;
};

struct BudgetHold {
  BudgetRef budget;
  DurationMs from_ms = 0;  // of the attempt's time
  MilliGpuMs amount = 0;
  bool operator==(const BudgetHold&) const = default;
};

struct Draw {
  std::vector<BudgetHold> holds;  // all of them fit; empty if it waits or goes on as a scavenger
  Reason stop;                    // kBudgetExhausted or kBudgetPeriodEnds: it waits
  BudgetRef scavenges;            // the budget that does not hold it and says so; and none stops it
};

// Held by starts that are planned, not booked.
using Taken = std::map<BudgetRef, MilliGpuMs>;

// What a start at `now` draws on all budgets of its path. Reasons carry account, budget, left and
// needed (GPU-hours) or end_ms and beyond, and fits: the longest limit, in ms, that no budget would
// stop.
Draw DrawOf(const AccountTree& tree, const Budgets& budgets, const Cost& cost, TimeMs now,
            const Taken& taken = {}, const ChargeRules& rules = {});
// What an attempt, planned by `cost` with a shorter limit, draws besides for the limit of `cost`:
// of the periods that its start drew on, and those behind them; of one that is over, nothing more.
// A budget that would have made it a scavenger stops the raise.
Draw DrawOfRaise(const AccountTree& tree, const Budgets& budgets, const Cost& cost,
                 const Attempt& attempt, TimeMs now, const Taken& taken = {},
                 const ChargeRules& rules = {});
// The longest time that costs no more than `amount`, rounded down; saturates. 0: of what costs
// nothing.
DurationMs TimeFor(const Cost& cost, MilliGpuMs amount);

// What has been carried into a budget so far.
using CarriedIn = std::function<MilliGpuMs(const BudgetRef&)>;
// kBudgetExhausted, as DrawOf, if no start from `from` on could be held by the budgets that are
// set, even if nothing else drew on them (`left` is all that the budget may ever have); else kNone.
// Times behind the last period do not count: whoever set a budget did not mean them.
Reason NeverHeld(const AccountTree& tree, const Cost& cost, TimeMs from,
                 const CarriedIn& carried_in, const ChargeRules& rules = {});

// Whether any account on the path has budgets at all.
bool HasBudgets(const AccountTree& tree, AccountIndex project);

// The entries of a draw, for the attempt that is planned with it.
std::vector<LedgerEntry> HoldEntries(const Attempt& attempt, const Payer& payer, const Draw& draw,
                                     TimeMs now);

// An entry of EntriesDue as it is to be booked: what comes back to a period that is over expires,
// and a refund goes to the period that is current at `now`, if there is one: of its GPU type, and
// once the budget is taken out of the entry's, or of all types.
std::vector<LedgerEntry> Completed(const AccountTree& tree, const Budgets& budgets,
                                   const LedgerEntry& entry, TimeMs now);

// What a change of settings grants and cuts. FAILED_PRECONDITION BUDGET_BELOW_SPENT: less than is
// spent and held (also of one that is taken out), or its GPU type changes while it has any;
// BUDGET_CARRIED_INTO: one is taken out that another's hours were carried into. INVALID_ARGUMENT: a
// new period that is over, or one that has been closed is changed. The field is one of the API's
// AccountChange, the value `account` a path.
Result<std::vector<LedgerEntry>> GrantsDue(const AccountTree& before, const AccountTree& after,
                                           const Budgets& budgets, TimeMs now);

// Of periods that are over and not closed yet: what is carried over and what expires.
std::vector<LedgerEntry> EndsDue(const AccountTree& tree, const Budgets& budgets, TimeMs now);
// End of the first period that is not closed; none: there is none.
std::optional<TimeMs> NextEnd(const AccountTree& tree, const Budgets& budgets);

// 80, 95 and 100 % spent of what was granted and carried in, once each for one grant; the highest
// that is due.
std::optional<BudgetWarning> WarningDue(const BudgetRef& ref, const BudgetBalance& balance);

// A correction that is approved, as entries: usage at `now`, and of a budget its charge.
// NOT_FOUND BUDGET_NOT_FOUND; FAILED_PRECONDITION BUDGET_BELOW_SPENT: it is not left, or gives back
// more than is spent; BUDGET_OF_ANOTHER_TYPE.
Result<std::vector<LedgerEntry>> AdjustmentEntries(const AccountTree& tree, const Budgets& budgets,
                                                   const Correction& correction,
                                                   std::int64_t settings_version, TimeMs now);

// GPU-hours for people, "1234.5": rounded down to a tenth, below 10 to a thousandth.
std::string GpuHoursText(MilliGpuMs amount);

// The budgets of one account against each other and the machine; the field is below
// "settings.budgets", as in AccountTree::Validate.
Result<void> CheckBudgets(const AccountTree& tree, AccountIndex account, const TreeRules& rules);

}  // namespace kezek::quota

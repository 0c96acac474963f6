// Budgets as settings: what may be set, what a change grants or cuts, the ends of periods,
// warnings, corrections.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "kezek/budget_periods.h"
#include "kezek/names.h"
#include "quota/budget.h"
#include "quota/wide.h"

namespace kezek::quota {
namespace {

Error Problem(Code code, const AccountTree& tree, AccountIndex account, const std::string& name,
              std::string reason, std::string message, const std::string& field = "") {
  const std::string path = "settings.budgets" + (name.empty() ? "" : "[" + name + "]");
  return FieldProblem(code,
                      FieldError{.field = path + (field.empty() ? "" : "." + field),
                                 .reason = std::move(reason),
                                 .message = "budget \"" + name + "\": " + std::move(message),
                                 .values = {{"account", tree.path(account)}, {"budget", name}}});
}

bool GoodName(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), good);
}

// An entry that is about no attempt.
LedgerEntry EntryOf(const BudgetRef& budget, const BudgetSpec& spec, EntryKind kind, Pot from,
                    Pot to, MilliGpuMs amount, TimeMs now) {
  LedgerEntry entry;
  entry.time_ms = now;
  entry.book = Book::kBudget;
  entry.kind = kind;
  entry.project = budget.account;
  entry.contra = NameOf(from);
  entry.gpu_type = spec.gpu_type;
  entry.date_ms = now;
  entry.amount = amount;
  entry.budget = budget;
  entry.pot = to;
  return entry;
}

// Of a budget as it is to be, with what it was before (null: it is new, or gone).
Result<void> CheckChange(const AccountTree& tree, AccountIndex i, const BudgetSpec* before,
                         const BudgetSpec& after, const BudgetBalance& balance, TimeMs now) {
  if (before != nullptr && *before == after) return {};
  const auto refused = [&](Code code, const char* reason, std::string message, const char* field) {
    return Problem(code, tree, i, after.name, reason, std::move(message), field);
  };
  if (balance.closed) {
    return refused(Code::kInvalidArgument, "PERIOD_IS_OVER",
                   "its period is over and booked: it stays as it was", "");
  }
  if (after.end_ms <= now) {
    return refused(Code::kInvalidArgument, "PERIOD_IS_OVER", "its period would be over already",
                   "end_ms");
  }
  if (before != nullptr && IsDrawnOn(balance) && before->gpu_type != after.gpu_type) {
    return refused(Code::kFailedPrecondition, "BUDGET_BELOW_SPENT",
                   "its GPU type stays, now that jobs have drawn on it", "gpu_type");
  }
  return {};
}

Error Below(const AccountTree& tree, AccountIndex i, const std::string& name,
            const BudgetBalance& balance) {
  return Problem(Code::kFailedPrecondition, tree, i, name, "BUDGET_BELOW_SPENT",
                 GpuHoursText(balance.spent) + " GPU-hours are spent and " +
                     GpuHoursText(balance.held) +
                     " held: it is not cut below that, and not taken out",
                 "milli_gpu_hours");
}

Error NoSuchBudget(const AccountTree& tree, const BudgetRef& ref) {
  std::string known;
  const AccountIndex i = tree.IndexOf(ref.account);
  if (i != kNoAccount) {
    for (const BudgetSpec& spec : tree.account(i).settings.budgets) {
      known += (known.empty() ? "" : ", ") + spec.name;
    }
  }
  return FieldProblem(Code::kNotFound,
                      {"budget",
                       "BUDGET_NOT_FOUND",
                       "the account has no budget '" + ref.name + "'" +
                           (known.empty() ? ", nor any other" : ": it has " + known),
                       {{"budget", ref.name}}});
}

Result<void> MayGo(const AccountTree& tree, AccountIndex i, const std::string& name,
                   const BudgetBalance& balance) {
  if (balance.closed) return {};
  if (IsDrawnOn(balance)) return Below(tree, i, name, balance);
  if (balance.carried_in == 0) return {};
  return Problem(Code::kFailedPrecondition, tree, i, name, "BUDGET_CARRIED_INTO",
                 GpuHoursText(balance.carried_in) +
                     " GPU-hours were carried into it: it may be cut to 0 and end sooner, but is "
                     "not taken out before its end");
}

void CloseOne(const AccountTree& tree, Budgets& budgets, AccountIndex i, const BudgetSpec& spec,
              TimeMs now, std::vector<LedgerEntry>* entries) {
  const auto book = [&](LedgerEntry entry) {
    budgets.Book(entry);
    entries->push_back(std::move(entry));
  };
  const BudgetRef ref{tree.id(i), spec.name};
  const BudgetSpec* next = NextPeriod(tree.account(i).settings.budgets, spec);
  const Int128 part = Int128{budgets.Of(ref).left} * spec.carry_over_percent / 100;
  if (next != nullptr && part > 0) {
    const auto amount = static_cast<MilliGpuMs>(part);
    book(EntryOf(ref, spec, EntryKind::kCarryOver, Pot::kLeft, Pot::kCarried, amount, now));
    book(EntryOf({ref.account, next->name}, *next, EntryKind::kCarryOver, Pot::kCarried, Pot::kLeft,
                 amount, now));
  }
  // Of 0, too: it says that the end is booked.
  book(
      EntryOf(ref, spec, EntryKind::kExpiry, Pot::kLeft, Pot::kExpired, budgets.Of(ref).left, now));
}

struct Period {
  AccountIndex account = kNoAccount;
  const BudgetSpec* spec = nullptr;
};

// Those that are not closed, by their end.
std::vector<Period> OpenPeriods(const AccountTree& tree, const Budgets& budgets) {
  std::vector<Period> open;
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    for (const BudgetSpec& spec : tree.account(i).settings.budgets) {
      if (!budgets.Of({tree.id(i), spec.name}).closed) open.push_back({i, &spec});
    }
  }
  std::stable_sort(open.begin(), open.end(), [](const Period& a, const Period& b) {
    return a.spec->end_ms < b.spec->end_ms;
  });
  return open;
}

}  // namespace

Result<void> CheckBudgets(const AccountTree& tree, AccountIndex account, const TreeRules& rules) {
  constexpr std::size_t kMost = 1000;
  const std::vector<BudgetSpec>& specs = tree.account(account).settings.budgets;
  const auto bad = [&](const BudgetSpec& spec, const char* field, const char* reason,
                       std::string message) {
    return Problem(Code::kInvalidArgument, tree, account, spec.name, reason, std::move(message),
                   field);
  };
  std::set<std::string> names;
  std::map<std::string, std::int64_t> sums;  // by GPU type
  for (const BudgetSpec& spec : specs) {
    if (!GoodName(spec.name)) {
      return bad(spec, "name", "FIELD_INVALID",
                 "a name has 1 to 64 letters, digits, dots, dashes or underscores");
    }
    if (!names.insert(spec.name).second) return bad(spec, "name", "NAME_TAKEN", "is there twice");
    if (!spec.gpu_type.empty() && !rules.configured_milli.contains(spec.gpu_type)) {
      return bad(spec, "gpu_type", "NO_SUCH_GPU_TYPE",
                 "the machine has no GPU type \"" + spec.gpu_type + "\"");
    }
    if (spec.milli_gpu_hours < 0 || spec.milli_gpu_hours > kMaxMilliGpuHours) {
      return bad(spec, "milli_gpu_hours", "OUT_OF_RANGE", "is from 0 to 2,000,000,000 GPU-hours");
    }
    std::int64_t& sum = sums[spec.gpu_type];
    sum += spec.milli_gpu_hours;
    if (sum > kMaxMilliGpuHours) {
      return bad(spec, "milli_gpu_hours", "OUT_OF_RANGE",
                 "all periods of an account for one GPU type come to no more than 2,000,000,000 "
                 "GPU-hours together");
    }
    if (spec.start_ms < 0 || spec.end_ms <= spec.start_ms) {
      return bad(spec, "end_ms", "OUT_OF_RANGE",
                 spec.end_ms == 0 ? "its period has no end" : "a period ends after it starts");
    }
    if (spec.carry_over_percent < 0 || spec.carry_over_percent > 100) {
      return bad(spec, "carry_over_percent", "OUT_OF_RANGE", "is from 0 to 100 percent");
    }
    for (const BudgetSpec& other : specs) {
      if (&other == &spec || !PeriodsOverlap(other, spec)) continue;
      return bad(spec, "start_ms", "PERIODS_OVERLAP",
                 "its period overlaps that of \"" + other.name + "\"");
    }
    if (specs.size() > kMost) return bad(spec, "", "OUT_OF_RANGE", "no more than 1,000 budgets");
  }
  return {};
}

Result<std::vector<LedgerEntry>> GrantsDue(const AccountTree& before, const AccountTree& after,
                                           const Budgets& budgets, TimeMs now) {
  std::vector<LedgerEntry> entries;
  for (AccountIndex i = 0; i < after.size(); ++i) {
    const AccountId account = after.id(i);
    for (const BudgetSpec& spec : after.account(i).settings.budgets) {
      const BudgetRef ref{account, spec.name};
      const BudgetBalance& balance = budgets.Of(ref);
      const auto valid = CheckChange(after, i, FindBudget(before, ref), spec, balance, now);
      if (!valid) return valid.error();
      const MilliGpuMs due = balance.closed ? 0 : GrantOf(spec) - balance.granted;
      if (due == 0) continue;
      if (-due > balance.left) return Below(after, i, spec.name, balance);
      entries.push_back(
          due > 0 ? EntryOf(ref, spec, EntryKind::kGrant, Pot::kGrants, Pot::kLeft, due, now)
                  : EntryOf(ref, spec, EntryKind::kGrant, Pot::kLeft, Pot::kGrants, -due, now));
    }
    const AccountIndex known = before.IndexOf(account);
    if (known == kNoAccount) continue;
    for (const BudgetSpec& spec : before.account(known).settings.budgets) {
      const BudgetRef ref{account, spec.name};
      if (FindBudget(after, ref) != nullptr) continue;
      const BudgetBalance& balance = budgets.Of(ref);
      if (const auto may_go = MayGo(after, i, spec.name, balance); !may_go) return may_go.error();
      if (balance.closed) continue;
      entries.push_back(
          EntryOf(ref, spec, EntryKind::kGrant, Pot::kLeft, Pot::kGrants, balance.left, now));
    }
  }
  return entries;
}

std::vector<LedgerEntry> EndsDue(const AccountTree& tree, const Budgets& budgets, TimeMs now) {
  std::vector<LedgerEntry> entries;
  std::optional<Budgets> draft;  // what one period carries over, the next may carry on
  for (const Period& period : OpenPeriods(tree, budgets)) {
    if (period.spec->end_ms > now) break;
    if (!draft) draft = budgets;
    CloseOne(tree, *draft, period.account, *period.spec, now, &entries);
  }
  return entries;
}

std::optional<TimeMs> NextEnd(const AccountTree& tree, const Budgets& budgets) {
  const std::vector<Period> open = OpenPeriods(tree, budgets);
  if (open.empty()) return std::nullopt;
  return open.front().spec->end_ms;
}

std::optional<BudgetWarning> WarningDue(const BudgetRef& ref, const BudgetBalance& balance) {
  const Int128 all = Int128{balance.granted} + balance.carried_in;
  const Int128 used = balance.spent;
  if (balance.closed || all == 0) return std::nullopt;
  for (const std::int32_t percent : std::array{100, 95, 80}) {
    if (used * 100 < all * percent) continue;
    if (balance.warned_percent >= percent) return std::nullopt;
    return BudgetWarning{ref, percent};
  }
  return std::nullopt;
}

Result<std::vector<LedgerEntry>> AdjustmentEntries(const AccountTree& tree, const Budgets& budgets,
                                                   const Correction& correction,
                                                   std::int64_t settings_version, TimeMs now) {
  LedgerEntry entry;
  entry.time_ms = now;
  entry.book = Book::kUsage;
  entry.kind = EntryKind::kAdjustment;
  entry.attempt.job = correction.job;
  entry.project = correction.budget.account;
  entry.user = correction.user;
  entry.contra = "operator";
  entry.gpu_type = correction.gpu_type;
  entry.date_ms = now;
  entry.amount = correction.amount;
  entry.settings_version = settings_version;
  entry.reason = {ReasonCode::kCorrection, {{"text", correction.reason}}};
  entry.actor = correction.decided_by;
  entry.correction = correction.id;
  std::vector<LedgerEntry> entries = {entry};
  if (!correction.budget) return entries;
  const BudgetSpec* spec = FindBudget(tree, correction.budget);
  if (spec == nullptr) return NoSuchBudget(tree, correction.budget);
  if (!spec->gpu_type.empty() && spec->gpu_type != correction.gpu_type) {
    return FieldProblem(Code::kFailedPrecondition,
                        {"gpu_type",
                         "BUDGET_OF_ANOTHER_TYPE",
                         "budget " + spec->name + " is of " + spec->gpu_type,
                         {{"budget", spec->name}, {"gpu_type", spec->gpu_type}}});
  }
  const BudgetBalance& balance = budgets.Of(correction.budget);
  const MilliGpuMs size = correction.amount < 0 ? -correction.amount : correction.amount;
  const bool charges = correction.amount > 0;
  const MilliGpuMs most = charges ? balance.left : balance.spent;
  if (size > most) {
    return FieldProblem(
        Code::kFailedPrecondition,
        {"amount_milli_gpu_ms",
         "BUDGET_BELOW_SPENT",
         GpuHoursText(most) + " GPU-hours are " + (charges ? "left" : "spent") + " of budget " +
             spec->name + ": no more can be " + (charges ? "charged to it" : "given back to it"),
         {{"budget", spec->name}}});
  }
  entry.book = Book::kCharge;
  entries.push_back(entry);
  entry.book = Book::kBudget;
  entry.budget = correction.budget;
  entry.amount = size;
  entry.contra = NameOf(correction.amount > 0 ? Pot::kLeft : Pot::kSpent);
  entry.pot = correction.amount > 0 ? Pot::kSpent : Pot::kLeft;
  for (LedgerEntry& booked : Completed(tree, budgets, entry, now)) {
    entries.push_back(std::move(booked));
  }
  return entries;
}

}  // namespace kezek::quota

// What a start draws, and where what comes back goes.
#include "quota/budget.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kezek/budget_periods.h"
#include "kezek/check.h"
#include "kezek/names.h"
#include "quota/wide.h"

namespace kezek::quota {
namespace {

// Where a pot stands in a balance; null: outside of what is kept apart.
MilliGpuMs* PotOf(BudgetBalance& balance, Pot pot) {
  switch (pot) {
    case Pot::kLeft:
      return &balance.left;
    case Pot::kHeld:
      return &balance.held;
    case Pot::kSpent:
      return &balance.spent;
    case Pot::kExpired:
      return &balance.expired;
    case Pot::kNone:
    case Pot::kGrants:
    case Pot::kCarried:
      break;
  }
  return nullptr;
}

MilliGpuMs ChargeOf(const Cost& cost, DurationMs time_ms) {
  return Charge(cost.counted_milli, time_ms, cost.rate_milli, cost.factor_milli);
}

bool Covers(const BudgetSpec& spec, TimeMs now) {
  return spec.start_ms <= now && now < spec.end_ms;
}

const BudgetSpec* CurrentPeriod(const Account& account, const std::string& gpu_type, TimeMs now) {
  for (const BudgetSpec& spec : account.settings.budgets) {
    if (spec.gpu_type == gpu_type && Covers(spec, now)) return &spec;
  }
  return nullptr;
}

// The one that takes over what comes back of a budget, which may be taken out of the settings.
const BudgetSpec* CurrentPeriod(const AccountTree& tree, const LedgerEntry& entry, TimeMs now) {
  const AccountIndex i = tree.IndexOf(entry.budget.account);
  if (i == kNoAccount) return nullptr;
  const BudgetSpec* spec = FindBudget(tree, entry.budget);
  if (spec != nullptr) return CurrentPeriod(tree.account(i), spec->gpu_type, now);
  const BudgetSpec* own = CurrentPeriod(tree.account(i), entry.gpu_type, now);
  return own != nullptr ? own : CurrentPeriod(tree.account(i), "", now);
}

// The draw on one budget and those behind it, of an attempt's time that is not held yet.
class OneDraw {
 public:
  struct When {
    TimeMs now = 0;
    TimeMs planned = 0;   // `now` for a start
    DurationMs held = 0;  // of the attempt's time, already; 0 for a start
  };

  OneDraw(const AccountTree& tree, const Budgets& budgets, const Cost& cost, const When& when,
          const Taken& taken, const ChargeRules& rules)
      : tree_(tree), budgets_(budgets), cost_(cost), when_(when), taken_(taken), rules_(rules) {}

  Draw Run() && {
    for (auto i = tree_.IndexOf(cost_.project); i != kNoAccount; i = tree_.parent(i)) {
      for (const BudgetSpec& spec : tree_.account(i).settings.budgets) {
        const bool covers = spec.gpu_type.empty() || spec.gpu_type == cost_.gpu_type;
        if (covers && IsFirst(i, spec)) On(i, spec);
      }
    }
    const bool stops = draw_.stop.code != ReasonCode::kNone;
    if (stops || draw_.scavenges) draw_.holds.clear();
    if (!stops) return std::move(draw_);
    draw_.scavenges = {};
    const bool longer = HeldTime(fits_ms_, rules_) > when_.held;
    if (longer && fits_ms_ >= kMinuteMs) draw_.stop.fields["fits"] = std::to_string(fits_ms_);
    return std::move(draw_);
  }

 private:
  // The period of the start; the one of now if none was set then.
  bool IsFirst(AccountIndex account, const BudgetSpec& spec) const {
    if (Covers(spec, when_.planned)) return true;
    if (!Covers(spec, when_.now)) return false;
    const auto& all = tree_.account(account).settings.budgets;
    return std::none_of(all.begin(), all.end(), [&](const BudgetSpec& other) {
      return other.gpu_type == spec.gpu_type && Covers(other, when_.planned);
    });
  }

  void On(AccountIndex account, const BudgetSpec& first) {
    const DurationMs whole = HeldTime(cost_.limit_ms, rules_);
    const BudgetSpec* spec = &first;
    DurationMs from = when_.held;
    while (true) {
      const bool over = spec->end_ms <= when_.now;
      const DurationMs most = over ? from : spec->end_ms + rules_.hold_beyond_ms - when_.planned;
      const DurationMs to = std::clamp(most, from, whole);
      Slice(account, *spec, from, to);
      if (to == whole) return;
      const BudgetSpec* next = NextPeriod(tree_.account(account).settings.budgets, *spec);
      if (next == nullptr) return Ends(account, *spec, most);
      from = to;
      spec = next;
    }
  }

  void Slice(AccountIndex account, const BudgetSpec& spec, DurationMs from, DurationMs to) {
    const BudgetRef ref{tree_.id(account), spec.name};
    const MilliGpuMs amount = ChargeOf(cost_, to) - ChargeOf(cost_, from);
    const auto taken = taken_.find(ref);
    const MilliGpuMs left = budgets_.Of(ref).left - (taken == taken_.end() ? 0 : taken->second);
    if (amount == 0) return;
    if (amount <= left) {
      draw_.holds.push_back({ref, from, amount});
      return;
    }
    if (spec.at_exhaustion == AtExhaustion::kScavenge && when_.held == 0) {
      if (!draw_.scavenges) draw_.scavenges = ref;
      return;
    }
    Fits(from + TimeFor(cost_, left));
    Stop({ReasonCode::kBudgetExhausted,
          {{"account", tree_.path(account)},
           {"budget", spec.name},
           {"left", GpuHoursText(std::max<MilliGpuMs>(0, left))},
           {"needed", GpuHoursText(amount)}}});
  }

  void Ends(AccountIndex account, const BudgetSpec& spec, DurationMs most) {
    Fits(most);
    Stop({ReasonCode::kBudgetPeriodEnds,
          {{"account", tree_.path(account)},
           {"budget", spec.name},
           {"end_ms", std::to_string(spec.end_ms)},
           {"beyond", std::to_string(rules_.hold_beyond_ms)}}});
  }

  void Fits(DurationMs held_ms) {
    const DurationMs limit = (held_ms - rules_.kill_margin_ms) / kMinuteMs * kMinuteMs;
    fits_ms_ = std::min(fits_ms_, limit);
  }

  void Stop(Reason reason) {
    if (draw_.stop.code == ReasonCode::kNone) draw_.stop = std::move(reason);
  }

  const AccountTree& tree_;
  const Budgets& budgets_;
  const Cost& cost_;
  When when_;
  const Taken& taken_;
  const ChargeRules& rules_;
  Draw draw_;
  DurationMs fits_ms_ = std::numeric_limits<DurationMs>::max();
};

LedgerEntry Moved(LedgerEntry entry, EntryKind kind, Pot from, Pot to) {
  entry.kind = kind;
  entry.contra = NameOf(from);
  entry.pot = to;
  return entry;
}

}  // namespace

void Budgets::Book(const LedgerEntry& entry) {
  KEZEK_CHECK(entry.book == Book::kBudget && entry.budget && entry.amount >= 0,
              "an entry of a budget");
  const auto from = FromName<Pot>(entry.contra);
  KEZEK_CHECK(from && *from != entry.pot, "a budget's hours come from another pot");
  BudgetBalance& balance = balances_[entry.budget];
  if (MilliGpuMs* pot = PotOf(balance, *from)) {
    *pot -= entry.amount;
    KEZEK_CHECK(*pot >= 0, "budget " + entry.budget.name + ": " + entry.contra + " below 0");
  }
  if (MilliGpuMs* pot = PotOf(balance, entry.pot)) *pot += entry.amount;
  const bool regranted = *from == Pot::kGrants || entry.pot == Pot::kGrants;
  if (regranted && entry.amount != 0) balance.warned_percent = 0;
  if (*from == Pot::kGrants) balance.granted += entry.amount;
  if (entry.pot == Pot::kGrants) balance.granted -= entry.amount;
  if (*from == Pot::kCarried) balance.carried_in += entry.amount;
  if (entry.pot == Pot::kCarried) balance.carried_out += entry.amount;
  if (entry.kind == EntryKind::kRefund && *from == Pot::kSpent) balance.refunded += entry.amount;
  if (entry.kind == EntryKind::kExpiry) balance.closed = true;
}

void Budgets::Warned(const BudgetWarning& warning) {
  balances_[warning.budget].warned_percent = warning.percent;
}

const BudgetBalance& Budgets::Of(const BudgetRef& ref) const {
  static const BudgetBalance kNothing;
  const auto found = balances_.find(ref);
  return found == balances_.end() ? kNothing : found->second;
}

MilliGpuMs GrantOf(const BudgetSpec& spec) { return spec.milli_gpu_hours * kHourMs; }

const BudgetSpec* FindBudget(const AccountTree& tree, const BudgetRef& ref) {
  const AccountIndex account = tree.IndexOf(ref.account);
  if (account == kNoAccount) return nullptr;
  for (const BudgetSpec& spec : tree.account(account).settings.budgets) {
    if (spec.name == ref.name) return &spec;
  }
  return nullptr;
}

Draw DrawOf(const AccountTree& tree, const Budgets& budgets, const Cost& cost, TimeMs now,
            const Taken& taken, const ChargeRules& rules) {
  return OneDraw(tree, budgets, cost, {now, now, 0}, taken, rules).Run();
}

Draw DrawOfRaise(const AccountTree& tree, const Budgets& budgets, const Cost& cost,
                 const Attempt& attempt, TimeMs now, const Taken& taken, const ChargeRules& rules) {
  const OneDraw::When when{now, attempt.planned_ms, HeldTime(attempt.limit_ms, rules)};
  return OneDraw(tree, budgets, cost, when, taken, rules).Run();
}

DurationMs TimeFor(const Cost& cost, MilliGpuMs amount) {
  const Int128 price = Int128{cost.rate_milli} * cost.factor_milli;
  if (amount <= 0 || price == 0 || cost.counted_milli == 0) return 0;
  constexpr Int128 kMost = std::numeric_limits<DurationMs>::max() / 4;
  const Int128 time = Int128{amount} * 1'000'000 / price / cost.counted_milli;
  return static_cast<DurationMs>(std::min(time, kMost));
}

bool HasBudgets(const AccountTree& tree, AccountIndex project) {
  for (auto i = project; i != kNoAccount; i = tree.parent(i)) {
    if (!tree.account(i).settings.budgets.empty()) return true;
  }
  return false;
}

std::vector<LedgerEntry> HoldEntries(const Attempt& attempt, const Payer& payer, const Draw& draw,
                                     TimeMs now) {
  std::vector<LedgerEntry> entries;
  for (const BudgetHold& hold : draw.holds) {
    LedgerEntry entry;
    entry.time_ms = now;
    entry.book = Book::kBudget;
    entry.attempt = attempt.ref;
    entry.project = payer.project;
    entry.user = payer.user;
    entry.job_class = payer.job_class;
    entry.gpu_type = payer.gpu_type;
    entry.settings_version = attempt.settings_version;
    entry.date_ms = attempt.planned_ms + hold.from_ms;
    entry.budget = hold.budget;
    entry.amount = hold.amount;
    entries.push_back(Moved(std::move(entry), EntryKind::kHold, Pot::kLeft, Pot::kHeld));
  }
  return entries;
}

std::vector<LedgerEntry> Completed(const AccountTree& tree, const Budgets& budgets,
                                   const LedgerEntry& entry, TimeMs now) {
  std::vector<LedgerEntry> entries = {entry};
  if (entry.book != Book::kBudget || entry.pot != Pot::kLeft) return entries;
  if (!budgets.Of(entry.budget).closed) return entries;
  const BudgetSpec* current = CurrentPeriod(tree, entry, now);
  if (entry.contra == NameOf(Pot::kSpent) && current != nullptr) {
    entries = {Moved(entry, entry.kind, Pot::kSpent, Pot::kCarried)};
    LedgerEntry arrives = Moved(entry, EntryKind::kCarryOver, Pot::kCarried, Pot::kLeft);
    arrives.budget = {entry.budget.account, current->name};
    entries.push_back(std::move(arrives));
    return entries;
  }
  entries.push_back(Moved(entry, EntryKind::kExpiry, Pot::kLeft, Pot::kExpired));
  return entries;
}

std::string GpuHoursText(MilliGpuMs amount) {
  constexpr std::int64_t kSmall = 10;  // below, thousandths matter
  const std::int64_t milli = amount / kHourMs;
  const std::int64_t size = milli < 0 ? -milli : milli;
  std::string decimals = std::to_string(1000 + size % 1000).substr(1);
  if (size >= kSmall * 1000) decimals.resize(1);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  const std::string whole = (milli < 0 ? "-" : "") + std::to_string(size / 1000);
  return decimals.empty() ? whole : whole + "." + decimals;
}

}  // namespace kezek::quota

// Whether budgets could ever hold a start, if nothing else had drawn on them.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "quota/budget.h"
#include "quota/wide.h"

namespace kezek::quota {
namespace {

// Budgets of one GPU type, by their start; they do not overlap.
using Series = std::map<std::string, std::vector<const BudgetSpec*>>;

Series SeriesOf(const Account& account, const std::string& gpu_type) {
  Series series;
  for (const BudgetSpec& spec : account.settings.budgets) {
    if (spec.gpu_type.empty() || spec.gpu_type == gpu_type) series[spec.gpu_type].push_back(&spec);
  }
  for (auto& [type, specs] : series) {
    std::sort(specs.begin(), specs.end(),
              [](const auto* a, const auto* b) { return a->start_ms < b->start_ms; });
  }
  return series;
}

// The path's budgets with all that they were or will be granted and may have carried over.
class FullBudgets {
 public:
  FullBudgets(const AccountTree& tree, const Cost& cost, TimeMs from, const CarriedIn& carried_in,
              const ChargeRules& rules)
      : cost_(cost), from_(from), hold_beyond_ms_(rules.hold_beyond_ms) {
    for (auto i = tree.IndexOf(cost.project); i != kNoAccount; i = tree.parent(i)) {
      for (const auto& [type, specs] : SeriesOf(tree.account(i), cost.gpu_type)) {
        Add(tree.id(i), specs, carried_in);
      }
    }
    moments_.insert(from);
    for (const TimeMs end : ends_) {
      if (end > from && end <= last_start_) moments_.insert(end);
    }
  }

  const Budgets& budgets() const { return budgets_; }
  // The moments to try. What a budget holds of a start that runs past its end gets less the later
  // it is, so the first moment at which all hold it is `from`, a period's start, its end, if none
  // follows it at once, or the moment from which a period's part is small enough for it.
  const std::set<TimeMs>& moments() const { return moments_; }

 private:
  void Add(AccountId account, const std::vector<const BudgetSpec*>& specs,
           const CarriedIn& carried_in) {
    MilliGpuMs carried = 0;
    for (const BudgetSpec* spec : specs) {
      const BudgetRef ref{account, spec->name};
      const MilliGpuMs full = GrantOf(*spec) + std::max(carried, carried_in(ref));
      budgets_.Restore(ref, {.left = full});
      carried = static_cast<MilliGpuMs>(Int128{full} * spec->carry_over_percent / 100);
      Try(*spec, spec->start_ms);
      ends_.insert(spec->end_ms);
      last_start_ = std::max(last_start_, spec->start_ms);
      if (spec == specs.back()) continue;
      Try(*spec, spec->end_ms + hold_beyond_ms_ - TimeFor(cost_, full));
    }
  }
  void Try(const BudgetSpec& spec, TimeMs moment) {
    const TimeMs first = std::max(moment, spec.start_ms);
    if (first > from_ && first < spec.end_ms) moments_.insert(first);
  }

  const Cost& cost_;
  TimeMs from_;
  DurationMs hold_beyond_ms_;
  Budgets budgets_;
  std::set<TimeMs> moments_;
  std::set<TimeMs> ends_;
  TimeMs last_start_ = 0;  // of any period on the path
};

// The longest limit that the reason names; 0: none would do.
DurationMs FitsOf(const Reason& stop) {
  const auto found = stop.fields.find("fits");
  return found == stop.fields.end() ? 0 : std::stoll(found->second);
}

}  // namespace

Reason NeverHeld(const AccountTree& tree, const Cost& cost, TimeMs from,
                 const CarriedIn& carried_in, const ChargeRules& rules) {
  const AccountIndex project = tree.IndexOf(cost.project);
  if (project == kNoAccount || !HasBudgets(tree, project)) return {};
  const FullBudgets full(tree, cost, from, carried_in, rules);
  Reason never;
  for (const TimeMs moment : full.moments()) {
    Reason stop = DrawOf(tree, full.budgets(), cost, moment, {}, rules).stop;
    if (stop.code != ReasonCode::kBudgetExhausted) return {};
    if (never.code == ReasonCode::kNone || FitsOf(stop) > FitsOf(never)) never = std::move(stop);
  }
  return never;
}

}  // namespace kezek::quota

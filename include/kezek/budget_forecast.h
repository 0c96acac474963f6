// What becomes of a budget if its hours go on being spent at a pace. Pure; integers.
#pragma once

#include <algorithm>
#include <vector>

#include "kezek/account.h"
#include "kezek/budget.h"
#include "kezek/budget_periods.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

inline constexpr DurationMs kPaceMs = 14 * kDayMs;  // what a forecast looks back on

// Spent, less refunds, in the time that is over.
struct BudgetPace {
  MilliGpuMs spent = 0;
  DurationMs over_ms = 0;
};

// How long a budget has been spent by `now`, at most the last 14 days; at least an hour, in which
// a first job says little.
inline DurationMs PaceTime(const BudgetSpec& spec, TimeMs now) {
  return std::max(kHourMs, std::min(kPaceMs, now - spec.start_ms));
}

// Whether a later period of the same account and GPU type is set: what is carried over goes there.
inline bool HasNextPeriod(const std::vector<BudgetStanding>& all, const BudgetStanding& one) {
  return std::any_of(all.begin(), all.end(), [&one](const BudgetStanding& other) {
    return other.ref.account == one.ref.account && IsLaterPeriod(one.spec, other.spec);
  });
}

struct BudgetForecast {
  TimeMs runs_out_ms = 0;      // nothing is left then; 0: it lasts until it ends
  MilliGpuMs will_expire = 0;  // when it ends; what is held now is not counted: it may be spent
  bool operator==(const BudgetForecast&) const = default;
};

// Of a period that is current at `now`; of another one nothing. Refunds above what was spent count
// as no pace.
inline BudgetForecast ForecastOf(const BudgetSpec& spec, const BudgetBalance& balance,
                                 const BudgetPace& pace, TimeMs now, bool has_next) {
  __extension__ typedef __int128 Wide;
  BudgetForecast forecast;
  if (now < spec.start_ms || now >= spec.end_ms || pace.over_ms <= 0) return forecast;
  const Wide spent = std::max<MilliGpuMs>(0, pace.spent);
  const Wide free = Wide{balance.left} + balance.held;
  const Wide needed = spent * (spec.end_ms - now) / pace.over_ms;
  if (needed > free) {
    forecast.runs_out_ms = now + static_cast<DurationMs>(free * pace.over_ms / spent);
    return forecast;
  }
  const auto over = static_cast<MilliGpuMs>(std::min<Wide>(balance.left, free - needed));
  const Wide carried = has_next ? Wide{over} * spec.carry_over_percent / 100 : 0;
  forecast.will_expire = over - static_cast<MilliGpuMs>(carried);
  return forecast;
}

}  // namespace kezek

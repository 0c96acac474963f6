// Periods of budgets beside each other, and what of one is booked. Pure.
#pragma once

#include <vector>

#include "kezek/account.h"
#include "kezek/budget.h"

namespace kezek {

// Of one account: two that would count the same jobs at the same time.
inline bool PeriodsOverlap(const BudgetSpec& a, const BudgetSpec& b) {
  return a.gpu_type == b.gpu_type && a.start_ms < b.end_ms && b.start_ms < a.end_ms;
}

// Whether `other`, of the same account, could take over where `one` ends.
inline bool IsLaterPeriod(const BudgetSpec& one, const BudgetSpec& other) {
  return other.gpu_type == one.gpu_type && other.start_ms >= one.end_ms;
}

// The first of an account's that starts when this one is over; null: none is set.
inline const BudgetSpec* NextPeriod(const std::vector<BudgetSpec>& all, const BudgetSpec& one) {
  const BudgetSpec* next = nullptr;
  for (const BudgetSpec& other : all) {
    if (!IsLaterPeriod(one, other)) continue;
    if (next == nullptr || other.start_ms < next->start_ms) next = &other;
  }
  return next;
}

// Jobs have drawn on it; or besides, it was carried into, or its end is booked: it stays on record.
inline bool IsDrawnOn(const BudgetBalance& balance) { return balance.spent + balance.held > 0; }
inline bool IsBooked(const BudgetBalance& balance) {
  return balance.closed || IsDrawnOn(balance) || balance.carried_in > 0;
}

}  // namespace kezek

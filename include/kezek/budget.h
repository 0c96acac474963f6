// Budgets as they stand, and corrections of them. The specs are part of an account's settings.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

// What a budget's entries come to. Never negative, and at every moment
//   granted + carried_in = left + held + spent + carried_out + expired.
struct BudgetBalance {
  MilliGpuMs granted = 0;      // less what was cut
  MilliGpuMs carried_in = 0;   // from the period before, late refunds included
  MilliGpuMs left = 0;         // may be held
  MilliGpuMs held = 0;         // by what has not ended
  MilliGpuMs spent = 0;        // less what was refunded
  MilliGpuMs carried_out = 0;  // to the period behind
  MilliGpuMs expired = 0;
  MilliGpuMs refunded = 0;          // part of what `spent` is less
  bool closed = false;              // its period's end has been booked
  std::int32_t warned_percent = 0;  // highest warning given: 80, 95, 100
  bool operator==(const BudgetBalance&) const = default;
};

struct BudgetStanding {
  BudgetRef ref;
  BudgetSpec spec;  // of a budget that is no longer set: its name only
  BudgetBalance balance;
  bool operator==(const BudgetStanding&) const = default;
};

// Given once for each of 80, 95 and 100 percent.
struct BudgetWarning {
  BudgetRef budget;
  std::int32_t percent = 0;
  bool operator==(const BudgetWarning&) const = default;
};

enum class CorrectionState : std::uint8_t { kProposed, kBooked, kDeclined };

// Booked by two people: one proposes it, another one decides.
struct Correction {
  std::int64_t id = 0;
  BudgetRef budget;  // name empty: of the account's usage only
  std::string gpu_type;
  MilliGpuMs amount = 0;  // positive charges, negative gives back
  JobRef job;             // it is about; may be none
  UserId user;            // the job's owner
  std::string reason;
  CorrectionState state = CorrectionState::kProposed;
  std::string proposed_by;
  TimeMs proposed_ms = 0;
  std::string decided_by;
  TimeMs decided_ms = 0;
  std::string decision;         // why, in the words of who decided
  std::int64_t ledger_seq = 0;  // first of its entries, as the store numbers them; 0: none
  bool operator==(const Correction&) const = default;
};

}  // namespace kezek

// Events and ledger entries: what happened, never edited.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

enum class Subject : std::uint8_t { kJob, kAccount, kUser, kToken, kNode, kCluster };

// A change of something. `seq` is given by the store: gapless, in commit order.
struct Event {
  std::int64_t seq = 0;
  TimeMs time_ms = 0;
  Subject subject = Subject::kJob;
  JobRef job;                // Subject::kJob
  std::int32_t attempt = 0;  // 0: not about one attempt
  std::string name;          // other subjects: account path, user, token id, node
  AccountId project;         // of the job, or the account itself: who may see it
  UserId user;               // owner of the job
  std::string from;          // states as text ("queued"); "" where there is none
  std::string to;
  Reason reason;
  std::string actor;  // user name, or "kezek"
  bool operator==(const Event&) const = default;
};

// Of the reason of an event by which an admin has put another's will in the place of the rules: a
// field of this name with what was overridden, one of these. Once for each job or array named.
inline constexpr const char* kOverrideField = "override";
inline constexpr const char* kOverridePriority = "priority";  // order: own priority, class
inline constexpr const char* kOverrideHold = "hold";          // set or lifted
inline constexpr const char* kOverrideReservation = "reservation";
inline constexpr const char* kOverrideLimit = "limit";  // time, or how many of an array run
inline constexpr const char* kOverrides[] = {kOverridePriority, kOverrideHold, kOverrideReservation,
                                             kOverrideLimit};

enum class Book : std::uint8_t {
  kUsage,   // pieces that fair-share order is computed from
  kCharge,  // what attempts cost, and what of it was given back
  kBudget,  // what budgets were granted, hold, have spent
};

enum class EntryKind : std::uint8_t {
  kPiece,       // usage booked ahead
  kRedate,      // takes a piece back at one date, or books it at another
  kCorrection,  // corrects pieces at the end of an attempt
  kSettlement,
  kHold,
  kRelease,
  kRefund,
  kGrant,
  kCarryOver,
  kExpiry,      // also of 0: the end of a budget's period
  kAdjustment,  // decided by two people
  kForeign,     // of what ran beside Kezek: in no budget
};

// Where the hours of a budget are. Every entry of Book::kBudget moves some from one to another.
enum class Pot : std::uint8_t {
  kNone,
  kGrants,   // outside: what was given
  kCarried,  // on the way from one period to another
  kLeft,
  kHeld,
  kSpent,
  kExpired,
};

// One entry: `amount` is added to `project` and taken from `contra`, so every book sums to zero. In
// Book::kBudget it is added to `pot` of `budget` and taken from the pot that `contra` names.
struct LedgerEntry {
  std::int64_t seq = 0;  // given by the store
  TimeMs time_ms = 0;    // of the booking
  Book book = Book::kCharge;
  EntryKind kind = EntryKind::kSettlement;
  AttemptRef attempt;
  AccountId project;
  UserId user;
  std::string contra;  // "machine", "overrun"…
  std::string job_class;
  std::string gpu_type;
  TimeMs date_ms = 0;     // what usage decays from
  MilliGpuMs amount = 0;  // signed; counted milli-GPUs x ms x rate x factor
  std::int64_t settings_version = 0;
  BudgetRef budget;  // Book::kBudget
  Pot pot = Pot::kNone;
  Reason reason;                // of refunds and adjustments, with the evidence
  std::string actor;            // who booked it; empty: Kezek
  std::int64_t correction = 0;  // the decision behind it; 0: none
  // Of kForeign: the cluster's id of the run; in the charge book `date_ms` is its start.
  std::int64_t foreign_job = 0;
  bool operator==(const LedgerEntry&) const = default;
};

// Part of what an attempt costs.
inline bool IsCharge(const LedgerEntry& entry) { return entry.book == Book::kCharge; }

}  // namespace kezek

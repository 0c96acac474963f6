// Events and ledger entries: what happened, never edited.
#pragma once

#include <cstdint>
#include <string>

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

enum class Book : std::uint8_t {
  kUsage,   // pieces that fair-share order is computed from
  kCharge,  // settlements, and with budgets holds, releases, refunds
};

enum class EntryKind : std::uint8_t {
  kPiece,       // usage booked ahead
  kRedate,      // takes a piece back at one date, or books it at another
  kCorrection,  // corrects pieces at the end of an attempt
  kSettlement,
  kHold,
  kRelease,
  kRefund,
};

// One entry: `amount` is added to `project` and taken from `contra`, so every book sums to zero.
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
  bool operator==(const LedgerEntry&) const = default;
};

// Part of what an attempt costs: holds and releases cancel each other in the end and are not.
inline bool IsCharge(const LedgerEntry& entry) {
  return entry.book == Book::kCharge && entry.kind != EntryKind::kHold &&
         entry.kind != EntryKind::kRelease;
}

}  // namespace kezek

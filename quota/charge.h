// What an attempt costs, and which ledger entries are due for it.
//
// Charge: counted milli-GPUs x whole seconds (as milliseconds) x rate x factor, multiplied out in
// 128 bits and rounded down once. Time beyond the hold (limit rounded up to a minute, plus
// kill_margin) is not the project's: it goes to "overrun". What a hold on record
// does not cover is not charged, however wide the margin is by now; a narrower one counts at once.
//
// Usage is booked ahead in pieces: piece k is the attempt's hour k, dated start + k hours, up to
// its limit. The first is booked when the attempt is planned, dated then; once the start is known
// it moves there; the next is due when its hour begins; at the end every piece is corrected to the
// time that was charged. A launch that failed leaves nothing. Scavenger attempts book no usage.
//
// What a node's failure or a preemption cost is given back (RefundedTime): a refund in the charge
// book takes back the charge of the attempt's last such time, its usage goes at its own dates, and
// budgets get theirs (budget.h). An attempt that the cluster lost, of which nobody saw the end, is
// charged until it was last seen alive: without a node's failure on record nothing is given back.
//
// Holds of budgets are slices of the attempt's time, each dated planned_ms + its beginning. At the
// end the cost is taken from them in order, and what is not needed goes back; a limit that is
// shortened gives back at once.
//
// The rule is stated as "what should stand in the ledger now"; the entries due are the difference
// from what stands there, so calling again, late, or after a restart cannot book twice.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/event.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek::quota {

struct ChargeRules {
  DurationMs piece_ms = kHourMs;
  DurationMs kill_margin_ms = 2 * kMinuteMs;
  DurationMs hold_beyond_ms = kDayMs;  // of a budget's period, past its end
  DurationMs refund_max_ms = kHourMs;  // of a preemption
  bool operator==(const ChargeRules&) const = default;
};

// Rounded down; saturates at 2^63 - 1. Negative times count as 0, parts of a second are dropped.
MilliGpuMs Charge(MilliGpus counted_milli, DurationMs time_ms, std::int64_t rate_milli,
                  std::int64_t factor_milli);

// Of the first piece: what a job taken in the order adds for the rest of the tick.
MilliGpuMs ExpectedCharge(MilliGpus counted_milli, DurationMs limit_ms, std::int64_t rate_milli,
                          std::int64_t factor_milli, const ChargeRules& rules = {});

// Longest time that can be charged: the limit rounded up to a minute, plus kill_margin.
DurationMs HeldTime(DurationMs limit_ms, const ChargeRules& rules = {});

// Whole seconds from start to end; 0 if it never started or failed to launch.
DurationMs RunTime(const Attempt& attempt);
// What is charged of it: at most the held time.
DurationMs ChargedTime(const Attempt& attempt, const ChargeRules& rules = {});
// From then on what an attempt has done is in no checkpoint: the later of its start and its last
// checkpoint.
TimeMs UnsavedSince(const Attempt& attempt);
// What of the charged time is given back: of an attempt that a node's failure ended, all that is
// in no checkpoint; of a preempted one the same, at most refund_max, and nothing as long as no
// attempt of the job has a checkpoint (`checkpointed`). A part of a second counts whole.
DurationMs RefundedTime(const Attempt& attempt, bool checkpointed, const ChargeRules& rules = {});

// What an attempt that has not ended would be charged if it ended at `now`.
MilliGpuMs ChargeSoFar(const Attempt& attempt, TimeMs now, const ChargeRules& rules = {});

// Whose the attempt is, as its entries say.
struct Payer {
  AccountId project;
  UserId user;
  std::string job_class;
  std::string gpu_type;
  bool scavenger = false;
  bool checkpointed = false;  // its job has one, of this attempt or before
};

// What stands in the ledger for one attempt: the fold of its entries, in any order.
struct Booked {
  std::map<TimeMs, MilliGpuMs> usage;  // by date; no zeros
  bool settled = false;
  MilliGpuMs charged = 0;  // of Book::kCharge
  // Held of budgets, by date; no zeros.
  std::map<std::pair<TimeMs, BudgetRef>, MilliGpuMs> holds;
  void Add(const LedgerEntry& entry);
  bool operator==(const Booked&) const = default;
};

// The rules as they are for this attempt: a hold was made with the margin of its start, and a wider
// one configured since does not count: as much as is held by the account that holds least. An
// account may hold by two budgets at once, of one type and of all.
ChargeRules WithHeldMargin(const Attempt& attempt, const Booked& booked, ChargeRules rules);

// The entries due now. Of an attempt that has ended: corrections of usage, one kSettlement (also
// of 0) in the charge book and, beyond the held time, one kCorrection with contra "overrun", one
// kRefund of what is given back; and of each hold settlement, release and refund. The reason of a
// refund is the attempt's, with `since_ms`, from when on it is given back, and `checkpoint_ms`, its
// last checkpoint if it had one. Nothing after that, ever.
std::vector<LedgerEntry> EntriesDue(const Attempt& attempt, const Payer& payer,
                                    const Booked& booked, TimeMs now,
                                    const ChargeRules& rules = {});

// When the next piece of a running attempt falls due (the first hour after `now`); none: no more.
std::optional<TimeMs> NextPieceAt(const Attempt& attempt, TimeMs now,
                                  const ChargeRules& rules = {});

}  // namespace kezek::quota

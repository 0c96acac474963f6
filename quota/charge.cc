#include "quota/charge.h"

#include <algorithm>
#include <limits>

#include "kezek/check.h"
#include "kezek/names.h"
#include "quota/budget.h"
#include "quota/wide.h"

namespace kezek::quota {
namespace {

constexpr MilliGpuMs kMost = std::numeric_limits<MilliGpuMs>::max();

MilliGpuMs ChargeOf(const Attempt& attempt, DurationMs time_ms) {
  return Charge(attempt.counted_milli, time_ms, attempt.rate_milli, attempt.factor_milli);
}

// Pieces of the first `time_ms` of an attempt, dated from `start`: hour k holds the charge up to
// its end less the charge up to its start, so that they add up to the whole, to the unit.
std::map<TimeMs, MilliGpuMs> Pieces(const Attempt& attempt, TimeMs start, DurationMs time_ms,
                                    DurationMs piece_ms) {
  std::map<TimeMs, MilliGpuMs> pieces;
  MilliGpuMs before = 0;
  for (DurationMs from = 0; from < time_ms; from += piece_ms) {
    const MilliGpuMs after = ChargeOf(attempt, std::min(from + piece_ms, time_ms));
    if (after != before) pieces[start + from] = after - before;
    before = after;
  }
  return pieces;
}

// What is charged and stays so.
DurationMs KeptTime(const Attempt& attempt, const Payer& payer, const ChargeRules& rules) {
  return ChargedTime(attempt, rules) - RefundedTime(attempt, payer.checkpointed, rules);
}

// Why something is given back, with the evidence.
Reason RefundReason(const Attempt& attempt, const Payer& payer, const ChargeRules& rules) {
  Reason reason = attempt.reason;
  const TimeMs since = attempt.start_ms + KeptTime(attempt, payer, rules);
  reason.fields["since_ms"] = std::to_string(since);
  if (attempt.last_checkpoint_ms != 0) {
    reason.fields["checkpoint_ms"] = std::to_string(attempt.last_checkpoint_ms);
  }
  return reason;
}

// What should stand in the usage book now.
std::map<TimeMs, MilliGpuMs> DueUsage(const Attempt& attempt, const Payer& payer, TimeMs now,
                                      const ChargeRules& rules) {
  if (payer.scavenger) return {};
  if (attempt.state == AttemptState::kEnded) {
    const DurationMs kept = KeptTime(attempt, payer, rules);
    return Pieces(attempt, attempt.start_ms, kept, rules.piece_ms);
  }
  if (attempt.start_ms == 0) {
    const DurationMs first = std::min(rules.piece_ms, attempt.limit_ms);
    return Pieces(attempt, attempt.planned_ms, first, rules.piece_ms);
  }
  const std::int64_t begun = std::max<DurationMs>(0, now - attempt.start_ms) / rules.piece_ms + 1;
  const DurationMs ahead = std::min(begun * rules.piece_ms, attempt.limit_ms);
  return Pieces(attempt, attempt.start_ms, ahead, rules.piece_ms);
}

EntryKind UsageKind(const Attempt& attempt, const Booked& booked, TimeMs date, MilliGpuMs amount) {
  if (attempt.state == AttemptState::kEnded) return EntryKind::kCorrection;
  if (booked.usage.empty()) return EntryKind::kPiece;
  // The first piece moves from the planned date to the start, or from one start to another.
  const TimeMs first = attempt.start_ms == 0 ? attempt.planned_ms : attempt.start_ms;
  const bool moved = !booked.usage.contains(first);
  if (moved && (amount < 0 || date == first)) return EntryKind::kRedate;
  return amount > 0 && !booked.usage.contains(date) ? EntryKind::kPiece : EntryKind::kCorrection;
}

LedgerEntry Entry(const Attempt& attempt, const Payer& payer, TimeMs now) {
  LedgerEntry entry;
  entry.time_ms = now;
  entry.attempt = attempt.ref;
  entry.project = payer.project;
  entry.user = payer.user;
  entry.contra = "machine";
  entry.job_class = payer.job_class;
  entry.gpu_type = payer.gpu_type;
  entry.settings_version = attempt.settings_version;
  return entry;
}

void AddSettlement(const Attempt& attempt, const Payer& payer, TimeMs now, const ChargeRules& rules,
                   std::vector<LedgerEntry>* entries) {
  LedgerEntry entry = Entry(attempt, payer, now);
  entry.book = Book::kCharge;
  entry.kind = EntryKind::kSettlement;
  entry.date_ms = attempt.start_ms == 0 ? attempt.planned_ms : attempt.start_ms;
  entry.amount = ChargeOf(attempt, RunTime(attempt));
  entries->push_back(entry);
  const DurationMs charged = ChargedTime(attempt, rules);
  const MilliGpuMs beyond = entry.amount - ChargeOf(attempt, charged);
  const DurationMs kept = KeptTime(attempt, payer, rules);
  const MilliGpuMs refund = ChargeOf(attempt, charged) - ChargeOf(attempt, kept);
  if (beyond != 0) {
    entry.kind = EntryKind::kCorrection;
    entry.contra = "overrun";
    entry.amount = -beyond;
    entries->push_back(entry);
  }
  if (refund == 0) return;
  entry.kind = EntryKind::kRefund;
  entry.contra = "machine";
  entry.amount = -refund;
  entry.reason = RefundReason(attempt, payer, rules);
  entries->push_back(std::move(entry));
}

// What becomes of one hold: a slice of the attempt's time.
void AddOfHold(const Attempt& attempt, const Payer& payer, const ChargeRules& rules,
               LedgerEntry entry, std::vector<LedgerEntry>* entries) {
  const MilliGpuMs held = entry.amount;
  const MilliGpuMs before = ChargeOf(attempt, entry.date_ms - attempt.planned_ms);
  const auto part = [&](DurationMs time_ms) {
    return std::clamp<MilliGpuMs>(ChargeOf(attempt, time_ms) - before, 0, held);
  };
  const auto move = [&](EntryKind kind, Pot from, Pot to, MilliGpuMs amount) {
    if (amount == 0) return;
    entry.kind = kind;
    entry.contra = NameOf(from);
    entry.pot = to;
    entry.amount = amount;
    entries->push_back(entry);
  };
  if (attempt.state != AttemptState::kEnded) {
    const MilliGpuMs needed = part(HeldTime(attempt.limit_ms, rules));
    return move(EntryKind::kRelease, Pot::kHeld, Pot::kLeft, held - needed);
  }
  const MilliGpuMs spent = part(ChargedTime(attempt, rules));
  move(EntryKind::kSettlement, Pot::kHeld, Pot::kSpent, spent);
  move(EntryKind::kRelease, Pot::kHeld, Pot::kLeft, held - spent);
  const MilliGpuMs kept = part(KeptTime(attempt, payer, rules));
  entry.reason = RefundReason(attempt, payer, rules);
  move(EntryKind::kRefund, Pot::kSpent, Pot::kLeft, spent - kept);
}

}  // namespace

MilliGpuMs Charge(MilliGpus counted_milli, DurationMs time_ms, std::int64_t rate_milli,
                  std::int64_t factor_milli) {
  KEZEK_CHECK(counted_milli >= 0 && rate_milli >= 0 && factor_milli >= 0, "a negative charge");
  if (time_ms <= 0) return 0;
  const UInt128 whole = static_cast<UInt128>(time_ms / kSecondMs) * UInt128{kSecondMs};
  // Rate and factor meet first: below 2^126; divided by 10^6 only at the end where that fits.
  const UInt128 price = static_cast<UInt128>(rate_milli) * static_cast<UInt128>(factor_milli);
  const UInt128 amount = whole * static_cast<UInt128>(counted_milli);
  if (amount == 0 || price == 0) return 0;
  constexpr UInt128 kMillion = 1'000'000;
  constexpr UInt128 kLimit = static_cast<UInt128>(kMost);
  if (amount > (kLimit * kMillion) / price) return kMost;
  return static_cast<MilliGpuMs>(amount * price / kMillion);
}

MilliGpuMs ExpectedCharge(MilliGpus counted_milli, DurationMs limit_ms, std::int64_t rate_milli,
                          std::int64_t factor_milli, const ChargeRules& rules) {
  return Charge(counted_milli, std::min(limit_ms, rules.piece_ms), rate_milli, factor_milli);
}

ChargeRules WithHeldMargin(const Attempt& attempt, const Booked& booked, ChargeRules rules) {
  struct Held {
    MilliGpuMs sum = 0;
    std::int64_t budgets = 0;  // that hold its beginning
  };
  std::map<AccountId, Held> by_account;
  for (const auto& [key, amount] : booked.holds) {
    Held& held = by_account[key.second.account];
    held.sum += amount;
    if (key.first == attempt.planned_ms) ++held.budgets;
  }
  const Cost cost{.counted_milli = attempt.counted_milli,
                  .limit_ms = attempt.limit_ms,
                  .rate_milli = attempt.rate_milli,
                  .factor_milli = attempt.factor_milli};
  for (const auto& [account, held] : by_account) {
    if (held.budgets == 0) continue;
    const MilliGpuMs sum = held.sum / held.budgets;
    const DurationMs most = HeldTime(attempt.limit_ms, rules);
    if (sum >= ChargeOf(attempt, most)) continue;
    // What was held was rounded down, and so is this.
    const DurationMs time = TimeFor(cost, sum) / kSecondMs * kSecondMs;
    const bool more = ChargeOf(attempt, time + kSecondMs) <= sum;
    const DurationMs margin = (more ? time + kSecondMs : time) - (most - rules.kill_margin_ms);
    if (margin >= 0) rules.kill_margin_ms = std::min(margin, rules.kill_margin_ms);
  }
  return rules;
}

DurationMs HeldTime(DurationMs limit_ms, const ChargeRules& rules) {
  return (limit_ms + kMinuteMs - 1) / kMinuteMs * kMinuteMs + rules.kill_margin_ms;
}

DurationMs RunTime(const Attempt& attempt) {
  if (attempt.start_ms == 0 || attempt.outcome == AttemptOutcome::kLaunchFailed) return 0;
  return std::max<DurationMs>(0, attempt.end_ms - attempt.start_ms) / kSecondMs * kSecondMs;
}

DurationMs ChargedTime(const Attempt& attempt, const ChargeRules& rules) {
  return std::min(RunTime(attempt), HeldTime(attempt.limit_ms, rules));
}

TimeMs UnsavedSince(const Attempt& attempt) {
  return std::max(attempt.start_ms, attempt.last_checkpoint_ms);
}

DurationMs RefundedTime(const Attempt& attempt, bool checkpointed, const ChargeRules& rules) {
  // An end that nobody saw is no evidence of a fault.
  const bool fault = attempt.outcome == AttemptOutcome::kNodeFailed &&
                     attempt.reason.code == ReasonCode::kNodeFailed;
  const bool preempted = attempt.outcome == AttemptOutcome::kPreempted && checkpointed;
  if (!fault && !preempted) return 0;
  const DurationMs saved = (UnsavedSince(attempt) - attempt.start_ms) / kSecondMs * kSecondMs;
  const DurationMs lost = std::max<DurationMs>(0, ChargedTime(attempt, rules) - saved);
  return fault ? lost : std::min(lost, rules.refund_max_ms);
}

MilliGpuMs ChargeSoFar(const Attempt& attempt, TimeMs now, const ChargeRules& rules) {
  if (attempt.start_ms == 0) return 0;
  // Its end may be known while the cluster still cleans up.
  const TimeMs end = attempt.end_ms != 0 ? attempt.end_ms : now;
  const DurationMs time = std::max<DurationMs>(0, end - attempt.start_ms);
  return ChargeOf(attempt, std::min(time, HeldTime(attempt.limit_ms, rules)));
}

void Booked::Add(const LedgerEntry& entry) {
  if (entry.book == Book::kUsage) {
    MilliGpuMs& amount = usage[entry.date_ms];
    amount += entry.amount;
    if (amount == 0) usage.erase(entry.date_ms);
    return;
  }
  if (entry.book == Book::kBudget) {
    // Only what goes into or out of the pot of what is held.
    const bool out = entry.contra == NameOf(Pot::kHeld);
    if (!out && entry.pot != Pot::kHeld) return;
    MilliGpuMs& amount = holds[{entry.date_ms, entry.budget}];
    amount += out ? -entry.amount : entry.amount;
    if (amount == 0) holds.erase({entry.date_ms, entry.budget});
    return;
  }
  charged += entry.amount;
  if (entry.kind == EntryKind::kSettlement) settled = true;
}

std::vector<LedgerEntry> EntriesDue(const Attempt& attempt, const Payer& payer,
                                    const Booked& booked, TimeMs now,
                                    const ChargeRules& configured) {
  KEZEK_CHECK(configured.piece_ms >= kSecondMs, "pieces are at least a second");
  std::vector<LedgerEntry> entries;
  if (booked.settled) return entries;
  const bool ended = attempt.state == AttemptState::kEnded;
  const ChargeRules rules = ended ? WithHeldMargin(attempt, booked, configured) : configured;
  const std::map<TimeMs, MilliGpuMs> due = DueUsage(attempt, payer, now, rules);
  std::map<TimeMs, MilliGpuMs> change = due;
  for (const auto& [date, amount] : booked.usage) change[date] -= amount;
  for (const auto& [date, amount] : change) {
    if (amount == 0) continue;
    LedgerEntry entry = Entry(attempt, payer, now);
    entry.book = Book::kUsage;
    entry.kind = UsageKind(attempt, booked, date, amount);
    entry.date_ms = date;
    entry.amount = amount;
    entries.push_back(std::move(entry));
  }
  if (ended) AddSettlement(attempt, payer, now, rules, &entries);
  for (const auto& [key, held] : booked.holds) {
    LedgerEntry entry = Entry(attempt, payer, now);
    entry.book = Book::kBudget;
    entry.date_ms = key.first;
    entry.budget = key.second;
    entry.amount = held;
    AddOfHold(attempt, payer, rules, std::move(entry), &entries);
  }
  return entries;
}

std::optional<TimeMs> NextPieceAt(const Attempt& attempt, TimeMs now, const ChargeRules& rules) {
  if (attempt.state != AttemptState::kRunning || attempt.start_ms == 0) return std::nullopt;
  const DurationMs ran = std::max<DurationMs>(0, now - attempt.start_ms);
  const DurationMs next = (ran / rules.piece_ms + 1) * rules.piece_ms;
  if (next >= attempt.limit_ms) return std::nullopt;
  return attempt.start_ms + next;
}

}  // namespace kezek::quota

// Goal: the charge of an attempt and the ledger entries due at each step of its life.
// Method: attempts narrated hour by hour; what stands in the ledger is folded after each step.
#include "quota/charge.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>

namespace kezek::quota {
namespace {

constexpr TimeMs kPlanned = 1'000'000'000;

struct Ledger {
  Booked booked;
  std::vector<LedgerEntry> entries;
  // Books what is due and returns it.
  std::vector<LedgerEntry> Step(const Attempt& attempt, const Payer& payer, TimeMs now) {
    std::vector<LedgerEntry> due = EntriesDue(attempt, payer, booked, now);
    for (const LedgerEntry& entry : due) {
      booked.Add(entry);
      entries.push_back(entry);
    }
    EXPECT_TRUE(EntriesDue(attempt, payer, booked, now).empty()) << "booked twice";
    return due;
  }
};

const Payer kPayer{AccountId{5}, UserId{3}, "normal", "h200"};

Attempt TwoGpus(DurationMs limit_ms) {
  Attempt attempt;
  attempt.ref = {JobRef{JobId{7}}, 1};
  attempt.planned_ms = kPlanned;
  attempt.limit_ms = limit_ms;
  attempt.counted_milli = 2000;
  attempt.settings_version = 4;
  return attempt;
}

void End(Attempt* attempt, TimeMs end, AttemptOutcome outcome = AttemptOutcome::kSucceeded) {
  attempt->state = AttemptState::kEnded;
  attempt->outcome = outcome;
  attempt->end_ms = end;
}

TEST(Charge, ProductRoundedDownOnce) {
  EXPECT_EQ(Charge(1000, kHourMs, 1000, 1000), kGpuHour);
  EXPECT_EQ(Charge(1000, kHourMs + 999, 1000, 1000), kGpuHour);
  EXPECT_EQ(Charge(1, 1000, 333, 333), 110);  // 110.889
  EXPECT_EQ(Charge(1000, -5, 1000, 1000), 0);
  EXPECT_EQ(Charge(8000, kHourMs, 0, 1000), 0);
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(Charge(most, most, most, most), most);
  EXPECT_EQ(Charge(10'000'000, 20 * 365 * kDayMs, 1000, 1000), 10'000'000 * (20 * 365 * kDayMs));
}

TEST(Charge, ExpectedIsTheFirstPiece) {
  EXPECT_EQ(ExpectedCharge(2000, 5 * kHourMs, 1000, 500), kGpuHour);
  EXPECT_EQ(ExpectedCharge(2000, 30 * kMinuteMs, 1000, 1000), kGpuHour);
  EXPECT_EQ(HeldTime(30 * kMinuteMs + 1), 33 * kMinuteMs);
}

TEST(Charge, LifeOfAnAttempt) {
  Ledger ledger;
  Attempt attempt = TwoGpus(150 * kMinuteMs);
  // Planned: one hour ahead, dated now.
  auto due = ledger.Step(attempt, kPayer, kPlanned);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].kind, EntryKind::kPiece);
  EXPECT_EQ(due[0].book, Book::kUsage);
  EXPECT_EQ(due[0].date_ms, kPlanned);
  EXPECT_EQ(due[0].amount, 2 * kGpuHour);
  EXPECT_EQ(due[0].project, kPayer.project);
  EXPECT_EQ(due[0].settings_version, 4);
  EXPECT_EQ(due[0].contra, "machine");
  // Seen running since four seconds later: the piece moves there.
  const TimeMs start = kPlanned + 4 * kSecondMs;
  attempt.state = AttemptState::kRunning;
  attempt.start_ms = start;
  due = ledger.Step(attempt, kPayer, start + kSecondMs);
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].kind, EntryKind::kRedate);
  EXPECT_EQ(due[0].amount, -2 * kGpuHour);
  EXPECT_EQ(due[1].kind, EntryKind::kRedate);
  EXPECT_EQ(due[1].date_ms, start);
  EXPECT_EQ(NextPieceAt(attempt, start), start + kHourMs);
  // The second hour, and the half hour left to the limit.
  due = ledger.Step(attempt, kPayer, start + kHourMs);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].kind, EntryKind::kPiece);
  EXPECT_EQ(due[0].date_ms, start + kHourMs);
  due = ledger.Step(attempt, kPayer, start + 2 * kHourMs);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].amount, kGpuHour);
  EXPECT_EQ(NextPieceAt(attempt, start + 2 * kHourMs), std::nullopt);
  // It ends after 2 h 15 min: half of the last piece is taken back, once.
  End(&attempt, start + 135 * kMinuteMs);
  due = ledger.Step(attempt, kPayer, attempt.end_ms + kMinuteMs);
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].kind, EntryKind::kCorrection);
  EXPECT_EQ(due[0].amount, -kGpuHour / 2);
  EXPECT_EQ(due[0].date_ms, start + 2 * kHourMs);
  EXPECT_EQ(due[1].kind, EntryKind::kSettlement);
  EXPECT_EQ(due[1].book, Book::kCharge);
  EXPECT_EQ(due[1].amount, 9 * kGpuHour / 2);
  EXPECT_EQ(ledger.booked.charged, 9 * kGpuHour / 2);
}

TEST(Charge, FailedLaunchLeavesNothing) {
  Ledger ledger;
  Attempt attempt = TwoGpus(kHourMs);
  ledger.Step(attempt, kPayer, kPlanned);
  End(&attempt, kPlanned + kMinuteMs, AttemptOutcome::kLaunchFailed);
  const auto due = ledger.Step(attempt, kPayer, attempt.end_ms);
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].amount, -2 * kGpuHour);
  EXPECT_EQ(due[1].kind, EntryKind::kSettlement);
  EXPECT_EQ(due[1].amount, 0);
  EXPECT_TRUE(ledger.booked.usage.empty());
}

TEST(Charge, TimeBeyondTheHoldIsOverrun) {
  Ledger ledger;
  Attempt attempt = TwoGpus(kHourMs);
  attempt.state = AttemptState::kRunning;
  attempt.start_ms = kPlanned;
  ledger.Step(attempt, kPayer, kPlanned);
  End(&attempt, kPlanned + 2 * kHourMs, AttemptOutcome::kTimedOut);
  const auto due = ledger.Step(attempt, kPayer, attempt.end_ms);
  // 62 minutes are the project's; the settlement says all, the overrun takes back the rest.
  ASSERT_EQ(due.size(), 3U);
  EXPECT_EQ(due[0].date_ms, kPlanned + kHourMs);
  EXPECT_EQ(due[0].amount, 2 * kGpuHour / 30);
  EXPECT_EQ(due[1].amount, 4 * kGpuHour);
  EXPECT_EQ(due[2].kind, EntryKind::kCorrection);
  EXPECT_EQ(due[2].contra, "overrun");
  EXPECT_EQ(ledger.booked.charged, 2 * kGpuHour * 62 / 60);
}

TEST(Charge, SoFarIsWhatAnEndNowWouldSettle) {
  Attempt attempt = TwoGpus(30 * kMinuteMs);
  EXPECT_EQ(ChargeSoFar(attempt, kPlanned + kHourMs), 0) << "it has not started";
  attempt.state = AttemptState::kRunning;
  attempt.start_ms = kPlanned;
  for (const DurationMs time : {-5 * kSecondMs, 1'500L, 29 * kMinuteMs, 32 * kMinuteMs, kHourMs}) {
    const TimeMs now = kPlanned + time;
    Ledger ledger;
    Attempt ended = attempt;
    End(&ended, now);
    ledger.Step(ended, kPayer, now);
    EXPECT_EQ(ChargeSoFar(attempt, now), ledger.booked.charged) << time;
  }
  attempt.end_ms = kPlanned + kMinuteMs;  // the cluster still cleans up
  EXPECT_EQ(ChargeSoFar(attempt, kPlanned + kHourMs), 2000 * kMinuteMs);
}

// What of a run of two hours (or of less, at its limit) is given back.
struct RefundCase {
  const char* what;
  AttemptOutcome outcome;
  ReasonCode code;
  DurationMs checkpoint_ms;  // of the attempt's time; 0: it reported none
  bool checkpointed;         // this attempt or one before it did
  DurationMs refunded_ms;
};

TEST(Charge, RefundsGoByTheLastCheckpoint) {
  constexpr auto kFault = AttemptOutcome::kNodeFailed;
  constexpr auto kPreempted = AttemptOutcome::kPreempted;
  constexpr auto kNode = ReasonCode::kNodeFailed;
  constexpr auto kPreempt = ReasonCode::kPreempted;
  const RefundCase cases[] = {
      {"fault, no checkpoint", kFault, kNode, 0, false, 2 * kHourMs},
      {"fault, one before this attempt", kFault, kNode, 0, true, 2 * kHourMs},
      {"fault, half way", kFault, kNode, kHourMs, true, kHourMs},
      {"fault, amid a second", kFault, kNode, kHourMs + 999, true, kHourMs},
      {"fault, at the end", kFault, kNode, 2 * kHourMs, true, 0},
      {"fault, noted after the end", kFault, kNode, 3 * kHourMs, true, 0},
      {"lost: nobody saw a fault", kFault, ReasonCode::kLostByCluster, 0, false, 0},
      {"preempted, none of any attempt", kPreempted, kPreempt, 0, false, 0},
      {"preempted, one before it", kPreempted, kPreempt, 0, true, kHourMs},
      {"preempted, half an hour ago", kPreempted, kPreempt, 90 * kMinuteMs, true, 30 * kMinuteMs},
      {"preempted, long ago", kPreempted, kPreempt, kMinuteMs, true, kHourMs},
      {"failed by itself", AttemptOutcome::kFailed, ReasonCode::kFinished, kMinuteMs, true, 0},
      {"its limit", AttemptOutcome::kTimedOut, ReasonCode::kTimedOut, kMinuteMs, true, 0},
      {"requeued by its owner", AttemptOutcome::kRequeued, ReasonCode::kRequeuedByUser, 1, true, 0},
  };
  for (const RefundCase& one : cases) {
    SCOPED_TRACE(one.what);
    Payer payer = kPayer;
    payer.checkpointed = one.checkpointed;
    Attempt attempt = TwoGpus(3 * kHourMs);
    attempt.start_ms = kPlanned + 5 * kSecondMs;
    if (one.checkpoint_ms != 0) attempt.last_checkpoint_ms = attempt.start_ms + one.checkpoint_ms;
    attempt.reason = {one.code, {{"nodes", "n3"}}};
    End(&attempt, attempt.start_ms + 2 * kHourMs, one.outcome);
    EXPECT_EQ(RefundedTime(attempt, one.checkpointed), one.refunded_ms);
    Ledger ledger;
    ledger.Step(attempt, payer, attempt.end_ms);
    const MilliGpuMs kept = 4 * kGpuHour - 2000 * one.refunded_ms;
    EXPECT_EQ(ledger.booked.charged, kept);
    MilliGpuMs usage = 0;
    for (const auto& [date, amount] : ledger.booked.usage) usage += amount;
    EXPECT_EQ(usage, kept) << "usage takes back the same";
    const LedgerEntry& last = ledger.entries.back();
    ASSERT_EQ(last.kind == EntryKind::kRefund, one.refunded_ms != 0);
    if (one.refunded_ms == 0) continue;
    EXPECT_EQ(last.reason.code, one.code);
    EXPECT_EQ(last.reason.fields.at("nodes"), "n3") << "the evidence";
    EXPECT_EQ(last.reason.fields.at("since_ms"), std::to_string(attempt.end_ms - one.refunded_ms));
    EXPECT_EQ(last.reason.fields.contains("checkpoint_ms"), one.checkpoint_ms != 0);
  }
}

TEST(Charge, ARefundEndsWithWhatWasCharged) {
  Attempt attempt = TwoGpus(kHourMs);
  attempt.start_ms = kPlanned;
  attempt.last_checkpoint_ms = kPlanned + 30 * kMinuteMs;
  attempt.reason = {ReasonCode::kNodeFailed, {}};
  End(&attempt, kPlanned + 5 * kHourMs, AttemptOutcome::kNodeFailed);
  EXPECT_EQ(RefundedTime(attempt, true), 32 * kMinuteMs) << "62 minutes were the project's";
  attempt.outcome = AttemptOutcome::kPreempted;
  ChargeRules rules;
  rules.refund_max_ms = 10 * kMinuteMs;
  EXPECT_EQ(RefundedTime(attempt, true, rules), 10 * kMinuteMs);
}

TEST(Charge, ScavengersBookNoUsage) {
  Ledger ledger;
  Payer payer = kPayer;
  payer.scavenger = true;
  Attempt attempt = TwoGpus(kHourMs);
  EXPECT_TRUE(ledger.Step(attempt, payer, kPlanned).empty());
  attempt.start_ms = kPlanned;
  End(&attempt, kPlanned + kHourMs);
  const auto due = ledger.Step(attempt, payer, attempt.end_ms);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].amount, 2 * kGpuHour);
}

// A hold of [from, to) of the attempt, of one budget.
void Hold(const Attempt& attempt, AccountId account, DurationMs from, DurationMs to,
          Booked* booked) {
  const auto charge = [&](DurationMs time) {
    return Charge(attempt.counted_milli, time, attempt.rate_milli, attempt.factor_milli);
  };
  LedgerEntry entry;
  entry.book = Book::kBudget;
  entry.kind = EntryKind::kHold;
  entry.date_ms = attempt.planned_ms + from;
  entry.budget = {account, from == 0 ? "q1" : "q2"};
  entry.contra = "left";
  entry.pot = Pot::kHeld;
  entry.amount = charge(to) - charge(from);
  booked->Add(entry);
}

TEST(Charge, AHoldKeepsTheMarginItWasMadeWith) {
  ChargeRules wider;
  wider.kill_margin_ms = 10 * kMinuteMs;
  for (const std::int64_t rate : {1000, 333}) {
    for (const bool in_slices : {false, true}) {
      Attempt attempt = TwoGpus(kHourMs);
      attempt.rate_milli = rate;
      attempt.start_ms = kPlanned + 1000;
      End(&attempt, attempt.start_ms + 68 * kMinuteMs, AttemptOutcome::kTimedOut);
      Booked booked;
      const DurationMs held = HeldTime(attempt.limit_ms);
      if (in_slices) {
        Hold(attempt, AccountId{1}, 0, kMinuteMs * 7, &booked);
        Hold(attempt, AccountId{1}, kMinuteMs * 7, held, &booked);
      } else {
        Hold(attempt, AccountId{1}, 0, held, &booked);
      }
      Hold(attempt, AccountId{5}, 0, held, &booked);
      const MilliGpuMs most = Charge(2000, held, rate, 1000);
      MilliGpuMs charged = 0;
      MilliGpuMs usage = 0;
      std::map<AccountId, MilliGpuMs> spent;
      for (const LedgerEntry& entry : EntriesDue(attempt, kPayer, booked, 0, wider)) {
        if (entry.book == Book::kCharge) charged += entry.amount;
        if (entry.book == Book::kUsage) usage += entry.amount;
        if (entry.pot == Pot::kSpent) spent[entry.budget.account] += entry.amount;
      }
      EXPECT_EQ(charged, most);
      EXPECT_EQ(usage, most);
      EXPECT_EQ(spent,
                (std::map<AccountId, MilliGpuMs>{{AccountId{1}, most}, {AccountId{5}, most}}));
    }
  }
}

}  // namespace
}  // namespace kezek::quota

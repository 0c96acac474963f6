// Goal: whatever is known when, usage ends as the charge dated by pieces, with one settlement.
// Method: random attempts whose start, limit and end become known in random steps, with entries
// booked at random moments; compared with plain arithmetic and with one late call.
#include <gtest/gtest.h>

#include <algorithm>

#include "quota/charge.h"
#include "tests/property/seeds.h"

namespace kezek::quota {
namespace {

using property::Dice;

const Payer kPayer{AccountId{2}, UserId{3}, "normal", "h200"};

void BookDue(const Attempt& attempt, TimeMs now, Booked* booked, std::vector<LedgerEntry>* ledger) {
  for (const LedgerEntry& entry : EntriesDue(attempt, kPayer, *booked, now)) {
    ASSERT_TRUE(entry.amount != 0 || entry.book == Book::kCharge) << "a usage entry of 0";
    booked->Add(entry);
    ledger->push_back(entry);
  }
  ASSERT_TRUE(EntriesDue(attempt, kPayer, *booked, now).empty()) << "due again at once";
}

MilliGpuMs Sum(const std::map<TimeMs, MilliGpuMs>& usage) {
  MilliGpuMs sum = 0;
  for (const auto& [date, amount] : usage) sum += amount;
  return sum;
}

MilliGpuMs ChargeOf(const Attempt& attempt, DurationMs time_ms) {
  return Charge(attempt.counted_milli, time_ms, attempt.rate_milli, attempt.factor_milli);
}

Attempt Planned(Dice& dice) {
  Attempt attempt;
  attempt.ref = {JobRef{JobId{1}}, 1};
  attempt.planned_ms = dice.Roll(1, 1'000'000) * 777;
  attempt.limit_ms = dice.Roll(1, 600) * kMinuteMs;
  attempt.counted_milli = dice.Roll(1, 64'000);
  attempt.rate_milli = dice.Roll(0, 3000);
  attempt.factor_milli = dice.Roll(100, 3000);
  return attempt;
}

// What is booked while it runs: all hours begun, up to the limit.
void CheckRunning(const Attempt& attempt, const Booked& booked, TimeMs now) {
  const DurationMs ran = std::max<DurationMs>(0, now - attempt.start_ms);
  const DurationMs ahead = std::min((ran / kHourMs + 1) * kHourMs, attempt.limit_ms);
  EXPECT_EQ(Sum(booked.usage), ChargeOf(attempt, ahead));
  EXPECT_FALSE(booked.settled);
}

void CheckEnded(const Attempt& attempt, const Booked& booked, const std::vector<LedgerEntry>& all) {
  const MilliGpuMs charge = ChargeOf(attempt, ChargedTime(attempt));
  EXPECT_EQ(booked.charged, charge);
  EXPECT_EQ(Sum(booked.usage), charge);
  for (const auto& [date, amount] : booked.usage) {
    const DurationMs from = date - attempt.start_ms;
    EXPECT_EQ(from % kHourMs, 0);
    EXPECT_TRUE(from >= 0 && from < ChargedTime(attempt));
    const DurationMs until = std::min(from + kHourMs, ChargedTime(attempt));
    EXPECT_EQ(amount, ChargeOf(attempt, until) - ChargeOf(attempt, from));
  }
  EXPECT_EQ(std::count_if(all.begin(), all.end(),
                          [](const LedgerEntry& e) { return e.kind == EntryKind::kSettlement; }),
            1);
}

void OneLife(std::uint64_t seed) {
  Dice dice(seed);
  Attempt attempt = Planned(dice);
  Booked booked;
  std::vector<LedgerEntry> all;
  TimeMs now = attempt.planned_ms;
  BookDue(attempt, now, &booked, &all);
  EXPECT_EQ(Sum(booked.usage), ExpectedCharge(attempt.counted_milli, attempt.limit_ms,
                                              attempt.rate_milli, attempt.factor_milli));
  if (dice.Chance(85)) {
    attempt.state = AttemptState::kRunning;
    attempt.start_ms = attempt.planned_ms + dice.Roll(-5, 60) * kSecondMs;
    const std::int64_t steps = dice.Roll(0, 12);
    for (std::int64_t i = 0; i < steps; ++i) {
      now += dice.Roll(0, 90) * kMinuteMs;
      if (dice.Chance(10)) attempt.start_ms += dice.Roll(-30, 30) * kSecondMs;
      if (dice.Chance(5)) attempt.limit_ms += dice.Roll(1, 90) * kMinuteMs;
      BookDue(attempt, now, &booked, &all);
      CheckRunning(attempt, booked, now);
    }
  }
  attempt.state = AttemptState::kEnded;
  attempt.outcome = dice.Chance(20) ? AttemptOutcome::kLaunchFailed : AttemptOutcome::kSucceeded;
  attempt.end_ms = now + dice.Roll(-300, 5000) * kSecondMs + dice.Roll(0, 999);
  BookDue(attempt, now, &booked, &all);
  CheckEnded(attempt, booked, all);
  // A daemon that was away all the time books the same.
  Booked late;
  std::vector<LedgerEntry> late_entries;
  BookDue(attempt, now + kDayMs, &late, &late_entries);
  EXPECT_EQ(late, booked);
  // Nothing that becomes known later changes it.
  attempt.end_ms += kHourMs;
  EXPECT_TRUE(EntriesDue(attempt, kPayer, booked, now + kDayMs).empty());
}

TEST(QuotaCharge, AnyHistoryEndsAsTheCharge) { property::ForEachSeed(OneLife); }

}  // namespace
}  // namespace kezek::quota

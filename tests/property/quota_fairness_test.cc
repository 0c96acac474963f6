// Goal: nobody gains by how work is cut up. One project (or user) against many gets as much; one
// long job leaves the usage that a thousand short ones leave.
// Method: small simulations over the order, the usage and the ledger's rules alone, with random
// figures; every clause checked after every step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "quota/charge.h"
#include "quota/order.h"
#include "tests/property/seeds.h"
#include "tests/unit/quota/trees.h"

namespace kezek::quota {
namespace {

using property::Dice;
using testing::At;
using testing::kType;

constexpr TimeMs kStart = 20'000 * kDayMs;

// Two institutions of equal weight that always have jobs waiting, all of one size and length, on a
// machine that has a place free for each of `places` at a random time.
class Contest {
 public:
  Contest(Dice& dice, std::vector<testing::Row> rows)
      : tree_(testing::Tree(rows)), usage_(dice.Roll(1, 14 * 24) * kHourMs) {
    counted_ = dice.Roll(1, 16) * 1000;
    length_ = dice.Roll(1, 60) * kMinuteMs;
    for (std::int64_t i = dice.Roll(1, 20); i > 0; --i) {
      free_at_.insert(kStart + dice.Roll(0, 2 * kHourMs));
    }
  }

  void Queue(AccountId project, UserId user, std::int64_t id) {
    waiting_.Set({.ref = JobRef{JobId{id}},
                  .project = project,
                  .user = user,
                  .counted_milli = counted_,
                  .expected_charge = ExpectedCharge(counted_, length_, 1000, 1000),
                  .submitted_ms = id,
                  .count = 1'000'000});
  }

  // That many starts; what the two accounts got is compared after each.
  void Run(std::int64_t starts, AccountId one, AccountId other) {
    waiting_.Arrange(tree_);
    std::map<AccountId, std::int64_t> got;
    for (; starts > 0 && !::testing::Test::HasFailure(); --starts) {
      const TimeMs now = *free_at_.begin();
      free_at_.erase(free_at_.begin());
      OrderTree walk({.tree = &tree_,
                      .gpu_type = kType,
                      .waiting = &waiting_,
                      .running_milli = std::vector<MilliGpus>(At(tree_.size()), 0),
                      .usage = &usage_,
                      .now_ms = now});
      const OrderJob job = *walk.Next()->job;
      walk.Take(true);
      usage_.Book(tree_, job.project, job.user, now, job.expected_charge);
      free_at_.insert(now + length_);
      for (auto i = tree_.IndexOf(job.project); i != kNoAccount; i = tree_.parent(i)) {
        ++got[tree_.id(i)];
      }
      ASSERT_LE(std::abs(got[one] - got[other]), 1) << "a job more than the other";
    }
  }

 private:
  AccountTree tree_;
  UsageBook usage_;
  WaitingJobs waiting_;
  std::multiset<TimeMs> free_at_;
  MilliGpus counted_ = 0;
  DurationMs length_ = 0;
};

void OneProjectAgainstMany(std::uint64_t seed) {
  Dice dice(seed);
  std::vector<testing::Row> rows{{.name = "kz", .kind = "cluster"},
                                 {.parent = 1, .name = "one", .kind = "institution"},
                                 {.parent = 1, .name = "many", .kind = "institution"},
                                 {.parent = 2, .name = "p"}};
  const std::int64_t many = dice.Chance(50) ? 50 : dice.Roll(1, 50);
  for (std::int64_t i = 0; i < many; ++i) {
    rows.push_back({.parent = 3, .name = "p" + std::to_string(i), .weight = dice.Roll(1, 9)});
  }
  Contest contest(dice, rows);
  for (std::int64_t i = 0; i <= many; ++i) contest.Queue(AccountId{4 + i}, UserId{1 + i}, 1 + i);
  contest.Run(150, AccountId{2}, AccountId{3});
}

void OneUserAgainstMany(std::uint64_t seed) {
  Dice dice(seed);
  Contest contest(dice, {{.name = "kz", .kind = "cluster"},
                         {.parent = 1, .name = "one"},
                         {.parent = 1, .name = "many"}});
  contest.Queue(AccountId{2}, UserId{1}, 1);
  const std::int64_t many = dice.Chance(50) ? 50 : dice.Roll(1, 50);
  for (std::int64_t i = 0; i < many; ++i) contest.Queue(AccountId{3}, UserId{2 + i}, 2 + i);
  contest.Run(150, AccountId{2}, AccountId{3});
}

// What an attempt that ran from `start` to `end` leaves, booked while it runs, hour by hour.
void BookAttempt(TimeMs start, TimeMs end, DurationMs limit, MilliGpus counted, const Decay& decay,
                 UsageSum* sum) {
  Attempt attempt;
  attempt.ref = {JobRef{JobId{1}}, 1};
  attempt.planned_ms = attempt.start_ms = start;
  attempt.limit_ms = limit;
  attempt.counted_milli = counted;
  attempt.rate_milli = attempt.factor_milli = 1000;
  attempt.state = AttemptState::kRunning;
  const Payer payer{AccountId{2}, UserId{3}, "normal", kType};
  Booked booked;
  const auto due = [&](TimeMs now) {
    for (const LedgerEntry& entry : EntriesDue(attempt, payer, booked, now)) {
      booked.Add(entry);
      if (entry.book == Book::kUsage) sum->Book(decay, entry.date_ms, entry.amount);
    }
  };
  for (TimeMs now = start; now < end; now += kHourMs) due(now);
  attempt.state = AttemptState::kEnded;
  attempt.outcome = AttemptOutcome::kSucceeded;
  attempt.end_ms = end;
  due(end);
}

void OneLongOrManyShort(std::uint64_t seed) {
  Dice dice(seed);
  const Decay decay{dice.Roll(1, 60 * 24) * kHourMs};
  const MilliGpus counted = dice.Roll(1, 64) * 1000;
  const std::int64_t many = dice.Chance(30) ? 1000 : dice.Roll(2, 200);
  const DurationMs each = dice.Roll(1, 360) * 10 * kSecondMs;  // whole seconds, up to an hour
  const TimeMs end = kStart + many * each;
  UsageSum one;
  BookAttempt(kStart, end, end - kStart, counted, decay, &one);
  UsageSum split;
  for (std::int64_t i = 0; i < many; ++i) {
    // Limits are guesses: what is booked ahead is corrected.
    BookAttempt(kStart + i * each, kStart + (i + 1) * each, each * dice.Roll(1, 9), counted, decay,
                &split);
  }
  const double difference =
      std::abs(UsageGpuHours(decay, one, end) - UsageGpuHours(decay, split, end));
  const double piece = static_cast<double>(counted) / 1000.0;  // an hour of it
  EXPECT_LE(difference, piece * 1.0001);
}

TEST(QuotaFairness, OneProjectAgainstMany) { property::ForEachSeed(OneProjectAgainstMany); }
TEST(QuotaFairness, OneUserAgainstMany) { property::ForEachSeed(OneUserAgainstMany); }
TEST(QuotaFairness, OneLongJobOrManyShort) { property::ForEachSeed(OneLongOrManyShort); }

}  // namespace
}  // namespace kezek::quota

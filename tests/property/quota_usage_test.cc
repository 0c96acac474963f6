// Goal: usage does not depend on the path: order of bookings, corrections back and forth,
// forgetting. Comparing agrees with arithmetic on fractions. Method: random bookings, shuffled and
// interleaved with pairs that cancel.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "quota/usage.h"
#include "tests/property/seeds.h"

namespace kezek::quota {
namespace {

using property::Dice;
using Bookings = std::vector<std::pair<TimeMs, MilliGpuMs>>;

Bookings Random(Dice& dice, DurationMs half_life) {
  Bookings bookings;
  const std::int64_t count = dice.Roll(0, 30);
  for (std::int64_t i = 0; i < count; ++i) {
    bookings.emplace_back(dice.Roll(0, 50 * half_life), dice.Roll(-1'000'000, 1'000'000'000'000));
  }
  return bookings;
}

UsageSum SumOf(const Decay& decay, const Bookings& bookings) {
  UsageSum sum;
  for (const auto& [date, amount] : bookings) sum.Book(decay, date, amount);
  return sum;
}

void PathIndependent(std::uint64_t seed) {
  Dice dice(seed);
  const Decay decay{dice.Roll(1, 1000) * kMinuteMs};
  Bookings bookings = Random(dice, decay.half_life_ms());
  const UsageSum sum = SumOf(decay, bookings);
  // Extra pairs that cancel, and some bookings in two parts.
  const std::size_t given = bookings.size();
  for (std::size_t i = 0; i < given; ++i) {
    if (dice.Chance(50)) continue;
    const MilliGpuMs part = dice.Roll(-1'000'000'000, 1'000'000'000);
    bookings[i].second -= part;
    bookings.emplace_back(bookings[i].first, part);
    const TimeMs date = dice.Roll(0, 50 * decay.half_life_ms());
    bookings.emplace_back(date, part);
    bookings.emplace_back(date, -part);
  }
  for (std::size_t i = bookings.size(); i > 1; --i) {
    std::swap(bookings[i - 1],
              bookings[static_cast<std::size_t>(dice.Roll(0, static_cast<std::int64_t>(i) - 1))]);
  }
  UsageSum other = SumOf(decay, bookings);
  EXPECT_EQ(other, sum);
}

// Bookings at the starts of periods, so that a usage is an integer over 2^40 and 128 bits do.
void ComparesLikeFractions(std::uint64_t seed) {
  Dice dice(seed);
  const Decay decay{kDayMs};
  const std::int64_t now = 45;
  const auto draw = [&dice, &decay](Int128* plain) {
    UsageSum sum;
    const std::int64_t count = dice.Roll(0, 3);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t period = dice.Roll(0, 45);
      const MilliGpuMs amount = dice.Roll(0, 4) << dice.Roll(0, 30);
      sum.Book(decay, period * kDayMs, amount);
      if (now - period <= 40) *plain += static_cast<Int128>(amount) << (40 - (now - period));
    }
    return sum;
  };
  Int128 plain_a = 0;
  Int128 plain_b = 0;
  const UsageSum a = draw(&plain_a);
  const UsageSum b = draw(&plain_b);
  const std::int64_t weight_a = dice.Roll(1, 8);
  const std::int64_t weight_b = dice.Roll(1, 8);
  const Int128 left = plain_a * weight_b;
  const Int128 right = plain_b * weight_a;
  EXPECT_EQ(CompareUsagePerWeight(a.At(now), weight_a, b.At(now), weight_b), left <=> right);
}

void DecaysLikeReals(std::uint64_t seed) {
  Dice dice(seed);
  const Decay decay{dice.Roll(1, 20'000) * kMinuteMs};
  const Bookings bookings = Random(dice, decay.half_life_ms());
  const TimeMs now = dice.Roll(50, 52) * decay.half_life_ms() + dice.Roll(0, 1000);
  double expected = 0;
  for (const auto& [date, amount] : bookings) {
    if (decay.PeriodOf(now) - decay.PeriodOf(date) >= kUsagePeriods) continue;
    expected +=
        static_cast<double>(amount) *
        std::exp2(-static_cast<double>(now - date) / static_cast<double>(decay.half_life_ms())) /
        1000.0 / static_cast<double>(kHourMs);
  }
  EXPECT_NEAR(UsageGpuHours(decay, SumOf(decay, bookings), now), expected,
              1e-5 * std::abs(expected) + 1e-9);
}

TEST(QuotaUsage, DoesNotDependOnThePath) { property::ForEachSeed(PathIndependent); }
TEST(QuotaUsage, ComparesLikeFractions) { property::ForEachSeed(ComparesLikeFractions); }
TEST(QuotaUsage, DecaysLikeReals) { property::ForEachSeed(DecaysLikeReals); }

}  // namespace
}  // namespace kezek::quota

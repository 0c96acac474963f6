// Goal: usage halves each half-life, exactly between periods and closely within one; comparing is
// exact; moved accounts leave and take what the rules say.
// Method: bookings at chosen dates, narrated; the table against the C library's exp2.
#include "quota/usage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "tests/unit/quota/trees.h"

namespace kezek::quota::testing {
namespace {

constexpr DurationMs kWeek = 7 * kDayMs;
const Decay kDecay{kWeek};

UsageSum One(TimeMs date, MilliGpuMs amount) {
  UsageSum sum;
  sum.Book(kDecay, date, amount);
  return sum;
}

TEST(Usage, TableIsTwoToTheX) {
  std::uint64_t before = 0;
  for (TimeMs date = 0; date < kWeek; date += 977 * kSecondMs) {
    const double exact = std::exp2(static_cast<double>(date) / static_cast<double>(kWeek));
    const std::uint64_t factor = kDecay.Factor(date);
    EXPECT_NEAR(static_cast<double>(factor) / 4294967296.0 / exact, 1.0, 1e-6);
    EXPECT_GT(factor, before);
    before = factor;
  }
  EXPECT_EQ(kDecay.Factor(0), std::uint64_t{1} << 32);
  EXPECT_EQ(kDecay.PeriodOf(kWeek - 1), 0);
  EXPECT_EQ(kDecay.PeriodOf(kWeek), 1);
  EXPECT_EQ(kDecay.PeriodOf(-1), -1);
}

TEST(Usage, HalvesEveryHalfLife) {
  const UsageSum early = One(3 * kWeek + kDayMs, 8 * kGpuHour);
  const UsageSum late = One(4 * kWeek + kDayMs, 4 * kGpuHour);
  EXPECT_EQ(CompareUsagePerWeight(early.At(6), 1, late.At(6), 1), std::strong_ordering::equal);
  EXPECT_EQ(CompareUsagePerWeight(early.At(6), 2, late.At(6), 1), std::strong_ordering::less);
  EXPECT_EQ(CompareUsagePerWeight(early.At(6), 999, late.At(6), 1000),
            std::strong_ordering::greater);
  EXPECT_NEAR(UsageGpuHours(kDecay, early, 3 * kWeek + kDayMs), 8.0, 1e-5);
  EXPECT_NEAR(UsageGpuHours(kDecay, early, 5 * kWeek + kDayMs), 2.0, 1e-5);
}

TEST(Usage, NothingIsLeftAfterFortyOnePeriods) {
  const UsageSum sum = One(0, kGpuHour);
  EXPECT_GT(sum.At(40), UsageValue{});
  EXPECT_EQ(sum.At(41), UsageValue{});
}

TEST(Usage, TakingBackLeavesNothing) {
  UsageSum sum = One(kWeek + 12'345, 777);
  sum.Book(kDecay, kWeek + 12'345, -777);
  EXPECT_EQ(sum, UsageSum{});
}

// What a leader loads is summed up by date: nothing may come of it but what the entries come to.
TEST(Usage, SumsByDateAreTheSameAsBookingEach) {
  const AccountTree tree = Tree({{.name = "kz", .kind = "cluster"},
                                 {.parent = 1, .name = "a", .kind = "sector"},
                                 {.parent = 2, .name = "p"}});
  std::mt19937_64 random(41);
  UsageBook each(kWeek);
  UsageBook summed(kWeek);
  std::map<TimeMs, MilliGpuMs> sums;
  UsageSum in_parts;
  for (int i = 0; i < 2000; ++i) {
    const auto date = static_cast<TimeMs>(random() % 300) * 7 * kHourMs + 123;
    const MilliGpuMs amount = static_cast<MilliGpuMs>(random() % 2'000'001) - 1'000'000;
    each.Book(tree, AccountId{3}, UserId{9}, date, amount);
    sums[date] += amount;
    in_parts.Add(One(date, amount));
  }
  const std::vector<std::pair<TimeMs, MilliGpuMs>> dated(sums.begin(), sums.end());
  summed.Book(tree, AccountId{3}, UserId{9}, dated);
  EXPECT_EQ(summed, each);
  EXPECT_EQ(in_parts, each.OfUser(AccountId{3}, UserId{9}));
  EXPECT_EQ(each.OfAccount(AccountId{2}), in_parts);
  for (const auto& [date, amount] : sums) in_parts.Add(One(date, -amount));
  EXPECT_EQ(in_parts, UsageSum{}) << "taking all of it back leaves nothing";
}

TEST(Usage, LargestFiguresDoNotOverflow) {
  const MilliGpuMs most = std::int64_t{1} << 62;
  UsageSum large;
  for (int i = 0; i < 1000; ++i) large.Book(kDecay, 41 * kWeek - 1, most);
  UsageSum larger = large;
  larger.Book(kDecay, 0, 1);
  EXPECT_EQ(CompareUsagePerWeight(large.At(40), kMaxWeightMilli, larger.At(40), kMaxWeightMilli),
            std::strong_ordering::less);
  EXPECT_EQ(CompareUsagePerWeight(large.At(40), 1, large.At(40), kMaxWeightMilli),
            std::strong_ordering::greater);
}

TEST(Usage, BookingAddsWithinATick) {
  const TimeMs now = 9 * kWeek + 5 * kHourMs;
  UsageSum sum = One(8 * kWeek, kGpuHour);
  UsageValue value = sum.At(9);
  value += UsageOfBooking(kDecay, now, 3 * kGpuHour);
  sum.Book(kDecay, now, 3 * kGpuHour);
  EXPECT_EQ(value, sum.At(9));
}

TEST(Usage, MovedAccountTakesItsOwnAlong) {
  std::vector<Row> rows = {{.name = "kz", .kind = "cluster"},
                           {.parent = 1, .name = "a", .kind = "sector"},
                           {.parent = 1, .name = "b", .kind = "sector"},
                           {.parent = 2, .name = "p"}};
  UsageBook book{kWeek};
  book.Book(Tree(rows), AccountId{4}, UserId{9}, 0, 100);
  rows[3].parent = 3;
  book.Book(Tree(rows), AccountId{4}, UserId{9}, 0, 10);
  EXPECT_EQ(book.OfAccount(AccountId{1}), One(0, 110));
  EXPECT_EQ(book.OfAccount(AccountId{2}), One(0, 100));
  EXPECT_EQ(book.OfAccount(AccountId{3}), One(0, 10));
  EXPECT_EQ(book.OfAccount(AccountId{4}), One(0, 110));
  EXPECT_EQ(book.OfUser(AccountId{4}, UserId{9}), One(0, 110));
  EXPECT_EQ(book.OfUser(AccountId{4}, UserId{8}), UsageSum{});
}

TEST(Int256, SignsAndCarries) {
  Int256 value{-1};
  value *= 1'000'000'007;
  EXPECT_EQ(value, Int256{-1'000'000'007});
  value <<= 40;
  EXPECT_LT(value, Int256{-1});
  value += Int256{static_cast<Int128>(1'000'000'007) << 40};
  EXPECT_EQ(value, Int256{});
  EXPECT_LT(Int256{-2}, Int256{1});
  EXPECT_EQ(Int256{-5}.ToDouble(), -5.0);
}

}  // namespace
}  // namespace kezek::quota::testing

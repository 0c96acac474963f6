// Goal: the history loses and invents nothing: its figures add up as kezek/report.h says, at every
// level, and integrated they are what a walk over every millisecond would give, however often they
// are taken. Reports' arithmetic likewise: parts make a whole, causes lead from due to held.
// Method: random trees and standings; a naive twin that adds up interval by interval and splits
// hours by counting; known cases of Jain's index.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "kezek/report_arithmetic.h"
#include "quota/entitlement.h"
#include "quota/history.h"
#include "tests/property/seeds.h"
#include "tests/unit/quota/trees.h"

namespace kezek::quota {
namespace {

using property::Dice;
using testing::At;
using testing::kType;

AccountTree RandomTree(Dice& dice) {
  std::vector<testing::Row> rows = {{0, "kz", 64, 1, {}, {}, "cluster"}};
  const std::int64_t sectors = dice.Roll(1, 4);
  for (std::int64_t i = 0; i < sectors; ++i) {
    testing::Row row{1, "s" + std::to_string(i), dice.Roll(0, 16), dice.Roll(1, 5)};
    row.kind = "sector";
    if (dice.Chance(30)) row.borrow_max = dice.Roll(0, 20);
    if (dice.Chance(20)) row.lend_max = dice.Roll(0, 8);
    rows.push_back(row);
  }
  const std::int64_t projects = dice.Roll(0, 8);
  for (std::int64_t i = 0; i < projects; ++i) {
    const std::int64_t parent = dice.Roll(2, 1 + sectors);
    rows.push_back({parent, "p" + std::to_string(i), dice.Roll(0, 4), dice.Roll(1, 5)});
  }
  return testing::Tree(rows);
}

// What leaves hold and ask for; all above is added up.
PoolStanding RandomPool(Dice& dice, const AccountTree& tree) {
  PoolStanding pool;
  pool.gpu_type = kType;
  constexpr MilliGpus kCapacity = 64'000;
  pool.away = dice.Chance(10);
  for (auto* figures : {&pool.held, &pool.demanded, &pool.by_limits, &pool.by_budgets}) {
    figures->assign(At(tree.size()), 0);
  }
  MilliGpus left = kCapacity;
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    if (!tree.children(i).empty()) continue;
    const MilliGpus held = dice.Chance(70) ? dice.Roll(0, std::min<MilliGpus>(left, 20'000)) : 0;
    left -= held;
    for (AccountIndex at = i; at != kNoAccount; at = tree.parent(at)) pool.held[At(at)] += held;
    demand[At(i)] = pool.demanded[At(i)] = held + (dice.Chance(60) ? dice.Roll(0, 30'000) : 0);
    if (dice.Chance(30)) pool.by_limits[At(i)] = dice.Roll(0, 20'000);
    if (dice.Chance(30)) pool.by_budgets[At(i)] = dice.Roll(0, 20'000);
  }
  pool.free_milli = dice.Chance(50) ? left : dice.Roll(0, left);
  pool.due = DueShares(tree, kType, kCapacity);
  const std::vector<Entitlement> entitled = Entitle(tree, kType, kCapacity, demand);
  for (const Entitlement& one : entitled) pool.entitled.push_back(one.entitled_milli);
  pool.guarantee = GuaranteesNow(entitled);
  pool.lent = Lent(tree, entitled, pool.held, pool.free_milli);
  for (AccountIndex i = 0; i < tree.size(); ++i) pool.apart.push_back(dice.Roll(0, 9'000));
  return pool;
}

void ExpectAddsUp(const AccountFigures& one) {
  const auto causes = CausesOf(one);
  EXPECT_EQ(one.due + std::accumulate(causes.begin(), causes.begin() + 4, std::int64_t{0}),
            one.entitled);
  EXPECT_EQ(one.due + std::accumulate(causes.begin(), causes.end(), std::int64_t{0}), one.held);
  for (const auto cause :
       {ShareCause::kNoDemand, ShareCause::kLimit, ShareCause::kBudget, ShareCause::kFragmentation,
        ShareCause::kTakenByOthers, ShareCause::kStoodStill}) {
    EXPECT_LE(causes[static_cast<std::size_t>(cause)], 0);
  }
  EXPECT_GE(causes[static_cast<std::size_t>(ShareCause::kBorrowed)], 0);
  EXPECT_LE(one.held, one.demanded);
  EXPECT_LE(one.borrowed, one.held);
  EXPECT_GE(one.lent, 0);
}

void Standing(std::uint64_t seed) {
  Dice dice(seed);
  const AccountTree tree = RandomTree(dice);
  const PoolStanding pool = RandomPool(dice, tree);
  const std::vector<AccountFigures> figures = FiguresOf(tree, pool);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    const AccountFigures& one = figures[At(i)];
    ExpectAddsUp(one);
    EXPECT_EQ(one.away > 0 && one.unfit + one.taken > 0, false);
    EXPECT_LE(one.unfit, pool.free_milli);
    const MilliGpus guarantee = pool.guarantee[At(i)];
    EXPECT_LE(one.lent, std::max<MilliGpus>(0, guarantee - one.held)) << "lends what it has";
    EXPECT_EQ(one.lent, pool.lent[At(i)]) << "as kezek quota shows it";
    EXPECT_EQ(one.borrowed, std::max<MilliGpus>(0, one.held - guarantee));
    EXPECT_EQ(one.apart, pool.apart[At(i)]);
    if (tree.children(i).empty()) continue;
    MilliGpus held = 0;
    for (const AccountIndex child : tree.children(i)) held += figures[At(child)].held;
    EXPECT_EQ(one.held, held);
  }
}

struct AccountSum {
  AccountFigures figures;
  VersionRange versions = {1'000'000, 0};
  bool operator==(const AccountSum&) const = default;
};
using Hours = std::map<std::tuple<TimeMs, AccountId, std::string>, AccountSum>;

void Add(const HistoryChange& change, Hours& hours) {
  for (const AccountHour& row : change.hours) {
    AccountSum& sum = hours[{row.from_ms, row.account, row.gpu_type}];
    sum.figures += row.figures;
    sum.versions += row.versions;
  }
}

// Second by second.
void AddNaively(const std::vector<AccountHour>& standing, TimeMs from, TimeMs until, Hours& hours) {
  for (TimeMs at = from; at < until; at += kSecondMs) {
    for (const AccountHour& row : standing) {
      AccountSum& sum = hours[{at - at % kHourMs, row.account, row.gpu_type}];
      for (const auto member : kAccountFigures) {
        sum.figures.*member += row.figures.*member * kSecondMs;
      }
      sum.versions += row.versions;
    }
  }
}

void Integral(std::uint64_t seed) {
  Dice dice(seed);
  TimeMs now = dice.Roll(0, 10'000) * kSecondMs;
  History history(now);
  Hours taken;
  Hours naive;
  std::vector<AccountHour> standing;
  for (int step = 0; step < 30; ++step) {
    const TimeMs next = now + dice.Roll(0, dice.Chance(10) ? 9'000 : 100) * kSecondMs;
    AddNaively(standing, now, next, naive);
    history.Advance(next);
    if (dice.Chance(20)) history.Advance(now - kSecondMs);  // is over
    now = next;
    if (dice.Chance(30)) {
      const HistoryChange change = history.Take();
      Add(change, taken);
      EXPECT_EQ(history.Take(), HistoryChange{}) << "taken once";
      EXPECT_EQ(history.until_ms(), now);
    }
    standing.clear();
    for (std::int64_t id = 1; id <= dice.Roll(0, 4); ++id) {
      AccountHour& row = standing.emplace_back();
      row.account = AccountId{id};
      row.gpu_type = dice.Chance(50) ? "h200" : "a100";
      row.versions = {step + 1, step + 1};
      for (const auto member : kAccountFigures) row.figures.*member = dice.Roll(0, 5000);
    }
    history.Stand(standing);
  }
  Add(history.Take(), taken);
  std::erase_if(naive, [](const auto& row) { return row.second.figures == AccountFigures{}; });
  EXPECT_EQ(taken, naive);
}

void Arithmetic(std::uint64_t seed) {
  Dice dice(seed);
  std::vector<std::int64_t> amounts;
  for (std::int64_t i = dice.Roll(0, 12); i > 0; --i) {
    amounts.push_back(dice.Chance(20) ? 0 : dice.Roll(1, dice.Chance(50) ? 9 : 1LL << 60));
  }
  const std::vector<std::int64_t> parts = PartsPpm(amounts);
  const bool nothing = std::all_of(amounts.begin(), amounts.end(), [](auto a) { return a == 0; });
  EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), std::int64_t{0}), nothing ? 0 : kMillion);
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    for (std::size_t j = 0; j < amounts.size(); ++j) {
      if (amounts[i] < amounts[j]) {
        EXPECT_LE(parts[i], parts[j]) << "more is never less";
      }
    }
  }
  std::vector<Satisfaction> all;
  const std::int64_t count = dice.Roll(1, 10);
  for (std::int64_t i = 0; i < count; ++i) {
    all.push_back({dice.Roll(0, 1'000'000), dice.Roll(0, 1'000'000)});
  }
  const std::int64_t jain = JainPpm(all);
  EXPECT_LE(jain, kMillion);
  EXPECT_GE(jain + 1, kMillion / count) << "at worst one has all";
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(JainPpm(all), jain);
}

TEST(QuotaHistory, FiguresAddUpAtEveryLevel) { property::ForEachSeed(Standing); }
TEST(QuotaHistory, IntegratesWhatAWalkOverTimeWould) { property::ForEachSeed(Integral); }
TEST(QuotaHistory, PartsMakeAWhole) { property::ForEachSeed(Arithmetic); }

TEST(QuotaHistory, JainsIndexOfKnownCases) {
  const auto index = [](std::vector<Satisfaction> all) { return JainPpm(all); };
  EXPECT_EQ(index({}), kMillion);
  EXPECT_EQ(index({{7, 7}, {3, 3}, {100, 100}}), kMillion) << "all have what they are entitled to";
  EXPECT_EQ(index({{5, 10}, {50, 100}}), kMillion) << "or all half of it";
  EXPECT_EQ(index({{10, 10}, {0, 10}}), 500'000) << "one of two has all";
  EXPECT_EQ(index({{10, 10}, {0, 10}, {0, 1}, {0, 99}}), 250'000) << "one of four";
  EXPECT_EQ(index({{10, 10}, {5, 10}}), 900'000) << "1.5^2 / (2 x 1.25)";
  EXPECT_EQ(index({{10, 10}, {3, 0}}), kMillion) << "entitled to nothing, and has something";
  EXPECT_EQ(index({{10, 10}, {0, 0}}), 500'000) << "starved to nothing: it is not left out";
}

TEST(QuotaHistory, PolicyErrorIsTheMeanDistance) {
  EXPECT_EQ(PolicyErrorPpm({}, {}), 0);
  const std::vector<std::int64_t> received = {383'000, 306'000, 311'000};
  const std::vector<std::int64_t> targets = {400'000, 300'000, 300'000};
  EXPECT_EQ(PolicyErrorPpm(received, targets), 11'333);
}

// A university with a guarantee of 32 of 64 GPUs, and firms beside it, of equal weight.
TEST(QuotaHistory, TellsWhyAnAccountHeldLessThanWasDue) {
  const AccountTree tree = testing::Tree(
      {{0, "kz", 64, 1, {}, {}, "cluster"}, {1, "university", 32}, {1, "firms", 0, 1}});
  PoolStanding pool;
  pool.gpu_type = kType;
  pool.due = DueShares(tree, kType, 64'000);
  ASSERT_EQ(pool.due, (std::vector<MilliGpus>{64'000, 32'000, 32'000}));
  // It holds 10, asks for 14 more, 4 that a limit stops and nothing else; firms hold 50.
  pool.held = {60'000, 10'000, 50'000};
  pool.demanded = {0, 24'000, 50'000};
  pool.by_limits = {0, 4'000, 0};
  pool.by_budgets = {0, 0, 0};
  pool.entitled = {64'000, 24'000, 40'000};
  pool.guarantee = {64'000, 32'000, 0};
  pool.lent = {0, 18'000, 0};
  pool.apart = {8'000, 8'000, 0};
  pool.free_milli = 4'000;
  const AccountFigures university = FiguresOf(tree, pool)[1];
  EXPECT_EQ(university.by_limits, 4'000);
  EXPECT_EQ(university.no_demand, 4'000);
  EXPECT_EQ(university.unfit, 4'000) << "free, but not where its jobs fit";
  EXPECT_EQ(university.taken, 10'000) << "the firms' jobs run on";
  EXPECT_EQ(university.lent, 18'000) << "of its 22 unused GPUs 4 are free";
  EXPECT_EQ(university.apart, 8'000) << "and in no other figure";
  EXPECT_EQ(university.borrowed, 0);
  const AccountFigures firms = FiguresOf(tree, pool)[2];
  EXPECT_EQ(firms.borrowed, 50'000);
  EXPECT_EQ(CausesOf(firms), (std::array<MilliGpuMs, 8>{0, 0, 0, 8'000, 0, 0, 0, 10'000}));
  pool.away = true;
  EXPECT_EQ(FiguresOf(tree, pool)[1].away, 14'000) << "nothing can be started";
}

}  // namespace
}  // namespace kezek::quota

// Goal: a job is refused at once only if no start of it could ever be held by the budgets that are
// set, and is told what would be. Method: narrated cases, and random budgets against a search of
// every quarter of an hour; each of those prints its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "kezek/reason_text.h"
#include "quota/budget.h"

namespace kezek::quota {
namespace {

constexpr TimeMs kNow = 1000 * kDayMs;
constexpr AccountId kProject{2};

BudgetSpec SpecFrom(const std::string& name, std::int64_t hours, DurationMs from, DurationMs to) {
  return {
      .name = name, .milli_gpu_hours = hours * 1000, .start_ms = kNow + from, .end_ms = kNow + to};
}

AccountTree TreeOf(std::vector<BudgetSpec> of_project, std::vector<BudgetSpec> of_root = {}) {
  std::map<AccountId, Account> accounts;
  for (std::int64_t i = 1; i <= 2; ++i) {
    Account& account = accounts[AccountId{i}];
    account.id = AccountId{i};
    account.parent = AccountId{i - 1};
    account.name = i == 1 ? "cluster" : "nlp";
    account.kind = i == 1 ? "cluster" : "project";
  }
  accounts.at(AccountId{1}).settings.budgets = std::move(of_root);
  accounts.at(kProject).settings.budgets = std::move(of_project);
  return *AccountTree::Build(accounts);
}

MilliGpuMs Nothing(const BudgetRef&) { return 0; }

Reason Never(const AccountTree& tree, std::int64_t gpus, DurationMs limit_ms,
             const CarriedIn& carried_in = Nothing, TimeMs from = kNow) {
  return NeverHeld(tree, {kProject, "h200", gpus * 1000, limit_ms, 1000, 1000}, from, carried_in);
}

TEST(NeverHeldTest, WhatTheBudgetIsTooSmallForEvenWhenFull) {
  const AccountTree tree = TreeOf({SpecFrom("q", 10, -kDayMs, 30 * kDayMs)});
  const Reason never = Never(tree, 8, 2 * kHourMs);
  EXPECT_EQ(never.code, ReasonCode::kBudgetExhausted);
  EXPECT_EQ(never.fields.at("budget"), "q");
  EXPECT_EQ(never.fields.at("left"), "10");
  EXPECT_EQ(never.fields.at("needed"), "16.2");
  // Ten GPU-hours are an hour and a quarter of eight GPUs; two minutes of it are the margin.
  EXPECT_EQ(never.fields.at("fits"), std::to_string(73 * kMinuteMs));
  EXPECT_EQ(Never(tree, 8, 73 * kMinuteMs).code, ReasonCode::kNone);
}

TEST(NeverHeldTest, AnAccountWithoutBudgetsHoldsAll) {
  EXPECT_EQ(Never(TreeOf({}), 8, 100 * kDayMs).code, ReasonCode::kNone);
}

TEST(NeverHeldTest, BudgetsOfOtherTypesDoNotCount) {
  BudgetSpec other = SpecFrom("a100", 1, -kDayMs, 30 * kDayMs);
  other.gpu_type = "a100";
  EXPECT_EQ(Never(TreeOf({other}), 8, kDayMs).code, ReasonCode::kNone);
}

TEST(NeverHeldTest, ABudgetThatLetsGoOnAsAScavengerRefusesNothing) {
  BudgetSpec scavenge = SpecFrom("q", 1, -kDayMs, 30 * kDayMs);
  scavenge.at_exhaustion = AtExhaustion::kScavenge;
  EXPECT_EQ(Never(TreeOf({scavenge}), 8, kDayMs).code, ReasonCode::kNone);
}

TEST(NeverHeldTest, ALaterPeriodThatIsLargeEnoughIsWaitedFor) {
  const std::vector<BudgetSpec> specs = {SpecFrom("small", 10, -kDayMs, 10 * kDayMs),
                                         SpecFrom("large", 100, 10 * kDayMs, 20 * kDayMs)};
  EXPECT_EQ(Never(TreeOf(specs), 8, 4 * kHourMs).code, ReasonCode::kNone);
  EXPECT_NE(Never(TreeOf(specs), 8, 40 * kHourMs).code, ReasonCode::kNone);
  // The parent's must hold it at the same time.
  const auto root = SpecFrom("root", 10, -kDayMs, 20 * kDayMs);
  EXPECT_NE(Never(TreeOf(specs, {root}), 8, 4 * kHourMs).code, ReasonCode::kNone);
}

TEST(NeverHeldTest, TwoPeriodsMayHoldTogetherWhatNeitherHolds) {
  const std::vector<BudgetSpec> specs = {SpecFrom("a", 40, -kDayMs, 10 * kDayMs),
                                         SpecFrom("b", 40, 10 * kDayMs, 20 * kDayMs)};
  // Of a start late in the first, it holds at most a day beyond its end, and the second the rest.
  EXPECT_EQ(Never(TreeOf(specs), 1, 60 * kHourMs).code, ReasonCode::kNone);
  EXPECT_NE(Never(TreeOf(specs), 1, 90 * kHourMs).code, ReasonCode::kNone);
}

TEST(NeverHeldTest, WhatMayBeCarriedOverCounts) {
  std::vector<BudgetSpec> specs = {SpecFrom("a", 100, -30 * kDayMs, -kDayMs),
                                   SpecFrom("b", 10, -kDayMs, 10 * kDayMs)};
  EXPECT_NE(Never(TreeOf(specs), 1, 20 * kHourMs).code, ReasonCode::kNone);
  const auto carried = [](const BudgetRef& budget) -> MilliGpuMs {
    return budget.name == "b" ? 15 * kGpuHour : 0;
  };
  EXPECT_EQ(Never(TreeOf(specs), 1, 20 * kHourMs, carried).code, ReasonCode::kNone);
  specs[0].carry_over_percent = 20;  // still to be booked
  EXPECT_EQ(Never(TreeOf(specs), 1, 20 * kHourMs).code, ReasonCode::kNone);
}

TEST(NeverHeldTest, ABeginTimeBehindThePeriodIsWaitedFor) {
  const AccountTree tree = TreeOf({SpecFrom("q", 1, -kDayMs, kDayMs)});
  EXPECT_EQ(Never(tree, 8, kDayMs, Nothing, kNow + 2 * kDayMs).code, ReasonCode::kNone);
  EXPECT_NE(Never(tree, 8, kDayMs, Nothing, kNow + kHourMs).code, ReasonCode::kNone);
}

// A period that ends with none behind it is no matter of GPU-hours: the job waits and says so.
TEST(NeverHeldTest, AnEndThatNobodyHasPlannedBeyondIsNotForEver) {
  const AccountTree tree = TreeOf({SpecFrom("q", 1'000'000, -kDayMs, 10 * kDayMs)});
  EXPECT_EQ(Never(tree, 1, 50 * kDayMs).code, ReasonCode::kNone);
}

std::vector<BudgetSpec> RandomBudgets(std::mt19937_64& random) {
  const auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  std::vector<BudgetSpec> specs;
  DurationMs from = -draw(0, 30) * kHourMs;
  for (int i = draw(0, 3); i > 0; --i) {
    const DurationMs to = from + draw(1, 40) * kHourMs;
    specs.push_back(SpecFrom("b" + std::to_string(i), draw(0, 60), from, to));
    specs.back().carry_over_percent = draw(0, 2) * 50;
    from = to + draw(0, 1) * draw(0, 20) * kHourMs;
  }
  return specs;
}

// With carry-over a full budget is more than its grant: the search is given the same.
Budgets FullOf(const AccountTree& tree) {
  Budgets full;
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    MilliGpuMs carried = 0;
    for (const BudgetSpec& spec : tree.account(i).settings.budgets) {
      const MilliGpuMs all = GrantOf(spec) + carried;
      full.Restore({tree.id(i), spec.name}, {.left = all});
      carried = all / 100 * spec.carry_over_percent;
    }
  }
  return full;
}

TEST(NeverHeldTest, RefusesNothingThatASearchFindsAStartFor) {
  int refused = 0;
  int taken = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    std::mt19937_64 random(seed);
    const AccountTree tree = TreeOf(RandomBudgets(random), RandomBudgets(random));
    const DurationMs limit = std::uniform_int_distribution<int>(1, 200)(random) * kHourMs / 2;
    const Reason never = Never(tree, 1, limit);
    if (never.code == ReasonCode::kNone) {
      ++taken;
      continue;
    }
    ++refused;
    const Budgets full = FullOf(tree);
    const Cost cost{kProject, "h200", 1000, limit, 1000, 1000};
    TimeMs last = kNow;
    for (AccountIndex i = 0; i < tree.size(); ++i) {
      for (const BudgetSpec& spec : tree.account(i).settings.budgets) {
        last = std::max(last, spec.start_ms);
      }
    }
    for (TimeMs moment = kNow; moment <= last; moment += kHourMs / 4) {
      ASSERT_NE(DrawOf(tree, full, cost, moment).stop.code, ReasonCode::kNone)
          << "again: seed " << seed << ": " << Sentence(never) << " but starts after "
          << (moment - kNow) / kMinuteMs << " min";
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(taken, 50);
}

}  // namespace
}  // namespace kezek::quota

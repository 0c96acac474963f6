// Goal: entitlements come out as the rules' worked examples say, and say what bounds them.
// Method: one level and small trees narrated in whole GPUs.
#include "quota/entitlement.h"

#include <gtest/gtest.h>

#include "tests/unit/quota/trees.h"

namespace kezek::quota::testing {
namespace {

Claim Of(std::int64_t id, std::int64_t guarantee, std::int64_t demand, std::int64_t weight = 1) {
  return {.id = AccountId{id},
          .weight_milli = weight * 1000,
          .guarantee_milli = guarantee * 1000,
          .cap_milli = std::nullopt,
          .limit_milli = std::nullopt,
          .lend_max_milli = std::nullopt,
          .demand_milli = demand * 1000};
}

std::vector<Entitlement> Fill(const std::vector<Claim>& claims, std::int64_t gpus) {
  return FillLevel(claims, gpus * 1000, gpus);
}

std::vector<std::int64_t> Gpus(const std::vector<Entitlement>& entitled) {
  std::vector<std::int64_t> gpus;
  for (const Entitlement& one : entitled) gpus.push_back(one.entitled_gpus);
  return gpus;
}

using Shares = std::vector<std::int64_t>;

TEST(Entitlement, GuaranteeIsAFloorNotAnExtra) {
  // 100 GPUs, both ask for all of it: A's guarantee of 60 leaves B 40…
  auto entitled = Fill({Of(1, 60, 100), Of(2, 0, 100)}, 100);
  EXPECT_EQ(Gpus(entitled), (Shares{60, 40}));
  EXPECT_EQ(entitled[0].by, EntitledBy::kGuarantee);
  EXPECT_EQ(entitled[1].by, EntitledBy::kShare);
  // …a guarantee of 30 is less than its half, which it gets.
  entitled = Fill({Of(1, 30, 100), Of(2, 0, 100)}, 100);
  EXPECT_EQ(Gpus(entitled), (Shares{50, 50}));
  EXPECT_EQ(entitled[0].by, EntitledBy::kShare);
}

TEST(Entitlement, WhatIsNotAskedForIsLent) {
  const auto entitled = Fill({Of(1, 60, 10), Of(2, 0, 100)}, 100);
  EXPECT_EQ(Gpus(entitled), (Shares{10, 90}));
  EXPECT_EQ(entitled[0].by, EntitledBy::kDemand);
}

TEST(Entitlement, WeightsDivideWhatFloorsLeave) {
  EXPECT_EQ(Gpus(Fill({Of(1, 0, 100, 3), Of(2, 0, 100, 1)}, 100)), (Shares{75, 25}));
  // C's floor of 50 is above its 1/5; A and B divide the rest 3:1, the odd half by id.
  EXPECT_EQ(Gpus(Fill({Of(1, 0, 100, 3), Of(2, 0, 100, 1), Of(3, 50, 100, 1)}, 100)),
            (Shares{38, 12, 50}));
}

TEST(Entitlement, CapsHold) {
  Claim capped = Of(1, 10, 100);
  capped.cap_milli = 15'000;
  const auto entitled = Fill({capped, Of(2, 0, 100)}, 100);
  EXPECT_EQ(Gpus(entitled), (Shares{15, 85}));
  EXPECT_EQ(entitled[0].by, EntitledBy::kBorrowMax);
  capped.limit_milli = 12'000;
  const auto limited = Fill({capped, Of(2, 0, 100)}, 100);
  EXPECT_EQ(Gpus(limited), (Shares{12, 88}));
  EXPECT_EQ(limited[0].by, EntitledBy::kRunningLimit) << "whichever is less";
}

TEST(Entitlement, LargestRemainderTiesById) {
  EXPECT_EQ(Gpus(Fill({Of(3, 0, 9), Of(1, 0, 9), Of(2, 0, 9)}, 8)), (Shares{2, 3, 3}));
  const auto entitled = Fill({Of(1, 0, 9), Of(2, 0, 9), Of(3, 0, 9)}, 1);
  EXPECT_EQ(entitled[0].entitled_milli, 334);
  EXPECT_EQ(entitled[1].entitled_milli, 333);
}

TEST(Entitlement, ShortCapacityScalesGuarantees) {
  const auto entitled = Fill({Of(1, 60, 100), Of(2, 30, 100), Of(3, 0, 100)}, 30);
  EXPECT_EQ(Gpus(entitled), (Shares{20, 10, 0}));
  EXPECT_EQ(entitled[0].by, EntitledBy::kScaled);
  EXPECT_EQ(entitled[0].guarantee_milli, 20'000) << "what counts as its guarantee now";
  EXPECT_EQ(Fill({Of(1, 60, 100), Of(2, 30, 100)}, 100)[1].guarantee_milli, 30'000);
}

TEST(Entitlement, LendMaxKeepsGpusIdle) {
  // A lends at most 20 of 60 and asks for 10: 30 stay idle.
  Claim careful = Of(1, 60, 10);
  careful.lend_max_milli = 20'000;
  const auto entitled = Fill({careful, Of(2, 0, 100)}, 100);
  EXPECT_EQ(Gpus(entitled), (Shares{10, 60}));
  EXPECT_EQ(entitled[0].idle_milli, 30'000);
}

TEST(Entitlement, NobodyAndNothing) {
  EXPECT_TRUE(Fill({}, 10).empty());
  EXPECT_EQ(Gpus(Fill({Of(1, 0, 0), Of(2, 0, 5)}, 0)), (Shares{0, 0}));
  EXPECT_EQ(Gpus(Fill({Of(1, 5, 0)}, 10)), (Shares{0}));
}

// kz ─ uni (guarantee 60) ─ kaznu, nu
//    └ firms ─ asyl
std::vector<Row> National() {
  return {{.name = "kz", .guarantee = 100, .kind = "cluster"},
          {.parent = 1, .name = "uni", .guarantee = 60, .kind = "sector"},
          {.parent = 1, .name = "firms", .kind = "sector"},
          {.parent = 2, .name = "kaznu", .guarantee = 40},
          {.parent = 2, .name = "nu", .guarantee = 10},
          {.parent = 3, .name = "asyl"}};
}

std::map<std::string, std::int64_t> Named(const AccountTree& tree,
                                          const std::vector<Entitlement>& entitled) {
  std::map<std::string, std::int64_t> named;
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    named[tree.account(i).name] = entitled[At(i)].entitled_gpus;
  }
  return named;
}

std::vector<MilliGpus> Demand(const AccountTree& tree,
                              const std::map<std::string, std::int64_t>& gpus) {
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    const auto found = gpus.find(tree.account(i).name);
    if (found != gpus.end()) demand[At(i)] = found->second * 1000;
  }
  return demand;
}

using Named_ = std::map<std::string, std::int64_t>;

TEST(Entitlement, LevelByLevel) {
  const AccountTree tree = Tree(National());
  // All ask: the sectors get 60/40, inside uni kaznu keeps its floor of 40.
  auto entitled =
      Entitle(tree, kType, 100'000, Demand(tree, {{"kaznu", 100}, {"nu", 100}, {"asyl", 100}}));
  EXPECT_EQ(
      Named(tree, entitled),
      (Named_{{"kz", 100}, {"uni", 60}, {"firms", 40}, {"kaznu", 40}, {"nu", 20}, {"asyl", 40}}));
  // kaznu is idle: nu may have uni's 60.
  entitled = Entitle(tree, kType, 100'000, Demand(tree, {{"nu", 100}, {"asyl", 100}}));
  EXPECT_EQ(Named(tree, entitled).at("nu"), 60);
  // Half the machine is down: 50 GPUs for 60 guaranteed; firms get nothing.
  entitled =
      Entitle(tree, kType, 50'000, Demand(tree, {{"kaznu", 100}, {"nu", 100}, {"asyl", 100}}));
  EXPECT_EQ(
      Named(tree, entitled),
      (Named_{{"kz", 50}, {"uni", 50}, {"firms", 0}, {"kaznu", 40}, {"nu", 10}, {"asyl", 0}}));
}

TEST(Entitlement, IdleGpusAreTheParentsDemand) {
  std::vector<Row> rows = National();
  rows[3].lend_max = 0;  // kaznu lends nothing
  const AccountTree tree = Tree(rows);
  const auto entitled = Entitle(tree, kType, 100'000, Demand(tree, {{"nu", 100}, {"asyl", 100}}));
  EXPECT_EQ(entitled[At(tree.Find("uni/kaznu"))].idle_milli, 40'000);
  EXPECT_EQ(entitled[At(tree.Find("uni"))].demand_milli, 140'000);
  EXPECT_EQ(
      Named(tree, entitled),
      (Named_{{"kz", 100}, {"uni", 60}, {"firms", 40}, {"kaznu", 0}, {"nu", 20}, {"asyl", 40}}));
}

TEST(Entitlement, NothingIsKeptIdleWhereNoProjectIsOpen) {
  std::vector<Row> rows = National();
  rows[1].lend_max = rows[3].lend_max = 0;  // uni and kaznu lend nothing
  for (const bool closed : {false, true}) {
    rows[3].closed = closed;
    const AccountTree tree = Tree(rows);
    const auto entitled = Entitle(tree, kType, 100'000, Demand(tree, {{"asyl", 100}}));
    EXPECT_EQ(entitled[At(tree.Find("uni/kaznu"))].idle_milli, closed ? 0 : 40'000);
    EXPECT_EQ(entitled[At(tree.Find("uni"))].idle_milli, closed ? 60'000 : 20'000)
        << "nu is open and might use uni's";
  }
  rows[1].closed = true;
  const AccountTree tree = Tree(rows);
  const auto entitled = Entitle(tree, kType, 100'000, Demand(tree, {{"nu", 10}, {"asyl", 100}}));
  EXPECT_EQ(entitled[At(tree.Find("uni"))].idle_milli, 0);
  EXPECT_EQ(entitled[At(tree.Find("uni"))].entitled_milli, 10'000) << "by its weight alone";
  EXPECT_EQ(entitled[At(tree.Find("firms"))].entitled_milli, 90'000);
}

TEST(Entitlement, WhatIsClosedHasNoGuarantee) {
  std::vector<Row> rows = National();
  rows[3].closed = true;    // kaznu, whose 40 run on
  rows[4].guarantee = 60;   // nu was given them
  rows[3].borrow_max = 30;  // above no guarantee
  const AccountTree tree = Tree(rows);
  EXPECT_EQ(tree.Guarantee(tree.Find("uni/kaznu"), kType), 0);
  EXPECT_EQ(tree.ShareCap(tree.Find("uni/kaznu"), kType), 30'000);
  const auto entitled =
      Entitle(tree, kType, 60'000, Demand(tree, {{"kaznu", 40}, {"nu", 100}, {"asyl", 100}}));
  const Entitlement& nu = entitled[At(tree.Find("uni/nu"))];
  EXPECT_EQ(nu.guarantee_milli, 60'000) << "not scaled";
  EXPECT_EQ(nu.entitled_gpus, 60);
  EXPECT_EQ(nu.by, EntitledBy::kGuarantee);
  const Entitlement& kaznu = entitled[At(tree.Find("uni/kaznu"))];
  EXPECT_EQ(kaznu.guarantee_milli, 0);
  EXPECT_EQ(kaznu.entitled_gpus, 0);
  rows[3].closed = false;
  rows[1].closed = true;  // what is below it, too
  EXPECT_EQ(Tree(rows).Guarantee(Tree(rows).Find("uni/kaznu"), kType), 0);
  EXPECT_EQ(Tree(rows).share(Tree(rows).Find("uni/kaznu"), kType).guarantee_milli, 40'000);
}

TEST(Entitlement, GuaranteesAreScaledOnlyWhereTheyExceed) {
  const AccountTree tree = Tree(National());
  // 50 of 100 GPUs serve: uni's guarantee is cut to 50. Its children's 40 and 10 fit in that.
  const auto entitled =
      Entitle(tree, kType, 50'000, Demand(tree, {{"kaznu", 100}, {"nu", 100}, {"asyl", 100}}));
  const std::vector<MilliGpus> now = GuaranteesNow(entitled);
  EXPECT_EQ(now[At(tree.Find("uni"))], 50'000);
  EXPECT_EQ(now[At(tree.Find("uni/kaznu"))], 40'000);
  EXPECT_EQ(now[At(tree.Find("uni/nu"))], 10'000);
  // With 25 they are cut in proportion: 20 and 5.
  const auto half =
      Entitle(tree, kType, 25'000, Demand(tree, {{"kaznu", 100}, {"nu", 100}, {"asyl", 100}}));
  EXPECT_EQ(half[At(tree.Find("uni/kaznu"))].guarantee_milli, 20'000);
  EXPECT_EQ(half[At(tree.Find("uni/nu"))].guarantee_milli, 5'000);
  EXPECT_EQ(half[At(tree.Find("uni/nu"))].by, EntitledBy::kScaled);
}

TEST(Entitlement, WhatOthersRunOfAGuaranteeIsLent) {
  const AccountTree tree = Tree(National());
  const auto entitled = Entitle(tree, kType, 100'000, Demand(tree, {{"asyl", 100}}));
  const auto lent = [&](std::int64_t kaznu, std::int64_t nu, std::int64_t asyl) {
    std::vector<MilliGpus> allocated = Demand(tree, {{"kz", kaznu + nu + asyl},
                                                     {"uni", kaznu + nu},
                                                     {"kaznu", kaznu},
                                                     {"nu", nu},
                                                     {"firms", asyl},
                                                     {"asyl", asyl}});
    const MilliGpus free = (100 - kaznu - nu - asyl) * 1000;
    const auto all = Lent(tree, entitled, allocated, free);
    return Shares{all[At(tree.Find("uni"))] / 1000, all[At(tree.Find("uni/kaznu"))] / 1000,
                  all[At(tree.Find("uni/nu"))] / 1000};
  };
  EXPECT_EQ(lent(0, 0, 40), (Shares{0, 0, 0})) << "the free 60 are uni's";
  EXPECT_EQ(lent(0, 0, 90), (Shares{50, 32, 8})) << "10 are left of 60, and 10 of 40 and 10";
  EXPECT_EQ(lent(0, 60, 40), (Shares{0, 40, 0})) << "nu runs what is kaznu's";
  EXPECT_EQ(lent(40, 20, 0), (Shares{0, 0, 0}));
}

}  // namespace
}  // namespace kezek::quota::testing

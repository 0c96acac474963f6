// Goal: every clause of the rules about entitlement, for random claims and random trees.
// Method: each clause checked on its own; metamorphic ones (permuting, weights, splitting) by
// filling twice; figures, rounding and what each stopped at against a naive twin, to the unit.
#include <gtest/gtest.h>

#include <algorithm>

#include "quota/entitlement.h"
#include "tests/property/naive_entitlement.h"
#include "tests/property/seeds.h"
#include "tests/unit/quota/trees.h"

namespace kezek::quota {
namespace {

using property::Dice;
using testing::At;
using testing::kType;

MilliGpus Amount(Dice& dice, std::int64_t most) {
  return dice.Chance(60) ? dice.Roll(0, most) * 1000 : dice.Roll(0, most * 1000);
}

std::vector<Claim> Claims(Dice& dice) {
  std::vector<Claim> claims;
  const std::int64_t count = dice.Roll(1, 8);
  const bool equal_weights = dice.Chance(30);
  for (std::int64_t i = 0; i < count; ++i) {
    Claim claim;
    claim.id = AccountId{i + 1};
    if (!equal_weights) claim.weight_milli = dice.Roll(1, 5000);
    if (dice.Chance(60)) claim.guarantee_milli = Amount(dice, 30);
    if (dice.Chance(30)) claim.cap_milli = claim.guarantee_milli + Amount(dice, 20);
    if (dice.Chance(25)) claim.limit_milli = Amount(dice, 40);
    if (dice.Chance(20)) claim.lend_max_milli = Amount(dice, 30);
    if (dice.Chance(90)) claim.demand_milli = Amount(dice, 60);
    claims.push_back(claim);
  }
  return claims;
}

MilliGpus High(const Claim& claim) {
  MilliGpus high = claim.demand_milli;
  if (claim.cap_milli) high = std::min(high, *claim.cap_milli);
  if (claim.limit_milli) high = std::min(high, *claim.limit_milli);
  return high;
}
MilliGpus Low(const Claim& claim) { return std::min(claim.guarantee_milli, High(claim)); }
MilliGpus Idle(const Claim& claim) {
  if (!claim.lend_max_milli) return 0;
  return std::max<MilliGpus>(0, claim.guarantee_milli - *claim.lend_max_milli - claim.demand_milli);
}

void CheckOne(const Claim& claim, const Entitlement& entitled, bool short_of) {
  EXPECT_GE(entitled.entitled_milli, 0);
  EXPECT_LE(entitled.entitled_milli, High(claim)) << "above demand or cap";
  EXPECT_LE(entitled.entitled_gpus * 1000, High(claim)) << "above demand or cap";
  EXPECT_LT(std::abs(entitled.entitled_gpus * 1000 - entitled.entitled_milli), 1001);
  EXPECT_EQ(entitled.by == EntitledBy::kScaled, short_of);
  EXPECT_EQ(entitled.guarantee_milli, short_of ? entitled.entitled_milli : claim.guarantee_milli);
  if (short_of) {
    EXPECT_LE(entitled.entitled_milli, Low(claim) + 1);
    EXPECT_LE(entitled.idle_milli, Idle(claim));
    return;
  }
  EXPECT_GE(entitled.entitled_milli, Low(claim)) << "below the floor";
  EXPECT_EQ(entitled.idle_milli, Idle(claim));
}

// Whoever is below its ceiling has per weight at least what anybody above its floor has.
void CheckMaxMin(const std::vector<Claim>& claims, const std::vector<Entitlement>& entitled) {
  for (std::size_t a = 0; a < claims.size(); ++a) {
    for (std::size_t b = 0; b < claims.size(); ++b) {
      if (entitled[a].entitled_milli >= High(claims[a])) continue;
      if (entitled[b].entitled_milli <= Low(claims[b])) continue;
      EXPECT_GE((entitled[a].entitled_milli + 1) * claims[b].weight_milli,
                (entitled[b].entitled_milli - 1) * claims[a].weight_milli)
          << claims[a].id.value << " has less than " << claims[b].id.value;
    }
  }
}

// A shortage is shared in proportion: floors and idle GPUs alike, to a milli-GPU.
void CheckScaled(const std::vector<Claim>& claims, const std::vector<Entitlement>& entitled,
                 MilliGpus amount, MilliGpus due) {
  for (std::size_t i = 0; i < claims.size(); ++i) {
    EXPECT_LE(std::abs(entitled[i].entitled_milli * due - Low(claims[i]) * amount), due);
    EXPECT_LE(std::abs(entitled[i].idle_milli * due - Idle(claims[i]) * amount), due);
  }
}

// Whole GPUs are the milli-GPUs rounded, and as many in all as there can be.
void CheckWhole(const std::vector<Claim>& claims, const std::vector<Entitlement>& entitled,
                MilliGpus milli, std::int64_t gpus) {
  bool room = false;  // for another whole GPU
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const MilliGpus own = entitled[i].entitled_milli;
    const MilliGpus whole = entitled[i].entitled_gpus * 1000;
    EXPECT_TRUE(whole == own / 1000 * 1000 || whole == (own / 1000 + 1) * 1000 ||
                (own % 1000 == 0 && whole == own - 1000));  // rounded up by less than a milli
    room |= whole <= own && own % 1000 > 1 && whole + 1000 <= High(claims[i]);
  }
  if (room) {
    EXPECT_EQ(gpus, milli / 1000) << "a whole GPU was left over";
  }
}

void Level(std::uint64_t seed) {
  Dice dice(seed);
  const std::vector<Claim> claims = Claims(dice);
  const MilliGpus amount = Amount(dice, 120);
  const std::vector<Entitlement> entitled = FillLevel(claims, amount, amount / 1000);
  MilliGpus low = 0;
  MilliGpus high = 0;
  MilliGpus idle = 0;
  for (const Claim& claim : claims) {
    low += Low(claim);
    high += High(claim);
    idle += Idle(claim);
  }
  const bool short_of = low + idle > amount;
  MilliGpus milli = 0;
  MilliGpus kept = 0;
  std::int64_t gpus = 0;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    CheckOne(claims[i], entitled[i], short_of);
    milli += entitled[i].entitled_milli;
    kept += entitled[i].idle_milli;
    gpus += entitled[i].entitled_gpus;
  }
  EXPECT_LE(milli + kept, amount) << "more than there is";
  EXPECT_LE(gpus * 1000, milli);
  CheckWhole(claims, entitled, milli, gpus);
  if (short_of) {
    CheckScaled(claims, entitled, amount, low + idle);
    return;
  }
  EXPECT_EQ(milli, std::min(amount - idle, high)) << "something was left over";
  CheckMaxMin(claims, entitled);
}

void Permuted(std::uint64_t seed) {
  Dice dice(seed);
  std::vector<Claim> claims = Claims(dice);
  const MilliGpus amount = Amount(dice, 120);
  const std::vector<Entitlement> before = FillLevel(claims, amount, amount / 1000);
  for (std::size_t i = claims.size(); i > 1; --i) {
    std::swap(claims[i - 1],
              claims[static_cast<std::size_t>(dice.Roll(0, static_cast<std::int64_t>(i) - 1))]);
  }
  const std::vector<Entitlement> after = FillLevel(claims, amount, amount / 1000);
  for (std::size_t i = 0; i < claims.size(); ++i) {
    EXPECT_EQ(after[i], before[static_cast<std::size_t>(claims[i].id.value) - 1]);
  }
}

void MoreWeight(std::uint64_t seed) {
  Dice dice(seed);
  std::vector<Claim> claims = Claims(dice);
  const MilliGpus amount = Amount(dice, 120);
  const std::vector<Entitlement> before = FillLevel(claims, amount, amount / 1000);
  const auto i =
      static_cast<std::size_t>(dice.Roll(0, static_cast<std::int64_t>(claims.size()) - 1));
  claims[i].weight_milli += dice.Chance(50) ? dice.Roll(1, 50) : dice.Roll(1, 5000);
  const std::vector<Entitlement> after = FillLevel(claims, amount, amount / 1000);
  EXPECT_GE(after[i].entitled_milli, before[i].entitled_milli);
  EXPECT_GE(after[i].entitled_gpus, before[i].entitled_gpus);
}

std::string Text(const Entitlement& own) {
  return std::to_string(own.demand_milli) + " asked, " + std::to_string(own.entitled_milli) + ", " +
         std::to_string(own.entitled_gpus) + " GPUs, idle " + std::to_string(own.idle_milli) +
         ", guarantee " + std::to_string(own.guarantee_milli) + ", by " +
         std::to_string(static_cast<int>(own.by));
}

void LevelLikeTheTwin(std::uint64_t seed) {
  Dice dice(seed);
  const std::vector<Claim> claims = Claims(dice);
  const MilliGpus amount = Amount(dice, 120);
  const std::int64_t gpus = dice.Chance(50) ? amount / 1000 : dice.Roll(0, amount / 1000);
  const std::vector<Entitlement> entitled = FillLevel(claims, amount, gpus);
  const std::vector<Entitlement> expected = test::NaiveFillLevel(claims, amount, gpus);
  for (std::size_t i = 0; i < claims.size(); ++i) {
    EXPECT_EQ(Text(entitled[i]), Text(expected[i])) << "account " << claims[i].id.value;
  }
}

// Three levels; guarantees fit their parents'.
std::vector<testing::Row> RandomRows(Dice& dice) {
  std::vector<testing::Row> rows{{.name = "kz", .guarantee = 100, .kind = "cluster"}};
  const auto below = [&](std::int64_t parent, std::int64_t guarantee, const std::string& kind) {
    const std::int64_t count = dice.Roll(1, 4);
    for (std::int64_t i = 0; i < count; ++i) {
      testing::Row row{.parent = parent, .name = kind + std::to_string(i), .kind = kind};
      row.guarantee = dice.Roll(0, guarantee);
      guarantee -= row.guarantee;
      row.weight = dice.Roll(1, 5);
      if (dice.Chance(25)) row.borrow_max = dice.Roll(0, 30);
      if (dice.Chance(25)) row.lend_max = dice.Roll(0, 30);
      row.closed = dice.Chance(10);
      if (dice.Chance(25)) row.max_running = dice.Roll(0, 40);
      rows.push_back(row);
    }
  };
  below(1, 100, "sector");
  const auto sectors = static_cast<std::int64_t>(rows.size());
  for (std::int64_t id = 2; id <= sectors; ++id) {
    below(id, rows[static_cast<std::size_t>(id) - 1].guarantee, "project");
  }
  return rows;
}

bool HasOpenProject(const AccountTree& tree, AccountIndex account) {
  for (AccountIndex i = account; i < tree.subtree_end(account); ++i) {
    if (tree.HoldsJobs(i) && !tree.IsClosed(i)) return true;
  }
  return false;
}

// What an account asks for is what is asked for below it, as far as caps let it, and what is kept
// idle there.
void CheckDemand(const AccountTree& tree, const std::vector<Entitlement>& entitled,
                 AccountIndex parent) {
  MilliGpus demand = 0;
  for (const AccountIndex child : tree.children(parent)) {
    const Share& share = tree.share(child, kType);
    const MilliGpus own = entitled[At(child)].demand_milli;
    MilliGpus most = own;
    if (const auto cap = tree.ShareCap(child, kType)) most = std::min(most, *cap);
    const auto limit = tree.account(child).settings.account_limits.running_milli;
    demand += limit ? std::min(most, *limit) : most;
    if (!share.lend_max_milli || !HasOpenProject(tree, child)) continue;
    const MilliGpus idle =
        std::max<MilliGpus>(0, share.guarantee_milli - *share.lend_max_milli - own);
    demand += idle;
    if (entitled[At(child)].by != EntitledBy::kScaled) {
      EXPECT_EQ(entitled[At(child)].idle_milli, idle);
    }
  }
  EXPECT_EQ(entitled[At(parent)].demand_milli, demand);
}

void WholeTree(std::uint64_t seed) {
  Dice dice(seed);
  const AccountTree tree = testing::Tree(RandomRows(dice));
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  for (MilliGpus& one : demand) one = Amount(dice, 50);
  const MilliGpus capacity = dice.Chance(70) ? 100'000 : Amount(dice, 100);
  const std::vector<Entitlement> entitled = Entitle(tree, kType, capacity, demand);
  EXPECT_LE(entitled[0].entitled_gpus * 1000, capacity);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    const Entitlement& own = entitled[At(i)];
    EXPECT_LE(own.entitled_milli, own.demand_milli);
    if (tree.children(i).empty()) continue;
    CheckDemand(tree, entitled, i);
    MilliGpus milli = 0;
    std::int64_t gpus = 0;
    for (const AccountIndex child : tree.children(i)) {
      milli += entitled[At(child)].entitled_milli + entitled[At(child)].idle_milli;
      gpus += entitled[At(child)].entitled_gpus;
    }
    EXPECT_LE(milli, own.entitled_milli);
    EXPECT_LE(gpus, own.entitled_gpus);
    // Without a shortage at this level everything given is used.
    if (entitled[At(tree.children(i)[0])].by != EntitledBy::kScaled) {
      EXPECT_EQ(milli, own.entitled_milli);
    }
  }
}

void TreeLikeTheTwin(std::uint64_t seed) {
  Dice dice(seed);
  const AccountTree tree = testing::Tree(RandomRows(dice));
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  for (MilliGpus& one : demand) one = Amount(dice, 50);
  const MilliGpus capacity = dice.Chance(50) ? 100'000 : Amount(dice, 100);
  const std::vector<Entitlement> entitled = Entitle(tree, kType, capacity, demand);
  const std::vector<Entitlement> expected = test::NaiveEntitle(tree, kType, capacity, demand);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    EXPECT_EQ(Text(entitled[At(i)]), Text(expected[At(i)])) << tree.path(i);
  }
}

// Of any account, at any level, even where guarantees are cut.
void MoreWeightInATree(std::uint64_t seed) {
  Dice dice(seed);
  std::vector<testing::Row> rows = RandomRows(dice);
  const AccountTree tree = testing::Tree(rows);
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  for (MilliGpus& one : demand) one = Amount(dice, 50);
  const MilliGpus capacity = Amount(dice, 100);
  const auto before = Entitle(tree, kType, capacity, demand);
  const std::int64_t heavier = dice.Roll(2, std::ssize(rows));
  rows[static_cast<std::size_t>(heavier) - 1].weight += dice.Roll(1, 5);
  const auto after = Entitle(testing::Tree(rows), kType, capacity, demand);
  const std::size_t at = At(tree.IndexOf(AccountId{heavier}));
  EXPECT_GE(after[at].entitled_milli, before[at].entitled_milli);
  EXPECT_GE(after[at].entitled_gpus, before[at].entitled_gpus);
}

// A project becomes an institution of several that ask for the same together: nothing changes.
void SplitInside(std::uint64_t seed) {
  Dice dice(seed);
  std::vector<testing::Row> rows = RandomRows(dice);
  const AccountTree tree = testing::Tree(rows);
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  for (MilliGpus& one : demand) one = Amount(dice, 50);
  const std::vector<Entitlement> before = Entitle(tree, kType, 100'000, demand);

  const auto victim = static_cast<std::int64_t>(rows.size());  // the last project
  rows.back().kind = "institution";
  const std::int64_t parts = dice.Roll(1, 3);
  for (std::int64_t i = 0; i < parts; ++i) {
    rows.push_back(
        {.parent = victim, .name = "part" + std::to_string(i), .weight = dice.Roll(1, 9)});
  }
  const AccountTree split = testing::Tree(rows);
  std::vector<MilliGpus> parted(At(split.size()), 0);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    parted[At(split.IndexOf(tree.id(i)))] = demand[At(i)];
  }
  MilliGpus left = demand[At(tree.IndexOf(AccountId{victim}))];
  const auto children = split.children(split.IndexOf(AccountId{victim}));
  for (const AccountIndex child : children) {
    parted[At(child)] = child == children.back() ? left : dice.Roll(0, left);
    left -= parted[At(child)];
  }
  const std::vector<Entitlement> after = Entitle(split, kType, 100'000, parted);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    EXPECT_EQ(after[At(split.IndexOf(tree.id(i)))], before[At(i)]);
  }
}

// What is lent of guarantees is not used, and is exactly what free GPUs do not make up for.
void LentFits(std::uint64_t seed) {
  Dice dice(seed);
  const AccountTree tree = testing::Tree(RandomRows(dice));
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  std::vector<MilliGpus> allocated(At(tree.size()), 0);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    if (!tree.children(i).empty()) continue;
    demand[At(i)] = Amount(dice, 60);
    const MilliGpus runs = dice.Chance(70) ? Amount(dice, 30) : 0;
    for (AccountIndex j = i; j != kNoAccount; j = tree.parent(j)) allocated[At(j)] += runs;
  }
  const MilliGpus free = Amount(dice, 60);
  const auto entitled = Entitle(tree, kType, allocated[0] + free, demand);
  const std::vector<MilliGpus> lent = Lent(tree, entitled, allocated, free);
  const auto kept = [&](AccountIndex i) {
    MilliGpus idle = 0;
    for (AccountIndex j = i; j < tree.subtree_end(i); ++j) idle += entitled[At(j)].idle_milli;
    return idle;
  };
  const MilliGpus idle = kept(kRootIndex);
  const auto unused = [&](AccountIndex i) {
    return std::max<MilliGpus>(0, entitled[At(i)].guarantee_milli - allocated[At(i)] - kept(i));
  };
  for (AccountIndex parent = 0; parent < tree.size(); ++parent) {
    MilliGpus all = 0;
    MilliGpus all_lent = 0;
    for (const AccountIndex child : tree.children(parent)) {
      EXPECT_GE(lent[At(child)], 0);
      EXPECT_LE(lent[At(child)], unused(child));
      all += unused(child);
      all_lent += lent[At(child)];
    }
    if (parent == kRootIndex) {
      EXPECT_EQ(all_lent, std::max<MilliGpus>(0, all - std::max<MilliGpus>(0, free - idle)));
    }
  }
}

TEST(QuotaEntitlement, WhatIsLentIsNotUsed) { property::ForEachSeed(LentFits); }
TEST(QuotaEntitlement, EveryClauseOfALevel) { property::ForEachSeed(Level); }
TEST(QuotaEntitlement, OrderOfSiblingsDoesNotMatter) { property::ForEachSeed(Permuted); }
TEST(QuotaEntitlement, MoreWeightNeverGetsLess) { property::ForEachSeed(MoreWeight); }
TEST(QuotaEntitlement, MoreWeightInATree) { property::ForEachSeed(MoreWeightInATree); }
TEST(QuotaEntitlement, LevelLikeTheTwin) { property::ForEachSeed(LevelLikeTheTwin); }
TEST(QuotaEntitlement, TreeLikeTheTwin) { property::ForEachSeed(TreeLikeTheTwin); }
TEST(QuotaEntitlement, LevelsFitTheirParents) { property::ForEachSeed(WholeTree); }
TEST(QuotaEntitlement, SplittingInsideChangesNothing) { property::ForEachSeed(SplitInside); }

}  // namespace
}  // namespace kezek::quota

// Goal: nodes dedicated to accounts and lanes of classes are pools of their own: nobody else starts
// there, what runs there is in no guarantee, and the shared nodes are as they would be without it.
// Method: small worlds whose plans a reader can check by hand; an alien start for verify.

#include <gtest/gtest.h>

#include "scheduler/engine/engine.h"
#include "scheduler/engine/verify.h"
#include "scheduler/engine/world.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

// Projects 2 and 3; n1 is dedicated to 2; n2 is everybody's.
SmallTree Dedicated(MilliGpus guarantee_gpus = 0) {
  SmallTree tree;
  tree.Add(2, 1, guarantee_gpus).dedicated_nodes = {"n1"};
  tree.Add(3, 1);
  return tree;
}

JobSpec Of(const std::string& job_class, JobSpec spec) {
  spec.job_class = job_class;
  return spec;
}

const Standing& StandingOf(const Plan& plan, std::int64_t account) {
  return plan.standings.at({AccountId{account}, "h200"});
}

TEST(Pools, AnIdleDedicatedNodeTakesNoStranger) {
  Engine engine = EngineWith(Dedicated(), 2);
  engine.SetWaiting(Queued(1, Gang(3, 1, 8)));
  engine.SetWaiting(Queued(2, Gang(3, 1, 8)));
  engine.SetWaiting(Queued(3, Gang(3, 2, 8)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n2");
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(ReasonOf(plan, 2).fields.at("free"), "0");
  EXPECT_EQ(ReasonOf(plan, 3).code, ReasonCode::kNeverFitsMachine) << "no gang spans two pools";
  EXPECT_EQ(plan.capacity_milli.at("h200"), 8000);
}

TEST(Pools, ItsOwnJobsStartThereFirstAndThenOnSharedNodes) {
  Engine engine = EngineWith(Dedicated(), 2);
  for (int id = 1; id <= 3; ++id) engine.SetWaiting(Queued(id, Gang(2, 1, 8)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1 2@n2");
  EXPECT_EQ(ReasonOf(plan, 3).code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(ReasonOf(plan, 3).fields.at("dedicated"), "a2");
  EXPECT_EQ(plan.waiting.All().at({JobId{3}}).place_in_project, 1);
  EXPECT_TRUE(plan.dropped.empty());
}

TEST(Pools, WhatStartsThereCountsInTheOrdersAfter) {
  Engine engine = EngineWith(Dedicated(), 2);
  for (int id = 1; id <= 2; ++id) engine.SetWaiting(Queued(id, Gang(2, 1, 8)));
  engine.SetWaiting(Queued(3, Gang(3, 1, 8)));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n1 3@n2") << "though nothing is booked yet";
  engine.SetHolding(
      HoldingOf({.job = {JobId{9}}, .placement = {{"n1", 1, {}}}}, Queued(9, Gang(2, 1, 1))));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n2") << "who waits there in vain has got nothing";
  engine.SetWaiting(Queued(1, Of("scavenger", Gang(2, 1, 7))));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n1 2@n2") << "usage of scavengers is nobody's";
}

TEST(Pools, WhatStartsThereCountsForItsUser) {
  Engine engine = EngineWith(Dedicated(), 2);
  for (int id = 1; id <= 2; ++id) engine.SetWaiting(Queued(id, Gang(2, 1, 8), 1));
  engine.SetWaiting(Queued(3, Gang(2, 1, 8), 2));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n1 3@n2");
}

TEST(Pools, AnArrayStartsInBoth) {
  Engine engine = EngineWith(Dedicated(), 2);
  JobSpec spec = Gang(2, 1, 4);
  spec.array = ArraySpec{{{0, 4, 1}}, 0};
  engine.SetWaiting(Queued(1, spec));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1_0@n1 1_1@n1 1_2@n2 1_3@n2");
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(StandingOf(plan, 2).demand_milli, 12'000) << "what has not started on its own nodes";
}

TEST(Pools, UseOfThemLeavesTheGuaranteeWhole) {
  Engine engine = EngineWith(Dedicated(8), 2);
  engine.SetWaiting(Queued(1, Gang(2, 1, 8)));
  const Plan first = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(first), "1@n1");
  EXPECT_EQ(StandingOf(first, 2).allocated_milli, 0);
  EXPECT_EQ(StandingOf(first, 2).apart_milli, 8000);
  EXPECT_EQ(StandingOf(first, 1).apart_milli, 8000);
  engine.SetHolding(HoldingOf(first.starts.at(0), Queued(1, Gang(2, 1, 8))));
  engine.RemoveWaiting({JobId{1}});
  // Though 3 has used nothing, 2 goes first: all of its guarantee is still there.
  engine.Book({AccountId{2}, UserId{1}, "h200", kNoon, 1'000'000});
  engine.SetWaiting(Queued(2, Gang(3, 1, 8)));
  engine.SetWaiting(Queued(3, Of("realtime", Gang(2, 1, 8))));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "3@n2");
}

TEST(Pools, LimitsCountWhatRunsThere) {
  SmallTree tree = Dedicated();
  tree.directory().accounts.at(AccountId{2}).settings.account_limits.running_milli = 8000;
  Engine engine = EngineWith(tree, 2);
  engine.SetWaiting(Queued(1, Gang(2, 1, 8)));
  engine.SetWaiting(Queued(2, Gang(2, 1, 8)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1");
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kLimitAccountGpus);
  EXPECT_EQ(StandingOf(plan, 2).demand_milli, 0);
}

TEST(Pools, BorrowingAndClassesThatMayNotBePreemptedAreOfSharedNodes) {
  SmallTree tree = Dedicated();
  tree.directory().accounts.at(AccountId{2}).settings.shares["h200"].borrow_max_milli = 0;
  Engine engine = EngineWith(tree, 2);
  engine.SetWaiting(Queued(1, Of("realtime", Gang(2, 1, 4))));
  engine.SetWaiting(Queued(2, Of("normal", Gang(2, 1, 4))));
  engine.SetWaiting(Queued(3, Of("normal", Gang(2, 1, 1))));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1 2@n1");
  EXPECT_EQ(ReasonOf(plan, 3).code, ReasonCode::kLimitBorrow);
  EXPECT_TRUE(plan.dropped.empty());
}

// Four GPUs are above the cap of one, and no part of a guarantee, but its own node takes them.
TEST(Pools, SettingsOfSharedNodesBarNothingThatItsOwnNodesCouldHold) {
  for (const char* job_class : {"normal", "realtime"}) {
    SmallTree tree = Dedicated();
    AccountSettings& own = tree.directory().accounts.at(AccountId{2}).settings;
    own.shares["h200"].borrow_max_milli = 1000;
    Engine engine = EngineWith(tree, 2);
    engine.SetHolding(
        HoldingOf({.job = {JobId{9}}, .placement = {{"n1", 8, {}}}, .counted_milli = 8000},
                  Queued(9, Gang(2, 1, 8))));
    engine.SetWaiting(Queued(1, Of(job_class, Gang(2, 1, 4))));
    engine.SetWaiting(Queued(2, Of(job_class, Gang(2, 2, 4))));
    const Plan plan = engine.Decide(kNoon);
    EXPECT_EQ(StartsText(plan), "");
    EXPECT_NE(ReasonOf(plan, 1).code, ReasonCode::kNeverFitsLimit) << job_class;
    EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kNeverFitsLimit) << "it has no second node";
    EXPECT_EQ(StandingOf(plan, 2).demand_milli, 0) << "of shared nodes";
    own.dedicated_nodes.clear();
    engine.SetDirectory(tree.Make());
    EXPECT_EQ(ReasonOf(engine.Decide(kNoon), 1).code, ReasonCode::kNeverFitsLimit) << job_class;
    own.dedicated_nodes = {"n2"};
    engine.SetDirectory(tree.Make());
    EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n2") << job_class;
    Node small = H200("n2");
    small.gpus = 2;
    engine.SetNode(small);
    EXPECT_EQ(ReasonOf(engine.Decide(kNoon), 1).code, ReasonCode::kNeverFitsLimit) << "it shrank";
  }
}

TEST(Pools, WhatSettingsBarIsInNoOrderOfAnyPool) {
  SmallTree tree = Dedicated();
  Engine engine = EngineWith(tree, 2);
  engine.SetWaiting(Queued(1, Gang(2, 1, 4)));
  engine.SetWaiting(Queued(2, Gang(2, 1, 4)));
  engine.Decide(kNoon);
  tree.directory().accounts.at(AccountId{2}).settings.account_limits.job_milli = 3999;
  engine.SetDirectory(tree.Make());
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "");
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kNeverFitsLimit);
  EXPECT_TRUE(plan.dropped.empty());
}

TEST(Pools, ALongArrayAsksForSharedNodesUnlessALaneTakesIt) {
  SmallTree tree;
  tree.Add(2, 1).dedicated_nodes = {"n2"};
  tree.directory().classes["debug"].nodes = {"n1"};
  Engine engine = EngineWith(tree, 4);
  JobSpec spec = Gang(2, 1, 4);
  spec.array = ArraySpec{{{0, 99, 1}}, 0};
  Waiting row = Queued(1, spec);
  row.elements = {0, 1, 2};
  row.more = 97;
  engine.SetWaiting(row);
  Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1_0@n2 1_1@n2 1_2@n3");
  EXPECT_EQ(StandingOf(plan, 2).demand_milli, 98 * 4000) << "all but what is on its own node";
  spec.job_class = "debug";
  Waiting debug = Queued(1, spec);
  debug.elements = {0, 1, 2};
  debug.more = 97;
  engine.SetWaiting(debug);
  plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1_0@n1 1_1@n1");
  EXPECT_EQ(StandingOf(plan, 2).demand_milli, 0);
}

// What is new, or has changed elsewhere, is no reason to put a queue in order anew.
TEST(Pools, AChangeOfTheTreePutsOnlyThoseInOrderAnewThatMove) {
  SmallTree tree;
  tree.Add(2, 1, 0, "institution").dedicated_nodes = {"n1"};
  tree.Add(3, 2);
  tree.Add(4, 1);
  tree.Add(5, 1);
  Engine engine = EngineWith(tree, 1);  // no shared node: only those of 2 start
  for (std::int64_t job = 1; job <= 30; ++job) {
    engine.SetWaiting(Queued(job, Gang(3 + job % 3, 1, 8)));
  }
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "3@n1");
  auto keyed = [&engine, &tree, before = engine.keyed()]() mutable {
    engine.SetDirectory(tree.Make());
    engine.Decide(kNoon);
    return engine.keyed() - std::exchange(before, engine.keyed());
  };
  tree.Add(6, 1);
  EXPECT_EQ(keyed(), 0) << "a new account, of which nothing waits";
  tree.directory().accounts.at(AccountId{4}).parent = AccountId{2};
  EXPECT_EQ(keyed(), 10) << "its own only";
  EXPECT_EQ(ReasonOf(engine.Decide(kNoon), 1).fields.at("dedicated"), "a2") << "it may, too";
  tree.directory().accounts.at(AccountId{4}).parent = kRootAccount;
  EXPECT_EQ(keyed(), 10);
  EXPECT_EQ(ReasonOf(engine.Decide(kNoon), 1).code, ReasonCode::kNeverFitsMachine);
  EXPECT_TRUE(engine.Audit(0, 1).empty());
}

TEST(Pools, NodesGivenOnAreThoseOfTheLowestAccount) {
  SmallTree tree;
  tree.Add(2, 1, 0, "institution").dedicated_nodes = {"n1", "n2"};
  tree.Add(3, 2).dedicated_nodes = {"n1"};
  tree.Add(4, 2);
  Engine engine = EngineWith(tree, 2);
  engine.SetWaiting(Queued(1, Gang(4, 1, 8)));
  engine.SetWaiting(Queued(2, Gang(4, 1, 8)));
  engine.SetWaiting(Queued(3, Gang(3, 1, 8)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "3@n1 1@n2");
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(ReasonOf(plan, 2).fields.at("dedicated"), "a2");
}

TEST(Pools, WhatAClosedAccountHadIsSharedAgain) {
  SmallTree tree = Dedicated();
  tree.directory().accounts.at(AccountId{2}).closed = true;
  Engine engine = EngineWith(tree, 2);
  engine.SetWaiting(Queued(1, Gang(3, 2, 8)));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n1,n2");
}

TEST(Pools, SettingsChangeWhatIsShared) {
  SmallTree tree = Dedicated(8);
  Engine engine = EngineWith(tree, 2);
  const Waiting job = Queued(1, Gang(2, 1, 8));
  engine.SetWaiting(job);
  engine.SetHolding(HoldingOf(engine.Decide(kNoon).starts.at(0), job));
  engine.RemoveWaiting(job.ref);
  engine.SetWaiting(Queued(2, Gang(3, 1, 8)));
  engine.SetWaiting(Queued(3, Gang(3, 1, 8)));
  tree.directory().accounts.at(AccountId{2}).settings.dedicated_nodes.clear();
  engine.SetDirectory(tree.Make());
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StandingOf(plan, 2).allocated_milli, 8000) << "inside its guarantee now";
  EXPECT_EQ(StandingOf(plan, 2).apart_milli, 0);
  EXPECT_EQ(StartsText(plan), "2@n2");
  EXPECT_TRUE(engine.Audit(0, 1).empty());
}

TEST(Pools, ADebugJobStartsAtOnceOnItsLaneBehindAThousand) {
  SmallTree tree;
  tree.Add(2, 1);
  tree.Add(3, 1);
  tree.directory().classes["debug"].nodes = {"n1"};
  Engine engine = EngineWith(tree, 3);
  for (int id = 1; id <= 1000; ++id) engine.SetWaiting(Queued(id, Of("normal", Gang(2, 1, 8))));
  engine.SetWaiting(Queued(1001, Of("debug", Gang(2, 1, 4))));
  engine.SetWaiting(Queued(1002, Of("debug", Gang(3, 1, 8))));
  engine.SetWaiting(Queued(1003, Of("debug", Gang(3, 2, 8))));
  engine.Book({AccountId{3}, UserId{1}, "h200", kNoon, 1'000'000});
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1001@n1 1@n2 2@n3");
  EXPECT_EQ(ReasonOf(plan, 1002).code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(ReasonOf(plan, 1002).fields.at("lane"), "debug");
  EXPECT_EQ(ReasonOf(plan, 1003).code, ReasonCode::kNeverFitsMachine) << "its class has one node";
  EXPECT_EQ(StandingOf(plan, 3).demand_milli, 0) << "of shared nodes";
}

TEST(Pools, VerifyDropsAStartOnAnothersNode) {
  struct Case {
    const char* what;
    JobSpec spec;
    Placement placement;
  };
  SmallTree tree = Dedicated();
  tree.directory().classes["debug"].nodes = {"n3"};
  const Case cases[] = {
      {"dedicated to 'a2'", Gang(3, 1, 8), {{"n1", 8, {}}}},
      {"a lane's", Gang(3, 1, 8), {{"n3", 8, {}}}},
      {"has a lane", Of("debug", Gang(3, 1, 8)), {{"n2", 8, {}}}},
      {"nodes of two pools", Gang(2, 2, 8), {{"n1", 8, {}}, {"n2", 8, {}}}},
  };
  for (const Case& one : cases) {
    World world(EngineConfig{}, tree.Make());
    for (const char* node : {"n1", "n2", "n3"}) world.SetNode(H200(node));
    world.SetWaiting(Queued(1, one.spec));
    world.Refresh(kNoon);
    Plan plan;
    plan.starts.push_back({.job = {JobId{1}},
                           .row = {JobId{1}},
                           .placement = one.placement,
                           .counted_milli = world.CountedOf(one.spec)});
    const std::map<std::string, std::vector<quota::Entitlement>> entitled;
    const auto violation = FirstViolation({&world, kNoon, &entitled}, plan);
    ASSERT_TRUE(violation.has_value()) << one.what;
    EXPECT_NE(violation->rule.find(one.what), std::string::npos) << violation->rule;
  }
}

}  // namespace
}  // namespace kezek::engine

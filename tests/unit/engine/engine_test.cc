// Goal: events in, a plan out, as semantics says: who starts first, what stops a job and why, what
// each account's standing is. Method: small worlds whose plans a reader can check by hand.

#include "scheduler/engine/engine.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>
#include <vector>

#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

TEST(EngineTest, StartsWhatFitsAndSaysWhatTheRestWaitsFor) {
  Engine engine = EngineWith(TwoProjects(), 2);
  engine.SetWaiting(Queued(1, Gang(2, 2, 8)));
  engine.SetWaiting(Queued(2, Gang(2, 1, 1)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1,n2");
  const Reason reason = ReasonOf(plan, 2);
  EXPECT_EQ(reason.code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(reason.fields.at("free"), "0");
  EXPECT_EQ(plan.waiting.All().at({JobId{2}}).rank, 1);
  EXPECT_EQ(plan.waiting.All().at({JobId{2}}).place_in_project, 1);
  EXPECT_TRUE(plan.dropped.empty());
}

TEST(EngineTest, DecideChangesNothingItKnows) {
  Engine engine = EngineWith(TwoProjects(), 1);
  engine.SetWaiting(Queued(1, Gang(2, 1, 8)));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n1");
  EXPECT_EQ(StartsText(engine.Decide(kNoon + 1)), "1@n1");
  EXPECT_EQ(engine.FreeGpus().at("n1"), 8);
}

TEST(EngineTest, WhatAnAttemptHoldsIsFreeOnlyWhenItIsRemoved) {
  Engine engine = EngineWith(TwoProjects(), 1);
  const Waiting first = Queued(1, Gang(2, 1, 8));
  engine.SetWaiting(first);
  Holding holding = HoldingOf(engine.Decide(kNoon).starts.at(0), first);
  engine.RemoveWaiting(first.ref);
  engine.SetHolding(holding);
  engine.SetWaiting(Queued(2, Gang(2, 1, 1)));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "");
  holding.counts = false;  // ended; the cluster still shows it as completing
  engine.SetHolding(holding);
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "");
  engine.RemoveHolding(holding.attempt);
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "2@n1");
}

TEST(EngineTest, LeastUsageGoesFirst) {
  Engine engine = EngineWith(TwoProjects(), 1);
  engine.Book({AccountId{2}, UserId{1}, "h200", kNoon, 1'000'000});
  engine.SetWaiting(Queued(1, Gang(2, 1, 8)));
  engine.SetWaiting(Queued(2, Gang(3, 1, 8)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "2@n1");
  EXPECT_EQ(plan.standings.at({AccountId{2}, "h200"}).place, 1);  // alone in waiting
  EXPECT_EQ(plan.standings.at({AccountId{3}, "h200"}).allocated_milli, 8000);
  EXPECT_GT(plan.standings.at({AccountId{2}, "h200"}).usage_gpu_hours, 0.0);
}

TEST(EngineTest, InsideItsGuaranteeGoesBeforeLessUsage) {
  Engine engine = EngineWith(TwoProjects(8, 0), 1);
  engine.Book({AccountId{2}, UserId{1}, "h200", kNoon, 1'000'000});
  engine.SetWaiting(Queued(1, Gang(2, 1, 8)));
  engine.SetWaiting(Queued(2, Gang(3, 1, 8)));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n1");
}

TEST(EngineTest, ScavengersComeLast) {
  Engine engine = EngineWith(TwoProjects(), 1);
  JobSpec scavenger = Gang(2, 1, 1);
  scavenger.job_class = "scavenger";
  engine.SetWaiting(Queued(1, scavenger));
  engine.SetWaiting(Queued(2, Gang(3, 1, 7)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "2@n1 1@n1");
  EXPECT_EQ(plan.standings.at({AccountId{2}, "h200"}).demand_milli, 0);
  EXPECT_EQ(plan.standings.at({AccountId{2}, "h200"}).allocated_milli, 0);
}

TEST(EngineTest, LimitStopsAJobButNotThoseBehindIt) {
  SmallTree tree = TwoProjects();
  tree.Add(2, 1).account_limits.running_milli = 4000;
  Engine engine = EngineWith(tree, 1);
  engine.SetWaiting(Queued(1, Gang(2, 1, 4)));
  engine.SetWaiting(Queued(2, Gang(2, 1, 1)));
  engine.SetWaiting(Queued(3, Gang(3, 1, 4)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(plan.starts.size(), 2U);
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kLimitAccountGpus);
  EXPECT_EQ(plan.standings.at({AccountId{2}, "h200"}).demand_milli, 4000);
}

TEST(EngineTest, BorrowingHasItsCap) {
  SmallTree tree = TwoProjects();
  Share& share = tree.Add(2, 1, 2).shares["h200"];
  share.borrow_max_milli = 1000;
  Engine engine = EngineWith(tree, 1);
  for (int i = 1; i <= 4; ++i) engine.SetWaiting(Queued(i, Gang(2, 1, 1)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1 2@n1 3@n1");
  EXPECT_EQ(ReasonOf(plan, 4).code, ReasonCode::kLimitBorrow);
}

TEST(EngineTest, WhatMayNotBePreemptedStaysInsideEveryGuarantee) {
  Engine engine = EngineWith(TwoProjects(2), 1);
  JobSpec realtime = Gang(2, 1, 2);
  realtime.job_class = "realtime";
  engine.SetWaiting(Queued(1, realtime));
  engine.SetWaiting(Queued(2, realtime));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1");
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kClassNotPreemptible);
}

TEST(EngineTest, IdleGpusAreKeptFromOthers) {
  SmallTree tree = TwoProjects();
  tree.Add(2, 1, 6).shares["h200"].lend_max_milli = 2000;  // keeps 4 of its 6
  Engine engine = EngineWith(tree, 1);
  engine.SetWaiting(Queued(1, Gang(3, 1, 4)));
  engine.SetWaiting(Queued(2, Gang(3, 1, 1)));
  Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1");
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kGuaranteeProtected);
  EXPECT_EQ(ReasonOf(plan, 2).fields.at("kept"), "4");
  engine.SetWaiting(Queued(3, Gang(2, 1, 4)));  // the lender itself may have them
  plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "3@n1 1@n1");
}

TEST(EngineTest, AClosedLenderKeepsNothingIdle) {
  SmallTree tree;
  tree.Add(4, 1, 6, "institution").shares["h200"].lend_max_milli = 2000;
  tree.Add(2, 4, 6).shares["h200"].lend_max_milli = 2000;
  tree.Add(3, 1);
  Engine engine = EngineWith(tree, 1);
  engine.SetWaiting(Queued(1, Gang(3, 1, 8)));
  EXPECT_EQ(ReasonOf(engine.Decide(kNoon), 1).code, ReasonCode::kGuaranteeProtected);
  tree.directory().accounts[AccountId{2}].closed = true;
  engine.SetDirectory(tree.Make());
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1");
  EXPECT_EQ(plan.standings.at({AccountId{2}, "h200"}).idle_milli, 0);
  EXPECT_EQ(plan.standings.at({AccountId{4}, "h200"}).idle_milli, 0);
}

// 1,000 GPUs and a long array of which 512 elements are shown.
TEST(EngineTest, TheWholeOfAnArrayIsDemand) {
  SmallTree tree = TwoProjects();
  Engine engine = EngineWith(tree, 125);
  JobSpec spec = Gang(2, 1, 1);
  spec.array = ArraySpec{{{0, 511, 1}}, 0};
  Waiting array = Queued(1, spec);
  array.more = 1488;
  engine.SetWaiting(array);
  const auto standing = [&engine] {
    return engine.Decide(kNoon).standings.at({AccountId{2}, "h200"});
  };
  EXPECT_EQ(standing().demand_milli, 2'000'000);
  EXPECT_EQ(standing().entitled_milli, 1'000'000);
  EXPECT_EQ(engine.Decide(kNoon).starts.size(), 512U);

  AccountSettings& settings = tree.directory().accounts[AccountId{2}].settings;
  settings.account_limits.jobs_running = 700;
  engine.SetDirectory(tree.Make());
  EXPECT_EQ(standing().demand_milli, 700'000);
  const auto stopped = [&engine] {
    return engine.Decide(kNoon).stopped.at({AccountId{2}, "h200"});
  };
  EXPECT_EQ(stopped(), (StoppedDemand{.by_limits = 1'300'000}));

  // An hour of a GPU, and two minutes: 600 of these are held, and no more.
  settings.budgets = {
      {.name = "q4", .milli_gpu_hours = 620'000, .start_ms = 0, .end_ms = 2 * kNoon}};
  engine.SetDirectory(tree.Make());
  engine.SetBudget({AccountId{2}, "q4"}, {.granted = 620'000 * kHourMs, .left = 620'000 * kHourMs});
  EXPECT_EQ(standing().demand_milli, 600'000);
  EXPECT_EQ(stopped(), (StoppedDemand{.by_budgets = 1'400'000}));
}

TEST(EngineTest, WhatNoNodesCouldHoldIsNoDemand) {
  Engine engine = EngineWith(TwoProjects(), 2);
  engine.SetWaiting(Queued(1, Gang(2, 3, 8)));
  JobSpec other = Gang(2, 1, 1);
  other.shape.gpu_type = "a100";
  engine.SetWaiting(Queued(2, other));
  engine.SetWaiting(Queued(3, Gang(2, 2, 8)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kNeverFitsMachine);
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kNoSuchGpuType);
  EXPECT_EQ(plan.standings.at({AccountId{2}, "h200"}).demand_milli, 16'000);
  EXPECT_EQ(plan.standings.at({AccountId{2}, "a100"}).demand_milli, 0);
}

TEST(EngineTest, WhatNoNodesCouldHoldTakesNoTurn) {
  Engine engine = EngineWith(TwoProjects(), 1);
  engine.SetWaiting(Queued(1, Gang(2, 2, 8)));  // was submitted when there were two nodes
  engine.SetWaiting(Queued(2, Gang(2, 1, 8)));
  engine.SetWaiting(Queued(3, Gang(3, 1, 8)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "2@n1") << "ties go to 2, which has taken nothing";
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kNeverFitsMachine);
  EXPECT_EQ(plan.waiting.All().at({JobId{1}}).rank, 1);
}

TEST(EngineTest, ArrayStartsElementByElement) {
  Engine engine = EngineWith(TwoProjects(), 1);
  JobSpec spec = Gang(2, 1, 3);
  spec.array = ArraySpec{{{3, 9, 2}}, 0};
  engine.SetWaiting(Queued(1, spec));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1_3@n1 1_5@n1");
  EXPECT_EQ(plan.starts.at(1).row, JobRef{JobId{1}});
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(plan.waiting.size(), 1U);
}

TEST(EngineTest, ArrayThatRunsAsManyAsItMaySaysSo) {
  Engine engine = EngineWith(TwoProjects(), 1);
  JobSpec spec = Gang(2, 1, 1);
  spec.array = ArraySpec{{{0, 9, 1}}, 4};
  Waiting row = Queued(1, spec);
  row.elements.clear();
  engine.SetWaiting(row);
  const Reason reason = ReasonOf(engine.Decide(kNoon), 1);
  EXPECT_EQ(reason.code, ReasonCode::kArrayLimit);
  EXPECT_EQ(reason.fields.at("limit"), "4");
}

TEST(EngineTest, NeverAndNotNowAreDifferent) {
  Engine engine = EngineWith(TwoProjects(), 1);
  engine.SetWaiting(Queued(1, Gang(2, 2, 8)));
  JobSpec other = Gang(2, 1, 1);
  other.shape.gpu_type = "a100";
  engine.SetWaiting(Queued(2, other));
  Node down = H200("n2");
  down.health = NodeHealth::kDown;
  engine.SetWaiting(Queued(3, Gang(3, 1, 9)));
  Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kNeverFitsMachine);
  EXPECT_EQ(ReasonOf(plan, 1).fields.at("field"), "shape.nodes");
  EXPECT_EQ(ReasonOf(plan, 1).fields.at("largest"), "1");
  EXPECT_EQ(ReasonOf(plan, 2).code, ReasonCode::kNoSuchGpuType);
  EXPECT_EQ(ReasonOf(plan, 2).fields.at("types"), "h200");
  EXPECT_EQ(ReasonOf(plan, 3).fields.at("field"), "shape.gpus_per_node");
  EXPECT_EQ(ReasonOf(plan, 3).fields.at("largest"), "8");
  engine.SetNode(down);  // configured, but not there now
  plan = engine.Decide(kNoon);
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kWaitsForGpus);
}

TEST(EngineTest, PreferredLeafIsWaitedForOnlySoLong) {
  Engine engine(EngineConfig{}, TwoProjects().Make());
  engine.SetNode(H200("n1", "l1"));
  engine.SetNode(H200("n2", "l1"));
  engine.SetNode(H200("n3", "l2"));
  const Waiting small = Queued(9, Gang(3, 1, 8));
  engine.SetHolding(HoldingOf({small.ref, small.ref, {{"n1", 8, {}}}, 8000}, small));
  JobSpec spec = Gang(2, 2, 8);
  spec.prefer = Domain::kLeaf;
  const Waiting job = Queued(1, spec);
  engine.SetWaiting(job);
  const TimeMs until = job.queued_since_ms + EngineConfig{}.topology_wait_ms;
  const Plan plan = engine.Decide(until - 1);
  EXPECT_EQ(ReasonOf(plan, 1).code, ReasonCode::kWaitsForTopology);
  EXPECT_EQ(ReasonOf(plan, 1).fields.at("until_ms"), std::to_string(until));
  EXPECT_EQ(StartsText(engine.Decide(until)), "1@n2,n3");
}

TEST(EngineTest, TheTickLooksOnlySoFar) {
  EngineConfig config;
  config.look = 3;
  config.look_project = 2;
  Engine engine = EngineWith(TwoProjects(), 2, config);
  const Waiting big = Queued(99, Gang(3, 2, 8));
  engine.SetHolding(HoldingOf({big.ref, big.ref, {{"n1", 8, {}}, {"n2", 8, {}}}, 16000}, big));
  for (int i = 1; i <= 5; ++i) engine.SetWaiting(Queued(i, Gang(2, 1, i)));
  for (int i = 6; i <= 8; ++i) engine.SetWaiting(Queued(i, Gang(3, 2, i - 5)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(plan.waiting.size(), 8U);
  int looked = 0;
  for (const auto& [ref, standing] : plan.waiting.All()) {
    looked += standing.reason.code == ReasonCode::kWaitsForGpus ? 1 : 0;
    EXPECT_GT(standing.place_in_project, 0);
  }
  EXPECT_EQ(looked, 3);
  EXPECT_EQ(ReasonOf(plan, 5).code, ReasonCode::kNotLookedAt);
  EXPECT_EQ(ReasonOf(plan, 5).fields.at("place"), "5");
}

TEST(EngineTest, AShapeThatFailedCountsOnce) {
  EngineConfig config;
  config.look = 2;
  Engine engine = EngineWith(TwoProjects(), 1, config);
  for (int i = 1; i <= 5; ++i) engine.SetWaiting(Queued(i, Gang(2, 1, 8)));
  engine.SetWaiting(Queued(6, Gang(2, 1, 4)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(plan.starts.size(), 1U);
  EXPECT_EQ(ReasonOf(plan, 5).code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(ReasonOf(plan, 6).code, ReasonCode::kWaitsForGpus);
}

TEST(EngineTest, ATickStartsOnlySoMany) {
  EngineConfig config;
  config.starts_max = 2;
  Engine engine = EngineWith(TwoProjects(), 1, config);
  for (int i = 1; i <= 4; ++i) engine.SetWaiting(Queued(i, Gang(2, 1, 1)));
  const Plan plan = engine.Decide(kNoon);
  EXPECT_EQ(StartsText(plan), "1@n1 2@n1");
  EXPECT_TRUE(plan.more);
  EXPECT_EQ(ReasonOf(plan, 3).code, ReasonCode::kNotLookedAt);
}

TEST(EngineTest, CountedGpusAreThoseKeptFromOthers) {
  Engine engine = EngineWith(TwoProjects(), 1);
  JobSpec spec = Gang(2, 1, 1);
  spec.shape.memory_mib_per_node = 512 * 1024;  // half of the node
  engine.SetWaiting(Queued(1, spec));
  EXPECT_EQ(engine.Decide(kNoon).starts.at(0).counted_milli, 4000);
}

TEST(EngineTest, NodesOutOfServiceGetNothing) {
  Engine engine = EngineWith(TwoProjects(), 0);
  Node node = H200("n1");
  node.health = NodeHealth::kDraining;
  engine.SetNode(node);
  engine.SetWaiting(Queued(1, Gang(2, 1, 1)));
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "");
  node.health = NodeHealth::kUp;
  node.drained_by_kezek = true;
  node.set_aside_until_ms = kNoon + 5;
  engine.SetNode(node);
  EXPECT_EQ(StartsText(engine.Decide(kNoon + 4)), "");
  EXPECT_EQ(StartsText(engine.Decide(kNoon + 5)), "1@n1");
}

// A job of four GPUs, two hours and secret data waits in project 2 while settings bar it.
TEST(EngineTest, WhatNewSettingsBarIsNoDemandUntilTheyAreWidened) {
  using enum ReasonCode;
  using Narrow = std::function<void(Directory&)>;
  const auto settings = [](Directory& d) -> AccountSettings& {
    return d.accounts[AccountId{2}].settings;
  };
  const std::vector<std::pair<ReasonCode, Narrow>> cases = {
      {kNeverFitsLimit, [&](Directory& d) { settings(d).account_limits.job_milli = 3999; }},
      {kNeverFitsLimit, [&](Directory& d) { settings(d).user_limits.job_milli = 3999; }},
      {kNeverFitsLimit, [&](Directory& d) { settings(d).account_limits.running_milli = 3999; }},
      {kNeverFitsLimit, [&](Directory& d) { settings(d).shares["h200"].borrow_max_milli = 3999; }},
      {kNeverFitsLimit, [](Directory& d) { d.classes["normal"].preemptible = false; }},
      {kNeverFitsLimit, [](Directory& d) { d.classes["normal"].user_limits.job_milli = 3999; }},
      {kTimeLimitTooLong,
       [&](Directory& d) { settings(d).account_limits.time_limit_ms = kHourMs; }},
      {kTimeLimitTooLong, [&](Directory& d) { settings(d).user_limits.time_limit_ms = kHourMs; }},
      {kTimeLimitTooLong, [](Directory& d) { d.classes["normal"].longest_limit_ms = kHourMs; }},
      {kTimeLimitTooLong,
       [](Directory& d) { d.classes["normal"].user_limits.time_limit_ms = kHourMs; }},
      {kTimeLimitTooLong,  // by a move
       [](Directory& d) { d.accounts[AccountId{2}].parent = AccountId{4}; }},
      {kClassNotAllowed, [&](Directory& d) { settings(d).classes = {"debug"}; }},
      {kClassificationNotAllowed,
       [&](Directory& d) { settings(d).highest_classification = "open"; }},
      {kProjectClosed, [](Directory& d) { d.accounts[AccountId{2}].closed = true; }},
      {kProjectClosed, [](Directory& d) { d.accounts[kRootAccount].closed = true; }},
  };
  for (const auto& [code, narrow] : cases) {
    SmallTree tree = TwoProjects();
    tree.Add(4, 1, 0, "institution").account_limits.time_limit_ms = kHourMs;
    tree.directory().classifications = {"open", "secret"};
    Engine engine = EngineWith(tree, 1);
    Node cleared = H200("n1");
    cleared.cleared = {"open", "secret"};
    engine.SetNode(cleared);
    JobSpec spec = Gang(2, 1, 4);
    spec.job_class = "normal";
    spec.time_limit_ms = 2 * kHourMs;
    spec.classification = "secret";
    engine.SetWaiting(Queued(1, spec));
    ASSERT_EQ(StartsText(engine.Decide(kNoon)), "1@n1");
    Directory narrowed = tree.directory();
    narrow(narrowed);
    engine.SetDirectory(std::make_shared<const Directory>(narrowed));
    const Plan barred = engine.Decide(kNoon);
    EXPECT_EQ(ReasonOf(barred, 1).code, code);
    EXPECT_EQ(StartsText(barred), "");
    EXPECT_EQ(barred.standings.at({AccountId{2}, "h200"}).demand_milli, 0);
    EXPECT_EQ(barred.waiting.All().at({JobId{1}}).rank, 0) << "it is in no order";
    engine.SetDirectory(tree.Make());
    EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1@n1");
  }
}

TEST(EngineTest, ANewDirectoryPutsOnlyThoseInOrderAnewThatItConcerns) {
  SmallTree tree = TwoProjects(8, 8);
  Engine engine = EngineWith(tree, 0);
  for (std::int64_t job = 1; job <= 20; ++job) {
    JobSpec spec = Gang(2 + job % 2, 1, 1);
    if (job <= 4) spec.time_limit_ms = kDayMs;  // two of each project
    engine.SetWaiting(Queued(job, spec));
  }
  engine.Decide(kNoon);
  auto keyed = [&engine, &tree, before = engine.keyed()]() mutable {
    engine.SetDirectory(tree.Make());
    engine.Decide(kNoon);
    return engine.keyed() - std::exchange(before, engine.keyed());
  };
  AccountSettings& settings = tree.directory().accounts[AccountId{2}].settings;
  settings.shares["h200"].weight_milli = 5000;
  settings.shares["h200"].guarantee_milli = 4000;
  settings.budgets = {{.name = "q4", .milli_gpu_hours = 0, .start_ms = 0, .end_ms = 2 * kNoon}};
  settings.account_limits.jobs_running = 1;
  EXPECT_EQ(keyed(), 0);
  settings.account_limits.time_limit_ms = kHourMs;
  EXPECT_EQ(keyed(), 0) << "two are taken out";
  settings.account_limits.time_limit_ms = kDayMs;
  EXPECT_EQ(keyed(), 2) << "and put back";
  tree.directory().accounts[AccountId{2}].closed = true;
  EXPECT_EQ(keyed(), 0);
  tree.directory().accounts[AccountId{2}].closed = false;
  EXPECT_EQ(keyed(), 10) << "its own only";
}

}  // namespace
}  // namespace kezek::engine

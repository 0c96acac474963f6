// Goal: every rule of verify catches a plan that breaks it, drops just that decision, and verifies
// the rest. Method: mutations of plans that are right, at least one for each rule; the unmutated
// plan passes.

#include "scheduler/engine/verify.h"

#include <gtest/gtest.h>

#include <functional>

#include "scheduler/engine/passes.h"
#include "scheduler/engine/recount.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

// Two leaves of two nodes; project 2 has a guarantee of 16 GPUs, project 3 has none.
class VerifyTest : public ::testing::Test {
 protected:
  VerifyTest() {
    tree_.Add(2, 1, 16);
    tree_.Add(3, 1, 0);
    Rebuild();
  }

  void Rebuild() {
    world_ = std::make_unique<World>(EngineConfig{}, tree_.Make());
    world_->SetNode(H200("n1", "l1"));
    world_->SetNode(H200("n2", "l1"));
    world_->SetNode(H200("n3", "l2"));
    world_->SetNode(H200("n4", "l2"));
  }

  Basis basis() { return {world_.get(), kNoon, &entitled_}; }

  Plan Decide() {
    world_->Refresh(kNoon);
    Draft draft(*world_, kNoon);
    Entitle(*world_, draft);
    entitled_ = draft.entitled;
    WalkInOrder(*world_, draft);
    EXPECT_FALSE(FirstViolation(basis(), draft.plan));
    return std::move(draft.plan);
  }

  // Breaks the plan, expects `rule` to catch it and Verify to leave a plan without it.
  void ExpectCaught(Plan plan, const std::function<void(Plan&)>& mutate, const std::string& rule) {
    mutate(plan);
    const auto violation = FirstViolation(basis(), plan);
    ASSERT_TRUE(violation) << "not caught: " << rule;
    EXPECT_NE(violation->rule.find(rule), std::string::npos) << violation->rule;
    const std::size_t before = plan.starts.size() + plan.preempts.size() + plan.reservations.size();
    Verify(basis(), plan);
    EXPECT_FALSE(FirstViolation(basis(), plan));
    ASSERT_FALSE(plan.dropped.empty());
    EXPECT_EQ(plan.dropped.front().second, violation->rule);
    EXPECT_EQ(plan.starts.size() + plan.preempts.size() + plan.reservations.size(),
              before - plan.dropped.size());
  }

  void Hold(std::int64_t id, JobSpec spec, Placement placement, TimeMs start_ms) {
    const Waiting job = Queued(id, std::move(spec));
    const MilliGpus counted = world_->CountedOn(job.spec->shape, placement);
    world_->SetHolding(HoldingOf({job.ref, job.ref, std::move(placement), counted}, job, start_ms));
  }

  SmallTree tree_;
  std::unique_ptr<World> world_;
  std::map<std::string, std::vector<quota::Entitlement>> entitled_;
};

TEST_F(VerifyTest, GpusAreGivenOnce) {
  world_->SetWaiting(Queued(1, Gang(2, 1, 8)));
  world_->SetWaiting(Queued(2, Gang(2, 1, 8)));
  const Plan plan = Decide();
  ExpectCaught(
      plan, [](Plan& p) { p.starts[1].placement = p.starts[0].placement; }, "twice");
}

TEST_F(VerifyTest, WhatRunsKeepsItsGpus) {
  world_->Refresh(kNoon);
  Hold(9, Gang(2, 1, 8), {{"n1", 8, {}}}, kNoon);
  world_->SetWaiting(Queued(1, Gang(2, 1, 8)));
  ExpectCaught(
      Decide(), [](Plan& p) { p.starts[0].placement[0].node = "n1"; }, "GPUs of n1");
}

TEST_F(VerifyTest, CpusAndMemoryAreNotExceeded) {
  JobSpec cpus = Gang(2, 1, 1);
  cpus.shape.cpus_per_node = 40;
  JobSpec memory = Gang(2, 1, 1);
  memory.shape.memory_mib_per_node = 600 * 1024;
  world_->SetWaiting(Queued(1, cpus));
  world_->SetWaiting(Queued(2, cpus));
  ExpectCaught(
      Decide(), [](Plan& p) { p.starts[1].placement = p.starts[0].placement; }, "CPUs");
  world_->SetWaiting(Queued(1, memory));
  world_->SetWaiting(Queued(2, memory));
  ExpectCaught(
      Decide(), [](Plan& p) { p.starts[1].placement = p.starts[0].placement; }, "memory");
}

TEST_F(VerifyTest, ExclusiveMeansAlone) {
  JobSpec alone = Gang(2, 1, 1);
  alone.shape.exclusive = true;
  world_->SetWaiting(Queued(1, alone));
  JobSpec small = Gang(2, 1, 0);
  small.shape.cpus_per_node = 1;
  world_->SetWaiting(Queued(2, small));
  const Plan plan = Decide();
  ExpectCaught(
      plan, [](Plan& p) { p.starts[1].placement[0].node = p.starts[0].placement[0].node; },
      "not shared");
  Node foreign = H200("n4", "l2");
  foreign.foreign_cpus = 1;
  world_->SetNode(foreign);
  ExpectCaught(
      Decide(), [](Plan& p) { p.starts[0].placement[0].node = "n4"; }, "one alone");
}

TEST_F(VerifyTest, GangsAreWhole) {
  world_->SetWaiting(Queued(1, Gang(2, 2, 4)));
  const Plan plan = Decide();
  ExpectCaught(
      plan, [](Plan& p) { p.starts[0].placement.pop_back(); }, "split");
  ExpectCaught(
      plan, [](Plan& p) { p.starts[0].placement[1] = p.starts[0].placement[0]; }, "a node twice");
  ExpectCaught(
      plan, [](Plan& p) { p.starts[0].placement[1].gpus = 3; }, "not what the gang needs");
  ExpectCaught(
      plan, [](Plan& p) { p.starts[0].counted_milli = 1; }, "counted GPUs");
}

TEST_F(VerifyTest, JobsStartOnceAndOnlyIfTheyMay) {
  JobSpec array = Gang(2, 1, 1);
  array.array = ArraySpec{{{0, 1, 1}}, 0};
  world_->SetWaiting(Queued(1, array));
  world_->SetWaiting(Queued(2, Gang(2, 1, 1)));
  world_->Refresh(kNoon);
  Hold(9, Gang(2, 1, 1), {{"n4", 1, {}}}, kNoon);
  const Plan plan = Decide();
  ExpectCaught(
      plan, [](Plan& p) { p.starts.push_back(p.starts[0]); }, "starts twice");
  ExpectCaught(
      plan, [](Plan& p) { p.starts[0].job.element = 7; }, "not one that may start");
  ExpectCaught(
      plan, [](Plan& p) { p.starts[0].row = p.starts[0].job = {JobId{77}}; }, "does not wait");
  world_->SetWaiting(Queued(9, Gang(2, 1, 1)));
  Plan again = plan;
  ExpectCaught(
      again, [](Plan& p) { p.starts[0].row = p.starts[0].job = {JobId{9}}; }, "still holds nodes");
}

TEST_F(VerifyTest, NodesServeAndAreAllowed) {
  JobSpec spec = Gang(2, 1, 8);
  spec.exclude_nodes = {"n2"};
  world_->SetWaiting(Queued(1, spec));
  Node down = H200("n3", "l2");
  down.health = NodeHealth::kDown;
  world_->SetNode(down);
  Node other = H200("n5", "l2");
  other.gpu_type = "a100";
  world_->SetNode(other);
  Plan plan = Decide();
  const auto move_to = [](const std::string& node) {
    return [node](Plan& p) { p.starts[0].placement[0].node = node; };
  };
  ExpectCaught(plan, move_to("n2"), "is excluded");
  ExpectCaught(plan, move_to("n3"), "out of service");
  ExpectCaught(plan, move_to("n5"), "another GPU type");
  ExpectCaught(plan, move_to("n9"), "is not known");
  Node labelled = H200("n1", "l1");
  labelled.labels = {"nvme"};
  world_->SetNode(labelled);
  spec.constraints = {"nvme"};
  world_->SetWaiting(Queued(1, spec));
  ExpectCaught(Decide(), move_to("n4"), "lacks label nvme");
  spec = Gang(2, 1, 8);
  spec.nodes = {"n1"};
  world_->SetWaiting(Queued(1, spec));
  ExpectCaught(Decide(), move_to("n4"), "not among the job's nodes");
  spec = Gang(2, 2, 8);
  spec.nodes = {"n1"};
  world_->SetWaiting(Queued(1, spec));
  ExpectCaught(Decide(), move_to("n0"), "is not known");
  ExpectCaught(
      Decide(),
      [](Plan& p) {
        p.starts[0].placement = {{"n2", 8, {}}, {"n4", 8, {}}};
      },
      "which the job names");
}

TEST_F(VerifyTest, DomainsHold) {
  JobSpec spec = Gang(2, 2, 8);
  spec.within = Domain::kLeaf;
  world_->SetWaiting(Queued(1, spec));
  const auto spread = [](Plan& p) { p.starts[0].placement = {{"n1", 8, {}}, {"n3", 8, {}}}; };
  ExpectCaught(Decide(), spread, "within one domain");
  spec.within = Domain::kAny;
  spec.prefer = Domain::kLeaf;  // still waited for
  world_->SetWaiting(Queued(1, spec));
  ExpectCaught(Decide(), spread, "within one domain");
}

TEST_F(VerifyTest, LimitsAndCapsHold) {
  const auto start_both = [](Plan& p) {
    p.starts.push_back(p.starts[0]);
    p.starts[1].job = p.starts[1].row = {JobId{2}};
    p.starts[1].placement[0].node = "n4";
  };
  const auto expect = [&](const std::function<void()>& settle, const std::string& rule) {
    tree_.Add(2, 1, 16);
    tree_.directory().classes["normal"].user_limits = {};
    settle();
    Rebuild();
    world_->SetWaiting(Queued(1, Gang(2, 1, 8)));
    world_->SetWaiting(Queued(2, Gang(2, 1, 8)));
    const Plan plan = Decide();
    ASSERT_EQ(StartsText(plan), "1@n1") << rule;
    ExpectCaught(plan, start_both, rule);
  };
  expect([&] { tree_.Add(2, 1, 16).account_limits.running_milli = 8000; }, "limit of account 'a2'");
  expect([&] { tree_.Add(2, 1, 16).account_limits.jobs_running = 1; }, "limit of account 'a2'");
  expect([&] { tree_.Add(2, 1, 16).user_limits.running_milli = 8000; }, "per user of account");
  expect([&] { tree_.Add(2, 1, 0).shares["h200"].borrow_max_milli = 8000; }, "borrow_max");
  expect([&] { tree_.directory().classes["normal"].user_limits.jobs_running = 1; }, "of class");
  const auto realtime_only = [&] {
    tree_.Add(2, 1, 8);
    tree_.directory().classes["normal"].preemptible = false;
  };
  expect(realtime_only, "may not be preempted");
}

TEST_F(VerifyTest, WhatOthersKeepStaysFree) {
  tree_.Add(2, 1, 16).shares["h200"].lend_max_milli = 0;
  Rebuild();
  for (int i = 1; i <= 3; ++i) world_->SetWaiting(Queued(i, Gang(3, 1, 8)));
  const Plan plan = Decide();
  ASSERT_EQ(plan.starts.size(), 2U);
  ExpectCaught(
      plan,
      [](Plan& p) {
        p.starts.push_back(p.starts[0]);
        p.starts[2].job = p.starts[2].row = {JobId{3}};
        p.starts[2].placement[0].node = "n4";
      },
      "keep idle");
}

TEST_F(VerifyTest, EarlierTiersGoFirst) {
  for (const char* name : {"n2", "n3", "n4"}) {
    Node node = world_->nodes().at(name);
    node.health = NodeHealth::kDown;
    world_->SetNode(node);
  }
  world_->SetWaiting(Queued(1, Gang(2, 1, 8)));
  world_->SetWaiting(Queued(2, Gang(3, 1, 8)));
  JobSpec scavenger = Gang(2, 1, 8);
  scavenger.job_class = "scavenger";
  world_->SetWaiting(Queued(3, scavenger));
  const Plan plan = Decide();
  ASSERT_EQ(StartsText(plan), "1@n1");
  for (const int later : {2, 3}) {
    ExpectCaught(
        plan,
        [later](Plan& p) {
          p.starts[0].job = p.starts[0].row = {JobId{later}};
          const auto all = p.waiting.All();
          p.waiting.Set({JobId{1}}, Gang(2, 1, 8), all.at({JobId{2}}));
        },
        "job 1 of an earlier tier");
  }
}

TEST_F(VerifyTest, ReservationsAreNotDelayed) {
  world_->SetWaiting(Queued(1, Gang(2, 1, 8)));
  world_->SetWaiting(Queued(2, Gang(3, 2, 8)));
  world_->Refresh(kNoon);
  Hold(9, Gang(3, 1, 8), {{"n4", 8, {}}}, kNoon);
  const Plan plan = Decide();
  ASSERT_EQ(StartsText(plan), "1@n3 2@n1,n2");
  const auto promise = [this](std::int64_t job, TimeMs from, std::vector<std::string> nodes,
                              ReservationNews news = ReservationNews::kGiven) {
    const auto row = world_->waiting().find({JobId{job}});
    ReservationChange change{.news = news};
    change.reservation.row = {JobId{job}};
    change.reservation.from_ms = from;
    if (row != world_->waiting().end()) {
      change.reservation.limit_ms = row->second.spec->time_limit_ms;
      change.reservation.shape = row->second.spec->shape;
    }
    for (auto& node : nodes) change.reservation.placement.push_back({node, 8, {}});
    return change;
  };
  const auto reserve = [&](TimeMs from, std::vector<std::string> nodes) {
    return [=](Plan& p) {
      p.starts.pop_back();
      p.reservations.push_back(promise(2, from, nodes));
    };
  };
  const TimeMs free = kNoon + kHourMs + 2 * kMinuteMs;  // with kill_margin
  Plan good = plan;
  reserve(free, {"n3", "n4"})(good);
  EXPECT_FALSE(FirstViolation(basis(), good));
  ExpectCaught(plan, reserve(free - 1, {"n2", "n3"}), "of job 2 is delayed");
  ExpectCaught(plan, reserve(free - 1, {"n1", "n4"}), "not free for it");
  ExpectCaught(plan, reserve(kNoon, {"n1"}), "as many nodes");
  ExpectCaught(
      plan, [&](Plan& p) { p.reservations.push_back(promise(77, kNoon, {"n1"})); },
      "does not wait");
  // What was promised before is kept, and moves later only where a rule says so.
  Reservation known = promise(2, kNoon + kMinuteMs, {"n1", "n2"}).reservation;
  world_->SetReservation(known);
  ExpectCaught(plan, reserve(free, {"n1", "n2"}), "moves later");
  ExpectCaught(
      plan,
      [&](Plan& p) {
        p.starts.pop_back();
        p.reservations.push_back(promise(2, kNoon - 1, {"n1", "n2"}, ReservationNews::kEarlier));
      },
      "past");
  known.placement = {{"n1", 8, {}}, {"n3", 8, {}}};
  world_->SetReservation(known);
  ExpectCaught(
      plan, [](Plan& p) { p.starts.pop_back(); }, "of job 2 is delayed");
}

class VerifyPreemptTest : public VerifyTest {
 protected:
  // Everything is taken: by project 3 since `start_ms`, in this class. Job 1 of project 2 waits.
  Plan Blocked(TimeMs start_ms, const std::string& job_class = "normal") {
    world_->Refresh(kNoon);
    JobSpec spec = Gang(3, 1, 8);
    spec.job_class = job_class;
    const char* names[] = {"n1", "n2", "n3", "n4"};
    for (int i = 0; i < 4; ++i) Hold(10 + i, spec, {{names[i], 8, {}}}, start_ms);
    world_->SetWaiting(Queued(1, Gang(2, 1, 8)));
    return Decide();
  }
  static std::function<void(Plan&)> Victim(std::int64_t job, std::int64_t for_job = 1) {
    return [job, for_job](Plan& p) { p.preempts.push_back({{{JobId{job}}, 1}, {JobId{for_job}}}); };
  }
};

TEST_F(VerifyPreemptTest, BorrowersGiveBack) {
  Plan plan = Blocked(kNoon - kHourMs);
  Victim(10)(plan);
  EXPECT_FALSE(FirstViolation(basis(), plan));
}

TEST_F(VerifyPreemptTest, ScavengersNeedNotBePastMinRun) {
  Plan plan = Blocked(kNoon, "scavenger");
  Victim(10)(plan);
  EXPECT_FALSE(FirstViolation(basis(), plan));
}

TEST_F(VerifyPreemptTest, VictimsAreRunningAndMayBePreempted) {
  const Plan plan = Blocked(kNoon - kHourMs);
  ExpectCaught(plan, Victim(77), "does not run");
  ExpectCaught(plan, Victim(10, 77), "it is for does not wait");
  world_->Refresh(kNoon);
  JobSpec realtime = Gang(3, 1, 8);
  realtime.job_class = "realtime";
  Hold(10, realtime, {{"n1", 8, {}}}, kNoon - kHourMs);
  ExpectCaught(plan, Victim(10), "may not be preempted");
  Hold(10, Gang(3, 1, 8), {{"n1", 8, {}}}, kNoon - kMinuteMs);
  ExpectCaught(plan, Victim(10), "min_run");
  JobSpec scavenger = Gang(2, 1, 8);
  scavenger.job_class = "scavenger";
  world_->SetWaiting(Queued(1, scavenger));
  ExpectCaught(Decide(), Victim(11), "scavenger preempts nobody");
}

TEST_F(VerifyPreemptTest, NoGuaranteeCoversTheVictim) {
  tree_.Add(3, 1, 8);
  Rebuild();
  const Plan plan = Blocked(kNoon - kHourMs);
  ExpectCaught(plan, Victim(10), "guarantee of 'a3' covers");  // the oldest, by number
  Plan other = plan;
  Victim(11)(other);
  EXPECT_FALSE(FirstViolation(basis(), other));
}

TEST_F(VerifyPreemptTest, TheJobIsInsideItsOwnGuarantee) {
  tree_.Add(2, 1, 4);
  Rebuild();
  ExpectCaught(Blocked(kNoon - kHourMs), Victim(10), "not inside its side's guarantee");
}

TEST_F(VerifyPreemptTest, NobodyPreemptsItsOwnProjectButRealtime) {
  Plan plan = Blocked(kNoon - kHourMs);
  world_->SetWaiting(Queued(2, Gang(3, 1, 8)));
  plan = Decide();
  ExpectCaught(plan, Victim(10, 2), "same project");
  tree_.Add(2, 1);
  tree_.Add(3, 1, 32);  // the whole machine; it is full, and the victim makes room
  Rebuild();
  Blocked(kNoon - kHourMs);
  JobSpec realtime = Gang(3, 1, 8);
  realtime.job_class = "realtime";
  world_->SetWaiting(Queued(2, realtime));
  plan = Decide();
  Victim(10, 2)(plan);
  EXPECT_FALSE(FirstViolation(basis(), plan));
}

TEST_F(VerifyTest, TotalsThatWereCountedWrongAreFound) {
  const auto holding = [](std::int64_t id, const char* node, std::int32_t gpus) {
    Holding one;
    one.attempt = {{JobId{id}}, 1};
    one.project = AccountId{2};
    one.job_class = "normal";
    one.shape = {1, gpus, "h200", 1, 1, false};
    one.placement = {{node, gpus, {}}};
    one.counted_milli = gpus * 1000;
    return one;
  };
  world_->SetHolding(holding(1, "n1", 4));
  world_->SetHolding(holding(2, "n2", 2));
  const Recount right(*world_);
  const auto used = world_->used();
  const auto running = world_->running();
  for (std::int32_t part = 0; part < 3; ++part) {
    EXPECT_TRUE(right.Differences(used, running, part, 3).empty());
  }
  world_->SetHolding(holding(3, "n2", 1));
  const Recount now(*world_);
  std::vector<std::string> found;
  for (std::int32_t part = 0; part < 3; ++part) {
    for (std::string& text : now.Differences(used, running, part, 3)) {
      found.push_back(std::move(text));
    }
  }
  ASSERT_EQ(found.size(), 3U) << "the node, the project, the root";
  EXPECT_EQ(now.Differences(used, running, 0, 1).size(), 3U);
  world_->SetHolding(holding(4, "n1", 5));
  const auto twice = Recount(*world_).Differences(world_->used(), world_->running(), 0, 1);
  ASSERT_EQ(twice.size(), 1U);
  EXPECT_EQ(twice[0], "GPUs of n1 twice: 9 in use, of 8");
}

}  // namespace
}  // namespace kezek::engine

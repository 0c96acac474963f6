// Goal: what a job's owner may change of it in the cluster itself (its name, its comment, what it
// asks for while it is held, how many nodes it keeps) neither loses the attempt nor gets more than
// was decided; a hold of what runs, and of an array's elements. Method: a controller driven by
// hand, told what the cluster would then report.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class OwnersHandTest : public ::testing::Test {
 protected:
  OwnersHandTest() { desk.Up(); }
  DeskOfOne desk;
};

TEST_F(OwnersHandTest, WhatIsNamedAnewStaysTheAttempts) {
  const JobId early = desk.Submit();
  const AttemptRef starting = desk.Started(early, 901);
  ClusterJob seen = desk.Seen(starting, 901, ClusterJobState::kRunning);
  seen.tag = "my own comment";
  seen.start_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step(1000);
  EXPECT_EQ(desk.Row(early).state, JobState::kRunning);

  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob other = desk.Seen(ref, 900, ClusterJobState::kCompleted);
  other.tag = "my own comment";
  other.start_ms = desk.Of(ref).start_ms + 60'000;
  other.end_ms = other.start_ms;
  desk.Offer(Observed{other});
  desk.Step(1000);
  EXPECT_EQ(desk.Row(job).state, JobState::kRunning) << "another job under the same id";
  ClusterJob ended = other;
  ended.start_ms = desk.Of(ref).start_ms;
  ended.end_ms = ended.start_ms + 1000;
  desk.Offer(Observed{ended});
  desk.Step(1000);
  EXPECT_EQ(desk.Row(job).state, JobState::kSucceeded);
}

// Also one that this database would explain as another attempt's, or as lost.
TEST_F(OwnersHandTest, TheRunThatWasSeenIsTheAttemptsUnderAnyTag) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob ended = desk.Seen(ref, 900, ClusterJobState::kCompleted);
  ended.tag = MakeTag(desk.config.keyed_hash, "inst", 7, ref, ended.unix_account);
  ended.start_ms = desk.Of(ref).start_ms;
  ended.end_ms = ended.start_ms + 1000;
  desk.Offer(Observed{ended});
  desk.Step(1000);
  EXPECT_EQ(desk.Row(job).state, JobState::kSucceeded);
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(desk.Step()).empty());
}

// Whether the run is ended, and what follows is held.
bool IsEnded(const std::function<void(JobSpec&)>& spec,
             const std::function<void(ClusterJob&)>& by_its_owner) {
  DeskOfOne desk;
  desk.Up();
  const JobId job = desk.Submit(spec);
  const AttemptRef ref = desk.Started(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  seen.cpus = 16;
  seen.memory_mib = 256'000;
  by_its_owner(seen);  // between submission and release
  desk.Offer(Observed{seen});
  const bool cancelled = !DeskOfOne::All<CancelAction>(desk.Step()).empty();
  if (!cancelled) {
    EXPECT_EQ(desk.Row(job).state, JobState::kRunning);
    return false;
  }
  seen.state = ClusterJobState::kCancelled;
  seen.end_ms = seen.start_ms + 1000;
  desk.Offer(Observed{seen});
  desk.Step(2000);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(desk.Of(ref).reason.code, ReasonCode::kPlacementDiffers);
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.Row(job).hold, Hold::kCluster);
  return true;
}

TEST_F(OwnersHandTest, MoreThanWasPlannedEndsTheRunAndHoldsTheJob) {
  const auto as_it_is = [](JobSpec&) {};
  const auto odd = [](JobSpec& spec) { spec.shape.cpus_per_node = 15; };
  const auto exclusive = [](JobSpec& spec) { spec.shape.exclusive = true; };
  EXPECT_FALSE(IsEnded(as_it_is, [](ClusterJob&) {}));
  EXPECT_TRUE(IsEnded(as_it_is, [](ClusterJob& job) { ++job.granted.front().gpus; }));
  EXPECT_TRUE(IsEnded(as_it_is, [](ClusterJob& job) {
    job.granted.front().node = job.granted.front().node == "n1" ? "n2" : "n1";
  }));
  EXPECT_TRUE(IsEnded(as_it_is, [](ClusterJob& job) { job.cpus = 17; }));
  EXPECT_TRUE(IsEnded(as_it_is, [](ClusterJob& job) { ++job.memory_mib; }));
  EXPECT_FALSE(IsEnded(odd, [](ClusterJob&) {})) << "whole cores";
  EXPECT_FALSE(IsEnded(exclusive, [](ClusterJob& job) { job.memory_mib *= 2; }))
      << "the node is its own";
}

// The charge of a run of four minutes that was requeued in the cluster, and then ended there.
MilliGpuMs ChargeOfRequeued(const std::function<void(DeskOfOne&, const JobRef&)>& then) {
  DeskOfOne desk;
  desk.Up();
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kPending);
  seen.restarts = 1;
  seen.start_ms = 0;
  desk.Offer(Observed{seen});
  desk.Step(4 * kMinuteMs);
  then(desk, ref.job);
  seen.state = ClusterJobState::kCancelled;
  seen.start_ms = desk.now + kMinuteMs;
  seen.end_ms = seen.start_ms;
  desk.Offer(Observed{seen});
  desk.Step(2 * kMinuteMs);
  MilliGpuMs charge = 0;
  MilliGpuMs usage = 0;
  for (const LedgerEntry& entry : desk.store.ledger()) {
    if (entry.attempt != ref) continue;  // another follows
    (entry.book == Book::kUsage ? usage : charge) += entry.amount;
  }
  EXPECT_EQ(usage, charge);
  return charge;
}

// Its start is first seen when it completes: what was planned is what it had.
TEST_F(OwnersHandTest, WhatIsFirstSeenCompletingHadWhatWasPlanned) {
  const JobId job = desk.Submit([](JobSpec& spec) {
    spec.shape.nodes = 2;
    spec.shape.gpus_per_node = 8;
  });
  const AttemptRef ref = desk.Started(job, 900);
  const Placement planned = desk.Of(ref).placement;
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kCompleting);
  seen.granted.clear();
  desk.Offer(Observed{seen});
  EXPECT_EQ(desk.Of(ref).placement, planned);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
}

// What an admin does to a node is not its jobs' owners' hand: the cluster requeues what ran there.
TEST_F(OwnersHandTest, ARestartOnANodeThatIsDownIsTheNodes) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  NodesObserved nodes{sim::SimNodes()};
  const std::string where = desk.Of(ref).placement.front().node;
  for (Node& node : nodes.nodes) {
    node.health = node.name == where ? NodeHealth::kDown : NodeHealth::kUp;
  }
  desk.Offer(nodes);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kPending);
  seen.restarts = 1;
  desk.Offer(Observed{seen});
  desk.Step(60'000);
  for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
  desk.Offer(nodes);
  seen.state = ClusterJobState::kCancelled;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
}

// As the accounting has it, where the node is in service again by now.
TEST_F(OwnersHandTest, ARestartAfterANodesFailureIsTheNodes) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.requeue = true; });
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kPending);
  seen.restarts = 1;
  desk.Offer(Observed{seen});
  desk.Step(60'000);
  seen.state = ClusterJobState::kCancelled;
  seen.node_failed = true;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
}

// Whatever slurmctld showed of it meanwhile.
TEST_F(OwnersHandTest, ARunThatIsRequeuedEndedWhenTheAccountingSays) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  const TimeMs start_ms = desk.Of(ref).start_ms;
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kCompleting);
  seen.restarts = 1;
  seen.start_ms = start_ms;
  seen.end_ms = start_ms + kHourMs;  // by its limit
  desk.Offer(Observed{seen});
  desk.Step(10'000);
  EXPECT_LE(desk.Of(ref).end_ms, desk.now) << "should it be lost now, it ends no later";
  seen.state = ClusterJobState::kCancelled;
  seen.run_start_ms = start_ms;
  seen.run_end_ms = start_ms + 2000;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(desk.Of(ref).end_ms, start_ms + 2000);
}

// Begun and taken back while Kezek was away: it ran, and is charged for that.
TEST_F(OwnersHandTest, ARunThatWasOverBeforeItWasSeenIsCharged) {
  const AttemptRef ref = desk.Started(desk.Submit(), 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kPending);
  seen.restarts = 1;
  seen.start_ms = 0;
  seen.run_start_ms = desk.now;
  seen.run_end_ms = desk.now + 5000;
  desk.Offer(Observed{seen});
  desk.Step(10'000);
  seen.state = ClusterJobState::kCancelled;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(desk.Of(ref).start_ms, seen.run_start_ms);
  EXPECT_EQ(desk.Of(ref).end_ms, seen.run_end_ms);
}

TEST_F(OwnersHandTest, ARunThatIsRequeuedIsChargedUntilThen) {
  const MilliGpuMs four_minutes = 4 * kMinuteMs * 2000;
  EXPECT_EQ(ChargeOfRequeued([](DeskOfOne&, const JobRef&) {}), four_minutes);
  EXPECT_EQ(ChargeOfRequeued([](DeskOfOne& other, const JobRef& job) {
              ASSERT_TRUE(other.Do(CancelJobs{{job}}));
            }),
            four_minutes)
      << "nor does a cancel change it";
}

TEST_F(OwnersHandTest, WhatRanWithMoreThanPlannedIsChargedByTheClustersTimes) {
  const AttemptRef ref = desk.Started(desk.Submit(), 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  ++seen.granted.front().gpus;
  desk.Offer(Observed{seen});
  desk.Step(1000);
  seen.state = ClusterJobState::kCancelled;
  seen.end_ms = seen.start_ms + 30'000;
  desk.Offer(Observed{seen});
  desk.Step(31'000);
  EXPECT_EQ(desk.Of(ref).end_ms, seen.end_ms);
}

TEST_F(OwnersHandTest, NodesThatARunningJobGivesBackAreFree) {
  const auto whole = [](JobSpec& spec) {
    spec.shape.nodes = 4;
    spec.shape.gpus_per_node = 8;
  };
  const JobId job = desk.Submit(whole);
  const AttemptRef ref = desk.Running(job, 900);
  const JobId next = desk.Submit([&](JobSpec& spec) {
    whole(spec);
    spec.shape.nodes = 6;
  });
  desk.Tick();
  ASSERT_EQ(desk.Row(next).state, JobState::kQueued);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.granted.resize(1);
  desk.Offer(Observed{seen});
  const auto events = desk.Step().changes.events;
  EXPECT_EQ(std::ranges::count(events, ReasonCode::kPlacementDiffers,
                               [](const Event& event) { return event.reason.code; }),
            1);
  EXPECT_EQ(desk.Of(ref).placement, seen.granted);
  EXPECT_EQ(desk.Of(ref).counted_milli, 32'000) << "charged as at the start";
  desk.Tick();
  EXPECT_EQ(desk.Row(next).state, JobState::kStarting) << "on what is free now";
  desk.Offer(Observed{seen});
  EXPECT_TRUE(desk.Step().changes.events.empty()) << "said once";
}

TEST_F(OwnersHandTest, AHoldOfWhatRunsIsForWhenItWaitsAgain) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.requeue = true; });
  const AttemptRef ref = desk.Running(job, 900);
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{job}}}));
  EXPECT_EQ(desk.Row(job).state, JobState::kRunning);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kPreempted);
  seen.end_ms = desk.now + 1000;
  desk.Offer(Observed{seen});
  desk.Tick();
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.Row(job).hold, Hold::kUser);
  ASSERT_TRUE(desk.Do(ReleaseJobs{.jobs = {{job}}}));
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);

  // Of an array, also what runs of it; a release takes it back.
  const JobId array = desk.Submit([](JobSpec& spec) {
    spec.array = ArraySpec{.indices = {{1, 3, 1}}};
    spec.array->max_running = 1;
  });
  desk.Tick();
  ASSERT_EQ(desk.Row(array, 1).state, JobState::kStarting);
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{array}}}));
  EXPECT_EQ(desk.Row(array, 1).hold, Hold::kUser);
  ASSERT_TRUE(desk.Do(ReleaseJobs{.jobs = {{array, 1}}}));
  EXPECT_EQ(desk.Row(array, 1).hold, Hold::kNone);
  ASSERT_TRUE(desk.Do(CancelJobs{{{job}}}));
}

TEST_F(OwnersHandTest, AnAdminsHoldOfAnElementIsNotLiftedWithTheArray) {
  desk.Offer(ClusterSilent{""});
  const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 3, 1}}, 0}; });
  desk.Step();
  ASSERT_TRUE(desk.Do(HoldJobs{{{job, 3}}, true, "broken input"}));
  ASSERT_TRUE(desk.Do(HoldJobs{{{job, 2}}, false, ""}));
  ASSERT_TRUE(desk.Do(HoldJobs{{{job}}, false, ""}));
  EXPECT_EQ(desk.Row(job, 3).hold, Hold::kAdmin);
  ASSERT_TRUE(desk.Do(ReleaseJobs{{{job}}, false}));
  EXPECT_EQ(desk.Row(job).hold, Hold::kNone);
  EXPECT_EQ(desk.Row(job, 2).hold, Hold::kNone);
  EXPECT_EQ(desk.Row(job, 3).hold, Hold::kAdmin);
  ASSERT_TRUE(desk.Do(HoldJobs{{{job}}, true, ""}));
  ASSERT_TRUE(desk.Do(ReleaseJobs{{{job}}, true}));
  EXPECT_EQ(desk.Row(job, 3).hold, Hold::kNone) << "an admin may";
}

}  // namespace
}  // namespace kezek::control

// Goal: what a controller of the cluster that lost its state calls over is believed when it is, and
// what other hands hold there does not wait for ever. Method: one controller, told what the cluster
// would tell.

#include <gtest/gtest.h>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class LostStateTest : public ::testing::Test {
 protected:
  LostStateTest() { desk.Up(); }
  void Nodes(NodeHealth health) {
    NodesObserved nodes{sim::SimNodes()};
    for (Node& node : nodes.nodes) node.health = health;
    desk.Offer(nodes);
    desk.Step();
  }
  // Cancelled, and by nobody.
  void Closed(const AttemptRef& ref) {
    ClusterJob closed = desk.Seen(ref, 900, ClusterJobState::kCancelled);
    closed.end_ms = desk.now;
    closed.node_failed = true;
    desk.Offer(Observed{closed});
    desk.Step();
  }

  DeskOfOne desk;
};

TEST_F(LostStateTest, WhatWasClosedIsOverSomeTimeAfterItsNodesHaveRegistered) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  Nodes(NodeHealth::kUnknown);
  desk.Step(kMinuteMs);
  Closed(ref);
  desk.Step(desk.config.retry_ms);
  Closed(ref);
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning);
  Nodes(NodeHealth::kUp);
  Closed(ref);
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning) << "its nodes have only now heard of it";
  desk.Step(2 * desk.config.retry_ms);
  Closed(ref);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
}

// The cluster was silent for longer than the wait, and the nodes registered meanwhile.
TEST_F(LostStateTest, WhatWasClosedIsNotOverAtTheFirstLookThatFindsItsNodesRegistered) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  Nodes(NodeHealth::kUnknown);
  Closed(ref);
  desk.Step(10 * desk.config.retry_ms);
  Nodes(NodeHealth::kUp);
  Closed(ref);
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning);
  desk.Step(2 * desk.config.retry_ms);
  Closed(ref);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
}

TEST_F(LostStateTest, WhatKezekWasAboutToEndRunsOnThereLikewise) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ASSERT_TRUE(desk.Do(CancelJobs{{ref.job}}).has_value());
  Nodes(NodeHealth::kUnknown);
  Closed(ref);
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning);
  Nodes(NodeHealth::kUp);
  Closed(ref);
  desk.Step(2 * desk.config.retry_ms);
  Closed(ref);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kCancelled);
}

TEST_F(LostStateTest, WhatNobodyKnowsIsGivenUpSomeTimeAfterItsNodesHaveRegistered) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  Nodes(NodeHealth::kDown);
  desk.Offer(Unknown{900, ref});
  desk.Step();
  EXPECT_EQ(DeskOfOne::All<LookAction>(desk.Step(2 * desk.config.retry_ms)).size(), 1U);
  Nodes(NodeHealth::kUp);
  desk.Offer(Unknown{900, ref});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning);
  desk.Step(2 * desk.config.retry_ms);
  desk.Offer(Unknown{900, ref});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).reason.code, ReasonCode::kLostByCluster);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
}

// The second start, which ends at once, was seen running and completing, and Kezek was restarted.
TEST_F(LostStateTest, WhatIsStartedAgainUnderItsIdIsChargedUntilItsFirstRunWasLastSeen) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  desk.Step(10 * kSecondMs);
  ClusterJob job = desk.Seen(ref, 900, ClusterJobState::kRunning);
  job.start_ms = desk.Of(ref).start_ms;
  desk.Offer(Observed{job});
  desk.Step();
  const TimeMs start = job.start_ms;
  const TimeMs seen = desk.now;
  desk.Step(20 * kSecondMs);
  job.start_ms = desk.now;
  desk.Offer(Observed{job});
  desk.Step(kSecondMs);
  desk.Begin();
  desk.Up();
  job.state = ClusterJobState::kCompleting;
  desk.Offer(Observed{job});
  desk.Step();
  job.state = ClusterJobState::kFailed;
  job.end_ms = desk.now;
  job.exit_signal = kBegunBeforeSignal;
  desk.Offer(Observed{job});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
  EXPECT_EQ(desk.Of(ref).start_ms, start);
  EXPECT_LE(desk.Of(ref).end_ms, seen) << "signs of life are stored now and then";
}

// A controller that went back in time has it waiting, perhaps for hours.
TEST_F(LostStateTest, WhatWaitsAgainAfterItHasRunHasEndedWhenItWasLastSeen) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  const TimeMs start = desk.Of(ref).start_ms;
  desk.Step(10 * kSecondMs);
  desk.Offer(Observed{desk.Seen(ref, 900, ClusterJobState::kRunning)});
  desk.Step();
  const TimeMs seen = desk.now;
  ClusterJob waits = desk.Seen(ref, 900, ClusterJobState::kPending);
  waits.start_ms = 0;
  desk.Offer(Observed{waits});
  desk.Step(kSecondMs);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone) << "the news may be older than the start";
  desk.Step(2 * desk.config.retry_ms);
  desk.Offer(Observed{waits});
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step()).size(), 1U);
  ClusterJob over = desk.Seen(ref, 900, ClusterJobState::kCancelled);
  over.start_ms = 0;
  over.granted.clear();
  over.end_ms = desk.now + kHourMs;
  desk.Offer(Observed{over});
  desk.Step(kHourMs);
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kEnded);
  EXPECT_EQ(desk.Of(ref).start_ms, start);
  EXPECT_EQ(desk.Of(ref).end_ms, seen);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
}

TEST_F(LostStateTest, WhatWaitsAgainMayRunOnUntilItsNodesHaveRegistered) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob waits = desk.Seen(ref, 900, ClusterJobState::kPending);
  waits.start_ms = 0;
  Nodes(NodeHealth::kUnknown);
  desk.Offer(Observed{waits});
  desk.Step(kMinuteMs);
  desk.Offer(Observed{waits});
  desk.Step(kMinuteMs);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
  Nodes(NodeHealth::kUp);
  desk.Offer(Observed{waits});
  desk.Step();
  desk.Step(2 * desk.config.retry_ms);
  desk.Offer(Observed{waits});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).ending, Ending::kRequeue);
}

TEST_F(LostStateTest, OldNewsOfWaitingEndNothing) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob waits = desk.Seen(ref, 900, ClusterJobState::kPending);
  waits.start_ms = 0;
  desk.Offer(Observed{waits});
  desk.Step(desk.config.retry_ms);
  desk.Offer(Observed{desk.Seen(ref, 900, ClusterJobState::kRunning)});
  desk.Step(2 * desk.config.retry_ms);
  desk.Offer(Observed{waits});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
}

TEST_F(LostStateTest, WhatWaitsAgainHeldAfterItHasRunIsNotReleased) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob held = desk.Seen(ref, 900, ClusterJobState::kPending);
  held.start_ms = 0;
  held.held = true;
  Nodes(NodeHealth::kUnknown);
  for (int i = 0; i < 3; ++i) {
    desk.Offer(Observed{held});
    EXPECT_TRUE(DeskOfOne::All<ReleaseAction>(desk.Step(desk.config.retry_ms)).empty());
  }
}

TEST_F(LostStateTest, WhatWaitsAgainAfterItWasSeenCompletingDoesNotWaitForEver) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob job = desk.Seen(ref, 900, ClusterJobState::kCompleting);
  job.start_ms = desk.Of(ref).start_ms;
  job.end_ms = desk.now;
  desk.Offer(Observed{job});
  desk.Step(kSecondMs);
  const TimeMs end = desk.Of(ref).end_ms;
  ASSERT_EQ(end, job.end_ms);
  ClusterJob held = desk.Seen(ref, 900, ClusterJobState::kPending);
  held.start_ms = 0;
  held.held = true;
  for (int i = 0; i < 3; ++i) {
    desk.Offer(Observed{held});
    desk.Step(desk.config.retry_ms);
  }
  EXPECT_EQ(desk.Of(ref).ending, Ending::kRequeue);
  EXPECT_EQ(desk.Of(ref).end_ms, end);
}

TEST_F(LostStateTest, SignsOfLifeOutliveTheProcess) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  const TimeMs start = desk.Of(ref).start_ms;
  ClusterJob job = desk.Seen(ref, 900, ClusterJobState::kRunning);
  job.start_ms = start;
  for (int told = 0; told < 20; ++told) {
    desk.Step(30 * kSecondMs);
    desk.Offer(Observed{job});
    desk.Step();
  }
  desk.Begin();
  desk.Up();
  desk.Offer(Unknown{900, ref});
  desk.Step();
  ASSERT_EQ(desk.Of(ref).reason.code, ReasonCode::kLostByCluster);
  EXPECT_GE(desk.Of(ref).end_ms, start + 5 * kMinuteMs);
}

TEST_F(LostStateTest, WhatIsCancelledWhileItWaitsAgainHasEndedWhenItWasLastSeen) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  const TimeMs seen = desk.Of(ref).last_seen_ms;
  ASSERT_TRUE(desk.Do(CancelJobs{{ref.job}}).has_value());
  ClusterJob over = desk.Seen(ref, 900, ClusterJobState::kCancelled);
  over.start_ms = 0;
  over.granted.clear();
  over.end_ms = desk.now + kHourMs;
  desk.Offer(Observed{over});
  desk.Step(kHourMs);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kCancelled);
  EXPECT_EQ(desk.Of(ref).end_ms, std::max(seen, desk.Of(ref).start_ms));
}

// Its host died with the controller's state, and an admin took it out of the configuration.
TEST_F(LostStateTest, ADeadNodeThatHasLeftTheClusterRunsNothingThatIsLost) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  Nodes(NodeHealth::kDown);
  desk.Offer(Unknown{900, ref});
  desk.Step();
  desk.Step(2 * desk.config.retry_ms);
  desk.Offer(Unknown{900, ref});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning);
  desk.Offer(NodesObserved{});
  desk.Step();
  desk.Offer(Unknown{900, ref});
  desk.Step();
  desk.Step(2 * desk.config.retry_ms);
  desk.Offer(Unknown{900, ref});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).reason.code, ReasonCode::kLostByCluster);
}

TEST_F(LostStateTest, ANodeThatHasLeftTheClusterRunsNothingThatIsLost) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  desk.Offer(NodesObserved{});
  desk.Step();
  desk.Offer(Unknown{900, ref});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).reason.code, ReasonCode::kLostByCluster);
}

// Its owner, in whose name Kezek releases it, may not release what an admin holds.
TEST_F(LostStateTest, WhatAnAdminOfTheClusterHoldsIsALaunchThatFailed) {
  const JobId job = desk.Submit();
  const AttemptRef ref{{job}, 1};
  desk.Tick();
  desk.Offer(LaunchAccepted{ref, 900});
  EXPECT_EQ(DeskOfOne::All<ReleaseAction>(desk.Step()).size(), 1U);
  ClusterJob held = desk.Seen(ref, 900, ClusterJobState::kPending);
  held.held = true;
  held.state_reason = "JobHeldAdmin";
  for (TimeMs waited = 0; waited < desk.config.launch_timeout_ms; waited += desk.config.retry_ms) {
    EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
    desk.Offer(ReleaseDone{ref, 900, false, "Access denied"});
    desk.Offer(Observed{held});
    desk.Step(desk.config.retry_ms);
  }
  desk.Offer(Observed{held});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).ending, Ending::kLaunchTimeout);
  EXPECT_EQ(desk.Of(ref).reason.fields.at("text"), "JobHeldAdmin");
}

TEST_F(LostStateTest, WhatIsHeldAfterItsReleaseIsALaunchThatFailed) {
  const AttemptRef ref = desk.Started(desk.Submit(), 900);
  ClusterJob held = desk.Seen(ref, 900, ClusterJobState::kPending);
  held.held = true;
  held.state_reason = "JobHeldAdmin";
  for (TimeMs waited = 0; waited < desk.config.launch_timeout_ms; waited += desk.config.retry_ms) {
    EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
    desk.Offer(Observed{held});
    desk.Step(desk.config.retry_ms);
  }
  desk.Offer(Observed{held});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).ending, Ending::kLaunchTimeout);
}

// An answer that took long says what was so when it was asked for.
TEST_F(LostStateTest, WhatIsLostIsChargedUntilItWasLastAskedFor) {
  const AttemptRef ref = desk.Started(desk.Submit(), 900);
  ClusterJob job = desk.Seen(ref, 900, ClusterJobState::kRunning);
  const TimeMs asked = desk.now;
  job.start_ms = asked - kSecondMs;
  desk.now += kMinuteMs;
  desk.Offer(Observed{job, asked});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).last_seen_ms, asked);
  desk.Offer(Observed{job, asked + kSecondMs});
  desk.Offer(Listing{{job}, asked});
  desk.Step();
  desk.Offer(Unknown{900, ref});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).end_ms, asked + kSecondMs);
}

// Renamed, it may still be requeued: then its tag alone tells that it is.
TEST_F(LostStateTest, WhatRunsIsFollowedWithItsTag) {
  const AttemptRef ref = desk.Started(desk.Submit(), 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  desk.Offer(Observed{seen});
  const auto follows = DeskOfOne::All<FollowAction>(desk.Step());
  ASSERT_EQ(follows.size(), 1U);
  EXPECT_EQ(follows.front().jobs.at(0).start_ms, seen.start_ms);
  EXPECT_EQ(follows.front().jobs.at(0).tag, seen.tag);
}

}  // namespace
}  // namespace kezek::control

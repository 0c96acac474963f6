// Goal: while the cluster is silent, or Kezek is away, nothing is sent in vain and nothing is
// guessed; on return ends are what they were and what was lost is done again. Method: a controller
// driven by hand, silenced and begun anew; its actions and the stored rows.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class AbsenceTest : public ::testing::Test {
 protected:
  AbsenceTest() { desk.Up(); }
  DeskOfOne desk;
};

TEST_F(AbsenceTest, NothingIsSentToASilentCluster) {
  const JobId lost = desk.Submit();
  const JobId unheard = desk.Submit();
  const JobId unwanted = desk.Submit();
  desk.Tick();
  desk.Offer(LaunchUnknown{{{lost}, 1}, desk.now});
  desk.Offer(LaunchAccepted{{{unheard}, 1}, 901});
  desk.Offer(LaunchAccepted{{{unwanted}, 1}, 902});
  desk.Offer(ClusterSilent{"connection refused"});
  EXPECT_TRUE(desk.Do(CancelJobs{.jobs = {{unwanted}}}).has_value());
  for (int i = 0; i < 20; ++i) {
    const Ready ready = desk.Step(desk.config.retry_ms);
    EXPECT_TRUE(DeskOfOne::All<ReleaseAction>(ready).empty());
    EXPECT_TRUE(DeskOfOne::All<CancelAction>(ready).empty());
    EXPECT_TRUE(DeskOfOne::All<LookAction>(ready).empty());
    EXPECT_TRUE(DeskOfOne::All<FindAction>(ready).empty());
  }
  desk.Offer(ClusterUp{"test", 0});
  const Ready back = desk.Step();
  EXPECT_EQ(DeskOfOne::All<ReleaseAction>(back).size(), 1U);
  EXPECT_EQ(DeskOfOne::All<CancelAction>(back).size(), 1U);
  EXPECT_EQ(DeskOfOne::All<FindAction>(back).size(), 1U);
}

// A cluster that lost its state closes its books before its nodes have heard of it.
TEST_F(AbsenceTest, WhatTheBooksCallLostIsBelievedOnceItsNodesHaveRegistered) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kCancelled);
  seen.node_failed = true;
  seen.end_ms = seen.start_ms = desk.Of(ref).start_ms;
  NodesObserved nodes{sim::SimNodes()};
  const auto report = [&](NodeHealth health) {
    for (Node& node : nodes.nodes) node.health = health;
    desk.Offer(nodes);
    desk.Offer(Observed{seen});
    desk.Step();
  };
  for (int i = 0; i < 20; ++i) {
    report(NodeHealth::kUnknown);
    EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning);
    EXPECT_EQ(DeskOfOne::All<LookAction>(desk.Step(2 * desk.config.retry_ms)).size(), 1U);
  }
  report(NodeHealth::kUp);
  desk.Step(2 * desk.config.retry_ms);
  report(NodeHealth::kUp);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kNodeFailed);
}

TEST_F(AbsenceTest, TheLimitWaitsForASilentCluster) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  desk.Offer(ClusterSilent{"connection refused"});
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(desk.Step(2 * kHourMs)).empty());
  desk.Offer(ClusterUp{"test", 0});
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step()).size(), 1U);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kTimeLimit);
}

TEST_F(AbsenceTest, NothingStartsWhileTheClusterIsSilent) {
  desk.Offer(ClusterSilent{"connection refused"});
  const JobId job = desk.Submit();
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(desk.Tick()).empty());
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kClusterAway);
}

// That nothing is heard yet is not silence.
TEST_F(AbsenceTest, ALeaderThatHasJustBegunReadsTheClusterFirst) {
  const JobId job = desk.Submit();
  desk.Begin();
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kClusterUnread);
  desk.Offer(ClusterSilent{"connection refused"});
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kClusterAway);
}

TEST_F(AbsenceTest, WhatStartedUnseenIsNotEndedForBeingLate) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Started(job, 900);
  desk.Step(desk.config.launch_timeout_ms - 1);
  Ready ready = desk.Step(1);
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(ready).empty());
  EXPECT_EQ(DeskOfOne::All<LookAction>(ready).size(), 1U) << "looked at before it is given up";
  ready = desk.Step(1000);
  EXPECT_TRUE(DeskOfOne::All<LookAction>(ready).empty()) << "not too often";
  ready = desk.Step(desk.config.retry_ms);
  EXPECT_EQ(DeskOfOne::All<LookAction>(ready).size(), 1U) << "should the answer be lost";
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now - 1000;
  desk.Offer(Observed{seen});
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(desk.Step()).empty());
  EXPECT_EQ(desk.Row(job).state, JobState::kRunning);
}

TEST_F(AbsenceTest, NothingStartsBeforeItIsKnownWhatOthersUse) {
  desk.Begin();
  desk.Submit([](JobSpec& spec) {
    spec.shape.nodes = 8;
    spec.shape.gpus_per_node = 8;
  });
  desk.Offer(ClusterUp{"test", 0});
  desk.Offer(Listing{});
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(desk.Tick()).empty());
  NodesObserved nodes{sim::SimNodes()};
  for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
  nodes.nodes[0].foreign_gpus = 1;
  desk.Offer(nodes);
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(desk.Tick()).empty()) << "there is no room";
  nodes.nodes[0].foreign_gpus = 0;
  desk.Offer(nodes);
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(desk.Tick()).size(), 1U);
}

TEST_F(AbsenceTest, AClockThatIsOffIsSaidOnce) {
  const auto warnings = [&](DurationMs skew_ms) {
    desk.Offer(ClusterUp{"test", skew_ms});
    const Ready ready = desk.Step();
    return std::count_if(
        ready.changes.events.begin(), ready.changes.events.end(),
        [](const Event& event) { return event.reason.code == ReasonCode::kWarning; });
  };
  EXPECT_EQ(warnings(2000), 0);
  EXPECT_EQ(warnings(-2000), 0);
  EXPECT_EQ(warnings(3200), 1);
  EXPECT_EQ(warnings(3200), 0);
  EXPECT_EQ(warnings(-7000), 1);
}

// Its start is by the cluster's clock, its limit is a time.
TEST_F(AbsenceTest, AClockThatIsOffShortensNoLimit) {
  constexpr DurationMs kBehind = 5 * kMinuteMs;
  desk.Offer(ClusterUp{"test", -kBehind});
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Started(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now - kBehind;
  desk.Offer(Observed{seen});
  desk.Step();
  const DurationMs limit = desk.Of(ref).limit_ms;
  desk.Step(limit - kBehind);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
  EXPECT_EQ(desk.Of(ref).last_seen_ms, seen.start_ms) << "by the cluster's clock, too";
  desk.Step(kBehind);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kTimeLimit);
}

TEST_F(AbsenceTest, AnEndWhileKezekWasAwayIsTakenAsItWas) {
  const JobId job = desk.Submit([](JobSpec& spec) {
    spec.requeue = true;
    spec.max_attempts = 3;
  });
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kFailed);
  seen.exit_code = 3;
  seen.end_ms = desk.now + 10 * kMinuteMs;
  desk.Begin();
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(desk.Step(2 * kHourMs)).empty()) << "nobody was asked";
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
  desk.Up();
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kFailed);
  EXPECT_EQ(desk.Of(ref).end_ms, seen.end_ms);
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued) << "it may try again";
}

TEST_F(AbsenceTest, ASignalThatACrashSwallowedIsSentAgain) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.signal = {"USR1", kMinuteMs, true}; });
  desk.Running(job, 900);
  EXPECT_EQ(DeskOfOne::All<SignalAction>(desk.Step(59 * kMinuteMs)).size(), 1U);
  desk.Begin();
  desk.Offer(ClusterUp{"test", 0});
  desk.Offer(Listing{});
  EXPECT_EQ(DeskOfOne::All<SignalAction>(desk.Step(1000)).size(), 1U);
}

TEST_F(AbsenceTest, AfterARestartNoRequestIsTooOldToBeOnItsWay) {
  const JobId job = desk.Submit();
  desk.Tick();
  desk.now += kHourMs;  // it waited for its turn all that time, and was sent just now
  desk.Begin();
  desk.Up();
  EXPECT_TRUE(DeskOfOne::All<FindAction>(desk.Step(desk.config.lost_answer_ms - 1)).empty());
  const auto finds = DeskOfOne::All<FindAction>(desk.Step(1));
  ASSERT_EQ(finds.size(), 1U);
  EXPECT_EQ(finds[0].attempt.job.id, job);
}

}  // namespace
}  // namespace kezek::control

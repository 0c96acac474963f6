// Goal: delays behind another job's start are kept to the millisecond, through its end and a
// restart; signals on request are sent once, to what runs, and end nothing. Method: a controller
// driven by hand.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class AskedTest : public ::testing::Test {
 protected:
  AskedTest() { desk.Up(); }
  void End(const AttemptRef& ref, std::int64_t id, std::int32_t exit_code) {
    ClusterJob seen =
        desk.Seen(ref, id, exit_code == 0 ? ClusterJobState::kCompleted : ClusterJobState::kFailed);
    seen.end_ms = desk.now;
    seen.exit_code = exit_code;
    desk.Offer(Observed{seen});
    desk.Step(1000);
  }
  DeskOfOne desk;
};

TEST_F(AskedTest, ADelayCountsFromTheOthersStart) {
  const JobId first = desk.Submit();
  const JobId second = desk.Submit([&](JobSpec& spec) {
    spec.dependencies = {{DependencyKind::kAfter, {first}, 10 * kMinuteMs}};
  });
  const AttemptRef ref = desk.Running(first, 901);
  const TimeMs due = desk.Of(ref).start_ms + 10 * kMinuteMs;
  desk.Tick();
  EXPECT_EQ(desk.Row(first).started_ms, desk.Of(ref).start_ms);
  EXPECT_EQ(desk.WaitsFor(second).code, ReasonCode::kDependency);
  EXPECT_EQ(desk.WaitsFor(second).fields.at("until_ms"), std::to_string(due));
  // The other job's end changes nothing, nor does a new process.
  End(ref, 901, 1);
  desk.Begin();
  desk.Up();
  desk.Step(due - 1 - desk.now);
  EXPECT_EQ(desk.Row(second).state, JobState::kQueued);
  EXPECT_LE(desk.controller->NextWakeMs(), due);
  desk.Step(1);
  desk.Tick();
  EXPECT_EQ(desk.Row(second).state, JobState::kStarting);
}

TEST_F(AskedTest, ADelayAfterWhatNeverRanCountsFromItsEnd) {
  const JobId first = desk.Submit([](JobSpec& spec) { spec.begin_ms = 2'000'000'000'000; });
  const JobId second = desk.Submit([&](JobSpec& spec) {
    spec.dependencies = {{DependencyKind::kAfter, {first}, kMinuteMs}};
  });
  desk.Tick();
  ASSERT_TRUE(desk.Do(CancelJobs{{{first}}}).has_value());
  const TimeMs ended = desk.Row(first).ended_ms;
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(second).fields.at("until_ms"), std::to_string(ended + kMinuteMs));
  desk.Step(kMinuteMs);
  desk.Tick();
  EXPECT_EQ(desk.Row(second).state, JobState::kStarting);
}

TEST_F(AskedTest, ADelayAfterAnArrayCountsFromItsLastStart) {
  const JobId array = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 1, 1}}, 1}; });
  const JobId second = desk.Submit([&](JobSpec& spec) {
    spec.dependencies = {{DependencyKind::kAfter, {array}, kMinuteMs}};
  });
  TimeMs last_start = 0;
  for (const std::int32_t element : {0, 1}) {
    desk.Tick();
    const AttemptRef ref{{array, element}, 1};
    desk.Offer(LaunchAccepted{ref, 900 + element});
    desk.Step();
    ClusterJob seen = desk.Seen(ref, 900 + element, ClusterJobState::kRunning);
    last_start = seen.start_ms = desk.now;
    desk.Offer(Observed{seen});
    desk.Step();
    if (element == 0) End(ref, 900, 0);
  }
  desk.Tick();
  EXPECT_EQ(desk.Row(array).started_ms, last_start);
  EXPECT_EQ(desk.WaitsFor(second).fields.at("until_ms"), std::to_string(last_start + kMinuteMs));
}

TEST_F(AskedTest, ASignalIsSentOnceToWhatRunsAndEndsNothing) {
  const JobId running = desk.Submit();
  const AttemptRef ref = desk.Running(running, 901);
  const JobId waiting = desk.Submit([](JobSpec& spec) { spec.begin_ms = 2'000'000'000'000; });
  desk.Tick();
  desk.controller->Offer(
      CommandInput{7,
                   {DeskOfOne::kUser, "somebody",
                    ChangeJobs{{SignalJobs{.jobs = {{running}, {waiting}}, .signal = "USR1"}}}}});
  const Ready ready = desk.Step();
  EXPECT_EQ(ready.replies.at(0).outcome->jobs, std::vector<JobRef>{{running}});
  EXPECT_EQ(ready.replies.at(0).outcome->unchanged, std::vector<JobRef>{{waiting}});
  const auto sent = DeskOfOne::All<SignalAction>(ready);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].signal, "USR1");
  EXPECT_FALSE(sent[0].batch_shell_only);
  EXPECT_EQ(desk.store.events().back().reason.code, ReasonCode::kSignalled);
  desk.Offer(SignalDone{ref, 901, "USR1", true});
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step(kMinuteMs)).empty());
  EXPECT_EQ(desk.Row(running).state, JobState::kRunning);
  EXPECT_FALSE(desk.Of(ref).signalled) << "that is the one before the limit";
}

TEST_F(AskedTest, ASignalThatWasNotConfirmedIsSaid) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 901);
  ASSERT_TRUE(desk.Do(SignalJobs{.jobs = {{job}}, .signal = "HUP"}).has_value());
  desk.Offer(SignalDone{ref, 901, "HUP", false});
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step(kMinuteMs)).empty()) << "not sent twice";
  EXPECT_EQ(desk.store.events().back().reason.code, ReasonCode::kSignalUnsure);
}

TEST_F(AskedTest, ASignalReachesTheElementsThatRun) {
  const JobId array = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 5, 1}}, 2}; });
  desk.Tick();
  for (const std::int32_t element : {0, 1}) {
    desk.Offer(LaunchAccepted{{{array, element}, 1}, 900 + element});
    desk.Step();
    ClusterJob seen = desk.Seen({{array, element}, 1}, 900 + element, ClusterJobState::kRunning);
    seen.start_ms = desk.now;
    desk.Offer(Observed{seen});
    desk.Step();
  }
  desk.controller->Offer(
      CommandInput{7,
                   {DeskOfOne::kUser, "somebody",
                    ChangeJobs{{SignalJobs{.jobs = {{array}}, .signal = "USR2"}}}}});
  EXPECT_EQ(DeskOfOne::All<SignalAction>(desk.Step()).size(), 2U);
}

TEST_F(AskedTest, ASignalToNothingThatRunsIsAnError) {
  const JobId waiting = desk.Submit([](JobSpec& spec) { spec.begin_ms = 2'000'000'000'000; });
  desk.Tick();
  const auto none = desk.Do(SignalJobs{.jobs = {{waiting}}, .signal = "USR1"});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().details.at(0).reason, "NOT_RUNNING");
  desk.Running(desk.Submit(), 901);
  desk.Offer(ClusterSilent{""});
  desk.Step();
  const auto away = desk.Do(SignalJobs{.jobs = {{waiting}}, .signal = "USR1"});
  ASSERT_FALSE(away.has_value());
  EXPECT_EQ(away.error().details.at(0).reason, "CLUSTER_AWAY");
}

TEST(NoteTest, WhatAnAdminHasDoneOutsideIsAnEventAndNothingElse) {
  DeskOfOne desk;
  desk.Up();
  const std::size_t before = desk.store.events().size();
  ASSERT_TRUE(desk.Do(NoteAct{"associations in Slurm", "to be made: account nlp"}));
  ASSERT_EQ(desk.store.events().size(), before + 1);
  const Event& event = desk.store.events().back();
  EXPECT_EQ(event.subject, Subject::kCluster);
  EXPECT_EQ(event.reason.fields.at("field"), "associations in Slurm");
  EXPECT_EQ(event.reason.fields.at("text"), "to be made: account nlp");
  EXPECT_FALSE(event.actor.empty());
}

}  // namespace
}  // namespace kezek::control

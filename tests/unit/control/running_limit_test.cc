// Goal: the limit of what runs is shortened and raised, by Kezek and in the cluster, whatever is
// lost between. Method: a controller driven by hand; the actions it would take.

#include <gtest/gtest.h>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class RunningLimitTest : public testing::Test {
 protected:
  RunningLimitTest() { desk.Up(); }
  // The cluster shows it running with this limit.
  Ready Seen(const AttemptRef& ref, DurationMs limit) {
    ClusterJob now = desk.Seen(ref, 900, ClusterJobState::kRunning);
    now.limit_ms = limit;
    desk.Offer(Observed{now});
    return desk.Step();
  }
  static std::vector<LimitAction> Limits(const Ready& ready) {
    return DeskOfOne::All<LimitAction>(ready);
  }
  static std::vector<SignalAction> Signals(const Ready& ready) {
    return DeskOfOne::All<SignalAction>(ready);
  }
  DeskOfOne desk;
};

TEST_F(RunningLimitTest, ARunningJobsLimitCanBeShortenedAndRaised) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 2 * kHourMs}).has_value());
  EXPECT_EQ(desk.Of(ref).limit_ms, 2 * kHourMs);
  EXPECT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 10 * kMinuteMs}).has_value());
  EXPECT_EQ(desk.Of(ref).limit_ms, 10 * kMinuteMs);
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(10 * kMinuteMs)).size(), 1U);
}

TEST_F(RunningLimitTest, AShortenedLimitDoesNotTakeBackWhatHasRun) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  const TimeMs start = desk.Of(ref).start_ms;
  desk.Step(40 * kMinuteMs);
  EXPECT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = kMinuteMs}).has_value());
  EXPECT_EQ(desk.Row(job).spec->time_limit_ms, kMinuteMs);
  EXPECT_GE(desk.Of(ref).limit_ms, desk.now - start) << "all that has run is charged";
  EXPECT_LT(desk.Of(ref).limit_ms, desk.now - start + kMinuteMs);
}

TEST_F(RunningLimitTest, ARaisedLimitIsTheClustersToo) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  const auto seen = [&](DurationMs limit) { return Limits(Seen(ref, limit)); };
  EXPECT_TRUE(seen(kHourMs).empty()) << "as it was handed over";
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 3 * kHourMs}).has_value());
  desk.Begin();  // it dies before the cluster has heard of it
  desk.Up();
  const auto sent = seen(kHourMs);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].job.cluster_job_id, 900);
  EXPECT_EQ(sent[0].limit_ms, 3 * kHourMs);
  EXPECT_TRUE(DeskOfOne::All<LimitAction>(desk.Step(1)).empty()) << "not too soon";
  EXPECT_EQ(DeskOfOne::All<LimitAction>(desk.Step(desk.config.retry_ms)).size(), 1U);
  EXPECT_TRUE(seen(3 * kHourMs).empty());
  EXPECT_TRUE(DeskOfOne::All<LimitAction>(desk.Step(2 * desk.config.retry_ms)).empty());
  EXPECT_EQ(seen(2 * kHourMs).size(), 1U) << "somebody's hand in the cluster";
  EXPECT_TRUE(seen(3 * kHourMs).empty());
  EXPECT_EQ(seen(4 * kHourMs).size(), 1U) << "the same, longer";
  EXPECT_TRUE(seen(0).empty()) << "none there, or not told: Kezek ends it itself";
}

TEST_F(RunningLimitTest, AShortenedLimitIsTheClustersToo) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ASSERT_TRUE(Limits(Seen(ref, kHourMs)).empty());
  desk.Step(10 * kMinuteMs);
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 20 * kMinuteMs}).has_value());
  desk.Begin();  // it dies before the cluster has heard of it
  desk.Up();
  const auto sent = Limits(Seen(ref, kHourMs));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].limit_ms, 20 * kMinuteMs);
  EXPECT_TRUE(Limits(Seen(ref, 20 * kMinuteMs)).empty());
}

TEST_F(RunningLimitTest, ALimitThatIsPastAlreadyIsKezeksToKeep) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  Seen(ref, kHourMs);
  desk.Step(10 * kMinuteMs);
  desk.controller->Offer(CommandInput{
      77, {DeskOfOne::kUser, "u", ChangeJobs{{UpdateJobs{.jobs = {{job}}, .time_limit_ms = 1}}}}});
  const Ready ready = desk.Step();
  EXPECT_EQ(desk.Of(ref).limit_ms, 10 * kMinuteMs);
  EXPECT_TRUE(Limits(ready).empty());
  EXPECT_EQ(DeskOfOne::All<CancelAction>(ready).size(), 1U);
}

TEST_F(RunningLimitTest, ALimitThatTheClusterRefusesIsSaidOnceAndTriedEverMoreRarely) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  Seen(ref, kHourMs);
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 9 * kHourMs}).has_value());
  const auto refused = [&] {
    desk.Offer(LimitRefused{ref, 900, 9 * kHourMs, "Requested time limit is invalid"});
    std::vector<std::string> said;
    for (const Event& event : desk.Step().changes.events) {
      if (event.reason.code != ReasonCode::kWarning) continue;
      said.push_back(event.reason.fields.at("text"));
    }
    return said;
  };
  EXPECT_TRUE(refused().empty()) << "it may just be ending";
  const auto said = refused();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("Requested time limit is invalid"), std::string::npos);
  EXPECT_TRUE(refused().empty()) << "once";
  std::size_t sent = 0;
  for (int minute = 0; minute < 60; ++minute) {
    for (int i = 0; i < 12; ++i) sent += Limits(desk.Step(5 * kSecondMs)).size();
  }
  EXPECT_GE(sent, 12U) << "every five minutes at least";
  EXPECT_LE(sent, 18U);
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 8 * kHourMs}).has_value());
  EXPECT_TRUE(refused().empty()) << "an answer about what was asked before";
  desk.Offer(LimitRefused{ref, 900, 8 * kHourMs, "no"});
  EXPECT_TRUE(desk.Step().changes.events.empty());
  desk.Offer(LimitRefused{ref, 900, 8 * kHourMs, "no"});
  EXPECT_EQ(desk.Step().changes.events.size(), 1U) << "another limit";
}

TEST_F(RunningLimitTest, NothingIsSaidOfTheLimitOfWhatEnds) {
  const auto said = [&](const AttemptRef& ref, std::int64_t cluster_id) {
    desk.Step();
    std::size_t events = 0;
    for (int i = 0; i < 3; ++i) {
      desk.Offer(LimitRefused{ref, cluster_id, desk.Of(ref).limit_ms, "Job is completing"});
      events += desk.Step().changes.events.size();
    }
    return events;
  };
  const AttemptRef completing = desk.Running(desk.Submit(), 900);
  desk.Offer(Observed{desk.Seen(completing, 900, ClusterJobState::kCompleting)});
  EXPECT_EQ(said(completing, 900), 0U);
  const JobId job = desk.Submit();
  const AttemptRef cancelled = desk.Running(job, 901);
  ASSERT_TRUE(desk.Do(CancelJobs{.jobs = {{job}}}).has_value());
  EXPECT_EQ(said(cancelled, 901), 0U);
}

TEST_F(RunningLimitTest, TheSignalBeforeAShortenedLimitComesOnce) {
  const JobId job = desk.Submit(
      [](JobSpec& spec) { spec.signal = {.name = "USR1", .before_end_ms = 5 * kMinuteMs}; });
  const AttemptRef ref = desk.Running(job, 900);
  Seen(ref, kHourMs);
  const auto shorten = [&](DurationMs limit) {
    ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = limit}).has_value());
  };
  shorten(40 * kMinuteMs);
  Seen(ref, 40 * kMinuteMs);
  EXPECT_TRUE(Signals(desk.Step(36 * kMinuteMs)).empty()) << "the cluster has the limit: it sends";
  shorten(38 * kMinuteMs);
  EXPECT_TRUE(Signals(desk.Step(1)).empty()) << "it may just be taking it";
  EXPECT_EQ(Signals(desk.Step(desk.config.retry_ms)).size(), 1U) << "it did not: ours";
}

}  // namespace
}  // namespace kezek::control

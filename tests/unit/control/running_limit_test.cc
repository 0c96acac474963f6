// Goal: the limit of what runs is shortened and raised, by Kezek and in the cluster, whatever is
// lost between. Method: a controller driven by hand; the actions it would take.

#include <gtest/gtest.h>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class RunningLimitTest : public testing::Test {
 protected:
  RunningLimitTest() { desk.Up(); }
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
  const auto seen = [&](DurationMs limit) {
    ClusterJob now = desk.Seen(ref, 900, ClusterJobState::kRunning);
    now.limit_ms = limit;
    desk.Offer(Observed{now});
    return DeskOfOne::All<LimitAction>(desk.Step());
  };
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
  EXPECT_TRUE(seen(0).empty()) << "none there, or not told: Kezek ends it itself";
}

}  // namespace
}  // namespace kezek::control

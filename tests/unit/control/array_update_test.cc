// Goal: an update of an array reaches all of its elements that are not over, an array ends as they
// did, and an update of what settings have barred since is judged by what it changes. Method: a
// controller driven by hand.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class ArrayUpdateTest : public testing::Test {
 protected:
  ArrayUpdateTest() { desk.Up(); }

  // Elements 0 and 1 run, 2 and 3 wait.
  JobId HalfRunning() {
    const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 3, 1}}, 2}; });
    desk.Tick();
    for (const std::int32_t element : {0, 1}) {
      const AttemptRef ref{{job, element}, 1};
      desk.Offer(LaunchAccepted{ref, 900 + element});
      desk.Step();
      ClusterJob seen = desk.Seen(ref, 900 + element, ClusterJobState::kRunning);
      seen.start_ms = desk.now;
      desk.Offer(Observed{seen});
      desk.Step();
    }
    return job;
  }
  const Attempt& Of(JobId job, std::int32_t element) { return desk.Of({{job, element}, 1}); }
  void Set(const std::function<void(AccountSettings&)>& change) {
    Account account = desk.controller->view()->directory->accounts.at(DeskOfOne::kProject);
    change(account.settings);
    PutAccounts put;
    put.reason = "order 1";
    put.accounts.push_back({std::move(account), ""});
    ASSERT_TRUE(desk.Do(CommandBody{put}).has_value());
  }
  void SetBudget(std::int64_t gpu_hours) {
    Set([&](AccountSettings& settings) {
      settings.budgets = {{.name = "q1",
                           .milli_gpu_hours = gpu_hours * 1000,
                           .start_ms = desk.now - kHourMs,
                           .end_ms = desk.now + 90 * kDayMs}};
    });
  }
  void End(const AttemptRef& ref, std::int64_t id, std::int32_t exit_code) {
    ClusterJob seen =
        desk.Seen(ref, id, exit_code == 0 ? ClusterJobState::kCompleted : ClusterJobState::kFailed);
    seen.end_ms = desk.now;
    seen.exit_code = exit_code;
    desk.Offer(Observed{seen});
    desk.Step(1000);
  }
  static std::string ReasonOf(const Result<CommandOutcome>& outcome) {
    return outcome ? "" : outcome.error().details.at(0).reason;
  }
  DeskOfOne desk;
};

TEST_F(ArrayUpdateTest, ALimitIsForWhatRunsToo) {
  const JobId job = HalfRunning();
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 3 * kHourMs}).has_value());
  EXPECT_EQ(desk.Row(job).spec->time_limit_ms, 3 * kHourMs);
  for (const std::int32_t element : {0, 1}) {
    EXPECT_EQ(desk.Row(job, element).spec->time_limit_ms, 3 * kHourMs);
    EXPECT_EQ(Of(job, element).limit_ms, 3 * kHourMs);
  }
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 2 * kHourMs}).has_value());
  EXPECT_EQ(Of(job, 1).limit_ms, 2 * kHourMs);
}

TEST_F(ArrayUpdateTest, ARaiseIsHeldForAllOrRefused) {
  SetBudget(9);
  const JobId job = HalfRunning();  // two GPUs each for an hour and the margin: 4.13 GPU-hours held
  const auto raise = [&](DurationMs limit) {
    return desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = limit});
  };
  EXPECT_EQ(ReasonOf(raise(3 * kHourMs)), "BUDGET_EXHAUSTED") << "one element's would fit";
  EXPECT_EQ(desk.Row(job).spec->time_limit_ms, kHourMs);
  EXPECT_EQ(Of(job, 0).limit_ms, kHourMs);
  EXPECT_EQ(ReasonOf(desk.Do(UpdateJobs{.jobs = {{job, 0}}, .time_limit_ms = 3 * kHourMs})), "");
  EXPECT_EQ(Of(job, 0).limit_ms, 3 * kHourMs);
  EXPECT_EQ(Of(job, 1).limit_ms, kHourMs);
}

TEST_F(ArrayUpdateTest, WhatIsEndingIsLeftToItsEnd) {
  const JobId job = HalfRunning();
  ASSERT_TRUE(desk.Do(CancelJobs{.jobs = {{job, 0}}}).has_value());
  EXPECT_EQ(ReasonOf(desk.Do(UpdateJobs{.jobs = {{job, 0}}, .time_limit_ms = 2 * kHourMs})),
            "JOB_STARTED");
  EXPECT_EQ(ReasonOf(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 2 * kHourMs})), "");
  EXPECT_EQ(Of(job, 0).limit_ms, kHourMs);
  EXPECT_EQ(Of(job, 1).limit_ms, 2 * kHourMs);
}

TEST_F(ArrayUpdateTest, WhatOnlyWhatWaitsCanChangeSparesWhatHasStartedAndSaysSo) {
  const JobId job = HalfRunning();
  const auto outcome = desk.Do(UpdateJobs{.jobs = {{job}}, .comment = "c", .job_class = "debug"});
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->spared, (std::vector<JobRef>{{job, 0}, {job, 1}}));
  EXPECT_EQ(desk.Row(job).spec->job_class, "debug");
  EXPECT_EQ(desk.Row(job, 0).spec->job_class, "normal");
  EXPECT_EQ(desk.Row(job, 0).spec->comment, "c");
  EXPECT_EQ(ReasonOf(desk.Do(UpdateJobs{.jobs = {{job}, {job, 0}}, .job_class = "normal"})), "");
  EXPECT_EQ(ReasonOf(desk.Do(UpdateJobs{.jobs = {{job}, {job, 0}}, .job_class = "debug"})),
            "JOB_STARTED")
      << "named by itself";
  ASSERT_TRUE(desk.Do(CancelJobs{.jobs = {{job, 2}, {job, 3}}}).has_value());
  EXPECT_EQ(ReasonOf(desk.Do(UpdateJobs{.jobs = {{job}}, .job_class = "debug"})), "JOB_STARTED")
      << "nothing of it waits";
}

TEST_F(ArrayUpdateTest, AnArrayWithCancelledElementsIsCancelledUnlessOneFailed) {
  for (const bool one_fails : {false, true}) {
    const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 2, 1}}, 0}; });
    const JobId after = desk.Submit([&](JobSpec& spec) {
      spec.dependencies = {{.kind = DependencyKind::kAfterOk, .on = {job}}};
    });
    desk.Tick();
    for (const std::int32_t element : {0, 1, 2}) {
      const AttemptRef ref{{job, element}, 1};
      const std::int64_t id = 100 * job.value + element;
      desk.Offer(LaunchAccepted{ref, id});
      desk.Step();
      ClusterJob seen = desk.Seen(ref, id, ClusterJobState::kRunning);
      seen.start_ms = desk.now;
      desk.Offer(Observed{seen});
      desk.Step();
    }
    ASSERT_TRUE(desk.Do(CancelJobs{{{job, 1}}}).has_value());
    desk.Offer(
        Observed{desk.Seen({{job, 1}, 1}, 100 * job.value + 1, ClusterJobState::kCancelled)});
    desk.Step();
    End({{job, 2}, 1}, 100 * job.value + 2, one_fails ? 1 : 0);
    EXPECT_EQ(desk.Row(job).state, JobState::kQueued) << "one runs";
    End({{job, 0}, 1}, 100 * job.value, 0);
    EXPECT_EQ(desk.Row(job).state, one_fails ? JobState::kFailed : JobState::kCancelled);
    EXPECT_EQ(desk.Row(after).state, JobState::kCancelled);
    EXPECT_EQ(desk.Row(after).reason.code, ReasonCode::kDependencyNeverMet);
  }
}

TEST_F(ArrayUpdateTest, WhatSettingsBarByNowMayStillBeChangedForTheBetter) {
  desk.Offer(ClusterSilent{});
  const JobId job = desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 10 * kHourMs; });
  desk.Step();
  Set([](AccountSettings& settings) { settings.account_limits.time_limit_ms = 2 * kHourMs; });
  const auto update = [&](UpdateJobs fields) {
    fields.jobs = {{job}};
    return ReasonOf(desk.Do(std::move(fields)));
  };
  EXPECT_EQ(update({.comment = "still wanted"}), "");
  EXPECT_EQ(update({.user_priority = 3}), "");
  EXPECT_EQ(update({.begin_ms = desk.now + kHourMs}), "");
  EXPECT_EQ(desk.Row(job).spec->comment, "still wanted");
  EXPECT_EQ(update({.time_limit_ms = 11 * kHourMs}), "TIME_LIMIT_TOO_LONG");
  EXPECT_EQ(update({.time_limit_ms = 5 * kHourMs}), "") << "too long still, but less so";
  EXPECT_EQ(update({.time_limit_ms = 6 * kHourMs}), "TIME_LIMIT_TOO_LONG");
  EXPECT_NE(update({.job_class = "debug"}), "") << "a class that would bar it";
  EXPECT_EQ(update({.time_limit_ms = 2 * kHourMs}), "");
  EXPECT_EQ(desk.Row(job).spec->time_limit_ms, 2 * kHourMs);
}

}  // namespace
}  // namespace kezek::control

// Goal: what new settings do to jobs that wait and run: what they bar stays queued with that reason
// until they are widened, what runs goes on, a restart changes nothing, and only the rows that a
// change concerns are touched. Method: one controller on a store in memory, by hand.

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class SettingsTest : public testing::Test {
 protected:
  // Of accounts as they are, changed; what came of it, with the tick after it.
  Result<CommandOutcome> Put(AccountId id, const std::function<void(Account&)>& change) {
    Account account = desk.controller->view()->directory->accounts.at(id);
    change(account);
    PutAccounts put;
    put.reason = "order 1";
    put.accounts.push_back({std::move(account), ""});
    desk.controller->Offer(CommandInput{77, {DeskOfOne::kUser, "somebody", std::move(put)}});
    const Ready ready = desk.Step();
    keyed = ready.report.keyed + desk.Tick().report.keyed;
    return ready.replies.at(0).outcome;
  }
  Result<CommandOutcome> Put(const std::function<void(AccountSettings&)>& change) {
    return Put(DeskOfOne::kProject, [&](Account& account) { change(account.settings); });
  }
  JobId TwoDays() {
    return desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 2 * kDayMs; });
  }
  bool Starts(JobId job) {
    desk.Tick();
    return desk.Row(job).state == JobState::kStarting;
  }

  DeskOfOne desk;
  std::int64_t keyed = 0;  // rows that the last change put into their order
};

TEST_F(SettingsTest, ALimitBindsWhatWaitsAndNotWhatRuns) {
  desk.Up();
  const JobId runs = TwoDays();
  const AttemptRef attempt = desk.Running(runs, 900);
  desk.Offer(ClusterSilent{});
  desk.Step();
  const JobId waits = TwoDays();
  ASSERT_TRUE(Put([](AccountSettings& s) { s.account_limits.time_limit_ms = kDayMs; }));
  EXPECT_EQ(desk.WaitsFor(waits).code, ReasonCode::kTimeLimitTooLong)
      << "which the cluster being away does not hide";
  EXPECT_EQ(desk.WaitsFor(waits).fields.at("whose"), "sector0/project0");
  desk.Up();
  EXPECT_FALSE(Starts(waits));
  desk.Begin();  // a new process
  desk.Up();
  EXPECT_FALSE(Starts(waits));
  EXPECT_EQ(desk.WaitsFor(waits).code, ReasonCode::kTimeLimitTooLong);
  EXPECT_EQ(desk.Row(runs).state, JobState::kRunning);
  EXPECT_EQ(desk.Of(attempt).limit_ms, 2 * kDayMs);
  EXPECT_EQ(desk.Of(attempt).ending, Ending::kNone);
  ASSERT_TRUE(Put([](AccountSettings& s) { s.account_limits.time_limit_ms = 2 * kDayMs; }));
  EXPECT_TRUE(Starts(waits));
}

TEST_F(SettingsTest, SoDoClassesAndAMove) {
  const JobId job = TwoDays();
  ASSERT_TRUE(Put([](AccountSettings& s) { s.classes = {"debug"}; }));
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kClassNotAllowed);
  ASSERT_TRUE(Put([](AccountSettings& s) { s.classes.clear(); }));
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kClusterUnread);
  const AccountId strict{3};
  ASSERT_TRUE(
      Put(strict, [](Account& sector) { sector.settings.user_limits.time_limit_ms = kDayMs; }));
  const auto move = [&](AccountId parent) {
    return Put(DeskOfOne::kProject, [parent](Account& project) {
      project.parent = parent;
      project.settings.shares["h200"].guarantee_milli = 0;
    });
  };
  ASSERT_TRUE(move(strict));
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kTimeLimitTooLong);
  ASSERT_TRUE(move(AccountId{2}));
  desk.Up();
  EXPECT_TRUE(Starts(job));
}

TEST_F(SettingsTest, AClosedProjectEndsWhatItRunsAndStartsNothingUntilItIsOpened) {
  desk.Up();
  const JobId runs = desk.Submit();
  const AttemptRef attempt = desk.Running(runs, 900);
  const auto close = [&](AccountId id, bool closed) {
    return Put(id, [closed](Account& account) { account.closed = closed; }).has_value();
  };
  // Itself, or an account above it.
  for (const AccountId id : {DeskOfOne::kProject, AccountId{2}}) {
    ASSERT_TRUE(close(id, true));
    const JobId waits = desk.Submit();
    EXPECT_FALSE(Starts(waits));
    EXPECT_EQ(desk.WaitsFor(waits).code, ReasonCode::kProjectClosed);
    EXPECT_EQ(desk.WaitsFor(waits).fields.at("account"), "sector0/project0");
    desk.Begin();
    desk.Up();
    EXPECT_FALSE(Starts(waits));
    EXPECT_EQ(desk.WaitsFor(waits).code, ReasonCode::kProjectClosed);
    EXPECT_EQ(desk.Of(attempt).ending, Ending::kNone) << "what runs goes on";
    ASSERT_TRUE(close(id, false));
    EXPECT_TRUE(Starts(waits));
  }
  ASSERT_TRUE(close(AccountId{2}, true));
  ClusterJob seen = desk.Seen(attempt, 900, ClusterJobState::kCompleted);
  seen.end_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_FALSE(desk.store.attempts().contains(attempt) &&
               desk.Of(attempt).state != AttemptState::kEnded)
      << "and ends as it would have";
}

// A limit of the class on what one user has queued binds those that change their class, too.
TEST(ClassQueueTest, AnUpdateTakesNoMoreIntoAClassThanItAllows) {
  ControlConfig config = sim::SimConfig();
  config.classes["debug"].user_limits.jobs_queued = 3;
  DeskOfOne desk(config);
  const auto submit = [&desk](std::int32_t jobs) {
    return desk.Submit([jobs](JobSpec& spec) {
      if (jobs > 1) spec.array = ArraySpec{{{1, jobs, 1}}, 0};
    });
  };
  const JobId array = submit(3);
  const JobId first = submit(1);
  const JobId second = submit(1);
  desk.Tick();
  const auto into = [&desk](std::vector<JobRef> jobs, const char* job_class) {
    return desk.Do(UpdateJobs{.jobs = std::move(jobs), .job_class = job_class});
  };
  const auto refused = into({{first}, {array}}, "debug");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().details.at(0).reason, "LIMIT_USER_JOBS");
  EXPECT_EQ(refused.error().details.at(0).field, "job_class");
  EXPECT_EQ(desk.Row(first).spec->job_class, "normal") << "nothing has changed";
  ASSERT_TRUE(into({{array}}, "debug").has_value());
  EXPECT_FALSE(into({{first}}, "debug").has_value());
  ASSERT_TRUE(into({{array}}, "normal").has_value());
  EXPECT_TRUE(into({{first}, {second}}, "debug").has_value());
}

// The nodes are not up, so that all wait.
TEST_F(SettingsTest, ANewSettingTouchesOnlyTheRowsThatItConcerns) {
  constexpr int kJobs = 1000;
  for (int i = 0; i < kJobs; ++i) {
    desk.Submit([i](JobSpec& spec) {
      spec.project = AccountId{DeskOfOne::kProject.value + i % 4};
      if (i < 40) spec.job_class = "realtime";
    });
  }
  EXPECT_EQ(desk.Tick().report.keyed, kJobs);
  ASSERT_TRUE(Put([this](AccountSettings& s) {
    s.shares["h200"].weight_milli = 9000;
    s.shares["h200"].guarantee_milli = 4000;
    s.budgets = {{.name = "q4",
                  .milli_gpu_hours = 1000,
                  .start_ms = desk.now - kHourMs,
                  .end_ms = desk.now + 90 * kDayMs}};
  }));
  EXPECT_EQ(keyed, 0);
  ASSERT_TRUE(Put([](AccountSettings& s) { s.shares["h200"].guarantee_milli = 0; }));
  ASSERT_TRUE(Put([](AccountSettings& s) { s.shares["h200"].guarantee_milli = 2000; }));
  EXPECT_EQ(keyed, 10) << "its jobs that may not be preempted fit into its guarantee again";
  const auto close = [](bool closed) { return [closed](Account& a) { a.closed = closed; }; };
  ASSERT_TRUE(Put(DeskOfOne::kProject, close(true)));
  EXPECT_EQ(keyed, 0);
  ASSERT_TRUE(Put(DeskOfOne::kProject, close(false)));
  EXPECT_EQ(keyed, kJobs / 4) << "its own only";
  ASSERT_TRUE(Put(AccountId{2}, [](Account& sector) { sector.name = "elsewhere"; }));
  EXPECT_EQ(keyed, kJobs / 2) << "two projects have other paths";
}

}  // namespace
}  // namespace kezek::control

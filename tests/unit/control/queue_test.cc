// Goal: what keeps jobs from starting, and what people can do about them: dependencies, times,
// holds, arrays, cancels, updates; when ticks are due. Method: a controller driven by hand.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "kezek/v1/job_service.pb.h"
#include "tests/support/field_path.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class QueueTest : public ::testing::Test {
 protected:
  QueueTest() { desk.Up(); }
  void End(const AttemptRef& ref, std::int64_t id, std::int32_t exit_code) {
    ClusterJob seen =
        desk.Seen(ref, id, exit_code == 0 ? ClusterJobState::kCompleted : ClusterJobState::kFailed);
    seen.end_ms = desk.now;
    seen.exit_code = exit_code;
    desk.Offer(Observed{seen});
    desk.Step(1000);
  }
  JobId Dependent(DependencyKind kind, JobRef on, bool kill = true) {
    return desk.Submit([&](JobSpec& spec) {
      spec.dependencies = {{kind, on}};
      spec.kill_on_invalid_dependency = kill;
    });
  }
  DeskOfOne desk;
};

TEST_F(QueueTest, DependenciesByKindAndOutcome) {
  using enum DependencyKind;
  using enum JobState;
  const std::vector<std::tuple<DependencyKind, std::int32_t, JobState>> cases = {
      {kAfterOk, 0, kStarting},  {kAfterOk, 1, kCancelled},    {kAfterAny, 0, kStarting},
      {kAfterAny, 1, kStarting}, {kAfterNotOk, 0, kCancelled}, {kAfterNotOk, 1, kStarting},
      {kAfter, 0, kStarting}};
  std::int64_t id = 900;
  for (const auto& [kind, exit_code, state] : cases) {
    const JobId first = desk.Submit();
    const JobId second = Dependent(kind, {first});
    const AttemptRef ref = desk.Running(first, ++id);
    desk.Tick();
    EXPECT_EQ(desk.Row(second).state, kind == kAfter ? kStarting : kQueued);
    if (kind != kAfter) {
      EXPECT_EQ(desk.WaitsFor(second).code, ReasonCode::kDependency);
    }
    End(ref, id, exit_code);
    desk.Tick();
    EXPECT_EQ(desk.Row(second).state, state) << static_cast<int>(kind) << " " << exit_code;
    EXPECT_TRUE(desk.Do(CancelJobs{{{second}}}).has_value());
    desk.Offer(LaunchRefused{{{second}, 1}, false, "over"});
    desk.Step();
  }
}

TEST_F(QueueTest, ADependencyOnWhatEndedLongAgoIsLookedUp) {
  const JobId first = desk.Submit();
  End(desk.Running(first, 900), 900, 0);
  desk.Tick();
  ASSERT_EQ(desk.controller->state().FindJob({first}), nullptr) << "not kept in memory";
  const JobId second = Dependent(DependencyKind::kAfterOk, {first});
  desk.Tick();
  desk.Tick();
  EXPECT_EQ(desk.Row(second).state, JobState::kStarting);
}

TEST_F(QueueTest, ADependencyThatCannotBeMetMayWaitIfAsked) {
  const JobId first = desk.Submit();
  const JobId second = Dependent(DependencyKind::kAfterNotOk, {first}, false);
  End(desk.Running(first, 900), 900, 0);
  desk.Tick();
  EXPECT_EQ(desk.Row(second).state, JobState::kQueued);
  EXPECT_EQ(desk.WaitsFor(second).code, ReasonCode::kDependencyNeverMet);
}

TEST_F(QueueTest, BeginTimeAndDeadline) {
  const JobId later = desk.Submit([&](JobSpec& s) { s.begin_ms = desk.now + 60'000; });
  const JobId hurried = desk.Submit([&](JobSpec& s) {
    s.begin_ms = desk.now + 60'000;
    s.deadline_ms = desk.now + 30 * kMinuteMs;  // the limit is an hour
  });
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(later).code, ReasonCode::kBeginTime);
  EXPECT_EQ(desk.Row(hurried).state, JobState::kCancelled);
  EXPECT_EQ(desk.Row(hurried).reason.code, ReasonCode::kDeadlineUnreachable);
  EXPECT_LE(desk.controller->NextWakeMs(), desk.now + 60'000);
  desk.Step(60'000);
  EXPECT_EQ(desk.Row(later).state, JobState::kStarting);
}

TEST_F(QueueTest, HoldsAndWhoMayReleaseThem) {
  desk.Offer(ClusterSilent{""});
  const JobId job = desk.Submit();
  desk.Step();
  EXPECT_EQ(desk.Do(HoldJobs{{{job}}, true, "maintenance"})->jobs.size(), 1U);
  EXPECT_EQ(desk.Row(job).hold, Hold::kAdmin);
  EXPECT_EQ(desk.Do(HoldJobs{{{job}}, false, ""})->unchanged.size(), 1U);
  const auto refused = desk.Do(ReleaseJobs{{{job}}, false});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  EXPECT_EQ(desk.Do(ReleaseJobs{{{job}}, true})->jobs.size(), 1U);
  EXPECT_EQ(desk.Row(job).hold, Hold::kNone);
}

TEST_F(QueueTest, WhatIsOverIsNotHeld) {
  const JobId job = desk.Submit();
  ASSERT_TRUE(desk.Do(CancelJobs{{{job}}}));
  const auto refused = desk.Do(HoldJobs{{{job}}, false, ""});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
}

TEST_F(QueueTest, CancelsOfEveryStage) {
  const JobId queued = desk.Submit([&](JobSpec& s) { s.begin_ms = desk.now + kHourMs; });
  const JobId starting = desk.Submit();
  desk.Tick();
  EXPECT_EQ(desk.Do(CancelJobs{{{queued}, {starting}}})->jobs.size(), 2U);
  EXPECT_EQ(desk.Row(queued).state, JobState::kCancelled);
  EXPECT_EQ(desk.Row(starting).state, JobState::kStarting) << "its submission is on its way";
  desk.Offer(LaunchAccepted{{{starting}, 1}, 900});
  const Ready ready = desk.Step();
  EXPECT_TRUE(DeskOfOne::All<ReleaseAction>(ready).empty());
  EXPECT_EQ(DeskOfOne::All<CancelAction>(ready).size(), 1U);
  desk.Offer(Observed{desk.Seen({{starting}, 1}, 900, ClusterJobState::kCancelled)});
  desk.Step();
  EXPECT_EQ(desk.Row(starting).state, JobState::kCancelled);
  EXPECT_EQ(desk.Row(starting).reason.fields.at("by"), "somebody");
  EXPECT_EQ(desk.Do(CancelJobs{{{starting}, {JobId{4711}}}})->unchanged.size(), 2U);
}

TEST_F(QueueTest, ArraysAreOneRowUntilElementsStart) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 9999, 1}}, 3}; });
  EXPECT_EQ(desk.store.jobs().size(), 1U);
  const Ready ready = desk.Tick();
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(ready).size(), 3U) << "its own limit";
  EXPECT_EQ(desk.store.jobs().size(), 4U);
  EXPECT_EQ(desk.Row(job).pending, (std::vector<IndexRange>{{3, 9999, 1}}));
  EXPECT_EQ(desk.Row(job, 1).state, JobState::kStarting);
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kArrayLimit);
  EXPECT_EQ(desk.controller->view()->queued_in_account.at(DeskOfOne::kProject), 9997);
}

TEST_F(QueueTest, ElementsCanBeCancelledAndHeldOneByOne) {
  desk.Offer(ClusterSilent{""});
  const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 3, 1}}, 0}; });
  desk.Step();
  EXPECT_EQ(desk.Do(CancelJobs{{{job, 1}}})->jobs.size(), 1U);
  EXPECT_EQ(desk.Do(HoldJobs{{{job, 2}}, false, ""})->jobs.size(), 1U);
  EXPECT_EQ(desk.Row(job, 1).state, JobState::kCancelled);
  EXPECT_EQ(desk.Row(job, 2).hold, Hold::kUser);
  EXPECT_EQ(desk.Row(job).pending, (std::vector<IndexRange>{{0, 0, 1}, {3, 3, 1}}));
  const auto none = desk.Do(CancelJobs{{{job, 4}}});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_EQ(desk.Do(CancelJobs{{{job}}})->jobs.size(), 1U);
  EXPECT_EQ(desk.Row(job).state, JobState::kCancelled);
  EXPECT_EQ(desk.Row(job, 2).state, JobState::kCancelled);
}

TEST_F(QueueTest, OneElementOfAHeldArrayCanBeReleased) {
  desk.Offer(ClusterSilent{""});
  const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 3, 1}}, 0}; });
  desk.Step();
  EXPECT_EQ(desk.Do(HoldJobs{{{job}}, false, ""})->jobs.size(), 1U);
  EXPECT_EQ(desk.Do(ReleaseJobs{{{job, 2}}, false})->jobs.size(), 1U);
  EXPECT_EQ(desk.Row(job, 2).hold, Hold::kNone);
  EXPECT_EQ(desk.Row(job).hold, Hold::kUser);
  desk.Offer(ClusterUp{"test", 0});
  desk.OfferNodes();
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(desk.Tick()).size(), 1U);
}

TEST_F(QueueTest, WhatIsRefusedForOneElementHoldsTheArray) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 3, 1}}, 1}; });
  desk.Tick();
  desk.Offer(LaunchRefused{{{job, 0}, 1}, true, "Invalid account"});
  desk.Step();
  EXPECT_EQ(desk.Row(job, 0).hold, Hold::kCluster);
  EXPECT_EQ(desk.Row(job).hold, Hold::kCluster);
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(desk.Tick()).empty());
}

TEST_F(QueueTest, AnArrayIsFinalWhenAllItsElementsAre) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 1, 1}}, 0}; });
  desk.Tick();
  for (const std::int32_t element : {0, 1}) {
    const AttemptRef ref{{job, element}, 1};
    desk.Offer(LaunchAccepted{ref, 900 + element});
    desk.Step();
    ClusterJob seen = desk.Seen(ref, 900 + element, ClusterJobState::kRunning);
    seen.start_ms = desk.now;
    desk.Offer(Observed{seen});
    desk.Step();
    EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
    End(ref, 900 + element, element);
  }
  EXPECT_EQ(desk.Row(job).state, JobState::kFailed) << "one element failed";
  EXPECT_EQ(desk.Row(job).failed_runs, 1);
}

TEST_F(QueueTest, UpdatesAreCheckedLikeSubmissions) {
  desk.Offer(ClusterSilent{""});
  const JobId job = desk.Submit();
  desk.Step();
  const auto too_long = desk.Do(UpdateJobs{.jobs = {{job}}, .job_class = "debug"});
  EXPECT_TRUE(too_long.has_value()) << "an hour is debug's limit";
  const auto refused = desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 2 * kHourMs});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(desk.Row(job).spec->time_limit_ms, kHourMs);
  EXPECT_EQ(desk.Do(UpdateJobs{.jobs = {{job}}, .comment = "x"})->jobs.size(), 1U);
  EXPECT_EQ(desk.Do(UpdateJobs{.jobs = {{job}}, .comment = "x"})->unchanged.size(), 1U);
}

TEST_F(QueueTest, ACommandForSeveralJobsChangesAllOrNone) {
  const JobId running = desk.Submit();
  desk.Running(running, 900);
  desk.Offer(ClusterSilent{""});
  const JobId array = desk.Submit([](JobSpec& spec) {
    spec.array = ArraySpec{.indices = {{1, 3, 1}}};
  });
  const JobId single = desk.Submit();
  desk.Step();
  const std::size_t events = desk.store.events().size();
  const std::vector<JobRef> all{{array, 2}, {single}, {running}};
  // The last of the last change cannot be made: nothing of it is.
  const ChangeJobs refused{{HoldJobs{.jobs = {{single}}},
                            UpdateJobs{.jobs = {{array, 2}}, .comment = "c"},
                            UpdateJobs{.jobs = all, .begin_ms = 5}}};
  EXPECT_EQ(desk.Do(refused).error().details.at(0).reason, "JOB_STARTED");
  EXPECT_EQ(desk.store.events().size(), events);
  EXPECT_EQ(desk.Row(single).hold, Hold::kNone);
  EXPECT_FALSE(desk.store.jobs().contains({array, 2}));
  const auto missing = desk.Do(CancelJobs{{{single}, {array, 4}}});
  EXPECT_EQ(missing.error().details.at(0).reason, "NO_SUCH_JOB");
  EXPECT_EQ(desk.Row(single).state, JobState::kQueued);
  // What can be made is made as one.
  const ChangeJobs good{{HoldJobs{.jobs = {{single}}}, UpdateJobs{.jobs = all, .comment = "c"}}};
  EXPECT_EQ(desk.Do(good)->jobs.size(), 4U);
  EXPECT_EQ(desk.Row(single).hold, Hold::kUser);
  EXPECT_EQ(desk.Row(array, 2).spec->comment, "c");
  EXPECT_EQ(desk.Row(running).spec->comment, "c");
  // A job that an earlier change of the same command ends is left as it is.
  const auto over = desk.Do(
      ChangeJobs{{CancelJobs{{{single}}}, UpdateJobs{.jobs = {{single}}, .comment = "too late"}}});
  EXPECT_EQ(over->jobs, std::vector<JobRef>{{single}});
  EXPECT_EQ(over->unchanged, std::vector<JobRef>{{single}});
}

TEST_F(QueueTest, WhatAJobCannotTakeIsRefusedByTheFieldOfTheRequest) {
  const JobId running = desk.Submit();
  desk.Running(running, 900);
  const JobId brief = desk.Submit([](JobSpec& spec) {
    spec.job_class = "debug";
    spec.time_limit_ms = 30 * kMinuteMs;
  });
  desk.Running(brief, 901);
  const JobId ended = desk.Submit();
  ASSERT_TRUE(desk.Do(CancelJobs{{{ended}}}));
  desk.Offer(ClusterSilent{""});
  const JobId queued = desk.Submit();
  const JobId array = desk.Submit([](JobSpec& spec) {
    spec.array = ArraySpec{.indices = {{1, 3, 1}}};
  });
  desk.Step();
  using Change = std::function<void(UpdateJobs&)>;
  struct Case {
    JobRef job;
    Change change;
    std::string field;
    std::string reason;
  };
  const Change later = [](UpdateJobs& update) { update.begin_ms = 5; };
  const Change longer = [](UpdateJobs& update) { update.time_limit_ms = 2 * kHourMs; };
  const Change wider = [](UpdateJobs& update) { update.array_max_running = 2; };
  const std::vector<Case> cases = {
      {{running}, later, "begin_ms", "JOB_STARTED"},
      {{brief}, longer, "time_limit_ms", "TIME_LIMIT_TOO_LONG"},
      {{running}, [](UpdateJobs& u) { u.job_class = "debug"; }, "job_class", "JOB_STARTED"},
      {{ended}, later, "jobs", "JOB_FINAL"},
      {{queued}, wider, "array_max_running", "FIELD_INVALID"},
      {{array, 2}, wider, "array_max_running", "FIELD_INVALID"},
      {{queued}, [](UpdateJobs& u) { u.job_class = "none"; }, "job_class", "NO_SUCH_CLASS"},
      {{queued}, [](UpdateJobs& u) { u.deadline_ms = -1; }, "deadline_ms", "OUT_OF_RANGE"},
  };
  for (const Case& one : cases) {
    UpdateJobs update{.jobs = {one.job}};
    one.change(update);
    const auto outcome = desk.Do(update);
    ASSERT_FALSE(outcome.has_value()) << one.field << ToText(one.job);
    EXPECT_EQ(outcome.error().details.at(0).field, one.field);
    EXPECT_EQ(outcome.error().details.at(0).reason, one.reason);
    EXPECT_TRUE(IsFieldPath(*v1::UpdateRequest::descriptor(), one.field)) << one.field;
  }
  const auto held = desk.Do(HoldJobs{.jobs = {{ended}}});
  EXPECT_EQ(held.error().details.at(0).field, "hold");
  // Minutes are what the cluster counts.
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{running}}, .time_limit_ms = 90'000}));
  EXPECT_EQ(desk.Row(running).spec->time_limit_ms, 2 * kMinuteMs);
  EXPECT_EQ(desk.store.events().back().reason.fields.at("field"), "time_limit_ms");
}

TEST_F(QueueTest, AnElementOfAnArrayHeldByAnAdminIsNotReleasedByItsOwner) {
  desk.Offer(ClusterSilent{""});
  const JobId array = desk.Submit([](JobSpec& spec) {
    spec.array = ArraySpec{.indices = {{1, 3, 1}}};
  });
  desk.Step();
  ASSERT_TRUE(desk.Do(HoldJobs{{{array}}, true, "maintenance"}).has_value());
  EXPECT_EQ(desk.Do(ReleaseJobs{{{array, 2}}, false}).error().code, Code::kPermissionDenied);
  EXPECT_EQ(desk.Do(ReleaseJobs{{{array, 2}}, true})->jobs.size(), 1U);
}

TEST_F(QueueTest, TicksShareAndTheHeartbeatComes) {
  desk.Tick();
  while (desk.controller->NextWakeMs() < desk.now + desk.config.heartbeat_ms) {
    desk.Step(desk.controller->NextWakeMs() - desk.now);
  }
  const TimeMs tick = desk.now;
  EXPECT_EQ(desk.controller->NextWakeMs(), tick + desk.config.heartbeat_ms);
  desk.now += 1000;
  desk.Submit();
  EXPECT_LE(desk.controller->NextWakeMs(), desk.now) << "an event wakes it at once";
  EXPECT_TRUE(desk.Step().report.ticked);
  desk.Submit();
  EXPECT_FALSE(desk.Step(10).report.ticked) << "so close to a tick it shares the next";
  EXPECT_EQ(desk.controller->NextWakeMs(), desk.now - 10 + desk.config.gather_ms);
}

TEST(QueueTickTest, ATickThatStartedAllItMayIsFollowedAtOnceByTheNext) {
  ControlConfig config = sim::SimConfig();
  config.engine.starts_max = 1;
  DeskOfOne desk(config);
  desk.Up();
  desk.Tick();
  const JobId first = desk.Submit();
  const JobId second = desk.Submit();
  EXPECT_EQ(desk.Tick().report.starts, 1);
  EXPECT_EQ(desk.Row(first).state, JobState::kStarting);
  EXPECT_LE(desk.controller->NextWakeMs(), desk.now);
  EXPECT_EQ(desk.Step().report.starts, 1);
  EXPECT_EQ(desk.Row(second).state, JobState::kStarting);
  desk.Step(desk.config.gather_ms);
  EXPECT_GT(desk.controller->NextWakeMs(), desk.now);
  // Nothing may start: nothing is tried again and again.
  desk.Submit();
  desk.Submit();
  desk.Offer(ClusterSilent{""});
  EXPECT_EQ(desk.Tick().report.starts, 0);
  EXPECT_GT(desk.controller->NextWakeMs(), desk.now);
}

TEST_F(QueueTest, TimeNeverGoesBack) {
  desk.Tick();
  const TimeMs before = desk.controller->view()->now_ms;
  desk.Submit();
  desk.now -= kHourMs;
  desk.Step();
  EXPECT_GE(desk.controller->Step(desk.now).now_ms, before);
}

TEST_F(QueueTest, AUserWithoutAUnixAccountWaitsUntilThereIsOne) {
  User user = desk.controller->view()->directory->users.at(DeskOfOne::kUser);
  user.unix_account.clear();
  ASSERT_TRUE(desk.Do(PutUsers{{desk.Becomes(user)}, "moved"}).has_value());
  const JobId job = desk.Submit();
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kNoUnixAccount);
  user.unix_account = "kz-new";
  ASSERT_TRUE(desk.Do(PutUsers{{desk.Becomes(user)}, "back"}).has_value());
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);
}

TEST_F(QueueTest, WhoLeavesAProjectHasNothingStartedThereUntilTheReturn) {
  const JobId job = desk.Submit();
  User user = desk.controller->view()->directory->users.at(DeskOfOne::kUser);
  const std::vector<RoleGrant> before = user.roles;
  const AccountId project = desk.Row(job).spec->project;
  std::erase_if(user.roles, [&](const RoleGrant& grant) { return grant.account == project; });
  ASSERT_TRUE(desk.Do(PutUsers{{desk.Becomes(user)}, "left"}).has_value());
  const Event& said = desk.store.events().back();
  EXPECT_EQ(said.actor, "somebody");
  EXPECT_EQ(said.reason.fields.at("field"), "roles") << "who took it is on record, when and why";
  EXPECT_EQ(said.reason.fields.at("text"), "left");
  EXPECT_NE(said.reason.fields.at("from"), said.reason.fields.at("to"));
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kNotAMember);
  user.roles = before;
  ASSERT_TRUE(desk.Do(PutUsers{{desk.Becomes(user)}, "back"}).has_value());
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);
}

TEST_F(QueueTest, TheAccessOfADisabledUserEndsWithEveryToken) {
  User user = desk.controller->view()->directory->users.at(DeskOfOne::kUser);
  Token token{.user = user.id, .label = "laptop"};
  token.hash[0] = 1;
  ASSERT_TRUE(desk.Do(PutToken{token}).has_value());
  const JobId job = desk.Submit();
  user.disabled = true;
  ASSERT_TRUE(desk.Do(PutUsers{{desk.Becomes(user)}, "left"}).has_value());
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kHeldByAdmin);
  EXPECT_NE(desk.controller->view()->directory->tokens.at(token.hash).revoked_ms, 0);
  user.disabled = false;
  ASSERT_TRUE(desk.Do(PutUsers{{desk.Becomes(user)}, "back"}).has_value());
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);
  EXPECT_NE(desk.controller->view()->directory->tokens.at(token.hash).revoked_ms, 0);
}

TEST_F(QueueTest, ADrainedNodeGetsNoJob) {
  std::vector<std::string> all;
  for (const Node& node : sim::SimNodes()) all.push_back(node.name);
  ASSERT_TRUE(desk.Do(SetNodeService{all, true, "repair"}).has_value());
  const JobId job = desk.Submit();
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.controller->view()->nodes.at("n1").health, NodeHealth::kDraining);
  ASSERT_TRUE(desk.Do(SetNodeService{all, false, ""}).has_value());
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);
}

}  // namespace
}  // namespace kezek::control

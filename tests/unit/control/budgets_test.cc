// Goal: what the controller does about budgets: a start holds in its own commit, what is not held
// waits and says why, a restart changes nothing, a shorter limit gives back, scavengers draw on
// nothing, and a correction needs two people. Method: one controller on a store in memory, by hand.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

const BudgetRef kBudget{DeskOfOne::kProject, "q4"};

class BudgetsTest : public testing::Test {
 protected:
  BudgetsTest() { desk.Up(); }

  Result<CommandOutcome> Grant(std::int64_t hours,
                               AtExhaustion at_exhaustion = AtExhaustion::kStop) {
    PutAccounts put;
    put.reason = "a quarter";
    put.plan_only = plan_only;
    Account account = desk.controller->view()->directory->accounts.at(DeskOfOne::kProject);
    account.settings.budgets = {{.name = "q4",
                                 .milli_gpu_hours = hours * 1000,
                                 .start_ms = desk.now - kHourMs,
                                 .end_ms = desk.now + 90 * kDayMs,
                                 .at_exhaustion = at_exhaustion}};
    put.accounts.push_back({std::move(account), ""});
    return desk.Do(std::move(put));
  }
  BudgetBalance Balance() const { return desk.store.Budgets().Of(kBudget); }
  // Two GPUs for 58 minutes: two GPU-hours are held.
  JobId Submit() {
    return desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 58 * kMinuteMs; });
  }

  DeskOfOne desk;
  bool plan_only = false;
};

TEST_F(BudgetsTest, HoldsInTheCommitOfTheStartAndSettlesAtTheEnd) {
  ASSERT_TRUE(Grant(3).has_value());
  const JobId first = Submit();
  const JobId second = Submit();
  const Ready ready = desk.Tick();
  EXPECT_EQ(std::count_if(ready.changes.ledger.begin(), ready.changes.ledger.end(),
                          [](const LedgerEntry& e) { return e.kind == EntryKind::kHold; }),
            1)
      << "one fits; the other is judged by what the first has taken";
  EXPECT_EQ(Balance().held, 2 * kGpuHour);
  EXPECT_EQ(desk.Row(first).state, JobState::kStarting);
  const Reason waits = desk.WaitsFor(second);
  EXPECT_EQ(waits.code, ReasonCode::kBudgetExhausted);
  const auto& waiting = desk.controller->view()->waiting_for_budget;
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting.begin()->second, 1);
  EXPECT_EQ(waits.fields.at("left"), "1");
  EXPECT_EQ(waits.fields.at("fits"), std::to_string(28 * kMinuteMs));
  desk.Begin();  // a new process holds what the old one held
  desk.Up();
  desk.Tick();
  EXPECT_EQ(Balance().held, 2 * kGpuHour);
  EXPECT_EQ(desk.Row(second).state, JobState::kQueued);
  const AttemptRef ref{{first}, 1};
  ClusterJob ended = desk.Seen(ref, 7, ClusterJobState::kCompleted);
  ended.start_ms = desk.now;
  ended.end_ms = desk.now + 15 * kMinuteMs;
  desk.now = ended.end_ms;
  desk.Offer(Observed{ended});
  desk.Step();
  EXPECT_EQ(Balance().spent, kGpuHour / 2);
  desk.Tick();
  EXPECT_EQ(desk.Row(second).state, JobState::kStarting) << "what came back is enough for it";
}

TEST_F(BudgetsTest, IsNotCutBelowWhatIsHeld) {
  ASSERT_TRUE(Grant(10).has_value());
  Submit();
  desk.Tick();
  const auto cut = Grant(1);
  ASSERT_FALSE(cut.has_value());
  EXPECT_EQ(cut.error().details.at(0).reason, "BUDGET_BELOW_SPENT");
  plan_only = true;
  EXPECT_FALSE(Grant(1).has_value()) << "a plan says so, too";
  EXPECT_TRUE(Grant(20).has_value()) << "and this could be done";
  EXPECT_EQ(Balance().granted, 10 * kGpuHour) << "nothing has changed";
}

TEST_F(BudgetsTest, GoesOnAsAScavengerWhereTheBudgetSaysSo) {
  ASSERT_TRUE(Grant(1, AtExhaustion::kScavenge).has_value());
  const JobId job = Submit();
  desk.Tick();
  ASSERT_EQ(desk.Row(job).state, JobState::kStarting);
  EXPECT_TRUE(desk.Of({{job}, 1}).as_scavenger);
  EXPECT_EQ(Balance().held, 0);
  for (const LedgerEntry& entry : desk.store.ledger()) {
    EXPECT_NE(entry.book, Book::kUsage) << "in no usage";
  }
}

TEST_F(BudgetsTest, AShorterLimitGivesBackAtOnce) {
  ASSERT_TRUE(Grant(10).has_value());
  const JobId job = Submit();
  desk.Running(job, 7);
  ASSERT_EQ(Balance().held, 2 * kGpuHour);
  ASSERT_TRUE(
      desk.Do(JobChange{UpdateJobs{.jobs = {{job}}, .time_limit_ms = 28 * kMinuteMs}}).has_value());
  EXPECT_EQ(Balance().held, kGpuHour);
}

TEST_F(BudgetsTest, ALongerLimitIsHeldFirstOrRefused) {
  ASSERT_TRUE(Grant(5).has_value());
  const JobId job = Submit();
  const JobId other = desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 28 * kMinuteMs; });
  const AttemptRef ref = desk.Running(job, 7);
  const AttemptRef beside = desk.Running(other, 8);
  ASSERT_EQ(Balance().held, 3 * kGpuHour);
  const auto raise = [this](std::vector<JobRef> jobs, DurationMs limit) {
    return desk.Do(JobChange{UpdateJobs{.jobs = std::move(jobs), .time_limit_ms = limit}});
  };
  // Each alone would fit: together they would draw an hour more than there is.
  const auto both = raise({{job}, {other}}, 88 * kMinuteMs);
  ASSERT_FALSE(both.has_value());
  EXPECT_EQ(both.error().details.at(0).field, "time_limit_ms");
  EXPECT_EQ(both.error().details.at(0).reason, "BUDGET_EXHAUSTED");
  EXPECT_EQ(both.error().details.at(0).values.at("fits"), std::to_string(58 * kMinuteMs));
  const auto as_two = desk.Do(ChangeJobs{
      {UpdateJobs{.jobs = {{job}}, .time_limit_ms = 88 * kMinuteMs},
       UpdateJobs{.jobs = {{other}}, .time_limit_ms = 88 * kMinuteMs, .by_admin = true}}});
  EXPECT_FALSE(as_two.has_value()) << "an admin's own job and another's: two updates, one command";
  EXPECT_EQ(Balance().held, 3 * kGpuHour) << "nothing has changed";
  ASSERT_TRUE(raise({{job}}, 118 * kMinuteMs).has_value()) << "to the last unit";
  EXPECT_EQ(Balance().held, 5 * kGpuHour);
  EXPECT_EQ(desk.Of(ref).limit_ms, 118 * kMinuteMs);
  EXPECT_FALSE(raise({{job}}, 119 * kMinuteMs).has_value()) << "one minute more";
  ASSERT_TRUE(raise({{job}}, 28 * kMinuteMs).has_value());
  EXPECT_EQ(Balance().held, 2 * kGpuHour);
  ASSERT_TRUE(raise({{other}}, 118 * kMinuteMs).has_value()) << "what the first gave back";
  EXPECT_EQ(desk.Of(beside).limit_ms, 118 * kMinuteMs);
  desk.Begin();  // a new process holds what the old one held
  desk.Up();
  desk.Tick();
  EXPECT_EQ(Balance().held, 5 * kGpuHour);
  ClusterJob ended = desk.Seen(beside, 8, ClusterJobState::kCompleted);
  ended.end_ms = desk.now = ended.start_ms + 90 * kMinuteMs;
  desk.Offer(Observed{ended});
  desk.Step();
  EXPECT_EQ(Balance().spent, 3 * kGpuHour) << "two GPUs for an hour and a half";
  EXPECT_EQ(Balance().held, kGpuHour) << "the first has passed its limit and is being ended";
}

// kill_margin is two minutes at the start and ten when the limit is raised.
TEST_F(BudgetsTest, WhatARaiseHoldsBeginsWhereTheHoldEnds) {
  ASSERT_TRUE(Grant(20).has_value());
  const JobId job = Submit();
  const AttemptRef ref = desk.Running(job, 900);
  desk.config.charge.kill_margin_ms = 10 * kMinuteMs;
  desk.Begin();
  desk.Up();
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .time_limit_ms = 178 * kMinuteMs}).has_value());
  EXPECT_EQ(Balance().held, 6 * kGpuHour);
  ClusterJob ended = desk.Seen(ref, 900, ClusterJobState::kTimedOut);
  ended.start_ms = desk.Of(ref).start_ms;
  ended.end_ms = ended.start_ms + 178 * kMinuteMs;
  desk.now = ended.end_ms;
  desk.Offer(Observed{ended});
  desk.Step();
  EXPECT_EQ(Balance().spent, 2000 * 178 * kMinuteMs) << "all that is charged";
  EXPECT_EQ(Balance().held, 0);
}

TEST_F(BudgetsTest, ANodesFailureGivesBackTheTimeSinceTheLastCheckpoint) {
  ASSERT_TRUE(Grant(10).has_value());
  const JobId job = Submit();
  const AttemptRef ref = desk.Running(job, 7);
  const TimeMs start = desk.Of(ref).start_ms;
  const auto refused = [this, job](std::int32_t attempt) {
    const auto noted = desk.Do(NoteCheckpoint{{job}, attempt, ""});
    return noted ? "" : noted.error().details.at(0).reason;
  };
  desk.now = start + 30 * kMinuteMs;
  const auto noted = desk.Do(NoteCheckpoint{{job}, 1, "ckpt/9"});
  ASSERT_TRUE(noted.has_value());
  EXPECT_EQ(noted->recorded_ms, desk.now);
  EXPECT_EQ(desk.Of(ref).last_checkpoint_ms, desk.now);
  EXPECT_EQ(desk.store.events().back().reason.code, ReasonCode::kCheckpoint);
  desk.Begin();  // it is on record
  desk.Up();
  ClusterJob ended = desk.Seen(ref, 7, ClusterJobState::kNodeFailed);
  ended.end_ms = desk.now = start + 45 * kMinuteMs;
  desk.Offer(Observed{ended});
  desk.Step();
  EXPECT_EQ(Balance().spent, kGpuHour) << "two GPUs for half an hour";
  EXPECT_EQ(Balance().refunded, kGpuHour / 2);
  const auto& ledger = desk.store.ledger();
  MilliGpuMs usage = 0;
  for (const LedgerEntry& entry : ledger) usage += entry.book == Book::kUsage ? entry.amount : 0;
  EXPECT_EQ(usage, kGpuHour);
  for (const LedgerEntry& entry : ledger) {
    if (entry.kind != EntryKind::kRefund) continue;
    EXPECT_EQ(entry.reason.code, ReasonCode::kNodeFailed);
    EXPECT_EQ(entry.reason.fields.at("checkpoint_ms"), std::to_string(noted->recorded_ms));
  }
  EXPECT_EQ(refused(1), "NOT_RUNNING") << "it waits, or is over";
}

TEST_F(BudgetsTest, ACheckpointsTimeDoesNotGoBackAndItsPathIsTheOwners) {
  const JobId job = Submit();
  const AttemptRef ref = desk.Running(job, 7);
  const TimeMs start = desk.Of(ref).start_ms;
  desk.Step(30 * kMinuteMs);
  const auto note = [&](UserId actor, const std::string& path, TimeMs at) {
    desk.controller->Offer(
        CommandInput{77, {actor, "somebody", NoteCheckpoint{{job}, 1, path, at}}});
    return desk.Step().replies.at(0).outcome;
  };
  const auto last = [&] { return desk.Of(ref).last_checkpoint_ms; };
  ASSERT_TRUE(note(DeskOfOne::kUser, "ckpt/1", 0).has_value());
  const TimeMs first = last();
  EXPECT_EQ(first, desk.now);
  desk.Step(30 * kMinuteMs);
  EXPECT_EQ(note({}, "", first - kMinuteMs)->unchanged, std::vector<JobRef>{{job}});
  EXPECT_EQ(last(), first) << "an older file, moved there";
  EXPECT_EQ(note({}, "", start - kMinuteMs)->unchanged, std::vector<JobRef>{{job}});
  EXPECT_EQ(note({}, "", first + kMinuteMs)->jobs, std::vector<JobRef>{{job}});
  EXPECT_EQ(last(), first + kMinuteMs);
  EXPECT_EQ(note({}, "", desk.now + kDayMs)->recorded_ms, desk.now) << "a file of the future";
  EXPECT_EQ(desk.Row(job).resume_from, "ckpt/1") << "who sees a file says no path";
  const NoteCheckpoint unseen{.job = {job}, .attempt = 1, .unseen = "no leave to read /data/x"};
  desk.controller->Offer(CommandInput{77, {{}, "kezek", unseen}});
  const Ready ready = desk.Step();
  ASSERT_EQ(ready.changes.events.size(), 1U);
  EXPECT_EQ(ready.changes.events[0].reason.code, ReasonCode::kWarning);
  EXPECT_EQ(last(), desk.now);
  const UserId lead{99};
  EXPECT_EQ(note(lead, "/evil", 0).error().details.at(0).reason, "NOT_OWNER");
  desk.Step(kMinuteMs);
  EXPECT_TRUE(note(lead, "", 0).has_value());
  EXPECT_EQ(last(), desk.now);
  EXPECT_EQ(desk.Row(job).resume_from, "ckpt/1");
}

TEST_F(BudgetsTest, SteadyCheckpointsAreSaidNowAndThen) {
  const JobId job = Submit();
  const AttemptRef ref = desk.Running(job, 7);
  std::size_t said = 0;
  for (int minute = 0; minute < 60; ++minute) {
    desk.Step(kMinuteMs);
    desk.controller->Offer(CommandInput{77, {{}, "kezek", NoteCheckpoint{{job}, 1, "", desk.now}}});
    for (const Event& event : desk.Step().changes.events) {
      said += event.reason.code == ReasonCode::kCheckpoint ? 1 : 0;
    }
    EXPECT_EQ(desk.Of(ref).last_checkpoint_ms, desk.now);
  }
  EXPECT_EQ(said, 6U) << "every ten minutes";
}

TEST_F(BudgetsTest, OnlyWhatRunsHasANewCheckpoint) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.requeue = true; });
  const auto refused = [this, job](std::int32_t attempt) {
    const auto noted = desk.Do(NoteCheckpoint{{job}, attempt, "ckpt/9"});
    return noted ? "" : noted.error().details.at(0).reason;
  };
  EXPECT_EQ(refused(0), "NOT_RUNNING");
  const AttemptRef first = desk.Running(job, 7);
  EXPECT_EQ(refused(2), "NOT_RUNNING") << "there is no such attempt yet";
  EXPECT_EQ(refused(1), "");
  ClusterJob ended = desk.Seen(first, 7, ClusterJobState::kNodeFailed);
  ended.end_ms = desk.now += kMinuteMs;
  desk.Offer(Observed{ended});
  desk.Step();
  desk.Tick();
  const AttemptRef second{{job}, 2};
  ASSERT_EQ(desk.Row(job).attempts, 2);
  EXPECT_EQ(desk.Row(job).resume_from, "ckpt/9") << "the next attempt is told";
  desk.Offer(LaunchAccepted{second, 8});
  desk.Step();
  desk.Offer(ReleaseDone{second, 8, true, ""});
  desk.Step();
  ClusterJob seen = desk.Seen(second, 8, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(refused(1), "ATTEMPT_ENDED");
  EXPECT_EQ(desk.Of(second).last_checkpoint_ms, 0);
  EXPECT_EQ(refused(0), "");
  EXPECT_EQ(desk.Of(second).last_checkpoint_ms, desk.now);
}

TEST_F(BudgetsTest, AJobsOwnWordOfACheckpointMayComeBeforeSlurmsOfItsStart) {
  const JobId job = Submit();
  const AttemptRef ref = desk.Started(job, 7);
  ASSERT_EQ(desk.Row(job).state, JobState::kStarting);
  const auto from_outside = desk.Do(NoteCheckpoint{{job}, 0, ""});
  ASSERT_FALSE(from_outside.has_value());
  EXPECT_EQ(from_outside.error().details.at(0).reason, "NOT_RUNNING");
  ASSERT_TRUE(desk.Do(NoteCheckpoint{{job}, 1, ""}).has_value());
  EXPECT_EQ(desk.Of(ref).last_checkpoint_ms, desk.now);
}

TEST_F(BudgetsTest, SaysOnceForAGrantThatJobsWaitForMore) {
  ASSERT_TRUE(Grant(2).has_value());
  Submit();
  desk.Tick();
  const auto warnings = [this] {
    std::vector<Reason> found;
    for (const Event& event : desk.store.events()) {
      if (event.reason.code == ReasonCode::kBudgetWarning) found.push_back(event.reason);
    }
    return found;
  };
  EXPECT_TRUE(warnings().empty()) << "all of it is held, and nobody waits";
  const JobId second = Submit();
  desk.Tick();
  desk.Tick();
  ASSERT_EQ(warnings().size(), 1U);
  const std::map<std::string, std::string> fields = {
      {"account", warnings()[0].fields.at("account")},
      {"budget", "q4"},
      {"percent", "0"},
      {"held", "2"},
      {"left", "0"},
      {"waits", std::to_string(second.value)}};
  EXPECT_EQ(warnings()[0].fields, fields);
  ASSERT_TRUE(Grant(3).has_value());
  desk.Tick();
  desk.Tick();
  ASSERT_EQ(warnings().size(), 2U) << "raised, and it waits still";
  EXPECT_EQ(warnings()[1].fields.at("left"), "1");
}

TEST_F(BudgetsTest, ACorrectionNeedsAnotherPerson) {
  ASSERT_TRUE(Grant(10).has_value());
  Correction draft;
  draft.budget = kBudget;
  draft.gpu_type = "h200";
  draft.amount = 4 * kGpuHour;
  draft.reason = "a meter was wrong";
  const auto proposed = desk.Do(ProposeCorrection{draft});
  ASSERT_TRUE(proposed.has_value());
  const std::int64_t id = proposed->ids.at(0);
  EXPECT_EQ(desk.Do(DecideCorrection{id, true, "yes"}).error().details.at(0).reason,
            "SECOND_PERSON_NEEDED");
  EXPECT_EQ(Balance().spent, 0);
  desk.Begin();  // it waits through a restart
  desk.controller->Offer(
      CommandInput{1, {UserId{2}, "another", DecideCorrection{id, true, "checked"}}});
  const Ready ready = desk.Step();
  ASSERT_TRUE(ready.replies.at(0).outcome.has_value());
  EXPECT_EQ(Balance().spent, 4 * kGpuHour);
  EXPECT_EQ(Balance().left, 6 * kGpuHour);
  EXPECT_EQ(desk.Do(DecideCorrection{id, false, ""}).error().details.at(0).reason,
            "CORRECTION_DECIDED");
}

}  // namespace
}  // namespace kezek::control

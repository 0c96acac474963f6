// Goal: the hand-off of semantics, step by step: nothing runs that the database does not know, lost
// answers are looked up, launches that do not start come back uncharged, foreign jobs are left
// alone. Method: a controller driven by hand; its actions and the stored rows after each round.

#include <gtest/gtest.h>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class HandoffTest : public ::testing::Test {
 protected:
  HandoffTest() { desk.Up(); }
  DeskOfOne desk;
};

TEST_F(HandoffTest, CommitSubmitHeldCommitIdRelease) {
  const JobId job = desk.Submit();
  const Ready planned = desk.Tick();
  const AttemptRef ref{{job}, 1};
  ASSERT_EQ(planned.changes.attempts.size(), 1U) << "the attempt is committed first";
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kStarting);
  EXPECT_EQ(desk.Of(ref).epoch, desk.store.epoch());
  const auto submits = DeskOfOne::All<SubmitAction>(planned);
  ASSERT_EQ(submits.size(), 1U);
  EXPECT_EQ(submits[0].launch.attempt, ref);
  EXPECT_EQ(submits[0].launch.unix_account, "kz-user0");
  EXPECT_EQ(submits[0].launch.placement, desk.Of(ref).placement);
  EXPECT_TRUE(DeskOfOne::All<ReleaseAction>(planned).empty());

  desk.Offer(LaunchAccepted{ref, 900});
  const Ready recorded = desk.Step();
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 900) << "the id is committed before the release";
  ASSERT_EQ(DeskOfOne::All<ReleaseAction>(recorded).size(), 1U);
  EXPECT_FALSE(desk.Of(ref).released);

  desk.Offer(ReleaseDone{ref, 900, true, ""});
  desk.Step();
  EXPECT_TRUE(desk.Of(ref).released);
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);

  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now - 1000;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Row(job).state, JobState::kRunning);
  EXPECT_EQ(desk.Of(ref).start_ms, seen.start_ms);

  seen.state = ClusterJobState::kCompleted;
  seen.end_ms = seen.start_ms + 60'000;
  desk.Offer(Observed{seen});
  const Ready ended = desk.Step(70'000);
  EXPECT_EQ(desk.Row(job).state, JobState::kSucceeded);
  EXPECT_EQ(ended.changes.final_jobs, std::vector<JobId>{job});
  const auto settlements =
      std::count_if(desk.store.ledger().begin(), desk.store.ledger().end(),
                    [](const LedgerEntry& entry) { return entry.kind == EntryKind::kSettlement; });
  EXPECT_EQ(settlements, 1);
}

TEST_F(HandoffTest, ALostAnswerIsLookedUpByNameAndNotTooEarly) {
  const AttemptRef ref{{desk.Submit()}, 1};
  desk.Tick();
  desk.Offer(LaunchUnknown{ref, desk.now + 20'000});
  EXPECT_TRUE(DeskOfOne::All<FindAction>(desk.Step(1000)).empty());
  EXPECT_TRUE(DeskOfOne::All<FindAction>(desk.Step(18'999)).empty());
  const auto finds = DeskOfOne::All<FindAction>(desk.Step(1));
  ASSERT_EQ(finds.size(), 1U);
  EXPECT_EQ(finds[0].attempt, ref);
}

TEST_F(HandoffTest, OfSeveralOneIsRecordedAndTheOthersCancelled) {
  const AttemptRef ref{{desk.Submit()}, 1};
  desk.Tick();
  desk.Offer(LaunchUnknown{ref, desk.now});
  desk.Step(10);
  ClusterJob first = desk.Seen(ref, 900, ClusterJobState::kPending);
  first.held = true;
  ClusterJob second = first;
  second.id = 901;
  ClusterJob foreign = first;
  foreign.id = 899;
  foreign.tag = "somebody's own comment";
  desk.Offer(FoundByName{ref, true, {second, foreign, first}});
  const Ready ready = desk.Step();
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 900);
  const auto cancels = DeskOfOne::All<CancelAction>(ready);
  ASSERT_EQ(cancels.size(), 1U);
  EXPECT_EQ(cancels[0].job.cluster_job_id, 901);
  const auto releases = DeskOfOne::All<ReleaseAction>(ready);
  ASSERT_EQ(releases.size(), 1U);
  EXPECT_EQ(releases[0].job.cluster_job_id, 900);
}

TEST_F(HandoffTest, AnIncompleteSearchProvesNothing) {
  const JobId job = desk.Submit();
  const AttemptRef ref{{job}, 1};
  desk.Tick();
  desk.Offer(LaunchUnknown{ref, desk.now});
  desk.Step(10);
  desk.Offer(FoundByName{ref, false, {}});
  desk.Step();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);
  EXPECT_EQ(DeskOfOne::All<FindAction>(desk.Step(desk.config.retry_ms)).size(), 1U);
  desk.Offer(FoundByName{ref, true, {}});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kLaunchFailed);
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kNone) << "seen at the next tick";
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kLaunchBackoff);
}

TEST_F(HandoffTest, ALateAnswerForAnAttemptThatWasGivenUpIsCancelled) {
  const AttemptRef ref{{desk.Submit()}, 1};
  desk.Tick();
  desk.Offer(LaunchUnknown{ref, desk.now});
  desk.Step(10);
  desk.Offer(FoundByName{ref, true, {}});
  desk.Step();
  desk.Offer(LaunchAccepted{ref, 900});
  const auto cancels = DeskOfOne::All<CancelAction>(desk.Step());
  ASSERT_EQ(cancels.size(), 1U);
  EXPECT_EQ(cancels[0].job.cluster_job_id, 900);
}

TEST_F(HandoffTest, WhatDoesNotStartInTimeComesBackUncharged) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Started(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kPending);
  seen.state_reason = "Resources";
  desk.Offer(Observed{seen});
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(desk.Step(desk.config.launch_timeout_ms - 1)).empty());
  EXPECT_EQ(DeskOfOne::All<LookAction>(desk.Step(1)).size(), 1U);
  desk.Offer(Observed{seen});
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step()).size(), 1U);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kLaunchTimeout);
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting) << "not before it is confirmed gone";
  seen.state = ClusterJobState::kCancelled;
  seen.state_reason = "None";
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.Row(job).failed_runs, 0);
  EXPECT_EQ(desk.Row(job).reason.code, ReasonCode::kLaunchTimedOut);
  EXPECT_EQ(desk.Row(job).reason.fields.at("text"), "Resources");
  MilliGpuMs usage = 0;
  MilliGpuMs charge = 0;
  for (const LedgerEntry& entry : desk.store.ledger()) {
    (entry.book == Book::kUsage ? usage : charge) += entry.amount;
  }
  EXPECT_EQ(usage, 0) << "the first piece is taken back";
  EXPECT_EQ(charge, 0);
}

TEST_F(HandoffTest, ALaunchThatStartedAfterAllIsChargedAndRunsTwiceOnlyIfItMay) {
  for (const bool requeue : {true, false}) {
    const JobId job = desk.Submit([&](JobSpec& spec) { spec.requeue = requeue; });
    const std::int64_t id = requeue ? 900 : 901;
    const AttemptRef ref = desk.Started(job, id);
    desk.Offer(Observed{desk.Seen(ref, id, ClusterJobState::kPending)});
    EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(desk.config.launch_timeout_ms)).size(), 1U);
    ClusterJob seen = desk.Seen(ref, id, ClusterJobState::kCancelled);
    seen.start_ms = desk.now - 1000;
    seen.end_ms = desk.now + 2000;
    seen.granted = desk.Of(ref).placement;
    desk.Offer(Observed{seen});
    const Ready ended = desk.Step(2000);
    EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
    EXPECT_EQ(desk.Of(ref).start_ms, seen.start_ms);
    EXPECT_TRUE(std::any_of(ended.changes.events.begin(), ended.changes.events.end(),
                            [&](const Event& event) {
                              return event.reason.code == ReasonCode::kLaunchTimedOut &&
                                     event.to == (requeue ? "queued" : "failed");
                            }));
    EXPECT_TRUE(std::any_of(
        desk.store.ledger().begin(), desk.store.ledger().end(), [&](const LedgerEntry& entry) {
          return entry.attempt == ref && entry.kind == EntryKind::kSettlement && entry.amount > 0;
        }));
  }
}

TEST_F(HandoffTest, NoTimeoutWhileTheClusterIsSilent) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Started(job, 900);
  desk.Offer(ClusterSilent{"connection refused"});
  desk.Step();
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(desk.Step(kHourMs)).empty());
  desk.Offer(ClusterUp{"test", 0});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone);
  desk.Offer(Observed{desk.Seen(ref, 900, ClusterJobState::kPending)});
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(desk.config.launch_timeout_ms)).size(), 1U);
}

TEST_F(HandoffTest, ARefusalForGoodHoldsTheJobWithTheClustersWords) {
  const JobId job = desk.Submit();
  desk.Tick();
  desk.Offer(LaunchRefused{{{job}, 1}, true, "Invalid account"});
  desk.Step();
  EXPECT_EQ(desk.Row(job).hold, Hold::kCluster);
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kHeldByCluster);
  EXPECT_EQ(desk.WaitsFor(job).fields.at("text"), "Invalid account");
  EXPECT_TRUE(desk.Do(ReleaseJobs{{{job}}, false}).has_value());
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(desk.Tick()).size(), 1U);
}

TEST_F(HandoffTest, ARestartBelowUsEndsTheAttempt) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kPending);
  seen.restarts = 1;
  desk.Offer(Observed{seen});
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(60'000)).size(), 1U);
  seen.state = ClusterJobState::kCancelled;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(desk.Row(job).failed_runs, 0);
  const auto submits = DeskOfOne::All<SubmitAction>(desk.Tick());
  ASSERT_EQ(submits.size(), 1U);
  EXPECT_EQ(submits[0].launch.attempt.number, 2);
}

// Slurm may have begun and ended it again before we look; that run is not ours.
TEST_F(HandoffTest, TheEndOfALaterRunIsNotTheAttempts) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kCompleted);
  seen.restarts = 1;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(desk.Tick()).size(), 1U);
}

TEST_F(HandoffTest, ASignalToTheTasksIsTheClustersUntilTheLimitIsShortened) {
  const JobId job = desk.Submit([](JobSpec& spec) {
    spec.time_limit_ms = 10 * kMinuteMs;
    spec.signal = {"USR1", kMinuteMs, false};
  });
  desk.Running(job, 900);
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step(9 * kMinuteMs + 1000)).empty());
}

TEST_F(HandoffTest, KezekEndsAnAttemptAtItsOwnLimitAndSignalsBefore) {
  const JobId job = desk.Submit([](JobSpec& spec) {
    spec.time_limit_ms = 10 * kMinuteMs;
    spec.signal = {"USR1", kMinuteMs, true};
  });
  const AttemptRef ref = desk.Running(job, 900);
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step(9 * kMinuteMs - 1)).empty());
  const auto signals = DeskOfOne::All<SignalAction>(desk.Step(1));
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(signals[0].signal, "USR1");
  EXPECT_TRUE(signals[0].batch_shell_only);
  EXPECT_FALSE(desk.Of(ref).signalled) << "not before the cluster says so";
  desk.Offer(SignalDone{ref, 900, "USR1", false});
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step(1000)).empty()) << "not too soon";
  EXPECT_EQ(DeskOfOne::All<SignalAction>(desk.Step(desk.config.retry_ms)).size(), 1U);
  desk.Offer(SignalDone{ref, 900, "USR1", true});
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step(desk.config.retry_ms)).empty());
  EXPECT_TRUE(desk.Of(ref).signalled);
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(kMinuteMs)).size(), 1U);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kCancelled);
  seen.end_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Row(job).state, JobState::kTimedOut);
}

TEST_F(HandoffTest, WhatWasGrantedIsComparedWithThePlan) {
  const AttemptRef ref = desk.Started(desk.Submit(), 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  seen.granted = {{"n7", 2, {0, 1}}};
  desk.Offer(Observed{seen});
  const Ready ready = desk.Step();
  EXPECT_TRUE(std::any_of(
      ready.changes.events.begin(), ready.changes.events.end(),
      [](const Event& event) { return event.reason.code == ReasonCode::kPlacementDiffers; }));
  EXPECT_EQ(desk.Of(ref).placement, seen.granted);
}

TEST_F(HandoffTest, GpusAreFreeOnlyWhenTheClusterHasCleanedUp) {
  const JobId first = desk.Submit([](JobSpec& spec) {
    spec.shape.nodes = 8;
    spec.shape.gpus_per_node = 8;
  });
  const AttemptRef ref = desk.Running(first, 900);
  desk.Submit();
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kCompleting);
  seen.end_ms = desk.now;
  desk.Offer(Observed{seen});
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(desk.Tick()).empty());
  EXPECT_EQ(desk.Row(first).state, JobState::kRunning);
  seen.state = ClusterJobState::kCompleted;
  desk.Offer(Observed{seen});
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(desk.Tick()).size(), 1U);
}

TEST_F(HandoffTest, ForeignJobsAreNeverTouched) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob foreign = desk.Seen(ref, 700, ClusterJobState::kRunning);
  foreign.tag = "";
  ClusterJob forged = desk.Seen({{JobId{99}}, 1}, 701, ClusterJobState::kRunning);
  forged.tag = desk.Seen(ref, 900, ClusterJobState::kRunning).tag;
  desk.Offer(Listing{{foreign, forged, desk.Seen(ref, 900, ClusterJobState::kRunning)}});
  const Ready ready = desk.Step(1000);
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(ready).empty());
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 900);
}

TEST_F(HandoffTest, ATaggedJobIsCancelledOnlyIfItsAttemptIsKnownAsEnded) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kCompleted);
  seen.end_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step(1000);
  desk.Begin();  // a new process, which has forgotten what ended
  desk.Up();
  ClusterJob again = desk.Seen(ref, 950, ClusterJobState::kPending);
  desk.Offer(Listing{{again}});
  desk.Step(1000);                    // asks the store
  const Ready ready = desk.Step(10);  // hears its answer
  const auto cancels = DeskOfOne::All<CancelAction>(ready);
  ASSERT_EQ(cancels.size(), 1U);
  EXPECT_EQ(cancels[0].job.cluster_job_id, 950);
  EXPECT_TRUE(ready.report.stopped.empty());
  // The cancel may be lost, and nobody follows such a job.
  EXPECT_EQ(DeskOfOne::All<ReconcileAction>(desk.Step(2 * desk.config.retry_ms)).size(), 1U);
}

TEST_F(HandoffTest, AnEpochNeverIssuedStopsEverythingUntilAnAdminDecides) {
  const AttemptRef ref = desk.Running(desk.Submit(), 800);
  EXPECT_EQ(desk.Do(ResumeScheduling{"", true}).error().details.at(0).reason, "NOT_STOPPED");
  ClusterJob later = desk.Seen({{JobId{4711}}, 1}, 900, ClusterJobState::kRunning);
  const std::int64_t epoch = desk.store.epoch() + 1;
  later.tag = MakeTag(desk.config.keyed_hash, "inst", epoch, later.attempt, "kz-user0");
  const Listing listing{{desk.Seen(ref, 800, ClusterJobState::kRunning), later}};
  desk.Offer(listing);
  const JobId waits = desk.Submit();
  ASSERT_TRUE(desk.Do(CancelJobs{{ref.job}}).has_value()) << "noted, but not passed on";
  Ready ready = desk.Tick();
  EXPECT_FALSE(ready.report.stopped.empty());
  EXPECT_FALSE(desk.controller->view()->stop_reason.empty());
  EXPECT_EQ(desk.WaitsFor(waits).code, ReasonCode::kSchedulingStopped);
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(ready).empty());
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(ready).empty());
  // The admin decides, on the record; it lasts.
  const auto refused = desk.Do(ResumeScheduling{"looks fine", false});
  EXPECT_EQ(refused.error().details.at(0).reason, "RESTORE_NOT_ACCEPTED");
  desk.controller->Offer(
      CommandInput{78, {DeskOfOne::kUser, "root", ResumeScheduling{"ok", true}}});
  ready = desk.Step();
  ASSERT_EQ(ready.changes.events.size(), 1U);
  EXPECT_EQ(ready.changes.events[0].actor, "root");
  EXPECT_EQ(ready.changes.accepted_epochs, std::set<std::int64_t>{epoch});
  EXPECT_EQ(DeskOfOne::All<CancelAction>(ready).size(), 1U) << "the cancel that was withheld";
  desk.Begin();
  desk.Up();
  desk.Offer(listing);
  ready = desk.Tick();
  EXPECT_TRUE(ready.report.stopped.empty());
  EXPECT_EQ(desk.Row(waits).state, JobState::kStarting);
  for (const CancelAction& cancel : DeskOfOne::All<CancelAction>(ready)) {
    EXPECT_EQ(cancel.job.cluster_job_id, 800) << "what the lost database knew is left alone";
  }
}

TEST_F(HandoffTest, NothingIsStartedOrCancelledBeforeTheClusterHasBeenListed) {
  const JobId released = desk.Submit();
  desk.Tick();
  desk.Offer(LaunchAccepted{{{released}, 1}, 901});
  desk.Step();
  desk.Begin();
  desk.Offer(ClusterUp{"test", 0});
  desk.Submit();
  const Ready before = desk.Tick();
  EXPECT_EQ(before.actions.size(), DeskOfOne::All<ReconcileAction>(before).size() +
                                       DeskOfOne::All<FollowAction>(before).size() +
                                       DeskOfOne::All<LookAction>(before).size());
  EXPECT_FALSE(DeskOfOne::All<ReconcileAction>(before).empty());
  ClusterJob held = desk.Seen({{released}, 1}, 901, ClusterJobState::kPending);
  held.held = true;
  desk.OfferNodes();
  desk.Offer(Listing{{held}});
  const Ready after = desk.Tick();
  EXPECT_EQ(DeskOfOne::All<ReleaseAction>(after).size(), 1U);
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(after).size(), 1U);
}

TEST_F(HandoffTest, AfterARestartEachAttemptGoesOnWhereItWas) {
  const JobId lost = desk.Submit();     // committed, never submitted
  const JobId unheard = desk.Submit();  // id known, not released
  const JobId running = desk.Submit();
  desk.Tick();
  desk.Offer(LaunchAccepted{{{unheard}, 1}, 901});
  desk.Step();
  desk.Offer(LaunchAccepted{{{running}, 1}, 902});
  desk.Step();
  desk.Offer(Observed{desk.Seen({{running}, 1}, 902, ClusterJobState::kRunning)});
  desk.Step();
  desk.Begin();
  desk.Offer(ClusterUp{"test", 0});
  ClusterJob held = desk.Seen({{unheard}, 1}, 901, ClusterJobState::kPending);
  held.held = true;
  desk.Offer(Listing{{held, desk.Seen({{running}, 1}, 902, ClusterJobState::kRunning)}});
  const Ready first = desk.Step(1000);
  const auto releases = DeskOfOne::All<ReleaseAction>(first);
  ASSERT_EQ(releases.size(), 1U);
  EXPECT_EQ(releases[0].job.cluster_job_id, 901);
  EXPECT_EQ(DeskOfOne::All<ReconcileAction>(first).size(), 1U);
  const auto looks = DeskOfOne::All<LookAction>(first);
  EXPECT_TRUE(std::any_of(looks.begin(), looks.end(),
                          [](const LookAction& look) { return look.job.cluster_job_id == 902; }));
  ASSERT_EQ(DeskOfOne::All<FollowAction>(first).size(), 1U);
  const auto* follow = std::get_if<FollowAction>(&first.actions.front());
  ASSERT_NE(follow, nullptr) << "a look is answered by what is followed";
  EXPECT_EQ(follow->jobs.size(), 2U);
  EXPECT_TRUE(DeskOfOne::All<FindAction>(first).empty()) << "its request may be on its way";
  const auto finds = DeskOfOne::All<FindAction>(desk.Step(desk.config.lost_answer_ms));
  ASSERT_EQ(finds.size(), 1U);
  EXPECT_EQ(finds[0].attempt.job.id, lost);
}

}  // namespace
}  // namespace kezek::control

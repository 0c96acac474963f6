// Goal: reservations and reclaim as semantics have them, step by step: what the plan promises is
// stored with it and known after a restart; who is preempted hears of it in the same commit, then
// gets the signal, its time and the end, whatever crashes in between. Method: a controller driven
// by hand; its actions and the stored rows after each round.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

constexpr AccountId kBorrower{9};
constexpr AccountId kSibling{6};  // of kProject, under the same sector
constexpr DurationMs kGrace = 5 * kMinuteMs;

ControlConfig Promising() {
  ControlConfig config = sim::SimConfig();
  config.engine.reservations = 8;
  config.engine.reclaim = true;
  return config;
}

class PromisesTest : public ::testing::Test {
 protected:
  PromisesTest() { desk.Up(); }

  JobId SubmitNode(AccountId project, const std::function<void(JobSpec&)>& change = {}) {
    return desk.Submit([&](JobSpec& spec) {
      spec.project = project;
      spec.shape = {1, 8, "h200", 16, 256'000, false};
      spec.requeue = true;
      if (change) change(spec);
    });
  }
  // Runs on all nodes but `free`, past min_run.
  void Fill(AccountId project, int free = 0, const std::function<void(JobSpec&)>& change = {}) {
    for (int i = 0; i < 8 - free; ++i) {
      const JobId job = SubmitNode(project, change);
      desk.Running(job, 900 + job.value);
    }
    desk.now += 11 * kMinuteMs;
    if (free > 0) return;
    desk.Tick();
    ASSERT_EQ(desk.store.attempts().size(), 8U);
  }
  // A gang for which one node is free, and a later job about to take that: what protects the gang
  // is promised in the next tick.
  JobId SubmitPassed() {
    Fill(kBorrower, 1);
    const JobId gang = SubmitNode(kBorrower, [](JobSpec& spec) { spec.shape.nodes = 2; });
    SubmitNode(kBorrower);
    return gang;
  }
  std::vector<Attempt> Preempted() const {
    std::vector<Attempt> found;
    for (const auto& [ref, attempt] : desk.store.attempts()) {
      if (attempt.ending == Ending::kPreempt) found.push_back(attempt);
    }
    return found;
  }
  static std::vector<Event> Of(const Ready& ready, ReasonCode code) {
    std::vector<Event> found;
    for (const Event& event : ready.changes.events) {
      if (event.reason.code == code) found.push_back(event);
    }
    return found;
  }
  // The cluster has ended it, by Kezek's cancel.
  Ready Gone(const Attempt& attempt) {
    ClusterJob seen = desk.Seen(attempt.ref, attempt.cluster_job_id, ClusterJobState::kCancelled);
    seen.end_ms = desk.now;
    desk.Offer(Observed{seen});
    return desk.Step();
  }

  DeskOfOne desk{Promising()};
};

TEST_F(PromisesTest, WhoIsInsideItsGuaranteeGetsItBackFromABorrower) {
  Fill(kBorrower);
  const JobId claimer = SubmitNode(DeskOfOne::kProject);
  const TimeMs submitted = desk.now;
  const Ready plan = desk.Tick();
  ASSERT_EQ(Preempted().size(), 1U);
  const Attempt victim = Preempted()[0];
  EXPECT_EQ(victim.preempted_for, (JobRef{claimer, kNoElement}));
  EXPECT_EQ(victim.ends_by_ms, desk.now + kGrace);
  const auto said = Of(plan, ReasonCode::kPreempted);
  ASSERT_EQ(said.size(), 1U) << "in the plan's own commit";
  EXPECT_EQ(said[0].attempt, victim.ref.number);
  EXPECT_EQ(said[0].reason.fields.at("by"), "another institution");
  EXPECT_EQ(said[0].reason.fields.at("signal"), "TERM");
  ASSERT_EQ(desk.store.reservations().size(), 1U);
  const Reservation claim = desk.store.reservations().begin()->second;
  const auto& shown = desk.controller->view()->promised;
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(shown.begin()->first, claim.row);
  EXPECT_EQ(shown.begin()->second.from_ms, claim.from_ms);
  EXPECT_EQ(shown.begin()->second.placement, claim.placement);
  EXPECT_EQ(claim.row.id, claimer);
  EXPECT_EQ(claim.victims, std::vector<AttemptRef>{victim.ref});
  EXPECT_EQ(desk.WaitsFor(claimer).code, ReasonCode::kReclaimUnderWay);
  const auto signals = DeskOfOne::All<SignalAction>(plan);
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(signals[0].signal, "TERM");
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(plan).empty());

  desk.Offer(SignalDone{victim.ref, victim.cluster_job_id, "TERM", true});
  desk.Step();
  EXPECT_TRUE(desk.Of(victim.ref).warned);
  const Ready waits = desk.Step(kMinuteMs);
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(waits).empty());
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(waits).empty());
  EXPECT_EQ(Preempted().size(), 1U) << "nobody else for the same job";
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(4 * kMinuteMs)).size(), 1U);

  Gone(victim);
  const Job& back = desk.Row(victim.ref.job.id);
  EXPECT_EQ(desk.Of(victim.ref).outcome, AttemptOutcome::kPreempted);
  EXPECT_EQ(back.state, JobState::kQueued);
  EXPECT_EQ(back.preemptions, 1);
  EXPECT_EQ(back.failed_runs, 0);
  EXPECT_LT(back.submitted_ms, submitted) << "it keeps its place";
  EXPECT_EQ(back.reason.fields.at("by"), "another institution");
  const Ready start = desk.Tick();
  EXPECT_EQ(desk.Of({{claimer}, 1}).placement, claim.placement);
  const auto planned = Of(start, ReasonCode::kPlanned);
  ASSERT_EQ(planned.size(), 1U) << "the nodes are the claimer's, not its victim's";
  EXPECT_EQ(planned[0].reason.fields.at("promised_ms"), std::to_string(claim.from_ms));
  EXPECT_FALSE(desk.store.reservations().contains({claimer, kNoElement}));
}

TEST_F(PromisesTest, OwnSignalAndGraceAndCheckpointCount) {
  Fill(kBorrower, 0, [](JobSpec& spec) {
    spec.signal = {"USR1", 0, true};
    spec.grace_ms = kMinuteMs;
  });
  for (const auto& [ref, attempt] : std::map(desk.store.attempts())) {
    ASSERT_TRUE(desk.Do(NoteCheckpoint{.job = ref.job}).has_value());
  }
  desk.now += 20 * kMinuteMs;
  SubmitNode(DeskOfOne::kProject);
  const Ready plan = desk.Tick();
  const Attempt victim = Preempted().at(0);
  EXPECT_EQ(victim.ends_by_ms, desk.now + kMinuteMs);
  const auto signals = DeskOfOne::All<SignalAction>(plan);
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(signals[0].signal, "USR1");
  EXPECT_TRUE(signals[0].batch_shell_only);
  desk.Step(kMinuteMs);
  const Ready gone = Gone(victim);
  const auto refunds = Of(gone, ReasonCode::kRefunded);
  ASSERT_EQ(refunds.size(), 1U) << "for the time since its checkpoint";
  EXPECT_EQ(std::stoll(refunds[0].reason.fields.at("since_ms")), victim.last_checkpoint_ms);
  std::map<EntryKind, int> kinds;
  for (const LedgerEntry& entry : gone.changes.ledger) {
    if (entry.book == Book::kCharge) ++kinds[entry.kind];
  }
  EXPECT_EQ(kinds[EntryKind::kSettlement], 1);
  EXPECT_EQ(kinds[EntryKind::kRefund], 1);
}

TEST_F(PromisesTest, ACrashBetweenCommitAndSignalLeavesItItsTime) {
  Fill(kBorrower);
  const JobId claimer = SubmitNode(DeskOfOne::kProject);
  desk.Tick();  // the process dies behind the commit
  const Attempt victim = Preempted().at(0);
  const auto promised = desk.store.reservations();
  desk.now += 30 * kMinuteMs;
  desk.Begin();
  EXPECT_EQ(desk.controller->state().reservations(), promised);
  desk.Up();
  ASSERT_EQ(Preempted().size(), 1U);
  EXPECT_EQ(desk.Of(victim.ref).ends_by_ms, desk.now + kGrace) << "it was not told before";
  EXPECT_EQ(desk.store.reservations().at({claimer, kNoElement}).from_ms, desk.now + kGrace);
  const Ready later = desk.Step(kGrace);
  EXPECT_EQ(DeskOfOne::All<CancelAction>(later).size(), 1U);
}

TEST_F(PromisesTest, WhatIsConfirmedIsNotSignalledAgain) {
  Fill(kBorrower);
  SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  const Attempt victim = Preempted().at(0);
  desk.Offer(SignalDone{victim.ref, victim.cluster_job_id, "TERM", true});
  desk.Step();
  desk.now += kMinuteMs;
  desk.Begin();
  desk.Offer(ClusterUp{"test", 0});
  desk.OfferNodes();
  desk.Offer(Listing{});
  const Ready up = desk.Step();
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(up).empty());
  EXPECT_EQ(desk.Of(victim.ref).ends_by_ms, victim.ends_by_ms);
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(up).empty());
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(kGrace)).size(), 1U);
}

TEST_F(PromisesTest, WhatIsNotConfirmedIsSignalledAgainAndNotAtOnce) {
  Fill(kBorrower);
  SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  const Attempt victim = Preempted().at(0);
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step(1000)).empty());
  desk.Offer(SignalDone{victim.ref, victim.cluster_job_id, "TERM", false});
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step()).empty());
  EXPECT_EQ(DeskOfOne::All<SignalAction>(desk.Step(desk.config.retry_ms)).size(), 1U);
  EXPECT_EQ(desk.Of(victim.ref).ends_by_ms, victim.ends_by_ms) << "no more time for that";
}

TEST_F(PromisesTest, WithoutRequeueItEndsAsCancelled) {
  Fill(kBorrower, 0, [](JobSpec& spec) { spec.requeue = false; });
  SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  const Attempt victim = Preempted().at(0);
  desk.Step(kGrace);
  Gone(victim);
  EXPECT_EQ(desk.Row(victim.ref.job.id).state, JobState::kCancelled);
  EXPECT_EQ(desk.Row(victim.ref.job.id).reason.code, ReasonCode::kPreemptedEnded);
}

TEST_F(PromisesTest, WhatFailsOfItsSignalIsPreempted) {
  Fill(kBorrower);
  SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  const Attempt victim = Preempted().at(0);
  ClusterJob seen = desk.Seen(victim.ref, victim.cluster_job_id, ClusterJobState::kFailed);
  desk.now += kMinuteMs;
  seen.end_ms = desk.now;
  seen.exit_code = 143;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(victim.ref).outcome, AttemptOutcome::kPreempted);
  EXPECT_EQ(desk.Row(victim.ref.job.id).state, JobState::kQueued);
}

TEST_F(PromisesTest, APersonsCancelDoesNotWaitForTheGrace) {
  Fill(kBorrower);
  SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  const Attempt victim = Preempted().at(0);
  desk.controller->Offer(
      CommandInput{7, {DeskOfOne::kUser, "somebody", ChangeJobs{{CancelJobs{{victim.ref.job}}}}}});
  const Ready ready = desk.Step(1000);
  EXPECT_EQ(DeskOfOne::All<CancelAction>(ready).size(), 1U);
  Gone(victim);
  EXPECT_EQ(desk.Row(victim.ref.job.id).state, JobState::kCancelled);
}

TEST_F(PromisesTest, ToldVictimsGoEvenIfTheClaimerIsCancelled) {
  Fill(kBorrower);
  const JobId claimer = SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  const Attempt victim = Preempted().at(0);
  ASSERT_TRUE(desk.Do(CancelJobs{{{claimer, kNoElement}}}).has_value());
  EXPECT_TRUE(desk.store.reservations().empty());
  EXPECT_EQ(desk.Of(victim.ref).ending, Ending::kPreempt);
}

TEST_F(PromisesTest, VictimsThatWereNotToldStayIfTheClaimerIsCancelled) {
  Fill(kBorrower, 1);
  const JobId scavenger = SubmitNode(kSibling, [](JobSpec& spec) { spec.job_class = "scavenger"; });
  desk.Tick();
  const AttemptRef starting{{scavenger}, 1};
  ASSERT_EQ(desk.Of(starting).state, AttemptState::kStarting);
  const JobId claimer = SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  ASSERT_EQ(desk.Of(starting).ending, Ending::kPreempt) << "the cheapest";
  ASSERT_TRUE(desk.Do(CancelJobs{{{claimer, kNoElement}}}).has_value());
  EXPECT_EQ(desk.Of(starting).ending, Ending::kNone);
  const auto lifted = std::count_if(
      desk.store.events().begin(), desk.store.events().end(),
      [](const Event& event) { return event.reason.code == ReasonCode::kPreemptionLifted; });
  EXPECT_EQ(lifted, 1);
  desk.Offer(LaunchAccepted{starting, 77});
  EXPECT_EQ(DeskOfOne::All<ReleaseAction>(desk.Step()).size(), 1U);
}

TEST_F(PromisesTest, WhatHasNotRunIsEndedAtOnceAndIsNoFailedLaunch) {
  Fill(kBorrower, 1);
  const JobId scavenger = SubmitNode(kSibling, [](JobSpec& spec) {
    spec.job_class = "scavenger";
    spec.requeue = false;
  });
  const AttemptRef starting = desk.Started(scavenger, 77);
  SubmitNode(DeskOfOne::kProject);
  const Ready plan = desk.Tick();
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(plan).empty());
  EXPECT_EQ(DeskOfOne::All<CancelAction>(plan).size(), 1U);
  ClusterJob seen = desk.Seen(starting, 77, ClusterJobState::kCancelled);
  seen.end_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(starting).outcome, AttemptOutcome::kPreempted);
  EXPECT_EQ(desk.Row(scavenger).state, JobState::kQueued) << "it has not run yet";
  EXPECT_EQ(desk.Row(scavenger).not_before_ms, 0);
}

TEST_F(PromisesTest, OfTheOwnInstitutionItIsSaidForWhom) {
  std::vector<Account> accounts = sim::SimAccounts();
  for (Account& account : accounts) {
    if (account.kind == "sector") account.kind = "institution";
  }
  desk.store.Seed(std::move(accounts), {});
  desk.Begin();
  desk.Up();
  Fill(AccountId{8});
  SubmitNode(AccountId{7});
  const Ready plan = desk.Tick();
  const auto said = Of(plan, ReasonCode::kPreempted);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].reason.fields.at("by"), "sector1/project2");
}

TEST_F(PromisesTest, AReservationIsStoredWithItsEventAndEndsWithAHold) {
  const JobId job = SubmitPassed();
  const Ready plan = desk.Tick();
  ASSERT_EQ(desk.store.reservations().size(), 1U);
  const Reservation promise = desk.store.reservations().begin()->second;
  EXPECT_EQ(promise.row.id, job);
  EXPECT_TRUE(promise.victims.empty());
  const auto given = Of(plan, ReasonCode::kReservedAt);
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].reason.fields.at("at_ms"), std::to_string(promise.from_ms));
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kReservedAt);

  desk.Begin();  // a standby takes over
  desk.Up();
  desk.Tick();
  EXPECT_EQ(desk.store.reservations().at(promise.row).placement, promise.placement);
  EXPECT_LE(desk.store.reservations().at(promise.row).from_ms, promise.from_ms);

  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{job, kNoElement}}, .by_admin = false, .text = ""}));
  EXPECT_TRUE(desk.store.reservations().empty());
  const Event& last = *std::find_if(
      desk.store.events().rbegin(), desk.store.events().rend(),
      [](const Event& event) { return event.reason.code == ReasonCode::kReservationEnded; });
  EXPECT_EQ(last.job.id, job);
  EXPECT_EQ(last.reason.fields.at("cause"), "HELD_BY_USER");
}

TEST_F(PromisesTest, WhoAsksForMoreLosesItsReservation) {
  const JobId job = SubmitPassed();
  desk.Tick();
  ASSERT_EQ(desk.store.reservations().size(), 1U);
  const JobRef ref{job, kNoElement};
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {ref}, .time_limit_ms = 30 * kMinuteMs}).has_value());
  EXPECT_TRUE(desk.store.reservations().contains(ref)) << "for less it keeps it";
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {ref}, .time_limit_ms = 2 * kHourMs}).has_value());
  EXPECT_TRUE(std::any_of(
      desk.store.events().begin(), desk.store.events().end(),
      [](const Event& event) { return event.reason.code == ReasonCode::kReservationEnded; }));
}

TEST_F(PromisesTest, ALostNodeMovesItLaterWithTheReason) {
  const JobId job = SubmitPassed();
  desk.Tick();
  const Reservation before = desk.store.reservations().begin()->second;
  NodesObserved nodes{sim::SimNodes()};
  for (Node& node : nodes.nodes) {
    node.health = node.name == before.placement[0].node ? NodeHealth::kDown : NodeHealth::kUp;
  }
  desk.Offer(nodes);
  const Ready plan = desk.Tick();
  const Reservation after = desk.store.reservations().at({job, kNoElement});
  EXPECT_NE(after.placement, before.placement);
  const auto moved = Of(plan, ReasonCode::kReservedAt);
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0].reason.fields.at("cause"), "node");
}

TEST_F(PromisesTest, ALongerLimitThatDelaysAReservationIsAnAdminsToGive) {
  const JobRef gang{SubmitPassed(), kNoElement};
  desk.Tick();
  const Reservation promise = desk.store.reservations().at(gang);
  JobRef running;
  for (const auto& [ref, attempt] : desk.store.attempts()) {
    for (const NodeGrant& grant : promise.placement) {
      if (grant.node == attempt.placement[0].node) running = ref.job;
    }
  }
  UpdateJobs longer{.jobs = {running}, .time_limit_ms = 3 * kHourMs};
  const auto refused = desk.Do(longer);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().details.at(0).reason, "RESERVATION_AHEAD");
  longer.by_admin = true;
  EXPECT_FALSE(desk.Do(longer).has_value()) << "it is to be said";
  longer.allow_delay = true;
  ASSERT_TRUE(desk.Do(longer).has_value());
  const auto moved = Of(desk.Tick(), ReasonCode::kReservedAt);
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0].job, gang);
  EXPECT_EQ(moved[0].reason.fields.at("cause"), "extension");
}

TEST_F(PromisesTest, NobodyIsEndedWhileTheClusterIsSilent) {
  Fill(kBorrower);
  desk.Offer(ClusterSilent{"gone"});
  desk.Step();
  SubmitNode(DeskOfOne::kProject);
  desk.Tick();
  EXPECT_TRUE(Preempted().empty());
  EXPECT_TRUE(desk.store.reservations().empty());
  desk.Up();
  desk.Tick();
  EXPECT_EQ(Preempted().size(), 1U);
}

}  // namespace
}  // namespace kezek::control

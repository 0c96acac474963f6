// Goal: a requeue through Kezek tells the job, gives it its grace, ends it and queues it again in
// its place, once, through crashes; what does not run is left alone or refused, and a cancel wins.
// Method: a controller driven by hand; its actions and the stored rows after each round.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class RequeueTest : public ::testing::Test {
 protected:
  static constexpr DurationMs kGraceAsked = kMinuteMs;

  RequeueTest() { desk.Up(); }

  JobId Submit(const std::function<void(JobSpec&)>& change = {}) {
    return desk.Submit([&](JobSpec& spec) {
      spec.grace_ms = kGraceAsked;
      if (change) change(spec);
    });
  }
  std::string Refusal(const RequeueJobs& requeue) {
    const auto outcome = desk.Do(requeue);
    EXPECT_FALSE(outcome.has_value());
    if (outcome) return "";
    EXPECT_EQ(outcome.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(outcome.error().details.at(0).reason, "NOT_RUNNING");
    return outcome.error().message;
  }
  void Offer(const AttemptRef& ref, std::int64_t id, ClusterJobState state) {
    ClusterJob seen = desk.Seen(ref, id, state);
    seen.end_ms = HasEnded(state) || state == ClusterJobState::kCompleting ? desk.now : 0;
    desk.Offer(Observed{seen});
    desk.Step();
  }
  // The last event with this reason.
  Event Last(ReasonCode code) const {
    Event last;
    for (const Event& event : desk.store.events()) {
      if (event.reason.code == code) last = event;
    }
    return last;
  }
  static JobRef Ref(JobId job, std::int32_t element = kNoElement) { return {job, element}; }

  DeskOfOne desk;
};

TEST_F(RequeueTest, SignalGraceEndAndTheQueueInItsPlace) {
  const JobId job = Submit([](JobSpec& spec) { spec.signal = {"USR1", 0, false}; });
  const AttemptRef ref = desk.Running(job, 900);
  const TimeMs submitted = desk.Row(job).submitted_ms;
  const auto outcome = desk.Do(RequeueJobs{.jobs = {Ref(job)}, .text = "new code"});
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->jobs, std::vector<JobRef>{Ref(job)});
  EXPECT_EQ(desk.Of(ref).ending, Ending::kRequeue);
  EXPECT_EQ(desk.Of(ref).ends_by_ms, desk.now + kGraceAsked);
  EXPECT_EQ(desk.Row(job).state, JobState::kRunning) << "it still does";
  const Event asked = Last(ReasonCode::kRequeuedByUser);
  EXPECT_EQ(asked.actor, "somebody");
  EXPECT_EQ(asked.reason.fields.at("text"), "new code");
  EXPECT_EQ(asked.reason.fields.at("signal"), "USR1");
  EXPECT_EQ(asked.reason.fields.at("until_ms"), std::to_string(desk.now + kGraceAsked));

  desk.Offer(SignalDone{ref, 900, "USR1", true});
  desk.Step();
  EXPECT_TRUE(desk.Of(ref).warned);
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(desk.Step(kGraceAsked - 1)).empty());
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(1)).size(), 1U);
  Offer(ref, 900, ClusterJobState::kCancelled);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
  const Job& back = desk.Row(job);
  EXPECT_EQ(back.state, JobState::kQueued);
  EXPECT_EQ(back.submitted_ms, submitted);
  EXPECT_EQ(back.failed_runs, 0);
  EXPECT_EQ(back.preemptions, 0);
  EXPECT_EQ(back.reason.fields.at("by"), "somebody");
  EXPECT_EQ(back.reason.fields.at("text"), "new code");
  EXPECT_FALSE(back.reason.fields.contains("until_ms")) << "that is over";
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);
  EXPECT_EQ(desk.Of({Ref(job), 2}).state, AttemptState::kStarting);
}

TEST_F(RequeueTest, TheSignalIsSentOnceThroughARestart) {
  const AttemptRef ref = desk.Running(Submit(), 900);
  desk.controller->Offer(CommandInput{
      77, {DeskOfOne::kUser, "somebody", ChangeJobs{{RequeueJobs{.jobs = {ref.job}}}}}});
  const auto signals = DeskOfOne::All<SignalAction>(desk.Step());
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(signals[0].signal, "TERM") << "of a job that names none";
  desk.Offer(SignalDone{ref, 900, "TERM", true});
  desk.Step();
  const TimeMs by = desk.Of(ref).ends_by_ms;
  desk.Begin();
  desk.Offer(ClusterUp{"test", 0});
  desk.OfferNodes();
  desk.Offer(Listing{{desk.Seen(ref, 900, ClusterJobState::kRunning)}});
  EXPECT_TRUE(DeskOfOne::All<SignalAction>(desk.Step()).empty());
  EXPECT_EQ(desk.Of(ref).ends_by_ms, by);
  EXPECT_EQ(DeskOfOne::All<CancelAction>(desk.Step(kGraceAsked)).size(), 1U);
}

TEST_F(RequeueTest, ItMayEndEarlierAndAsItLikes) {
  const AttemptRef failed = desk.Running(Submit(), 900);
  ASSERT_TRUE(desk.Do(RequeueJobs{.jobs = {failed.job}}));
  Offer(failed, 900, ClusterJobState::kFailed);
  EXPECT_EQ(desk.Of(failed).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(desk.Row(failed.job.id).state, JobState::kQueued) << "it answered its signal so";
  const AttemptRef done = desk.Running(Submit(), 901);
  ASSERT_TRUE(desk.Do(RequeueJobs{.jobs = {done.job}}));
  Offer(done, 901, ClusterJobState::kCompleted);
  EXPECT_EQ(desk.Row(done.job.id).state, JobState::kSucceeded);
}

TEST_F(RequeueTest, WithoutRequeueItsOwnerMayStill) {
  const AttemptRef ref = desk.Running(Submit([](JobSpec& spec) { spec.requeue = false; }), 900);
  ASSERT_TRUE(desk.Do(RequeueJobs{.jobs = {ref.job}}));
  Offer(ref, 900, ClusterJobState::kCancelled);
  EXPECT_EQ(desk.Row(ref.job.id).state, JobState::kQueued);
}

TEST_F(RequeueTest, NoGraceBeyondTheLimit) {
  const AttemptRef ref =
      desk.Running(Submit([](JobSpec& spec) { spec.time_limit_ms = 10 * kMinuteMs; }), 900);
  desk.Step(10 * kMinuteMs - 20 * kSecondMs);
  ASSERT_TRUE(desk.Do(RequeueJobs{.jobs = {ref.job}}));
  EXPECT_EQ(desk.Of(ref).ends_by_ms, desk.Of(ref).start_ms + 10 * kMinuteMs);
}

TEST_F(RequeueTest, ACancelWinsAndASecondRequestChangesNothing) {
  const AttemptRef ref = desk.Running(Submit(), 900);
  ASSERT_TRUE(desk.Do(RequeueJobs{.jobs = {ref.job}, .text = "first"}));
  const auto again = desk.Do(RequeueJobs{.jobs = {ref.job}, .text = "second"});
  ASSERT_TRUE(again);
  EXPECT_EQ(Last(ReasonCode::kRequeuedByUser).reason.fields.at("text"), "first");
  ASSERT_TRUE(desk.Do(CancelJobs{{ref.job}}));
  EXPECT_EQ(desk.Of(ref).ending, Ending::kCancel);
  EXPECT_NE(Refusal({.jobs = {ref.job}}).find("is being ended already"), std::string::npos);
  Offer(ref, 900, ClusterJobState::kCancelled);
  EXPECT_EQ(desk.Row(ref.job.id).state, JobState::kCancelled);
}

TEST_F(RequeueTest, HeldOnceItIsBack) {
  const AttemptRef own = desk.Running(Submit(), 900);
  ASSERT_TRUE(desk.Do(RequeueJobs{.jobs = {own.job}, .hold = true}));
  Offer(own, 900, ClusterJobState::kCancelled);
  EXPECT_EQ(desk.Row(own.job.id).hold, Hold::kUser);
  desk.Tick();
  EXPECT_EQ(desk.Row(own.job.id).state, JobState::kQueued);
  const AttemptRef others = desk.Running(Submit(), 901);
  ASSERT_TRUE(
      desk.Do(RequeueJobs{.jobs = {others.job}, .hold = true, .by_admin = true, .text = "fans"}));
  EXPECT_EQ(Last(ReasonCode::kRequeuedByAdmin).reason.fields.at("text"), "fans");
  Offer(others, 901, ClusterJobState::kCancelled);
  EXPECT_EQ(desk.Row(others.job.id).hold, Hold::kAdmin);
  EXPECT_EQ(desk.Row(others.job.id).hold_reason.fields.at("text"), "fans");
  EXPECT_EQ(desk.Row(others.job.id).reason.code, ReasonCode::kRequeuedByAdmin);
}

TEST_F(RequeueTest, WhatDoesNotRunSaysWhatItDoes) {
  const JobId waits = Submit();
  EXPECT_NE(Refusal({.jobs = {Ref(waits)}}).find("waits in the queue"), std::string::npos);
  const AttemptRef starting = desk.Started(waits, 900);
  EXPECT_NE(Refusal({.jobs = {Ref(waits)}}).find("is just starting"), std::string::npos);
  const JobId ends = Submit();
  const AttemptRef ref = desk.Running(ends, 901);
  Offer(ref, 901, ClusterJobState::kCompleting);
  EXPECT_NE(Refusal({.jobs = {ref.job}}).find("is being ended"), std::string::npos);
  Offer(ref, 901, ClusterJobState::kCompleted);
  EXPECT_NE(Refusal({.jobs = {ref.job}}).find("is over: submit it again"), std::string::npos);
  const JobId runs = Submit();
  const AttemptRef other = desk.Running(runs, 902);
  const auto some = desk.Do(RequeueJobs{.jobs = {ref.job, starting.job, other.job}});
  ASSERT_TRUE(some);
  EXPECT_EQ(some->jobs, std::vector<JobRef>{other.job});
  EXPECT_EQ(some->unchanged, (std::vector<JobRef>{ref.job, starting.job}));
  EXPECT_EQ(desk.Row(waits).state, JobState::kStarting) << "left as it is";
}

TEST_F(RequeueTest, AnArrayStandsForWhatRunsOfIt) {
  const JobId array = Submit([](JobSpec& spec) {
    spec.array = ArraySpec{.indices = {{0, 3, 1}}, .max_running = 2};
  });
  EXPECT_NE(Refusal({.jobs = {Ref(array)}}).find("nothing of array"), std::string::npos);
  desk.Tick();
  for (const std::int32_t element : {0, 1}) {
    const AttemptRef ref{Ref(array, element), 1};
    desk.Offer(LaunchAccepted{ref, 900 + element});
    desk.Step();
    desk.Offer(ReleaseDone{ref, 900 + element, true, ""});
    desk.Step();
    ClusterJob seen = desk.Seen(ref, 900 + element, ClusterJobState::kRunning);
    seen.start_ms = desk.now;
    desk.Offer(Observed{seen});
    desk.Step();
  }
  ASSERT_TRUE(desk.Do(RequeueJobs{.jobs = {Ref(array)}, .hold = true}));
  for (const std::int32_t element : {0, 1}) {
    EXPECT_EQ(desk.Of({Ref(array, element), 1}).ending, Ending::kRequeue);
    EXPECT_EQ(desk.Row(array, element).hold, Hold::kUser);
  }
  EXPECT_EQ(desk.Row(array).hold, Hold::kNone) << "what has not run is not held";
}

}  // namespace
}  // namespace kezek::control

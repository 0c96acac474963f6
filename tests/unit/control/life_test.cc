// Goal: only legal changes of state; every kind of end means what semantics say, for the attempt
// and for its job. Method: the whole table of changes; one case for each row of the rules.

#include "scheduler/control/life.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/names.h"

namespace kezek::control {
namespace {

using enum JobState;

constexpr std::array kAll = {kQueued, kStarting, kRunning,  kSucceeded,
                             kFailed, kTimedOut, kCancelled};

TEST(LifeTest, TheTableOfChanges) {
  const std::set<std::pair<JobState, JobState>> legal = {
      {kQueued, kStarting},    {kQueued, kCancelled}, {kStarting, kRunning},  {kStarting, kQueued},
      {kStarting, kCancelled}, {kRunning, kQueued},   {kRunning, kSucceeded}, {kRunning, kFailed},
      {kRunning, kTimedOut},   {kRunning, kCancelled}};
  for (const JobState from : kAll) {
    for (const JobState to : kAll) {
      EXPECT_EQ(MayChange(from, to), legal.contains({from, to}))
          << NameOf(from) << " to " << NameOf(to);
      EXPECT_EQ(MayChangeRow(from, to), from == kQueued && IsFinal(to));
    }
  }
}

TEST(LifeTest, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (const JobState state : kAll) names.insert(NameOf(state));
  EXPECT_EQ(names.size(), kAll.size());
  EXPECT_EQ(NameOf(AttemptOutcome::kLaunchFailed), "launch_failed");
}

Job MakeJob(JobState state, bool requeue = false, std::int32_t max_attempts = 1) {
  JobSpec spec;
  spec.requeue = requeue;
  spec.max_attempts = max_attempts;
  Job job;
  job.ref.id = JobId{7};
  job.spec = std::make_shared<const JobSpec>(spec);
  job.state = state;
  job.submitted_ms = 1;
  job.attempts = 1;
  return job;
}

TEST(LifeTest, MoveSaysWhatChanged) {
  Job job = MakeJob(kRunning);
  const Event event = Move(job, kSucceeded, {ReasonCode::kFinished, {}}, "kezek", 1, 500);
  EXPECT_EQ(event.from, "running");
  EXPECT_EQ(event.to, "succeeded");
  EXPECT_EQ(event.job.id, JobId{7});
  EXPECT_EQ(event.attempt, 1);
  EXPECT_EQ(job.ended_ms, 500);
  EXPECT_EQ(job.reason.code, ReasonCode::kFinished);
}

TEST(LifeDeathTest, AnIllegalChangeIsABug) {
  Job job = MakeJob(kSucceeded);
  EXPECT_DEATH(Move(job, kQueued, {}, "kezek", 1, 0), "7: succeeded to queued");
}

// How an attempt ended, by the cluster's state and by what Kezek had in mind.
struct EndCase {
  ClusterJobState state;
  Ending ending;
  bool ran;
  std::int32_t exit_code;
  AttemptOutcome outcome;
};

TEST(LifeTest, WhatAnEndMeans) {
  using enum AttemptOutcome;
  const std::vector<EndCase> cases = {
      {ClusterJobState::kCompleted, Ending::kNone, true, 0, AttemptOutcome::kSucceeded},
      // Whatever was about to end it: it was faster.
      {ClusterJobState::kCompleted, Ending::kCancel, true, 0, AttemptOutcome::kSucceeded},
      {ClusterJobState::kFailed, Ending::kNone, true, 3, AttemptOutcome::kFailed},
      // It failed by itself, while its cancel was on the way; that would have made it cancelled.
      {ClusterJobState::kFailed, Ending::kTimeLimit, true, 1, AttemptOutcome::kFailed},
      {ClusterJobState::kFailed, Ending::kLaunchTimeout, true, 1, AttemptOutcome::kFailed},
      // A preempted one may answer its signal so.
      {ClusterJobState::kFailed, Ending::kPreempt, true, 1, kPreempted},
      {ClusterJobState::kFailed, Ending::kRequeue, true, 1, kRequeued},
      {ClusterJobState::kFailed, Ending::kNone, false, 1, kLaunchFailed},
      {ClusterJobState::kCancelled, Ending::kNone, true, 0, AttemptOutcome::kCancelled},
      {ClusterJobState::kCancelled, Ending::kNone, false, 0, AttemptOutcome::kCancelled},
      {ClusterJobState::kCancelled, Ending::kCancel, false, 0, AttemptOutcome::kCancelled},
      {ClusterJobState::kCancelled, Ending::kTimeLimit, true, 0, AttemptOutcome::kTimedOut},
      {ClusterJobState::kCancelled, Ending::kPreempt, true, 0, kPreempted},
      {ClusterJobState::kCancelled, Ending::kPreempt, false, 0, kPreempted},
      {ClusterJobState::kCancelled, Ending::kLaunchTimeout, false, 0, kLaunchFailed},
      // Started in the last moment: it ran, and is charged for it.
      {ClusterJobState::kCancelled, Ending::kLaunchTimeout, true, 0, kRequeued},
      {ClusterJobState::kCancelled, Ending::kRequeue, true, 0, kRequeued},
      {ClusterJobState::kTimedOut, Ending::kNone, true, 0, AttemptOutcome::kTimedOut},
      {ClusterJobState::kNodeFailed, Ending::kNone, true, 0, kNodeFailed},
      {ClusterJobState::kNodeFailed, Ending::kNone, false, 0, kLaunchFailed},
      {ClusterJobState::kPreempted, Ending::kNone, true, 0, kPreempted},
  };
  for (const EndCase& c : cases) {
    Attempt attempt;
    attempt.ending = c.ending;
    attempt.start_ms = c.ran ? 1000 : 0;
    attempt.last_seen_ms = c.ran ? 9000 : 0;
    ClusterJob job;
    job.state = c.state;
    job.start_ms = c.ran ? 1000 : 0;
    job.end_ms = 9000;
    job.exit_code = c.exit_code;
    const End end = EndOf(attempt, job);
    const std::string what = std::to_string(static_cast<int>(c.state)) + " ending " +
                             std::to_string(static_cast<int>(c.ending));
    EXPECT_EQ(NameOf(end.outcome), NameOf(c.outcome)) << what;
    const bool charged = c.ran && c.outcome != kLaunchFailed;
    EXPECT_EQ(end.start_ms, charged ? 1000 : 0) << what;
    EXPECT_EQ(end.exit_code, c.exit_code) << what;
  }
}

// A controller that begins without its state calls what it had cancelled; nobody has.
TEST(LifeTest, WhatNobodyCancelledIsAFaultOfTheMachine) {
  Attempt attempt;
  attempt.start_ms = 1000;
  ClusterJob job;
  job.start_ms = 1000;
  job.end_ms = 9000;
  job.state = ClusterJobState::kCancelled;
  job.node_failed = true;
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kNodeFailed);
  attempt.ending = Ending::kCancel;
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kCancelled);
  attempt.ending = Ending::kTimeLimit;
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kTimedOut);
  attempt = {};
  job.start_ms = 0;
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kLaunchFailed);
}

TEST(LifeTest, AnEndBeforeTheDecisionToEndItIsTheClustersOwn) {
  Attempt attempt;
  attempt.start_ms = 1000;
  attempt.ending_since_ms = 60'000;
  attempt.reason = {ReasonCode::kTimedOut, {}};
  ClusterJob job;
  job.start_ms = 1000;
  const auto outcome = [&](Ending ending, ClusterJobState state, TimeMs end_ms) {
    attempt.ending = ending;
    job.state = state;
    job.end_ms = end_ms;
    job.exit_code = state == ClusterJobState::kFailed ? 3 : 0;
    return EndOf(attempt, job).outcome;
  };
  EXPECT_EQ(outcome(Ending::kTimeLimit, ClusterJobState::kFailed, 30'000), AttemptOutcome::kFailed);
  EXPECT_EQ(EndOf(attempt, job).reason.fields.at("exit_code"), "3");
  EXPECT_EQ(outcome(Ending::kTimeLimit, ClusterJobState::kCancelled, 30'000),
            AttemptOutcome::kCancelled);
  EXPECT_EQ(EndOf(attempt, job).reason.code, ReasonCode::kCancelledByUser);
  EXPECT_EQ(outcome(Ending::kPreempt, ClusterJobState::kFailed, 30'000), AttemptOutcome::kFailed);
  // As near as the clocks are to each other, and later: by Kezek's hand.
  EXPECT_EQ(outcome(Ending::kTimeLimit, ClusterJobState::kCancelled, 57'000),
            AttemptOutcome::kTimedOut);
  EXPECT_EQ(outcome(Ending::kPreempt, ClusterJobState::kFailed, 61'000),
            AttemptOutcome::kPreempted);
  // A person's cancel stands, whenever it ended.
  EXPECT_EQ(outcome(Ending::kCancel, ClusterJobState::kFailed, 30'000), AttemptOutcome::kCancelled);
}

TEST(LifeTest, WhatWasTakenBackBeforeTheDecisionToEndItIsRequeued) {
  Attempt attempt;
  attempt.start_ms = 1000;
  attempt.ending = Ending::kTimeLimit;
  attempt.ending_since_ms = 60'000;
  ClusterJob job;
  job.state = ClusterJobState::kCancelled;
  job.restarts = 1;
  job.run_start_ms = 1000;
  job.run_end_ms = 30'000;
  job.end_ms = 61'000;  // its next run was cancelled while it waited
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(EndOf(attempt, job).end_ms, 30'000);
  EXPECT_EQ(EndOf(attempt, job).reason.code, ReasonCode::kRequeuedByUser);
  job.node_failed = true;
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kNodeFailed);
  job.run_end_ms = 59'000;
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kTimedOut);
}

// The script of a later run finds that its attempt has begun, and ends well at once.
TEST(LifeTest, TheEndOfALaterRunIsNoSuccess) {
  using enum AttemptOutcome;
  Attempt attempt;
  attempt.start_ms = 1000;
  attempt.ending_since_ms = 29'000;
  ClusterJob job;
  job.state = ClusterJobState::kCompleted;
  job.restarts = 1;
  job.run_start_ms = 1000;
  job.run_end_ms = 30'000;
  job.start_ms = 150'000;
  job.end_ms = 151'000;
  const auto outcome = [&](Ending ending) {
    attempt.ending = ending;
    return EndOf(attempt, job).outcome;
  };
  EXPECT_EQ(outcome(Ending::kPreempt), kPreempted);
  EXPECT_EQ(outcome(Ending::kTimeLimit), kTimedOut);
  EXPECT_EQ(outcome(Ending::kLaunchTimeout), kRequeued);
  EXPECT_EQ(outcome(Ending::kRequeue), kRequeued);
  EXPECT_EQ(outcome(Ending::kCancel), kCancelled);
  EXPECT_EQ(outcome(Ending::kNone), kRequeued);
  job.node_failed = true;
  EXPECT_EQ(outcome(Ending::kPreempt), kNodeFailed);
  EXPECT_EQ(outcome(Ending::kCancel), kCancelled) << "it is not to run again";
  EXPECT_EQ(EndOf(attempt, job).end_ms, 30'000);
}

TEST(LifeTest, WhatEndedBeforeADecisionIsToldByOneClock) {
  Attempt attempt;
  attempt.start_ms = 1000;
  attempt.ending = Ending::kPreempt;
  attempt.ending_since_ms = 60'000;
  ClusterJob job;
  job.state = ClusterJobState::kCancelled;
  job.start_ms = 1000;
  job.end_ms = 51'000;  // a second later, by a clock that is 10 s behind
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kCancelled);
  EXPECT_EQ(EndOf(attempt, job, -10'000).outcome, AttemptOutcome::kPreempted);
  job.end_ms = 65'000;  // before, by one that is 10 s ahead
  EXPECT_EQ(EndOf(attempt, job, 10'000).outcome, AttemptOutcome::kCancelled);
}

TEST(LifeTest, WhatIsLostEndsWhenLastSeen) {
  Attempt attempt;
  attempt.start_ms = 1000;
  attempt.last_seen_ms = 5000;
  const End end = EndOfLost(attempt);
  EXPECT_EQ(end.outcome, AttemptOutcome::kNodeFailed);
  EXPECT_EQ(end.end_ms, 5000);
  EXPECT_EQ(end.reason.fields.at("last_seen_ms"), "5000");
  attempt.ending = Ending::kLaunchTimeout;
  EXPECT_EQ(EndOfLost(attempt).start_ms, 1000) << "it ran";
  attempt.start_ms = 0;
  EXPECT_EQ(EndOfLost(attempt).outcome, AttemptOutcome::kLaunchFailed);
  attempt.ending = Ending::kCancel;
  EXPECT_EQ(EndOfLost(attempt).outcome, AttemptOutcome::kCancelled);
}

TEST(LifeTest, WhatTheClusterStartedTwiceIsLost) {
  Attempt attempt;
  attempt.start_ms = 1000;
  attempt.last_seen_ms = 5000;
  ClusterJob job;
  job.state = ClusterJobState::kFailed;
  job.start_ms = 20'000;
  job.end_ms = 21'000;
  job.exit_signal = kBegunBeforeSignal;
  const End end = EndOf(attempt, job);
  EXPECT_EQ(end.outcome, AttemptOutcome::kNodeFailed);
  EXPECT_EQ(end.reason.code, ReasonCode::kLostByCluster);
  EXPECT_EQ(end.start_ms, 1000);
  EXPECT_EQ(end.end_ms, 5000);
  attempt.start_ms = attempt.last_seen_ms = 0;  // its first run was never seen
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kLaunchFailed);
  job.end_ms = 60'000;  // what ran that long was not barred
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kFailed);
  attempt.start_ms = job.start_ms;  // nor what ran for the first time
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kFailed);
  attempt.start_ms = 1000;
  job.exit_signal = 9;
  EXPECT_EQ(EndOf(attempt, job).outcome, AttemptOutcome::kFailed);
}

TEST(LifeTest, ARunTheClusterRequeuedEndsWhenLastSeen) {
  Attempt attempt;
  attempt.ending = Ending::kRequeue;
  attempt.start_ms = 1000;
  attempt.last_seen_ms = 4000;
  ClusterJob job;
  job.state = ClusterJobState::kCancelled;
  job.start_ms = 200'000;  // of its second run
  job.end_ms = 201'000;
  const End end = EndOf(attempt, job);
  EXPECT_EQ(end.start_ms, 1000);
  EXPECT_EQ(end.end_ms, 4000);
  attempt.end_ms = 4500;  // told when it was requeued
  EXPECT_EQ(EndOf(attempt, job).end_ms, 4500);
  attempt.ending = Ending::kCancel;
  EXPECT_EQ(EndOf(attempt, job).end_ms, 4500);
  job.start_ms = 1000;
  job.end_ms = 4400;  // its own
  EXPECT_EQ(EndOf(attempt, job).end_ms, 4400);
}

Attempt Ended(AttemptOutcome outcome, Ending ending = Ending::kNone) {
  Attempt attempt;
  attempt.ref = {{JobId{7}}, 1};
  attempt.state = AttemptState::kEnded;
  attempt.outcome = outcome;
  attempt.ending = ending;
  attempt.reason = {ReasonCode::kFinished, {}};
  return attempt;
}

struct After {
  JobState from;
  bool requeue;
  std::int32_t max_attempts;
  AttemptOutcome outcome;
  Ending ending;
  JobState to;
  std::int32_t failed_runs;
};

TEST(LifeTest, WhatBecomesOfTheJob) {
  const std::vector<After> cases = {
      {kRunning, false, 1, AttemptOutcome::kSucceeded, Ending::kNone, kSucceeded, 0},
      {kRunning, false, 1, AttemptOutcome::kFailed, Ending::kNone, kFailed, 1},
      {kRunning, true, 2, AttemptOutcome::kFailed, Ending::kNone, kQueued, 1},
      {kRunning, true, 1, AttemptOutcome::kFailed, Ending::kNone, kFailed, 1},
      {kRunning, true, 3, AttemptOutcome::kTimedOut, Ending::kNone, kTimedOut, 0},
      {kRunning, false, 1, AttemptOutcome::kCancelled, Ending::kCancel, kCancelled, 0},
      {kRunning, true, 1, AttemptOutcome::kPreempted, Ending::kPreempt, kQueued, 0},
      {kRunning, false, 1, AttemptOutcome::kPreempted, Ending::kPreempt, kCancelled, 0},
      {kStarting, false, 1, AttemptOutcome::kPreempted, Ending::kPreempt, kQueued, 0},
      {kRunning, true, 1, AttemptOutcome::kNodeFailed, Ending::kNone, kQueued, 0},
      {kRunning, false, 1, AttemptOutcome::kNodeFailed, Ending::kNone, kFailed, 0},
      {kStarting, false, 1, AttemptOutcome::kLaunchFailed, Ending::kNone, kQueued, 0},
      {kRunning, false, 1, AttemptOutcome::kRequeued, Ending::kRequeue, kQueued, 0},
      // The same after a launch that was too slow, but ran: only if it may run twice.
      {kRunning, true, 1, AttemptOutcome::kRequeued, Ending::kLaunchTimeout, kQueued, 0},
      {kRunning, false, 1, AttemptOutcome::kRequeued, Ending::kLaunchTimeout, kFailed, 0},
      // A cancel under way wins over any requeue, but not over success.
      {kRunning, true, 3, AttemptOutcome::kNodeFailed, Ending::kCancel, kCancelled, 0},
      {kStarting, true, 3, AttemptOutcome::kLaunchFailed, Ending::kCancel, kCancelled, 0},
      {kRunning, true, 3, AttemptOutcome::kSucceeded, Ending::kCancel, kSucceeded, 0},
  };
  for (const After& c : cases) {
    Job job = MakeJob(c.from, c.requeue, c.max_attempts);
    Attempt ended = Ended(c.outcome, c.ending);
    ended.start_ms = c.from == kRunning ? 10'000 : 0;
    const Event event = AfterAttempt(job, ended, BackoffRules{}, 50'000);
    EXPECT_EQ(NameOf(job.state), NameOf(c.to)) << NameOf(c.outcome);
    EXPECT_EQ(job.failed_runs, c.failed_runs) << NameOf(c.outcome);
    EXPECT_EQ(event.to, NameOf(c.to));
    EXPECT_EQ(job.submitted_ms, 1) << "a requeued job keeps its place";
  }
}

TEST(LifeTest, FailedLaunchesBackOff) {
  const BackoffRules rules{1000, 6000};
  EXPECT_EQ(Backoff(1, rules), 1000);
  EXPECT_EQ(Backoff(2, rules), 2000);
  EXPECT_EQ(Backoff(3, rules), 4000);
  EXPECT_EQ(Backoff(4, rules), 6000);
  EXPECT_EQ(Backoff(1'000'000, rules), 6000);
  Job job = MakeJob(kStarting);
  AfterAttempt(job, Ended(AttemptOutcome::kLaunchFailed), rules, 50'000);
  EXPECT_EQ(job.not_before_ms, 51'000);
  EXPECT_EQ(job.launch_failures, 1);
  job.state = kStarting;
  AfterAttempt(job, Ended(AttemptOutcome::kLaunchFailed), rules, 60'000);
  EXPECT_EQ(job.not_before_ms, 62'000);
  job.state = kRunning;
  AfterAttempt(job, Ended(AttemptOutcome::kRequeued), rules, 70'000);
  EXPECT_EQ(job.launch_failures, 0);
}

}  // namespace
}  // namespace kezek::control

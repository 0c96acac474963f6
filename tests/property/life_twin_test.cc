// Goal: the life of a job on any history of ends is what a dumb model says. Method: random jobs and
// random ends in the cluster; beside scheduler/control/life a model that knows only words and
// counts; states, counters and the chain of events must be equal after every step.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kezek/names.h"
#include "scheduler/control/life.h"
#include "tests/property/seeds.h"

namespace kezek::control {
namespace {

// What happens to one attempt, in words.
struct Fate {
  std::string end;     // completed failed cancelled timed-out node-failed preempted lost refused
  std::string ending;  // what Kezek was about to do: "" cancel preempt limit launch requeue
  bool ran = false;
  int exit_code = 0;
};

// The model.
struct Dumb {
  std::string state = "queued";
  bool requeue = false;
  int max_attempts = 1;
  int failed_runs = 0;
  int preemptions = 0;
  int failures_in_a_row = 0;

  static std::string Outcome(const Fate& fate) {
    if (fate.end == "refused") return "launch_failed";
    std::string outcome = fate.end;
    if (fate.end == "completed") outcome = fate.exit_code == 0 ? "succeeded" : "failed";
    if (fate.end == "timed-out") outcome = "timed_out";
    if (fate.end == "node-failed") outcome = "node_failed";
    static const std::map<std::string, std::string> kByEnding = {
        {"cancel", "cancelled"}, {"preempt", "preempted"},    {"limit", "timed_out"},
        {"requeue", "requeued"}, {"launch", "launch_failed"}, {"", "cancelled"}};
    // A cancel at the limit, or of a slow launch, makes no failure: that was the job's own.
    const bool own = fate.ending.empty() || fate.ending == "limit" || fate.ending == "launch";
    if (fate.end == "cancelled" || (fate.end == "failed" && !own)) {
      outcome = kByEnding.at(fate.ending);
    }
    if (fate.end == "lost") {
      outcome = fate.ending == "cancel" ? "cancelled" : fate.ran ? "node_failed" : "launch_failed";
    } else if (!fate.ran && outcome != "cancelled" &&
               (outcome != "preempted" || fate.ending != "preempt")) {
      outcome = "launch_failed";
    } else if (fate.ran && outcome == "launch_failed") {
      outcome = "requeued";
    }
    return outcome;
  }

  void Ended(const Fate& fate) {
    const std::string outcome = Outcome(fate);
    failures_in_a_row = outcome == "launch_failed" ? failures_in_a_row + 1 : 0;
    if (fate.ending == "cancel" && outcome != "succeeded") {
      state = "cancelled";
    } else if (outcome == "failed") {
      ++failed_runs;
      state = requeue && failed_runs < max_attempts ? "queued" : "failed";
    } else if (outcome == "preempted") {
      ++preemptions;
      state = requeue || !fate.ran ? "queued" : "cancelled";
    } else if (outcome == "node_failed") {
      state = requeue ? "queued" : "failed";
    } else if (outcome == "requeued" && fate.ending == "launch") {
      state = requeue ? "queued" : "failed";
    } else if (outcome == "launch_failed" || outcome == "requeued") {
      state = "queued";
    } else {
      state = outcome;
    }
  }
};

Fate Draw(property::Dice& dice) {
  const std::vector<std::string> ends = {"completed", "failed",      "cancelled", "timed-out",
                                         "lost",      "node-failed", "preempted", "refused"};
  const std::vector<std::string> endings = {"",        "",      "",       "cancel",
                                            "preempt", "limit", "launch", "requeue"};
  Fate fate;
  fate.end = ends[static_cast<std::size_t>(dice.Roll(0, std::ssize(ends) - 1))];
  fate.ending = endings[static_cast<std::size_t>(dice.Roll(0, std::ssize(endings) - 1))];
  fate.ran = dice.Chance(80);
  fate.exit_code = static_cast<int>(fate.end == "failed" ? dice.Roll(1, 3) : dice.Roll(0, 1));
  if (fate.end == "refused") fate.ran = false;
  // What has a time of its own has run; what Kezek requeues or cuts at its limit, too.
  if (fate.end == "completed" || fate.end == "timed-out") fate.ran = true;
  if (fate.ending == "requeue" || fate.ending == "limit") {
    fate.ran = fate.end != "refused";
  }
  return fate;
}

End EndOfFate(const Fate& fate, Attempt& attempt) {
  static const std::map<std::string, Ending> kEndings = {{"", Ending::kNone},
                                                         {"cancel", Ending::kCancel},
                                                         {"preempt", Ending::kPreempt},
                                                         {"limit", Ending::kTimeLimit},
                                                         {"launch", Ending::kLaunchTimeout},
                                                         {"requeue", Ending::kRequeue}};
  static const std::map<std::string, ClusterJobState> kStates = {
      {"completed", ClusterJobState::kCompleted},    {"failed", ClusterJobState::kFailed},
      {"cancelled", ClusterJobState::kCancelled},    {"timed-out", ClusterJobState::kTimedOut},
      {"node-failed", ClusterJobState::kNodeFailed}, {"preempted", ClusterJobState::kPreempted}};
  attempt.ending = kEndings.at(fate.ending);
  attempt.start_ms = fate.ran ? 1000 : 0;
  attempt.last_seen_ms = fate.ran ? 2000 : 0;
  if (fate.end == "refused") return EndOfRefused("no");
  if (fate.end == "lost") return EndOfLost(attempt);
  ClusterJob job;
  job.state = kStates.at(fate.end);
  job.start_ms = attempt.start_ms;
  job.end_ms = 3000;
  job.exit_code = fate.exit_code;
  return EndOf(attempt, job);
}

void CheckHistory(std::uint64_t seed) {
  property::Dice dice(seed);
  JobSpec spec;
  spec.requeue = dice.Chance(60);
  spec.max_attempts = static_cast<std::int32_t>(dice.Roll(1, 4));
  Job job;
  job.ref.id = JobId{1};
  job.spec = std::make_shared<const JobSpec>(spec);
  job.submitted_ms = 17;
  Dumb dumb{.requeue = spec.requeue, .max_attempts = spec.max_attempts};
  std::string chain = "queued";
  const auto follow = [&chain](const Event& event) {
    EXPECT_EQ(event.from, chain);
    chain = event.to;
  };
  TimeMs now = 100;
  for (int step = 0; step < 20 && !IsFinal(job.state); ++step) {
    now += dice.Roll(1, 1000);
    const Fate fate = Draw(dice);
    Attempt attempt;
    attempt.ref = {job.ref, ++job.attempts};
    follow(Move(job, JobState::kStarting, {}, kActorKezek, job.attempts, now));
    const End end = EndOfFate(fate, attempt);
    ASSERT_EQ(NameOf(end.outcome), Dumb::Outcome(fate))
        << fate.end << " " << fate.ending << " " << fate.ran;
    if (end.start_ms != 0) {
      follow(Move(job, JobState::kRunning, {}, kActorKezek, job.attempts, now));
    }
    Close(attempt, end);
    follow(AfterAttempt(job, attempt, BackoffRules{}, now));
    dumb.Ended(fate);
    EXPECT_EQ(NameOf(job.state), dumb.state) << fate.end << " " << fate.ending;
    EXPECT_EQ(chain, dumb.state);
    EXPECT_EQ(job.failed_runs, dumb.failed_runs);
    EXPECT_EQ(job.preemptions, dumb.preemptions);
    EXPECT_EQ(job.launch_failures, dumb.failures_in_a_row);
    EXPECT_EQ(job.submitted_ms, 17);
    EXPECT_EQ(job.ended_ms, IsFinal(job.state) ? now : 0);
  }
}

TEST(LifeTwinTest, EqualOnRandomHistories) {
  property::ForEachSeed([](std::uint64_t seed) { CheckHistory(seed); });
}

}  // namespace
}  // namespace kezek::control

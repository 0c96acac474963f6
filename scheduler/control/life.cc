#include "scheduler/control/life.h"

#include <algorithm>
#include <utility>

#include "kezek/check.h"
#include "kezek/names.h"

namespace kezek::control {
namespace {

// The cluster's clock, which has whole seconds, and ours, where they are taken for equal.
constexpr DurationMs kClocksDiffer = 3 * kSecondMs;

Reason FinishReason(ReasonCode code, const End& end) {
  Reason reason{code, {}};
  if (end.exit_signal != 0) {
    reason.fields["signal"] = std::to_string(end.exit_signal);
  } else {
    reason.fields["exit_code"] = std::to_string(end.exit_code);
  }
  return reason;
}

std::string NodeList(const Placement& placement) {
  std::string list;
  for (const NodeGrant& grant : placement) list += (list.empty() ? "" : ",") + grant.node;
  return list;
}

Event EventOf(const Job& job, Reason reason, std::string_view actor, std::int32_t attempt,
              TimeMs now) {
  Event event;
  event.time_ms = now;
  event.subject = Subject::kJob;
  event.job = job.ref;
  event.attempt = attempt;
  event.project = job.spec->project;
  event.user = job.user;
  event.reason = std::move(reason);
  event.actor = actor;
  return event;
}

bool IsRequeue(ReasonCode code) {
  return code == ReasonCode::kRequeuedByUser || code == ReasonCode::kRequeuedByAdmin;
}

bool IsCancel(ReasonCode code) {
  return code == ReasonCode::kCancelledByUser || code == ReasonCode::kCancelledByAdmin;
}

// Why Kezek ended it, as the outcome of the attempt.
AttemptOutcome OutcomeOfEnding(const Attempt& attempt) {
  switch (attempt.ending) {
    case Ending::kNone:
    case Ending::kCancel:
      return AttemptOutcome::kCancelled;
    case Ending::kPreempt:
      return AttemptOutcome::kPreempted;
    case Ending::kTimeLimit:
      return AttemptOutcome::kTimedOut;
    case Ending::kLaunchTimeout:
      return AttemptOutcome::kLaunchFailed;
    case Ending::kRequeue:
      return attempt.reason.code == ReasonCode::kNodeFailed ? AttemptOutcome::kNodeFailed
                                                            : AttemptOutcome::kRequeued;
  }
  return AttemptOutcome::kCancelled;
}

// What fails under this ending did so by itself: one that Kezek cancels at its limit, or for a slow
// launch, is cancelled in the cluster's books. What is preempted may answer its signal by failing.
bool EndsByItself(Ending ending) {
  return ending == Ending::kNone || ending == Ending::kTimeLimit ||
         ending == Ending::kLaunchTimeout;
}

AttemptOutcome OutcomeOf(const Attempt& attempt, const ClusterJob& job) {
  // How a later run of the same job ended says nothing about ours.
  if (job.restarts > 0 && attempt.ending != Ending::kNone) {
    const bool goes_on = attempt.ending == Ending::kRequeue || attempt.ending == Ending::kPreempt;
    return goes_on && job.node_failed ? AttemptOutcome::kNodeFailed : OutcomeOfEnding(attempt);
  }
  switch (job.state) {
    case ClusterJobState::kCompleted:
      return job.exit_code == 0 && job.exit_signal == 0 ? AttemptOutcome::kSucceeded
                                                        : AttemptOutcome::kFailed;
    case ClusterJobState::kFailed:
      return EndsByItself(attempt.ending) ? AttemptOutcome::kFailed : OutcomeOfEnding(attempt);
    case ClusterJobState::kCancelled:
      if (job.node_failed && attempt.ending == Ending::kNone) return AttemptOutcome::kNodeFailed;
      return OutcomeOfEnding(attempt);
    case ClusterJobState::kTimedOut:
      return AttemptOutcome::kTimedOut;
    case ClusterJobState::kNodeFailed:
      return AttemptOutcome::kNodeFailed;
    case ClusterJobState::kPreempted:
      return AttemptOutcome::kPreempted;
    case ClusterJobState::kPending:
    case ClusterJobState::kRunning:
    case ClusterJobState::kCompleting:
      break;
  }
  KEZEK_CHECK(false, "an end was taken from a job that has not ended");
}

// What had ended by itself before Kezek decided to end it was not ended by that decision: the news
// came late. A person's cancel stands. Of what Slurm requeued only the times of that run count.
Ending EndingThatCounts(const Attempt& attempt, const ClusterJob& job, DurationMs skew_ms) {
  if (attempt.ending == Ending::kCancel || attempt.ending == Ending::kRequeue) {
    return attempt.ending;
  }
  const TimeMs end_ms = job.run_end_ms != 0 ? job.run_end_ms : job.end_ms;
  const bool before = end_ms != 0 && end_ms - skew_ms + kClocksDiffer < attempt.ending_since_ms;
  if (attempt.ending != Ending::kNone && !before) return attempt.ending;
  return job.restarts > 0 ? Ending::kRequeue : Ending::kNone;
}

// With what the cluster said while it waited: a cancelled job has no reason any more ("None").
Reason SlowLaunch(const Attempt& attempt, const std::string& text) {
  Reason reason{ReasonCode::kLaunchTimedOut, {}};
  const auto said = attempt.reason.fields.find("text");
  if (said != attempt.reason.fields.end()) {
    reason.fields["text"] = said->second;
  } else if (text != "None") {
    reason.fields["text"] = text;
  }
  return reason;
}

// Said again when it has ended: for whom, but not what it was told.
Reason PreemptedFor(const Reason& told, ReasonCode code) {
  Reason reason{code, {}};
  const auto by = told.fields.find("by");
  if (told.code == ReasonCode::kPreempted && by != told.fields.end()) reason.fields.insert(*by);
  return reason;
}

Reason ReasonOf(const Attempt& attempt, const End& end, const std::string& text) {
  switch (end.outcome) {
    case AttemptOutcome::kTimedOut:
      return {ReasonCode::kTimedOut,
              {{"limit", std::to_string(attempt.limit_ms / kMinuteMs) + " min"}}};
    case AttemptOutcome::kCancelled:
      // Set when the cancel was asked for; a cancel by other hands is the owner's.
      if (IsCancel(attempt.reason.code)) return attempt.reason;
      return {ReasonCode::kCancelledByUser, {}};
    case AttemptOutcome::kPreempted:
      return PreemptedFor(attempt.reason, ReasonCode::kPreempted);
    case AttemptOutcome::kNodeFailed:
      return {ReasonCode::kNodeFailed, {{"nodes", NodeList(attempt.placement)}}};
    case AttemptOutcome::kLaunchFailed:
      if (attempt.reason.code == ReasonCode::kLaunchFailed) return attempt.reason;
      if (attempt.ending != Ending::kLaunchTimeout) {
        return {ReasonCode::kLaunchFailed, {{"text", text}}};
      }
      return SlowLaunch(attempt, text);
    case AttemptOutcome::kRequeued:
      if (attempt.reason.code == ReasonCode::kPlacementDiffers) return attempt.reason;
      if (attempt.reason.code == ReasonCode::kLaunchFailed) return attempt.reason;
      if (IsRequeue(attempt.reason.code)) return attempt.reason;  // with who asked, and why
      if (attempt.ending != Ending::kLaunchTimeout) return {ReasonCode::kRequeuedByUser, {}};
      return SlowLaunch(attempt, text);
    case AttemptOutcome::kNone:
    case AttemptOutcome::kSucceeded:
    case AttemptOutcome::kFailed:
      break;
  }
  return FinishReason(ReasonCode::kFinished, end);
}

}  // namespace

bool MayChange(JobState from, JobState to) {
  switch (from) {
    case JobState::kQueued:
      return to == JobState::kStarting || to == JobState::kCancelled;
    case JobState::kStarting:
      return to == JobState::kRunning || to == JobState::kQueued || to == JobState::kCancelled;
    case JobState::kRunning:
      return to == JobState::kQueued || IsFinal(to);
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kTimedOut:
    case JobState::kCancelled:
      return false;
  }
  return false;
}

bool MayChangeRow(JobState from, JobState to) { return from == JobState::kQueued && IsFinal(to); }

Event Move(Job& job, JobState to, Reason reason, std::string_view actor, std::int32_t attempt,
           TimeMs now) {
  KEZEK_CHECK(IsArrayRow(job) ? MayChangeRow(job.state, to) : MayChange(job.state, to),
              "job " + ToText(job.ref) + ": " + std::string(NameOf(job.state)) + " to " +
                  std::string(NameOf(to)));
  Event event = EventOf(job, reason, actor, attempt, now);
  event.from = NameOf(job.state);
  event.to = NameOf(to);
  job.state = to;
  job.reason = std::move(reason);
  if (to == JobState::kQueued) job.queued_since_ms = now;
  if (IsFinal(to)) job.ended_ms = now;
  return event;
}

Event Note(const Job& job, Reason reason, std::string_view actor, std::int32_t attempt,
           TimeMs now) {
  return EventOf(job, std::move(reason), actor, attempt, now);
}

namespace {

// Whether the cluster's times are of a later run of the same job: its record in the accounting does
// not tell how often it was restarted, but when it started.
bool IsAnotherRun(const Attempt& attempt, const ClusterJob& job) {
  const bool other_start = job.start_ms != attempt.start_ms;
  if (attempt.ending == Ending::kRequeue) return job.restarts > 0 || other_start;
  return attempt.start_ms != 0 && (job.restarts > 0 || (attempt.end_ms != 0 && other_start));
}

// A second start that ended at once. Of its own doing a job may end by that signal, too: then its
// start is the one that was seen, or it has run for a while.
bool WasBarred(const Attempt& attempt, const ClusterJob& job) {
  if (job.state != ClusterJobState::kFailed || job.exit_signal != kBegunBeforeSignal) return false;
  if (attempt.start_ms != 0) return job.start_ms != attempt.start_ms;
  constexpr DurationMs kAtOnce = 2 * kSecondMs;
  return job.end_ms - job.start_ms <= kAtOnce;
}

}  // namespace

End EndOf(const Attempt& known, const ClusterJob& job, DurationMs skew_ms) {
  if (WasBarred(known, job)) return EndOfLost(known);
  Attempt attempt = known;
  attempt.ending = EndingThatCounts(known, job, skew_ms);
  End end;
  end.start_ms = job.start_ms != 0 ? job.start_ms : attempt.start_ms;
  end.end_ms = std::max(job.end_ms, end.start_ms);
  // It waited again, in a cluster that went back in time, and has ended there.
  if (job.start_ms == 0 && attempt.start_ms != 0) {
    end.end_ms = std::max({attempt.start_ms, attempt.last_seen_ms, attempt.end_ms});
  }
  if (IsAnotherRun(attempt, job)) {
    end.start_ms = attempt.start_ms;
    TimeMs last = attempt.end_ms != 0 ? attempt.end_ms : attempt.last_seen_ms;
    if (job.run_end_ms != 0) last = job.run_end_ms;  // the accounting knows better
    end.end_ms = std::max(attempt.start_ms, last);
  }
  end.exit_code = job.exit_code;
  end.exit_signal = job.exit_signal;
  end.outcome = OutcomeOf(attempt, job);
  // What was ended before it could run did not fail to.
  const bool ended =
      end.outcome == AttemptOutcome::kCancelled ||
      (attempt.ending == Ending::kPreempt && end.outcome == AttemptOutcome::kPreempted);
  if (end.start_ms == 0 && !ended) end.outcome = AttemptOutcome::kLaunchFailed;
  // The cancel of a launch that was too slow met its start: it ran, and is charged for that.
  const bool ran = end.start_ms != 0 && end.outcome == AttemptOutcome::kLaunchFailed;
  if (ran) end.outcome = AttemptOutcome::kRequeued;
  end.reason = ReasonOf(attempt, end, job.state_reason);
  return end;
}

End EndOfLost(const Attempt& attempt) {
  End end;
  end.start_ms = attempt.start_ms;
  end.end_ms = std::max({attempt.start_ms, attempt.last_seen_ms, attempt.end_ms});
  if (attempt.ending == Ending::kCancel) {
    end.outcome = AttemptOutcome::kCancelled;
  } else if (attempt.start_ms == 0) {
    end.outcome = AttemptOutcome::kLaunchFailed;
  } else {
    end.outcome = AttemptOutcome::kNodeFailed;
  }
  end.reason = {ReasonCode::kLostByCluster, {}};
  if (attempt.last_seen_ms != 0) {
    end.reason.fields["last_seen_ms"] = std::to_string(attempt.last_seen_ms);
  }
  return end;
}

End EndOfRefused(std::string text) {
  End end;
  end.outcome = AttemptOutcome::kLaunchFailed;
  end.reason = {ReasonCode::kLaunchFailed, {{"text", std::move(text)}}};
  return end;
}

void Close(Attempt& attempt, const End& end) {
  KEZEK_CHECK(attempt.state != AttemptState::kEnded, "an attempt ends once");
  attempt.state = AttemptState::kEnded;
  attempt.outcome = end.outcome;
  attempt.start_ms = end.start_ms;
  attempt.end_ms = end.end_ms;
  attempt.exit_code = end.exit_code;
  attempt.exit_signal = end.exit_signal;
  attempt.reason = end.reason;
}

DurationMs Backoff(std::int32_t failures, const BackoffRules& rules) {
  DurationMs wait = rules.first_ms;
  for (std::int32_t i = 1; i < failures && wait < rules.longest_ms; ++i) wait *= 2;
  return std::min(wait, rules.longest_ms);
}

Event AfterAttempt(Job& job, const Attempt& ended, const BackoffRules& rules, TimeMs now) {
  const auto move = [&](JobState to, Reason reason) {
    return Move(job, to, std::move(reason), kActorKezek, ended.ref.number, now);
  };
  const bool ran = ended.outcome != AttemptOutcome::kLaunchFailed;
  job.launch_failures = ran ? 0 : job.launch_failures + 1;
  if (ended.ending == Ending::kCancel && ended.outcome != AttemptOutcome::kSucceeded) {
    return move(JobState::kCancelled, IsCancel(ended.reason.code)
                                          ? ended.reason
                                          : Reason{ReasonCode::kCancelledByUser, {}});
  }
  switch (ended.outcome) {
    case AttemptOutcome::kSucceeded:
      return move(JobState::kSucceeded, ended.reason);
    case AttemptOutcome::kTimedOut:
      return move(JobState::kTimedOut, ended.reason);
    case AttemptOutcome::kNone:
    case AttemptOutcome::kCancelled:
      return move(JobState::kCancelled, ended.reason);
    case AttemptOutcome::kFailed: {
      ++job.failed_runs;
      if (!job.spec->requeue || job.failed_runs >= job.spec->max_attempts) {
        return move(JobState::kFailed, ended.reason);
      }
      Reason reason = ended.reason;
      reason.code = ReasonCode::kRequeuedOnFailure;
      reason.fields["run"] = std::to_string(job.failed_runs);
      reason.fields["max"] = std::to_string(job.spec->max_attempts);
      return move(JobState::kQueued, std::move(reason));
    }
    case AttemptOutcome::kPreempted:
      ++job.preemptions;
      if (!job.spec->requeue && ended.start_ms != 0) {
        return move(JobState::kCancelled, PreemptedFor(ended.reason, ReasonCode::kPreemptedEnded));
      }
      return move(JobState::kQueued, ended.reason);
    case AttemptOutcome::kNodeFailed:
      return move(job.spec->requeue ? JobState::kQueued : JobState::kFailed, ended.reason);
    case AttemptOutcome::kLaunchFailed:
      job.not_before_ms = now + Backoff(job.launch_failures, rules);
      return move(JobState::kQueued, ended.reason);
    case AttemptOutcome::kRequeued: {
      // Its owner asked for another run; after a slow launch that ran nobody has.
      const bool again = ended.ending != Ending::kLaunchTimeout || job.spec->requeue;
      return move(again ? JobState::kQueued : JobState::kFailed, ended.reason);
    }
  }
  KEZEK_CHECK(false, "no such outcome");
}

}  // namespace kezek::control

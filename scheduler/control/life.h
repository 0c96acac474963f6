// The life of a job and of its attempts: which changes of state are legal, what an end in the
// cluster means, and what becomes of the job. Pure functions on values; the controller decides
// when. Every change of a job's state goes through Move, which makes the event.
//
//   queued -> starting -> running -> succeeded | failed | timed out | cancelled
//     ^  |                   |
//     +--+----- requeued ----+  after preemption, a node's failure, a failed launch or run
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kezek/cluster.h"
#include "kezek/event.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/time.h"

namespace kezek::control {

inline constexpr std::string_view kActorKezek = "kezek";

// Of a job or an array's element. `kQueued` to `kQueued` is none.
bool MayChange(JobState from, JobState to);
// Of an array's row, which goes from queued to final.
bool MayChangeRow(JobState from, JobState to);

// Changes the state and the figures that go with it (ended_ms, queued_since_ms, reason), and says
// so. An illegal change is a bug: KEZEK_CHECK.
Event Move(Job& job, JobState to, Reason reason, std::string_view actor, std::int32_t attempt,
           TimeMs now);

// An event about a job that is no change of state.
Event Note(const Job& job, Reason reason, std::string_view actor, std::int32_t attempt, TimeMs now);

// How an attempt ended, by what the cluster says of it and why Kezek may have ended it.
struct End {
  AttemptOutcome outcome = AttemptOutcome::kNone;
  TimeMs start_ms = 0;  // 0: never ran
  TimeMs end_ms = 0;
  std::int32_t exit_code = 0;
  std::int32_t exit_signal = 0;
  Reason reason;
};

// `job` is in one of the ended states. What completed by itself has succeeded, whatever was about
// to end it; a cancelled one ended for the reason Kezek had, else by its owner's hand. One that
// never ran is a failed launch unless somebody cancelled it or it was to make room; one that was
// cancelled for not starting and started all the same ran, and is requeued. What ended before Kezek
// decided to end it ended as the cluster says. Times of a later run of the same job are not the
// attempt's: it ended at its `end_ms`, or when it was last seen. Nor are those of a script that
// found its attempt begun (kBegunBeforeSignal): what began first is lost. `skew_ms`: how far the
// cluster's clock is ahead.
End EndOf(const Attempt& attempt, const ClusterJob& job, DurationMs skew_ms = 0);
// Neither the cluster nor its accounting knows it any more: closed when last seen alive.
End EndOfLost(const Attempt& attempt);
// The cluster never took it.
End EndOfRefused(std::string text);

// Writes the end into the attempt.
void Close(Attempt& attempt, const End& end);

struct BackoffRules {
  DurationMs first_ms = 10 * kSecondMs;
  DurationMs longest_ms = 10 * kMinuteMs;
};

// Wait before the next launch after `failures` in a row: doubles from the first, up to the longest.
DurationMs Backoff(std::int32_t failures, const BackoffRules& rules);

// What becomes of a job whose attempt has ended: state, counters, back-off. Preemption, faults of
// the machine and failed launches do not use up attempts; a cancel under way wins over a requeue.
// What ran does not run again without its owner's leave (JobSpec::requeue).
Event AfterAttempt(Job& job, const Attempt& ended, const BackoffRules& rules, TimeMs now);

}  // namespace kezek::control

// Jobs, attempts and their states (the rules are in scheduler/control/life.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

enum class JobKind : std::uint8_t { kBatch, kTraining, kInference, kInteractive };

enum class JobState : std::uint8_t {
  kQueued,    // waits; `held` says whether it may start
  kStarting,  // an attempt is committed, the cluster has not reported it running
  kRunning,
  kSucceeded,
  kFailed,
  kTimedOut,
  kCancelled,
};

inline bool IsFinal(JobState state) { return state >= JobState::kSucceeded; }

enum class DependencyKind : std::uint8_t { kAfterOk, kAfterAny, kAfterNotOk, kAfter };

struct Dependency {
  DependencyKind kind = DependencyKind::kAfterOk;
  JobRef on;
  DurationMs delay_ms = 0;  // with kAfter: this long after its first start
  bool operator==(const Dependency&) const = default;
};

// Inclusive range of array indices with a step.
struct IndexRange {
  std::int32_t first = 0;
  std::int32_t last = 0;
  std::int32_t step = 1;
  bool operator==(const IndexRange&) const = default;
};

struct ArraySpec {
  std::vector<IndexRange> indices;  // ascending, disjoint
  std::int32_t max_running = 0;     // 0: no limit
  bool operator==(const ArraySpec&) const = default;
};

struct EndSignal {
  std::string name;              // "USR1", without SIG; empty: none asked for
  DurationMs before_end_ms = 0;  // before the time limit
  bool batch_shell_only = false;
  bool operator==(const EndSignal&) const = default;
};

// What the user asked for, complete after admission (no default left open), never changed except
// by an update, which is an event. The script and the environment are kept apart (JobPayload).
struct JobSpec {
  std::string name;
  AccountId project;
  std::string job_class = "normal";
  JobKind kind = JobKind::kBatch;
  Shape shape;
  std::int32_t ntasks = 1;  // over all nodes
  std::int32_t ntasks_per_node = 1;
  std::int32_t cpus_per_task = 1;
  Domain within = Domain::kAny;   // demand
  Domain prefer = Domain::kAny;   // waits at most topology_wait for it
  Spread spread = Spread::kNone;  // of an array's elements
  DurationMs time_limit_ms = 0;
  DurationMs time_min_ms = 0;  // 0: same as the limit
  TimeMs begin_ms = 0;         // 0: at once
  TimeMs deadline_ms = 0;      // 0: none
  std::vector<Dependency> dependencies;
  bool kill_on_invalid_dependency = true;
  std::optional<ArraySpec> array;
  bool requeue = false;           // a run that fails is tried again
  std::int32_t max_attempts = 1;  // runs that may fail before the job does
  EndSignal signal;
  DurationMs grace_ms = 0;  // between signal and end at preemption; 0: the class's
  std::string checkpoint_path;
  std::string classification;  // "": public
  std::string working_directory;
  std::vector<std::string> arguments;  // of the script
  std::string stdin_path;
  std::string stdout_path;  // "": Kezek's own folder
  std::string stderr_path;  // "": with standard output
  bool append_output = false;
  std::string comment;
  std::vector<std::string> constraints;  // labels, all of them
  std::vector<std::string> nodes;        // only on these (with -w: all of them)
  std::vector<std::string> exclude_nodes;
  std::string reservation;         // an admin's, to run in; "": in none
  std::int32_t user_priority = 0;  // higher first, among the user's own jobs
  std::string container_image;
  std::int32_t umask = 0022;
  std::map<std::string, std::string> labels;
  bool operator==(const JobSpec&) const = default;
};

// Too big for the queue in memory, read when an attempt is launched.
struct JobPayload {
  JobId id;
  std::string script;
  std::map<std::string, std::string> environment;
  bool operator==(const JobPayload&) const = default;
};

enum class Hold : std::uint8_t { kNone, kUser, kAdmin, kCluster };

// Why it is held, when there is nothing more to say.
inline Reason HoldReason(Hold hold) {
  switch (hold) {
    case Hold::kNone:
      break;
    case Hold::kUser:
      return {ReasonCode::kHeldByUser, {}};
    case Hold::kAdmin:
      return {ReasonCode::kHeldByAdmin, {}};
    case Hold::kCluster:
      return {ReasonCode::kHeldByCluster, {}};
  }
  return {};
}

enum class AttemptState : std::uint8_t {
  kStarting,  // committed; perhaps submitted, perhaps released, not yet seen running
  kRunning,
  kEnded,
};

enum class AttemptOutcome : std::uint8_t {
  kNone,  // not ended
  kSucceeded,
  kFailed,
  kTimedOut,
  kCancelled,
  kPreempted,
  kNodeFailed,
  kLaunchFailed,
  kRequeued,  // on request, through Kezek or from inside the job
};

// What is being done to end an attempt before its time. Kept so that a restart goes on with it.
enum class Ending : std::uint8_t { kNone, kCancel, kPreempt, kTimeLimit, kLaunchTimeout, kRequeue };

struct Attempt {
  AttemptRef ref;
  AttemptState state = AttemptState::kStarting;
  AttemptOutcome outcome = AttemptOutcome::kNone;
  Ending ending = Ending::kNone;
  Placement placement;
  std::int64_t cluster_job_id = 0;  // 0: not known yet
  bool released = false;            // the release was sent and accepted
  TimeMs planned_ms = 0;            // committed as starting
  TimeMs released_ms = 0;
  TimeMs start_ms = 0;  // the cluster's, 0 until known
  TimeMs end_ms = 0;
  TimeMs last_seen_ms = 0;     // last seen alive
  TimeMs ending_since_ms = 0;  // when `ending` was decided
  // Of Ending::kPreempt the row it makes room for; with it and a requeue through Kezek until when
  // it has time (else 0), and whether the cluster is known to have told it so.
  JobRef preempted_for;
  TimeMs ends_by_ms = 0;
  bool warned = false;
  // Of its last checkpoint: when it was reported, by Kezek's clock, or the time of the file that
  // was seen; 0: none.
  TimeMs last_checkpoint_ms = 0;
  bool signalled = false;  // the signal before the limit has been sent
  std::int32_t exit_code = 0;
  std::int32_t exit_signal = 0;
  DurationMs limit_ms = 0;           // frozen at start (a granted extension changes it)
  MilliGpus counted_milli = 0;       // frozen at start, over all nodes
  std::int64_t rate_milli = 1000;    // of the GPU type
  std::int64_t factor_milli = 1000;  // of the class
  // A budget does not hold it and lets it go on as a scavenger: in no share, drawing on no budget.
  bool as_scavenger = false;
  std::int64_t settings_version = 0;
  std::int64_t epoch = 0;  // of the leader that planned it
  Reason reason;           // of the end
  bool operator==(const Attempt&) const = default;
};

// A row of the queue. For an array `ref.element` is kNoElement and `pending` lists the elements
// that have not been made jobs of their own; an element gets its own row when it is planned or
// singled out. Final when nothing is pending and all its elements are.
struct Job {
  JobRef ref;
  UserId user;
  std::shared_ptr<const JobSpec> spec;
  JobState state = JobState::kQueued;
  Hold hold = Hold::kNone;
  Reason hold_reason;
  std::vector<IndexRange> pending;  // arrays only
  TimeMs submitted_ms = 0;          // its place in the order, kept when requeued
  TimeMs queued_since_ms = 0;       // when it last became queued
  TimeMs not_before_ms = 0;         // back-off after failed launches
  // When it first ran, by the cluster's clock; 0: not yet. Of an array's row: when the last of its
  // elements first did so far.
  TimeMs started_ms = 0;
  TimeMs ended_ms = 0;
  // Of an array's row these three count elements: that got a row of their own; that failed or timed
  // out; that were cancelled.
  std::int32_t attempts = 0;         // made so far
  std::int32_t failed_runs = 0;      // that count against max_attempts
  std::int32_t launch_failures = 0;  // in a row
  std::int32_t preemptions = 0;
  TimeMs checkpointed_ms = 0;  // of its last checkpoint, in any attempt; 0: never
  std::string resume_from;     // where its owner last said that is; may be empty
  Reason reason;               // of the last change of state
};

// True for the row of an array: its elements are what runs.
inline bool IsArrayRow(const JobRef& ref, const JobSpec& spec) {
  return spec.array.has_value() && ref.element == kNoElement;
}
inline bool IsArrayRow(const Job& job) { return IsArrayRow(job.ref, *job.spec); }

// Whether a run that ended so took as long as such jobs take.
constexpr bool IsTypical(AttemptOutcome outcome) {
  return outcome == AttemptOutcome::kSucceeded || outcome == AttemptOutcome::kTimedOut;
}

// An attempt that has run and ended: what the lengths of a project's jobs are learned from.
struct EndedRun {
  AccountId project;
  UserId user;
  std::string name;  // of the job
  Shape shape;
  TimeMs start_ms = 0;
  TimeMs end_ms = 0;
  bool typical = false;  // ran as long as it takes: succeeded, or reached its limit
  bool operator==(const EndedRun&) const = default;
};

}  // namespace kezek

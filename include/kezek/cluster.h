// Port to the cluster below, which launches, isolates and signals what Kezek has decided. Requests
// are answered by events, later and in any order; any answer may be lost.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

// Handed over with the launch: the cluster sends this signal before the limit to the tasks alone,
// also while Kezek is away. The one for the batch shell is Kezek's to send.
inline bool IsClustersToSend(const EndSignal& signal) {
  return !signal.name.empty() && signal.before_end_ms > 0 && !signal.batch_shell_only;
}

// Everything a launch needs. Submitted held: it does not run before Release.
struct Launch {
  AttemptRef attempt;
  std::string tag;  // installation, epoch, keyed hash; kept with the cluster's job
  std::string unix_account;
  std::int64_t unix_uid = 0;  // of the account when it was given to the user
  std::string slurm_account;
  std::string qos;
  Placement placement;
  JobSpec spec;
  DurationMs limit_ms = 0;
  std::string script;
  std::map<std::string, std::string> environment;  // complete, KEZEK_* included
  // Of a job with a container image: the command line that runs {command}, the script, in {image};
  // {output} is the attempt's folder. Empty: that is left to the cluster.
  std::string container_launch;
  std::string stdout_path;  // resolved
  std::string stderr_path;
  std::string stdin_path;
};

// The signal by which a launch script ends itself that finds its attempt begun already: a cluster
// that lost what it knew of it has started it again. A signal, as Slurm 22.05's accounting tells
// those and no exit codes; a real-time one, as hardly anybody uses those. A job that dies of it by
// its own doing is told by its start.
inline constexpr std::int32_t kBegunBeforeSignal = 61;

// A job of the cluster as it reports it.
enum class ClusterJobState : std::uint8_t {
  kPending,
  kRunning,     // or suspended
  kCompleting,  // has ended, its resources are not free yet
  kCompleted,
  kFailed,
  kCancelled,
  kTimedOut,
  kNodeFailed,  // or boot failed, out of service
  kPreempted,
};

inline bool HasEnded(ClusterJobState state) { return state >= ClusterJobState::kCompleted; }

struct ClusterJob {
  std::int64_t id = 0;
  AttemptRef attempt;  // from its name; number 0: not named like one of ours
  std::string unix_account;
  std::string tag;  // what the comment holds
  ClusterJobState state = ClusterJobState::kPending;
  bool held = false;
  std::string state_reason;  // the cluster's words
  TimeMs start_ms = 0;
  TimeMs end_ms = 0;  // of an ended job
  std::int32_t exit_code = 0;
  std::int32_t exit_signal = 0;
  std::int32_t restarts = 0;
  bool node_failed = false;  // so ended the run before the restart; or lost with its controller
  // Of one that was restarted: the run before, by the accounting; 0: not known.
  TimeMs run_start_ms = 0;
  TimeMs run_end_ms = 0;
  DurationMs limit_ms = 0;  // its time limit; 0: none, or not told
  Placement granted;
  // Of one that waits: the nodes and the GPUs on each that it was submitted for; none: not told.
  std::optional<Placement> asked;
  std::int32_t cpus = 0;  // granted, over all nodes
  std::int64_t memory_mib = 0;
  bool operator==(const ClusterJob&) const = default;
};

struct LaunchAccepted {
  AttemptRef attempt;
  std::int64_t cluster_job_id = 0;
  // Not empty: it was made otherwise than asked, in the cluster's words. It must not be released.
  std::string spoilt;
};
struct LaunchRefused {  // definitely not there
  AttemptRef attempt;
  bool for_good = false;  // trying again would not help: hold the job
  std::string text;       // the cluster's words
};
struct LaunchUnknown {  // no answer: look by name, not before `look_after_ms`
  AttemptRef attempt;
  TimeMs look_after_ms = 0;
};
struct ReleaseDone {
  AttemptRef attempt;
  std::int64_t cluster_job_id = 0;
  bool accepted = false;  // false: refused or unknown; the follower's next report decides
  std::string text;
};
struct SignalDone {
  AttemptRef attempt;
  std::int64_t cluster_job_id = 0;
  std::string signal;    // as it was asked for
  bool settled = false;  // false: it is not known whether it was taken
};
struct LimitRefused {  // the cluster does not give it this time limit
  AttemptRef attempt;
  std::int64_t cluster_job_id = 0;
  DurationMs limit_ms = 0;
  std::string text;  // the cluster's words
};
// All cluster jobs with this attempt's name, from the live list and the accounting. `complete` is
// false when either did not answer: then absence proves nothing.
struct FoundByName {
  AttemptRef attempt;
  bool complete = false;
  std::vector<ClusterJob> jobs;
};
// A state change, or the answer to a Look. The first news of a restart comes after the nodes as
// they were then or later, so that a node's failure can be told from its owner's requeue.
struct Observed {
  ClusterJob job;
  TimeMs asked_ms = 0;  // when that was asked: an answer may take long; 0: now
};
// Neither the live list nor the accounting knows it alive or ended; both have answered for as long
// as news may take from one to the other.
struct Unknown {
  std::int64_t cluster_job_id = 0;
  AttemptRef attempt;
};
struct NodesObserved {      // all nodes
  std::vector<Node> nodes;  // health, capacity, foreign use; leaf and block are left empty
};
struct ClusterUp {  // answers again, or its clock has gone astray
  std::string version;
  TimeMs clock_skew_ms = 0;  // how far it is ahead; 0: too little to tell
};
struct ClusterSilent {
  std::string text;
};
struct Oddity {  // something of the cluster's that could not be read and was left out; said once
  std::string text;
};
// A full listing: every job of the cluster that is ours by name or tag. Ends a Reconcile.
struct Listing {
  std::vector<ClusterJob> jobs;
  TimeMs asked_ms = 0;  // as above
};

using ClusterEvent = std::variant<LaunchAccepted, LaunchRefused, LaunchUnknown, ReleaseDone,
                                  SignalDone, LimitRefused, FoundByName, Observed, Unknown,
                                  NodesObserved, ClusterUp, ClusterSilent, Oddity, Listing>;

// What a following cluster shell must keep an eye on.
struct Followed {
  AttemptRef attempt;
  std::int64_t cluster_job_id = 0;
  std::string unix_account;
  bool running = false;
  TimeMs start_ms = 0;    // by the cluster's clock; 0: has not started, as far as is known
  std::string tag;        // that it was submitted with
  TimeMs planned_ms = 0;  // by the cluster's clock: it has not run before; 0: not known
  Placement planned;      // on hosts, while it has not started; empty: not known
};

// Whether it has, or was submitted for, the GPUs that were planned; true, too, if that is not told.
inline bool IsWherePlanned(const Followed& known, const ClusterJob& seen) {
  const bool waits = seen.state == ClusterJobState::kPending;
  if (known.planned.empty() || (waits ? !seen.asked : seen.granted.empty())) return true;
  const Placement& its = waits ? *seen.asked : seen.granted;
  const auto planned = [&known](const NodeGrant& grant) {
    return std::any_of(known.planned.begin(), known.planned.end(), [&grant](const auto& one) {
      return one.node == grant.node && one.gpus == grant.gpus;
    });
  };
  return its.size() == known.planned.size() && std::all_of(its.begin(), its.end(), planned);
}

// Whether what the cluster shows under a recorded id is still that job, though its name or comment
// is not: their owner may change both. An id is given to another job only by a controller that lost
// its state; that job began at another time, or before this one was planned, or is named like
// another attempt, or is for other nodes than a job that has not started.
inline bool IsStill(const Followed& known, const ClusterJob& seen) {
  constexpr DurationMs kClocks = 10 * kSecondMs;  // so far apart at most
  if (seen.id != known.cluster_job_id || seen.unix_account != known.unix_account) return false;
  if (known.start_ms != 0 && seen.start_ms == known.start_ms) return true;
  if (seen.start_ms != 0 && seen.start_ms + kClocks < known.planned_ms) return false;
  if (!known.tag.empty() && seen.tag == known.tag) return true;
  if (known.start_ms != 0 && seen.restarts == 0) return false;
  if (seen.attempt == known.attempt) return true;
  if (seen.attempt.number != 0) return false;
  if (known.start_ms != 0) return true;
  // Of what has ended the accounting may have the comment before the name.
  const bool anothers = !known.tag.empty() && !seen.tag.empty();
  return !anothers && IsWherePlanned(known, seen);
}

// Port. Thread-safe, never blocks; answers go to the sink given at construction, on any thread.
class Cluster {
 public:
  virtual ~Cluster() = default;
  virtual void Submit(Launch launch) = 0;
  virtual void Release(const AttemptRef& attempt, std::int64_t cluster_job_id,
                       const std::string& unix_account) = 0;
  // Ends it (pending or running); repeated until an Observed shows the end.
  virtual void Cancel(const AttemptRef& attempt, std::int64_t cluster_job_id,
                      const std::string& unix_account) = 0;
  // Answers SignalDone. Sent again, it may reach the job twice.
  virtual void Signal(const AttemptRef& attempt, std::int64_t cluster_job_id,
                      const std::string& unix_account, const std::string& signal,
                      bool batch_shell_only) = 0;
  // Gives it this time limit, in whole minutes, pending or running; repeated, ever more rarely,
  // until an Observed shows it. Answers LimitRefused, or nothing.
  virtual void SetLimit(const Followed& job, DurationMs limit_ms) = 0;
  virtual void FindByName(const AttemptRef& attempt) = 0;
  // Answers Observed or Unknown for this one.
  virtual void Look(const Followed& job) = 0;
  // Answers Listing and NodesObserved.
  virtual void Reconcile() = 0;
  // Replaces the set that is followed: its changes come as Observed. All other jobs are foreign to
  // the nodes, of which nothing is said before the first Follow.
  virtual void Follow(std::vector<Followed> jobs) = 0;
};

using ClusterSink = std::function<void(ClusterEvent)>;

}  // namespace kezek

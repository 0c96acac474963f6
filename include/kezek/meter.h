// What the parts of the daemon tell about their own work, for metrics. Nothing is decided by it.
//
// Spans are measured on the steady clock and told in microseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/ids.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek {

using DurationUs = std::int64_t;

// Threads that must not stand still over one piece of work.
enum class Worker : std::uint8_t {
  kController,
  kCommitter,
  kFollower,  // of the cluster
};

// One transaction of the committer.
struct CommitMeasure {
  std::int64_t submissions = 0;
  std::int64_t bytes = 0;  // of their rows and of the controller's changes
  bool stored = false;     // false: failed, or not known whether
  DurationUs took_us = 0;
  std::int64_t waiting = 0;  // submissions left for the next one
};

// One request to the cluster below.
struct ClusterCallMeasure {
  std::string_view call;  // one of a fixed few: "submit", "jobs"…
  enum class Outcome : std::uint8_t {
    kAnswered,
    kError,    // answered with an error
    kNotSent,  // certainly not
    kLost,     // sent, not answered
  };
  Outcome outcome = Outcome::kAnswered;
  DurationUs took_us = 0;
};

// One rpc, from the moment it was handed to us until its status is sent; a stream as a whole.
struct RpcMeasure {
  std::string_view method;  // "kezek.v1.JobService/Submit", or "other"
  Code code = Code::kOk;
  DurationUs took_us = 0;
};

// Port. Thread-safe; never blocks for longer than a lock over a few instructions.
class Meter {
 public:
  virtual ~Meter() = default;
  // The worker takes up a piece of work, or the next one; it has none left.
  virtual void Begins(Worker worker) = 0;
  virtual void Rests(Worker worker) = 0;
  virtual void OnCommit(const CommitMeasure& measure) = 0;
  virtual void OnClusterCall(const ClusterCallMeasure& measure) = 0;
  virtual void OnRpc(const RpcMeasure& measure) = 0;
  // A job starts so long after it was first estimated to; less than 0: before.
  virtual void OnEstimateTested(DurationMs late_ms) = 0;
};

// What the controller has seen happen, committed.
struct FirstRun {  // a job runs for the first time
  std::string job_class;
  DurationMs waited_ms = 0;  // since its first submission
};
struct ChargedTime {  // settled on the ledger
  AccountId project;
  std::string gpu_type;
  MilliGpuMs amount = 0;
  bool foreign = false;  // of what ran beside Kezek
};

struct PreemptedRun {  // an attempt that was ended for others
  std::string job_class;
  MilliGpuMs lost = 0;  // counted GPUs x the time since its last checkpoint, or its start
};
// What became of promises to jobs that wait, and how many there are.
struct PromiseMeasure {
  std::int64_t given = 0;
  std::int64_t earlier = 0;
  std::int64_t later = 0;
  std::int64_t ended = 0;     // though the job has not started
  std::int64_t reserved = 0;  // alive, victims of none under way
  std::int64_t reclaims = 0;  // under way
  DurationMs oldest_reclaim_ms = 0;
  std::vector<DurationMs> reclaimed_ms;  // from the decision to the start that it was for
};

// The queue in figures. An array counts with its elements.
struct QueuedJobs {
  std::string job_class;
  ReasonCode reason = ReasonCode::kNone;
  std::int64_t jobs = 0;
  MilliGpus counted_milli = 0;
  bool operator==(const QueuedJobs&) const = default;
};
struct AliveAttempts {
  std::string job_class;
  bool running = false;  // false: starting
  std::int64_t attempts = 0;
  MilliGpus counted_milli = 0;
  bool operator==(const AliveAttempts&) const = default;
};
struct QueueTally {
  std::vector<QueuedJobs> queued;    // by class and reason
  std::vector<AliveAttempts> alive;  // by class and state
  bool operator==(const QueueTally&) const = default;
};

}  // namespace kezek

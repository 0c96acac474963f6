// The replay: jobs arrive as the trace says, run as long as it says, and a policy decides which of
// them start on which nodes.
//
// Simple model: at each time at which a job ends, arrives or outlives its limit, the policy is told
// so, ends first, then asked until nothing more happens at that time. The replay keeps its own
// account of the nodes and checks every start: nodes of the job's part, each once, with room.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "scheduler/sim/replay/job_list.h"
#include "scheduler/sim/replay/policy.h"

namespace kezek::replay {

struct ReplayOptions {
  std::int64_t grace_s = 300;                  // from the decision to preempt until the end
  std::int64_t checkpoint_s = 0;               // jobs save what they did so often; 0: never
  std::function<std::int64_t()> stopwatch_ns;  // for measuring; may be empty
  std::function<void(std::int64_t ended, std::int64_t of)> progress;  // may be empty
  // For tests; may be empty. A run, after it has ended.
  std::function<void(JobIndex job, std::int64_t from_s, std::int64_t to_s,
                     std::span<const std::int32_t> nodes)>
      ran;
};

// Of one job.
struct JobRecord {
  std::int64_t start_s = -1;  // first; -1: never
  std::int64_t end_s = -1;
  std::int32_t preemptions = 0;
};

struct ReplayResult {
  std::vector<JobRecord> jobs;
  std::vector<std::int64_t> tick_ns;  // of each decision, if there was a stopwatch
  std::int64_t never = 0;             // jobs that the policy never started
  double busy_gpu_s = 0;              // held
  double active_s = 0;                // while anything waited or ran
  double waiting_s = 0;               // while anything waited
  double busy_waiting_gpu_s = 0;      // held while anything waited
  double fragmented_gpu_s = 0;        // see Figures
  double lost_gpu_s = 0;              // of preempted runs: what is done again
  double misplaced_gpu_s = 0;         // see Figures, share error
  double entitled_gpu_s = 0;
  std::int64_t preemptions = 0;
  std::int64_t slot_s = 0;           // of the curve below
  std::vector<double> busy_by_slot;  // held, in GPU seconds, from the first submission on
};

ReplayResult Replay(const JobList& list, Policy& policy, const ReplayOptions& options = {});

}  // namespace kezek::replay

// The simulator: discrete events, the very loop that kezekd runs, a store in memory and a fake
// cluster with faults. Everything comes from the seed; the same seed gives the same trace.
//
// For `faults_ms` things go wrong, as the seed has it: the faults of the network, of Slurm and of
// other hands on its jobs (faults.h), failing commits, and crashes of the controller at any call.
// After a restored copy of the database nothing may be started or cancelled while the cluster has
// jobs of attempts that the copy does not know: an admin ends these, and then lets the scheduler go
// on. Then the faults stop, everybody's holds are released, ten minutes later nothing may be stuck,
// and everything must finish.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kezek/time.h"
#include "scheduler/sim/window_checker.h"

namespace kezek::sim {

// Of even seeds some accounts have budgets, small ones until the faults stop.
struct SimOptions {
  std::uint64_t seed = 1;
  std::int32_t jobs = 60;
  DurationMs span_ms = 30 * kMinuteMs;    // of the submissions
  DurationMs faults_ms = 60 * kMinuteMs;  // 0: no faults
  DurationMs patience_ms = 3 * kDayMs;    // after which what has not finished is a breach
  // Among the faults: the database is lost, and a copy of it, made at an earlier commit, restored.
  bool restore = false;
  bool promises = false;  // waiting jobs get reservations, and guarantees are reclaimed
  bool skew = false;      // slurmctld's clock is up to four minutes ahead or behind
  bool windows = false;   // admins reserve nodes, and jobs ask for what they have reserved
};

struct SimResult {
  std::vector<std::string> breaches;  // empty: all held
  std::string trace;                  // a line for each event
  std::int64_t acknowledged = 0;
  std::int64_t refused = 0;
  std::int64_t attempts = 0;
  std::int64_t preempted = 0;  // of them
  std::int64_t promises = 0;   // events of reservations
  WindowFigures windows;
  std::int64_t crashes = 0;
  std::int64_t stops = 0;  // an admin had to decide, after a restore
  std::int64_t rounds = 0;
  std::map<std::string, std::int64_t> happened;  // to the cluster: what, how often
  TimeMs simulated_ms = 0;
};

SimResult Simulate(const SimOptions& options);

}  // namespace kezek::sim

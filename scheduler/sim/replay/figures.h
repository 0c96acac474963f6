// What a replay came to, in figures for people. docs/simulator.md defines each.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/job_list.h"
#include "scheduler/sim/replay/replay.h"

namespace kezek::replay {

// Of some of the jobs. Waiting: all the time from submission to end in which a job made no progress
// that lasted; without preemption, from submission to start.
struct Waits {
  std::int64_t jobs = 0;
  double mean_s = 0;
  double p50_s = 0;
  double p90_s = 0;
  double p99_s = 0;
  double longest_s = 0;
  double mean_completion_s = 0;  // submission to end
  double bounded_slowdown = 0;   // mean of max(1, completion / max(run time, 10 s))
  double gpu_hours = 0;          // run
};

struct Figures {
  std::string policy;
  std::vector<std::pair<std::string, std::string>> parameters;
  Waits all;
  std::vector<std::pair<std::string, Waits>> by_size;   // GPUs; classes without jobs left out
  std::vector<std::pair<std::string, Waits>> by_group;  // by name
  std::int64_t never_started = 0;
  double utilisation = 0;          // held, while anything waited or ran
  double utilisation_waiting = 0;  // held, while anything waited
  double utilisation_coming = 0;   // held, from the first submission to the last, about
  // Free while the first blocked job asks for no more GPUs than are free in its part of the
  // machine; and as a part of the machine while anything waited.
  double fragmentation_gpu_hours = 0;
  double fragmentation = 0;
  std::int64_t preemptions = 0;
  double gpu_hours_lost = 0;
  // While anything waited: what groups lacked of a weighted max-min share of the machine, as a part
  // of these shares.
  double share_error = 0;
  // (Σx)² / (n Σx²) over the groups, x a group's mean completion / its mean run time.
  double jain = 0;
  std::int64_t ticks = 0;
  double tick_ms_p50 = 0;
  double tick_ms_p99 = 0;
  double tick_ms_max = 0;

  std::array<double, 201> wait_quantiles_s{};  // 0, 0.5, … 100 %
  double slot_s = 0;
  std::vector<double> utilisation_by_slot;  // from the first submission on
};

Figures Summarise(const std::string& policy, const JobList& list, const ReplayResult& result);

}  // namespace kezek::replay

// A scheduler as the replay sees it: told what happens, asked what starts. Deterministic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/job_list.h"

namespace kezek::replay {

struct JobStart {
  JobIndex job = kNoJob;
  std::vector<std::int32_t> nodes;  // numbered over the machine
};

struct Decision {
  std::vector<JobStart> starts;
  std::vector<JobIndex> preempts;     // of running jobs; they end after their grace
  std::optional<std::int64_t> ask_s;  // asked again then, even if nothing happens before
};

class Policy {
 public:
  virtual ~Policy() = default;

  // It waits now; of a job that was preempted: again.
  virtual void Arrived(JobIndex job, std::int64_t now_s) = 0;
  // Its nodes are free; `preempted`: it will arrive again.
  virtual void Ended(JobIndex job, std::int64_t now_s, bool preempted) = 0;
  // It has run for its limit and goes on: what stands for its limit is now `limit_s`, twice as
  // much.
  virtual void Overran(JobIndex job, std::int64_t now_s, std::int64_t limit_s) = 0;
  // After all that happens at one time. What it starts runs at once.
  virtual Decision Decide(std::int64_t now_s) = 0;
  // Of a part of the machine, after Decide: the first in order of those that wait; kNoJob: none.
  virtual JobIndex FirstBlocked(std::int32_t part) const = 0;

  // What it is set to, for people.
  virtual std::vector<std::pair<std::string, std::string>> Parameters() const { return {}; }
};

}  // namespace kezek::replay

// What each group should have at one moment, whatever the policy: weighted max-min of what they ask
// for. A yardstick for figures only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/sim/replay/job_list.h"

namespace kezek::replay {

class Yardstick {
 public:
  Yardstick(const std::vector<Group>& groups, std::int64_t capacity_gpus);

  // min(demand, level x weight) of each group, the level such that all of the capacity, or all of
  // the demand, is given out.
  const std::vector<double>& Entitled(const std::vector<std::int64_t>& demand_gpus);

 private:
  std::vector<double> weights_;
  double capacity_ = 0;
  std::vector<std::size_t> order_;  // by demand per weight
  std::vector<double> entitled_;
};

}  // namespace kezek::replay

#include "scheduler/sim/replay/entitled.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace kezek::replay {

Yardstick::Yardstick(const std::vector<Group>& groups, std::int64_t capacity_gpus)
    : capacity_(static_cast<double>(capacity_gpus)),
      order_(groups.size()),
      entitled_(groups.size(), 0.0) {
  for (const Group& group : groups) weights_.push_back(static_cast<double>(group.weight_milli));
  std::iota(order_.begin(), order_.end(), std::size_t{0});
}

const std::vector<double>& Yardstick::Entitled(const std::vector<std::int64_t>& demand_gpus) {
  const auto demand = [&](std::size_t i) { return static_cast<double>(demand_gpus[i]); };
  std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
    const double left = demand(a) * weights_[b];
    const double right = demand(b) * weights_[a];
    return left != right ? left < right : a < b;
  });
  double weight = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  double rest = capacity_;
  for (const std::size_t i : order_) {
    const double part = rest * weights_[i] / weight;
    entitled_[i] = std::min(demand(i), part);
    rest -= entitled_[i];
    weight -= weights_[i];
  }
  return entitled_;
}

}  // namespace kezek::replay

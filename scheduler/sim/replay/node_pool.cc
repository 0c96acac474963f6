#include "scheduler/sim/replay/node_pool.h"

#include "kezek/check.h"

namespace kezek::replay {

NodePool::NodePool(std::int32_t nodes, std::int32_t gpus_per_node)
    : free_(static_cast<std::size_t>(nodes), gpus_per_node),
      with_free_(static_cast<std::size_t>(gpus_per_node) + 1, 0),
      free_gpus_(std::int64_t{nodes} * gpus_per_node) {
  with_free_.back() = nodes;
}

std::int32_t NodePool::AtLeast(std::int32_t gpus) const {
  std::int32_t count = 0;
  for (auto k = static_cast<std::size_t>(gpus); k < with_free_.size(); ++k) count += with_free_[k];
  return count;
}

std::optional<std::vector<std::int32_t>> NodePool::Find(const GangShape& shape) const {
  if (!Holds(shape)) return std::nullopt;
  std::vector<std::int32_t> found;
  found.reserve(static_cast<std::size_t>(shape.nodes));
  const auto wanted = static_cast<std::size_t>(shape.nodes);
  for (auto k = static_cast<std::size_t>(shape.gpus); found.size() < wanted; ++k) {
    std::int32_t left = with_free_[k];
    for (std::size_t node = 0; left > 0 && found.size() < wanted; ++node) {
      if (free_[node] != static_cast<std::int32_t>(k)) continue;
      found.push_back(static_cast<std::int32_t>(node));
      --left;
    }
  }
  return found;
}

void NodePool::Take(std::span<const std::int32_t> nodes, std::int32_t gpus) {
  for (const std::int32_t node : nodes) Set(node, free(node) - gpus);
}

void NodePool::Give(std::span<const std::int32_t> nodes, std::int32_t gpus) {
  for (const std::int32_t node : nodes) Set(node, free(node) + gpus);
}

void NodePool::Set(std::int32_t node, std::int32_t gpus) {
  KEZEK_CHECK(gpus >= 0 && gpus < static_cast<std::int32_t>(with_free_.size()),
              "a node has between none and all of its GPUs free");
  std::int32_t& now = free_[static_cast<std::size_t>(node)];
  --with_free_[static_cast<std::size_t>(now)];
  ++with_free_[static_cast<std::size_t>(gpus)];
  free_gpus_ += gpus - now;
  now = gpus;
}

}  // namespace kezek::replay

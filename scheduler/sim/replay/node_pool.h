// Free GPUs of equal nodes, by node: where a gang finds room. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kezek::replay {

// `nodes` nodes with `gpus` on each.
struct GangShape {
  std::int32_t nodes = 1;
  std::int32_t gpus = 1;
  auto operator<=>(const GangShape&) const = default;
};

class NodePool {
 public:
  NodePool() = default;
  NodePool(std::int32_t nodes, std::int32_t gpus_per_node);

  std::int32_t nodes() const { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t free(std::int32_t node) const { return free_[static_cast<std::size_t>(node)]; }
  std::int64_t free_gpus() const { return free_gpus_; }
  // Nodes with at least that many free.
  std::int32_t AtLeast(std::int32_t gpus) const;
  bool Holds(const GangShape& shape) const { return AtLeast(shape.gpus) >= shape.nodes; }
  // Best fit: the nodes with the fewest free GPUs that will do, of equal ones the first. None: no
  // room.
  std::optional<std::vector<std::int32_t>> Find(const GangShape& shape) const;

  void Take(std::span<const std::int32_t> nodes, std::int32_t gpus);
  void Give(std::span<const std::int32_t> nodes, std::int32_t gpus);

 private:
  void Set(std::int32_t node, std::int32_t gpus);

  std::vector<std::int32_t> free_;       // by node
  std::vector<std::int32_t> with_free_;  // by number of free GPUs: nodes
  std::int64_t free_gpus_ = 0;
};

}  // namespace kezek::replay

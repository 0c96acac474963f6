#include "scheduler/engine/machine.h"

#include <algorithm>
#include <tuple>

#include "kezek/check.h"

namespace kezek::engine {
namespace {

FreeNode FreeOf(const Node& node, const NodeUse& used, TimeMs now) {
  FreeNode free;
  free.node = &node;
  free.in_service = InService(node, now);
  if (!free.in_service || used.exclusive > 0) return free;
  free.gpus = std::max(0, node.gpus - node.foreign_gpus - used.gpus);
  free.cpus = std::max(0, node.cpus - node.foreign_cpus - used.cpus);
  free.memory_mib =
      std::max<std::int64_t>(0, node.memory_mib - node.foreign_memory_mib - used.memory_mib);
  free.idle = used.attempts == 0 && node.foreign_gpus == 0 && node.foreign_cpus == 0 &&
              node.foreign_memory_mib == 0;
  return free;
}

bool ByPlace(const FreeNode& a, const FreeNode& b) {
  return std::tie(a.node->block, a.node->leaf, a.node->name) <
         std::tie(b.node->block, b.node->leaf, b.node->name);
}

void Count(Leaf& leaf, std::int32_t free_gpus, std::int32_t by) {
  const auto slot = static_cast<std::size_t>(free_gpus);
  if (leaf.with_free.size() <= slot) leaf.with_free.resize(slot + 1, 0);
  leaf.with_free[slot] += by;
}

// Leaves and blocks over the sorted nodes.
void IndexPool(Pool& pool) {
  for (std::size_t i = 0; i < pool.nodes.size(); ++i) {
    const FreeNode& free = pool.nodes[i];
    const bool new_block = pool.blocks.empty() || pool.blocks.back().name != free.node->block;
    if (new_block) {
      pool.blocks.push_back({free.node->block, pool.leaves.size(), pool.leaves.size(), 0});
    }
    if (new_block || pool.leaves.back().name != free.node->leaf) {
      pool.leaves.push_back({free.node->leaf, pool.blocks.size() - 1, i, i, 0, {}});
      pool.blocks.back().end = pool.leaves.size();
    }
    Leaf& leaf = pool.leaves.back();
    leaf.end = i + 1;
    if (free.in_service) Count(leaf, free.gpus, 1);
    leaf.free_gpus += free.gpus;
    pool.blocks.back().free_gpus += free.gpus;
    pool.free_gpus += free.gpus;
    pool.index_of.emplace_hint(pool.index_of.end(), free.node->name, i);
  }
}

std::size_t LeafOf(const Pool& pool, std::size_t node) {
  const auto after =
      std::upper_bound(pool.leaves.begin(), pool.leaves.end(), node,
                       [](std::size_t index, const Leaf& leaf) { return index < leaf.begin; });
  return static_cast<std::size_t>(after - pool.leaves.begin()) - 1;
}

}  // namespace

void AddUse(const Shape& shape, const Placement& placement, std::int32_t sign,
            std::map<std::string, NodeUse>& used) {
  for (const NodeGrant& grant : placement) {
    NodeUse& use = used[grant.node];
    use.gpus += sign * grant.gpus;
    use.cpus += sign * shape.cpus_per_node;
    use.memory_mib += sign * shape.memory_mib_per_node;
    use.attempts += sign;
    if (shape.exclusive) use.exclusive += sign;
    if (use == NodeUse{}) used.erase(grant.node);
  }
}

bool InService(const Node& node, TimeMs now) {
  if (node.health != NodeHealth::kUp) return false;
  if (!node.drained_by_kezek) return true;
  return node.set_aside_until_ms != 0 && node.set_aside_until_ms <= now;
}

std::int32_t Leaf::AtLeast(std::int32_t gpus) const {
  std::int32_t nodes = 0;
  for (auto slot = static_cast<std::size_t>(gpus); slot < with_free.size(); ++slot) {
    nodes += with_free[slot];
  }
  return nodes;
}

Machine::Machine(const std::map<std::string, Node>& nodes,
                 const std::map<std::string, NodeUse>& used, TimeMs now, const NodeOwners& owners) {
  const NodeUse none;
  for (const auto& [name, node] : nodes) {
    const auto use = used.find(name);
    AddNode(PoolOf(node, owners), node, FreeOf(node, use == used.end() ? none : use->second, now));
  }
  Finish();
}

Machine Machine::Configured(const std::map<std::string, Node>& nodes, const NodeOwners& owners) {
  Machine machine;
  for (const auto& [name, node] : nodes) {
    machine.AddNode(PoolOf(node, owners), node,
                    {&node, node.gpus, node.cpus, node.memory_mib, true, true});
  }
  machine.Finish();
  return machine;
}

void Machine::AddNode(const PoolKey& key, const Node& node, const FreeNode& free) {
  Pool& pool = pools_[key];
  pool.nodes.push_back(free);
  if (free.in_service) pool.capacity_gpus += std::max(0, node.gpus - node.foreign_gpus);
}

void Machine::Finish() {
  for (auto& [key, pool] : pools_) {
    std::sort(pool.nodes.begin(), pool.nodes.end(), ByPlace);
    IndexPool(pool);
  }
}

const Pool* Machine::FindPool(const PoolKey& key) const {
  const auto found = pools_.find(key);
  return found == pools_.end() ? nullptr : &found->second;
}

void Machine::Take(const PoolKey& key, const Shape& shape, const Placement& placement) {
  const auto found = pools_.find(key);
  KEZEK_CHECK(found != pools_.end(), "placement in a pool that has no nodes");
  Pool& pool = found->second;
  for (const NodeGrant& grant : placement) {
    const auto at = pool.index_of.find(grant.node);
    KEZEK_CHECK(at != pool.index_of.end(), "placement on a node that is not of its pool");
    FreeNode& free = pool.nodes[at->second];
    KEZEK_CHECK(free.in_service && free.gpus >= grant.gpus && free.cpus >= shape.cpus_per_node &&
                    free.memory_mib >= shape.memory_mib_per_node,
                "placement takes more than is free");
    Leaf& leaf = pool.leaves[LeafOf(pool, at->second)];
    const std::int32_t before = free.gpus;
    free.gpus = shape.exclusive ? 0 : free.gpus - grant.gpus;
    free.cpus = shape.exclusive ? 0 : free.cpus - shape.cpus_per_node;
    free.memory_mib = shape.exclusive ? 0 : free.memory_mib - shape.memory_mib_per_node;
    free.idle = false;
    Count(leaf, before, -1);
    Count(leaf, free.gpus, 1);
    leaf.free_gpus -= before - free.gpus;
    pool.blocks[leaf.block].free_gpus -= before - free.gpus;
    pool.free_gpus -= before - free.gpus;
  }
}

}  // namespace kezek::engine

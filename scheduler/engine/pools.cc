#include "scheduler/engine/pools.h"

#include <algorithm>

namespace kezek::engine {

PoolKey PoolOf(const Node& node, const NodeOwners& owners) {
  const auto owner = owners.find(node.name);
  if (owner == owners.end()) return {node.gpu_type, {}, {}};
  return {node.gpu_type, owner->second.account, owner->second.job_class};
}

std::set<PoolKey> PoolsApart(const std::map<std::string, Node>& nodes, const NodeOwners& owners) {
  std::set<PoolKey> pools;
  for (const auto& [name, owner] : owners) {
    const auto node = nodes.find(name);
    if (node != nodes.end()) pools.insert(PoolOf(node->second, owners));
  }
  return pools;
}

std::vector<PoolKey> PoolsFor(const std::set<PoolKey>& apart, const quota::AccountTree& tree,
                              const JobSpec& spec) {
  const std::string& type = spec.shape.gpu_type;
  if (apart.empty()) return {{type, {}, {}}};
  const PoolKey lane{type, {}, spec.job_class};
  if (!lane.shared() && apart.contains(lane)) return {lane};
  std::vector<PoolKey> pools;
  for (auto i = tree.IndexOf(spec.project); i != quota::kNoAccount; i = tree.parent(i)) {
    PoolKey dedicated{type, tree.id(i), {}};
    if (apart.contains(dedicated)) pools.push_back(std::move(dedicated));
  }
  pools.push_back({type, {}, {}});
  return pools;
}

}  // namespace kezek::engine

#include "scheduler/engine/layout.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "kezek/node_parts.h"

namespace kezek::engine {
namespace {

// The domains that a node is in, from the top down; `above` of them above its block.
std::vector<std::string> PathOf(const Node& node, std::size_t above) {
  std::vector<std::string> path(above - node.above.size());  // not known
  for (std::size_t i = node.above.size(); i-- > 0;) path.push_back(node.above[i].name);
  path.push_back(node.block);
  path.push_back(node.leaf);
  return path;
}

using Placed = std::pair<std::vector<std::string>, const Node*>;

// The lowest level first; the last is the whole pool. `nodes` are in order.
void AddZones(const std::vector<Placed>& nodes, PoolLayout& pool) {
  const std::size_t depth = nodes.front().first.size();
  for (std::size_t level = 0; level <= depth; ++level) {
    const auto named = static_cast<std::ptrdiff_t>(depth - level);  // parts of the path in common
    const std::size_t first = pool.zones.size();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::vector<std::string>& path = nodes[i].first;
      const bool same =
          i > 0 && std::equal(path.begin(), path.begin() + named, nodes[i - 1].first.begin());
      if (!same) pool.zones.push_back({.name = level == depth ? "" : *(path.begin() + named - 1)});
      if (!same) pool.zones.back().begin = i;
      pool.zones.back().end = i + 1;
    }
    pool.levels.push_back({first, pool.zones.size()});
  }
}

void LinkZones(PoolLayout& pool) {
  for (std::size_t level = 1; level < pool.levels.size(); ++level) {
    auto [below, end] = pool.levels[level - 1];
    for (std::size_t i = pool.levels[level].first; i < pool.levels[level].second; ++i) {
      Zone& zone = pool.zones[i];
      zone.first = below;
      while (below < end && pool.zones[below].end <= zone.end) pool.zones[below++].parent = i;
      zone.last = below;
    }
  }
  for (std::size_t i = 0; i < pool.levels.front().second; ++i) {
    for (std::size_t spot = pool.zones[i].begin; spot < pool.zones[i].end; ++spot) {
      pool.spots[spot].leaf = i;
    }
  }
}

PoolLayout Lay(const PoolKey& key, std::vector<Placed>& nodes,
               const std::map<std::string, Node>& all) {
  std::sort(nodes.begin(), nodes.end(), [](const Placed& a, const Placed& b) {
    return std::tie(a.first, a.second->name) < std::tie(b.first, b.second->name);
  });
  PoolLayout pool;
  pool.key = key;
  for (const auto& [path, node] : nodes) {
    pool.spots.push_back({.name = node->name,
                          .labels = node->labels,
                          .gpus = node->gpus,
                          .cpus = node->cpus,
                          .memory_mib = node->memory_mib,
                          .cleared = node->cleared,
                          .shares_host = SharesHost(all, node->name)});
    pool.slots = std::max(pool.slots, static_cast<std::size_t>(std::max(0, node->gpus)) + 1);
  }
  AddZones(nodes, pool);
  LinkZones(pool);
  pool.by_name.resize(pool.spots.size());
  std::iota(pool.by_name.begin(), pool.by_name.end(), std::size_t{0});
  std::sort(pool.by_name.begin(), pool.by_name.end(), [&pool](std::size_t a, std::size_t b) {
    return pool.spots[a].name < pool.spots[b].name;
  });
  for (std::size_t i = 0; i < pool.by_name.size(); ++i) pool.spots[pool.by_name[i]].rank = i;
  return pool;
}

}  // namespace

std::size_t PoolLayout::ZoneOf(std::size_t spot, std::size_t level) const {
  std::size_t zone = spots[spot].leaf;
  for (; level > 0; --level) zone = zones[zone].parent;
  return zone;
}

std::optional<std::size_t> PoolLayout::Find(const std::string& node) const {
  const auto found = std::lower_bound(
      by_name.begin(), by_name.end(), node,
      [this](std::size_t spot, const std::string& name) { return spots[spot].name < name; });
  if (found == by_name.end() || spots[*found].name != node) return std::nullopt;
  return *found;
}

Layout::Layout(const std::map<std::string, Node>& nodes, const NodeOwners& owners) {
  std::size_t above = 0;
  for (const auto& [name, node] : nodes) above = std::max(above, node.above.size());
  std::map<PoolKey, std::vector<Placed>> pools;
  for (const auto& [name, node] : nodes) {
    pools[PoolOf(node, owners)].push_back({PathOf(node, above), &node});
  }
  for (auto& [key, placed] : pools) pools_.push_back(Lay(key, placed, nodes));
  for (std::size_t pool = 0; pool < pools_.size(); ++pool) {
    const std::vector<Spot>& spots = pools_[pool].spots;
    for (std::size_t spot = 0; spot < spots.size(); ++spot) {
      by_name_.push_back({spots[spot].name, {pool, spot}});
    }
  }
  std::sort(by_name_.begin(), by_name_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
}

const Layout::At* Layout::Find(const std::string& node) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), node,
      [](const auto& known, const std::string& name) { return known.first < name; });
  return found == by_name_.end() || found->first != node ? nullptr : &found->second;
}

}  // namespace kezek::engine

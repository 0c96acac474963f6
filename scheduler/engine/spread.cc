#include "scheduler/engine/spread.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace kezek::engine {
namespace {

// Nodes [begin, end).
struct Stretch {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::int64_t others = 0;  // elements that hold some of them
};

std::vector<Stretch> ZonesOf(const PoolLayout& layout, Spread spread) {
  std::vector<Stretch> zones;
  if (spread == Spread::kNode) {
    for (std::size_t spot = 0; spot < layout.spots.size(); ++spot)
      zones.push_back({spot, spot + 1});
    return zones;
  }
  const std::size_t level =
      std::min<std::size_t>(spread == Spread::kLeaf ? 0 : 1, layout.levels.size() - 1);
  for (std::size_t i = layout.levels[level].first; i < layout.levels[level].second; ++i) {
    zones.push_back({layout.zones[i].begin, layout.zones[i].end});
  }
  return zones;
}

// The zones of the pool that it has nodes of.
std::vector<Stretch*> MetBy(const Placement& placement, const PoolLayout& layout,
                            std::vector<Stretch>& zones) {
  std::vector<Stretch*> met;
  for (const NodeGrant& grant : placement) {
    const auto spot = layout.Find(grant.node);
    if (!spot) continue;
    const auto zone = std::upper_bound(zones.begin(), zones.end(), *spot,
                                       [](std::size_t s, const Stretch& z) { return s < z.end; });
    if (zone == zones.end()) continue;
    if (std::find(met.begin(), met.end(), &*zone) == met.end()) met.push_back(&*zone);
  }
  return met;
}

}  // namespace

Placement SpreadOut(const World& world, const Draft& draft, const Pool& room,
                    const Request& request, const JobRef& row, Placement placement) {
  const PoolLayout& layout = *room.layout;
  std::vector<Stretch> zones = ZonesOf(layout, request.spec->spread);
  const auto count = [&](const Placement& other) {
    for (Stretch* zone : MetBy(other, layout, zones)) ++zone->others;
  };
  const AttemptRef first{{row.id, std::numeric_limits<std::int32_t>::min()}, 0};
  const auto& holdings = world.holdings();
  for (auto it = holdings.lower_bound(first); it != holdings.end() && it->first.job.id == row.id;
       ++it) {
    if (it->second.counts) count(it->second.placement);
  }
  for (const Start& start : draft.plan.starts) {
    if (start.row.id == row.id) count(start.placement);
  }
  const std::vector<Stretch*> anyway = MetBy(placement, layout, zones);
  std::vector<const Stretch*> order;
  for (const Stretch& zone : zones) order.push_back(&zone);
  std::stable_sort(order.begin(), order.end(), [&](const Stretch* a, const Stretch* b) {
    const auto key = [&](const Stretch* zone) {
      return std::pair(zone->others, anyway.size() != 1 || anyway.front() != zone);
    };
    return key(a) < key(b);
  });
  for (const Stretch* zone : order) {
    if (anyway.size() == 1 && anyway.front() == zone) return placement;
    if (auto there = PlaceAmong(room, request, zone->begin, zone->end)) return *std::move(there);
  }
  return placement;
}

}  // namespace kezek::engine

#include "scheduler/engine/spread.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace kezek::engine {

Replicas::Stretches Replicas::AllOf(Spread spread) const {
  Stretches stretches;
  if (spread == Spread::kNode) {
    stretches.reserve(layout_.spots.size());
    for (std::size_t spot = 0; spot < layout_.spots.size(); ++spot) {
      stretches.push_back({.begin = spot, .end = spot + 1});
    }
    return stretches;
  }
  const std::size_t level =
      std::min<std::size_t>(spread == Spread::kLeaf ? 0 : 1, layout_.levels.size() - 1);
  for (std::size_t i = layout_.levels[level].first; i < layout_.levels[level].second; ++i) {
    stretches.push_back({.begin = layout_.zones[i].begin, .end = layout_.zones[i].end});
  }
  return stretches;
}

// Those that it has nodes of.
std::vector<Replicas::Stretch*> Replicas::MetBy(const Placement& placement,
                                                Stretches& stretches) const {
  std::vector<Stretch*> met;
  for (const NodeGrant& grant : placement) {
    const auto spot = layout_.Find(grant.node);
    if (!spot) continue;
    const auto at = std::upper_bound(stretches.begin(), stretches.end(), *spot,
                                     [](std::size_t s, const Stretch& one) { return s < one.end; });
    if (at == stretches.end()) continue;
    if (std::find(met.begin(), met.end(), &*at) == met.end()) met.push_back(&*at);
  }
  return met;
}

void Replicas::Count(const Placement& placement, Stretches& stretches) const {
  for (Stretch* stretch : MetBy(placement, stretches)) ++stretch->others;
}

Replicas::Stretches& Replicas::Of(const JobRef& row, Spread spread) {
  const auto [found, is_new] = of_array_.try_emplace(row.id);
  Stretches& stretches = found->second;
  if (!is_new) return stretches;
  stretches = AllOf(spread);
  const AttemptRef first{{row.id, std::numeric_limits<std::int32_t>::min()}, 0};
  const auto& holdings = world_.holdings();
  for (auto it = holdings.lower_bound(first); it != holdings.end() && it->first.job.id == row.id;
       ++it) {
    if (it->second.counts) Count(it->second.placement, stretches);
  }
  for (const Start& start : draft_.plan.starts) {
    if (start.row.id == row.id) Count(start.placement, stretches);
  }
  return stretches;
}

Placement Replicas::Apart(const Pool& room, const Request& request, const JobRef& row,
                          Placement placement) {
  if (request.spec->spread == Spread::kNone) return placement;
  Stretches& stretches = Of(row, request.spec->spread);
  const std::vector<Stretch*> met = MetBy(placement, stretches);
  const Stretch* anyway = met.size() == 1 ? met.front() : nullptr;
  while (true) {
    Stretch* least = nullptr;
    for (Stretch& stretch : stretches) {
      if (!stretch.full && (least == nullptr || stretch.others < least->others)) least = &stretch;
    }
    if (least == nullptr || (anyway != nullptr && anyway->others <= least->others)) {
      return placement;
    }
    auto there = PlaceAmong(room, request, least->begin, least->end);
    if (there) return *std::move(there);
    least->full = true;
  }
}

void Replicas::Started(const JobRef& row, const Placement& placement) {
  const auto known = of_array_.find(row.id);
  if (known != of_array_.end()) Count(placement, known->second);
}

}  // namespace kezek::engine

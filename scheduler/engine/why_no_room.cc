// Why placement finds no room: for good, or now.

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "scheduler/engine/node_fit.h"
#include "scheduler/engine/placement.h"

namespace kezek::engine {
namespace {

const char* DomainName(Domain domain) { return domain == Domain::kLeaf ? "leaf" : "block"; }

Reason Never(const std::string& field, std::int64_t asked, std::int64_t largest) {
  return {
      ReasonCode::kNeverFitsMachine,
      {{"field", field}, {"asked", std::to_string(asked)}, {"largest", std::to_string(largest)}}};
}

// Largest figures over a pool's nodes, each by itself, and how many nodes pass each test.
Reason WhyNoNode(const Pool& pool, const JobSpec& spec) {
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::int64_t allowed = 0;
  for (std::size_t i = 0; i < pool.nodes.size(); ++i) {
    const FreeNode free = pool.Free(i);
    gpus = std::max(gpus, free.gpus);
    cpus = std::max(cpus, free.cpus);
    memory_mib = std::max(memory_mib, free.memory_mib);
    allowed += Allowed(pool.layout->spots[i], spec) ? 1 : 0;
  }
  const Shape& shape = spec.shape;
  if (shape.gpus_per_node > gpus) return Never("shape.gpus_per_node", shape.gpus_per_node, gpus);
  if (shape.cpus_per_node > cpus) return Never("shape.cpus_per_node", shape.cpus_per_node, cpus);
  if (shape.memory_mib_per_node > memory_mib) {
    return Never("shape.memory_per_node_mib", shape.memory_mib_per_node, memory_mib);
  }
  const std::string_view restricting = Restricting(spec);
  if (allowed < shape.nodes && !restricting.empty()) {
    return Never(std::string(restricting), shape.nodes, allowed);
  }
  return {};
}

std::int64_t NodesThatFit(const Pool& pool, const JobSpec& spec) {
  std::int64_t nodes = 0;
  for (std::size_t leaf = 0; leaf < pool.layout->levels[0].second; ++leaf) {
    if (pool.AtLeast(leaf, spec.shape.gpus_per_node) == 0) continue;
    const Zone& zone = pool.layout->zones[leaf];
    for (std::size_t i = zone.begin; i < zone.end; ++i) {
      if (HasRoom(pool.Free(i), spec.shape) && Allowed(pool.layout->spots[i], spec)) ++nodes;
    }
  }
  return nodes;
}

// The most nodes of the shape under one leaf or block.
std::int64_t MostUnderOne(const Pool& pool, const JobSpec& spec) {
  const PoolLayout& layout = *pool.layout;
  const auto [first, last] = layout.levels[spec.within == Domain::kLeaf ? 0 : 1];
  std::int64_t most = 0;
  for (std::size_t z = first; z < last; ++z) {
    if (layout.zones[z].name.empty()) continue;
    std::int64_t nodes = 0;
    for (std::size_t i = layout.zones[z].begin; i < layout.zones[z].end; ++i) {
      if (HasRoom(pool.Free(i), spec.shape) && Allowed(layout.spots[i], spec)) ++nodes;
    }
    most = std::max(most, nodes);
  }
  return most;
}

}  // namespace

Reason WhyNeverFits(const Machine& configured, const JobSpec& spec, const PoolKey& key) {
  const Pool* pool = configured.FindPool(key);
  if (pool == nullptr) {
    std::set<std::string> known;
    for (const Pool& other : configured.pools()) known.insert(other.key().gpu_type);
    // Other pools have all its nodes.
    if (known.contains(key.gpu_type)) return Never("shape.nodes", spec.shape.nodes, 0);
    std::string types;
    for (const std::string& type : known) {
      if (!type.empty()) types += (types.empty() ? "" : ",") + type;
    }
    return {ReasonCode::kNoSuchGpuType, {{"asked", spec.shape.gpu_type}, {"types", types}}};
  }
  if (Fits(*pool, {&spec, spec.within, false})) return {};
  if (Reason reason = WhyNoNode(*pool, spec); reason.code != ReasonCode::kNone) return reason;
  const std::int64_t fit = NodesThatFit(*pool, spec);
  if (fit < spec.shape.nodes) return Never("shape.nodes", spec.shape.nodes, fit);
  if (spec.within != Domain::kAny) {
    Reason reason = Never("topology.within", spec.shape.nodes, MostUnderOne(*pool, spec));
    reason.fields["within"] = DomainName(spec.within);
    return reason;
  }
  return Never("nodelist", spec.shape.nodes, fit);
}

bool IsNever(const Reason& reason) {
  return reason.code == ReasonCode::kNeverFitsMachine || reason.code == ReasonCode::kNoSuchGpuType;
}

Reason WhyNoRoom(const Machine& free, const Machine& configured, const Request& request,
                 const PoolKey& key) {
  const JobSpec& spec = *request.spec;
  Reason never = WhyNeverFits(configured, spec, key);
  if (never.code != ReasonCode::kNone) return never;
  const Pool* pool = free.FindPool(key);
  if (pool == nullptr) return {ReasonCode::kNoSuchGpuType, {}};
  const std::string nodes = std::to_string(spec.shape.nodes);
  if (request.preference && Fits(*pool, {&spec, spec.within, false})) {
    return {ReasonCode::kWaitsForTopology,
            {{"within", DomainName(request.within)}, {"nodes", nodes}}};
  }
  if (spec.within != Domain::kAny && Fits(*pool, {&spec, Domain::kAny, false})) {
    return {ReasonCode::kWaitsForDomain, {{"within", DomainName(spec.within)}, {"nodes", nodes}}};
  }
  const std::size_t all = pool->layout->zones.size() - 1;
  std::size_t largest_free = pool->layout->slots - 1;
  while (largest_free > 0 && pool->Exactly(all, static_cast<std::int32_t>(largest_free)) == 0) {
    --largest_free;
  }
  return {ReasonCode::kWaitsForGpus,
          {{"nodes", nodes},
           {"gpus_per_node", std::to_string(spec.shape.gpus_per_node)},
           {"gpu_type", spec.shape.gpu_type},
           {"free", std::to_string(pool->free_gpus)},
           {"largest_free", std::to_string(largest_free)},
           {"nodes_fit", std::to_string(NodesThatFit(*pool, spec))}}};
}

}  // namespace kezek::engine

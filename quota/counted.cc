#include "quota/counted.h"

#include <algorithm>
#include <functional>

#include "kezek/check.h"
#include "quota/wide.h"

namespace kezek::quota {
namespace {

constexpr MilliGpus kWhole = 1000;

// Part of the node's GPUs that `asked` of `has` keeps from others, rounded up.
MilliGpus Part(std::int64_t asked, std::int64_t has, MilliGpus node_milli) {
  if (asked <= 0) return 0;
  if (has <= 0) return node_milli;
  return static_cast<MilliGpus>((static_cast<Int128>(asked) * node_milli + has - 1) / has);
}

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool Holds(const NodeKind& kind, const JobSpec& spec) {
  const Shape& shape = spec.shape;
  return kind.size.gpus >= shape.gpus_per_node && kind.size.cpus >= shape.cpus_per_node &&
         kind.size.memory_mib >= shape.memory_mib_per_node &&
         (spec.classification.empty() || Has(kind.cleared, spec.classification)) &&
         std::all_of(spec.constraints.begin(), spec.constraints.end(),
                     [&kind](const std::string& label) { return Has(kind.labels, label); });
}

// How many of these nodes the job's lists allow. With fewer names than nodes it goes to others too.
std::int64_t Allowed(const JobSpec& spec, const std::set<std::string>& names) {
  const std::set<std::string> excluded(spec.exclude_nodes.begin(), spec.exclude_nodes.end());
  const bool listed = !spec.nodes.empty() && std::ssize(spec.nodes) >= spec.shape.nodes;
  const std::set<std::string> some(spec.nodes.begin(), spec.nodes.end());
  if (!listed) {
    return std::ssize(names) -
           std::count_if(excluded.begin(), excluded.end(),
                         [&](const auto& name) { return names.contains(name); });
  }
  return std::count_if(some.begin(), some.end(), [&](const std::string& name) {
    return names.contains(name) && !excluded.contains(name);
  });
}

}  // namespace

MilliGpus CountOnNode(const Shape& shape, const NodeSize& node) {
  KEZEK_CHECK(shape.gpus_per_node >= 0, "a shape with negative parts");
  const MilliGpus node_milli = kWhole * node.gpus;
  return std::max({kWhole * shape.gpus_per_node, Part(shape.cpus_per_node, node.cpus, node_milli),
                   Part(shape.memory_mib_per_node, node.memory_mib, node_milli),
                   shape.exclusive ? node_milli : 0});
}

MilliGpus CountGpus(const Shape& shape, const NodeSize& node) {
  KEZEK_CHECK(shape.nodes >= 0, "a shape with negative parts");
  return shape.nodes * CountOnNode(shape, node);
}

MilliGpus CountPlaced(const Shape& shape, const Placement& placement,
                      const std::map<std::string, Node>& nodes) {
  MilliGpus counted = 0;
  for (const NodeGrant& grant : placement) {
    counted += CountOnNode(shape, SizeOf(nodes.at(grant.node)));
  }
  return counted;
}

NodeSize SizeOf(const Node& node) {
  return {.gpus = node.gpus, .cpus = node.cpus, .memory_mib = node.memory_mib};
}

std::map<std::string, GpuType> GpuTypes(const std::map<std::string, Node>& nodes) {
  std::map<std::string, GpuType> types;
  std::map<std::string, std::map<NodeSize, std::int32_t>> sizes;
  for (const auto& [name, node] : nodes) {
    if (node.gpu_type.empty()) continue;
    GpuType& type = types[node.gpu_type];
    ++type.nodes;
    type.configured_milli += kWhole * node.gpus;
    type.largest.gpus = std::max(type.largest.gpus, node.gpus);
    type.largest.cpus = std::max(type.largest.cpus, node.cpus);
    type.largest.memory_mib = std::max(type.largest.memory_mib, node.memory_mib);
    ++sizes[node.gpu_type][SizeOf(node)];
    type.kinds[{SizeOf(node), node.labels, node.cleared}].insert(name);
  }
  for (const auto& [name, counts] : sizes) {
    std::int32_t most = 0;
    types[name].uniform = counts.size() == 1;
    for (const auto& [size, count] : counts) {
      GpuType& type = types[name];
      if (count > most || (count == most && size > type.size)) type.size = size;
      most = std::max(most, count);
    }
  }
  return types;
}

MilliGpus CountAtMost(const JobSpec& spec, const GpuType& type) {
  if (type.uniform) return CountGpus(spec.shape, type.size);
  std::map<MilliGpus, std::int64_t, std::greater<>> nodes;  // by what it counts on one of them
  for (const auto& [kind, names] : type.kinds) {
    const std::int64_t allowed = Holds(kind, spec) ? Allowed(spec, names) : 0;
    if (allowed > 0) nodes[CountOnNode(spec.shape, kind.size)] += allowed;
  }
  if (nodes.empty()) return CountGpus(spec.shape, type.size);
  MilliGpus counted = 0;
  std::int64_t left = spec.shape.nodes;
  for (const auto& [each_milli, count] : nodes) {
    const std::int64_t taken = std::min(left, count);
    counted += taken * each_milli;
    left -= taken;
  }
  return counted + left * nodes.begin()->first;
}

}  // namespace kezek::quota

#include "quota/counted.h"

#include <algorithm>

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

}  // namespace

MilliGpus CountGpus(const Shape& shape, const NodeSize& node) {
  KEZEK_CHECK(shape.nodes >= 0 && shape.gpus_per_node >= 0, "a shape with negative parts");
  const MilliGpus node_milli = kWhole * node.gpus;
  return shape.nodes *
         std::max({kWhole * shape.gpus_per_node, Part(shape.cpus_per_node, node.cpus, node_milli),
                   Part(shape.memory_mib_per_node, node.memory_mib, node_milli),
                   shape.exclusive ? node_milli : 0});
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
  }
  for (const auto& [name, counts] : sizes) {
    std::int32_t most = 0;
    for (const auto& [size, count] : counts) {
      GpuType& type = types[name];
      if (count > most || (count == most && size > type.size)) type.size = size;
      most = std::max(most, count);
    }
  }
  return types;
}

std::string GpusText(MilliGpus milli) {
  const bool negative = milli < 0;
  const std::uint64_t size =
      negative ? ~static_cast<std::uint64_t>(milli) + 1 : static_cast<std::uint64_t>(milli);
  std::string text = (negative ? "-" : "") + std::to_string(size / 1000);
  if (size % 1000 == 0) return text;
  std::string rest = std::to_string(1000 + size % 1000).substr(1);
  while (rest.back() == '0') rest.pop_back();
  return text + "." + rest;
}

}  // namespace kezek::quota

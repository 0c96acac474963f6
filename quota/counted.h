// Counted GPUs: what a job keeps from others, in milli-GPUs. Charge, limits, guarantees and order
// all use this figure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "kezek/node.h"
#include "kezek/resources.h"

namespace kezek::quota {

// What a node of a type has. Without GPUs nothing on it counts.
struct NodeSize {
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  auto operator<=>(const NodeSize&) const = default;
};

// Over all nodes. On each the largest of its GPUs, its part of the CPUs and its part of the memory,
// in GPUs, rounded up to a milli-GPU; at least the whole node if the shape is exclusive, as
// admission makes it where a classification bars neighbours. Not capped: a shape larger than the
// node counts more than the node.
MilliGpus CountGpus(const Shape& shape, const NodeSize& node);

NodeSize SizeOf(const Node& node);

// A GPU type of the configured machine.
struct GpuType {
  NodeSize size;     // the commonest of its nodes, the larger one on a tie
  NodeSize largest;  // the largest, part by part: nothing larger can ever fit
  std::int32_t nodes = 0;
  MilliGpus configured_milli = 0;  // of all its nodes, in service or not
  bool operator==(const GpuType&) const = default;
};

// By name of the type. Nodes without a type are left out.
std::map<std::string, GpuType> GpuTypes(const std::map<std::string, Node>& nodes);

// "2" or "2.5" for 2000 or 2500 milli-GPUs: how amounts stand in reasons' fields.
std::string GpusText(MilliGpus milli);

}  // namespace kezek::quota

// Counted GPUs: what a job keeps from others, in milli-GPUs. Charge, limits, guarantees and order
// all use this figure. From the start on it is what the planned nodes come to; nodes of one type
// may differ in size, so while a job waits it is the most that any of the nodes it may go to could
// make of it: no limit, guarantee or hold that let it start is then passed.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/job.h"
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

// On one node, the largest of its GPUs, its part of the CPUs and its part of the memory,
// in GPUs, rounded up to a milli-GPU; at least the whole node if the shape is exclusive, as
// admission makes it where a classification bars neighbours. Not capped: a shape larger than the
// node counts more than the node.
MilliGpus CountOnNode(const Shape& shape, const NodeSize& node);
// On as many such nodes as the shape has.
MilliGpus CountGpus(const Shape& shape, const NodeSize& node);
// On the nodes of a placement, all of them known.
MilliGpus CountPlaced(const Shape& shape, const Placement& placement,
                      const std::map<std::string, Node>& nodes);

NodeSize SizeOf(const Node& node);

// What a job looks at when it may not go to every node.
struct NodeKind {
  NodeSize size;
  std::vector<std::string> labels;
  std::vector<std::string> cleared;  // classifications of data
  auto operator<=>(const NodeKind&) const = default;
};

// A GPU type of the configured machine.
struct GpuType {
  NodeSize size;     // the commonest of its nodes, the larger one on a tie
  NodeSize largest;  // the largest, part by part: nothing larger can ever fit
  std::int32_t nodes = 0;
  MilliGpus configured_milli = 0;                   // of all its nodes, in service or not
  std::map<NodeKind, std::set<std::string>> kinds;  // names
  bool uniform = true;                              // all have one size
  bool operator==(const GpuType&) const = default;
};

// By name of the type. Nodes without a type are left out.
std::map<std::string, GpuType> GpuTypes(const std::map<std::string, Node>& nodes);

// The most that a job may count as: on those configured nodes that could hold its part and that
// its constraints, its data and lists of nodes allow, the ones on which it counts most. If there
// are too few of them, as if there were more; if there are none, by the commonest size.
MilliGpus CountAtMost(const JobSpec& spec, const GpuType& type);

}  // namespace kezek::quota

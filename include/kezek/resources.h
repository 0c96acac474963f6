// What a job needs and what it gets. GPUs are counted in whole devices where they are placed and in
// milli-GPUs where they are shared, charged or limited. Memory is in MiB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kezek {

using MilliGpus = std::int64_t;

// milli-GPUs x milliseconds: charges and usage. 10,000 GPUs for 20 years stay below 2^63.
using MilliGpuMs = std::int64_t;
inline constexpr MilliGpuMs kGpuHour = 3'600'000'000;

enum class Domain : std::uint8_t { kAny, kLeaf, kBlock };

// The same on every node. After admission every field has its value: nothing is left to default.
struct Shape {
  std::int32_t nodes = 1;
  std::int32_t gpus_per_node = 0;
  std::string gpu_type;  // also for a job without GPUs: the type of node it runs on
  std::int32_t cpus_per_node = 0;
  std::int64_t memory_mib_per_node = 0;
  bool exclusive = false;  // whole nodes
  bool operator==(const Shape&) const = default;
};

// One node of a placement. The GPUs' indices are the cluster's choice, read back for display.
struct NodeGrant {
  std::string node;
  std::int32_t gpus = 0;
  std::vector<std::int32_t> gpu_indices;  // empty until read back
  bool operator==(const NodeGrant&) const = default;
};

// Sorted by node name.
using Placement = std::vector<NodeGrant>;

}  // namespace kezek

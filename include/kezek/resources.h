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

// "2" or "2.5" for 2000 or 2500 milli-GPUs: how amounts stand in reasons' fields.
inline std::string GpusText(MilliGpus milli) {
  const bool negative = milli < 0;
  const std::uint64_t size =
      negative ? ~static_cast<std::uint64_t>(milli) + 1 : static_cast<std::uint64_t>(milli);
  std::string text = (negative ? "-" : "") + std::to_string(size / 1000);
  if (size % 1000 == 0) return text;
  std::string rest = std::to_string(1000 + size % 1000).substr(1);
  while (rest.back() == '0') rest.pop_back();
  return text + "." + rest;
}

enum class Domain : std::uint8_t { kAny, kLeaf, kBlock };

// On as many of these as there are.
enum class Spread : std::uint8_t { kNone, kNode, kLeaf, kBlock };

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

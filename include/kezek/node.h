// The machine as Kezek sees it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

enum class NodeHealth : std::uint8_t {
  kUp,
  kDraining,  // takes no new job, runs what it has
  kDown,
  kUnknown,  // the cluster has not reported it yet
};

// A part of the machine, of a level above blocks.
struct NodeDomain {
  std::string level;  // "row"
  std::string name;
  bool operator==(const NodeDomain&) const = default;
};

// GPUs of one type, as the cluster reports them, and what jobs that are not Kezek's have with them.
struct HostGpus {
  std::string gpu_type;
  std::int32_t gpus = 0;
  std::int32_t foreign_gpus = 0;
  std::int32_t foreign_cpus = 0;
  std::int64_t foreign_memory_mib = 0;
  bool operator==(const HostGpus&) const = default;
};

struct Node {
  std::string name;
  std::string gpu_type;
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::string leaf;
  std::string block;
  std::vector<NodeDomain> above;  // that its block is in, the smallest first
  std::vector<std::string> labels;
  std::vector<std::string> cleared;  // classifications of data that may be on it
  NodeHealth health = NodeHealth::kUnknown;
  std::string health_reason;      // the cluster's words, or an admin's
  bool drained_by_kezek = false;  // set aside by an admin here or after failed launches
  TimeMs set_aside_until_ms = 0;  // 0: until an admin resumes it
  std::int32_t foreign_gpus = 0;  // in use by jobs that are not Kezek's
  std::int32_t foreign_cpus = 0;
  std::int64_t foreign_memory_mib = 0;
  // Only as the cluster reports it, a host: what it has besides `gpu_type`. See node_parts.h.
  std::vector<HostGpus> more_gpus;
  bool operator==(const Node&) const = default;
};

// All domains that it is in, the smallest first; a name that is not known is empty. Two nodes are
// in one domain if its name, and those of all that it is in, are the same.
inline std::vector<NodeDomain> DomainsOf(const Node& node) {
  std::vector<NodeDomain> domains{{"leaf", node.leaf}, {"block", node.block}};
  domains.insert(domains.end(), node.above.begin(), node.above.end());
  return domains;
}

}  // namespace kezek

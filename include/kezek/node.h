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

struct Node {
  std::string name;
  std::string gpu_type;
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::string leaf;
  std::string block;
  std::vector<std::string> labels;
  NodeHealth health = NodeHealth::kUnknown;
  std::string health_reason;      // the cluster's words, or an admin's
  bool drained_by_kezek = false;  // set aside by an admin here or after failed launches
  TimeMs set_aside_until_ms = 0;  // 0: until an admin resumes it
  std::int32_t foreign_gpus = 0;  // in use by jobs that are not Kezek's
  std::int32_t foreign_cpus = 0;
  std::int64_t foreign_memory_mib = 0;
  bool operator==(const Node&) const = default;
};

}  // namespace kezek

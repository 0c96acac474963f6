// Placement by its definition, for clarity alone: lists that are sorted and filtered, no index.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/reason.h"

namespace kezek::test {

struct NaiveNode {
  Node node;
  std::int32_t gpus = 0;  // free
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  bool in_service = false;
  bool idle = false;
};

// Whether it could have its part of this node by itself.
bool NaiveHolds(const NaiveNode& free, const JobSpec& spec);

// Nodes of all types, in any order.
using NaiveNodes = std::vector<NaiveNode>;

std::optional<Placement> NaivePlace(const NaiveNodes& nodes, const JobSpec& spec, Domain within);

// Why `spec` has no place now, as the reasons' contract says.
Reason NaiveNoRoom(const NaiveNodes& free, const NaiveNodes& configured, const JobSpec& spec,
                   Domain within, bool preference);

}  // namespace kezek::test

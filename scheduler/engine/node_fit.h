// What of a job bars single nodes.
#pragma once

#include <string_view>

#include "kezek/job.h"
#include "scheduler/engine/layout.h"
#include "scheduler/engine/machine.h"

namespace kezek::engine {

// The field of the spec that bars nodes by name, label or clearance; empty: none does.
std::string_view Restricting(const JobSpec& spec);

// With fewer names than nodes the gang must have all of them, and others.
bool NamesSome(const JobSpec& spec);

// By labels and clearance.
bool Suits(const Spot& node, const JobSpec& spec);
// By lists, too.
bool Allowed(const Spot& node, const JobSpec& spec);

// For one member of the gang.
inline bool HasRoom(const FreeNode& free, const Shape& shape) {
  return free.in_service && free.gpus >= shape.gpus_per_node && free.cpus >= shape.cpus_per_node &&
         free.memory_mib >= shape.memory_mib_per_node && (!shape.exclusive || free.idle);
}

}  // namespace kezek::engine

// What of a job bars single nodes.
#pragma once

#include <string_view>

#include "kezek/job.h"
#include "scheduler/engine/layout.h"
#include "scheduler/engine/machine.h"

namespace kezek::engine {

// The field of the spec that bars nodes by name or label; empty: none does.
std::string_view Restricting(const JobSpec& spec);

// With fewer names than nodes the gang must have all of them, and others.
bool NamesSome(const JobSpec& spec);
bool IsNamed(const Spot& node, const JobSpec& spec);

// By labels and lists.
bool Allowed(const Spot& node, const JobSpec& spec);

// For one member of the gang.
bool HasRoom(const FreeNode& free, const Shape& shape);

}  // namespace kezek::engine

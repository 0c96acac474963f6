// What the owner of a job that waits could ask for instead. Nothing here is tried.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kezek/reason.h"
#include "kezek/time.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// The same job in its place, with another request.
struct Variant {
  Reason change;
  Waiting job;
};

// On so many nodes, fewer than it asks for.
Variant OnNodes(const Waiting& job, std::int32_t nodes);
// With so many GPUs of its node, and, where it has its part of CPUs and memory, their part.
Variant WithGpus(const World& world, const Waiting& job, std::int32_t gpus);
Variant WithLimit(const Waiting& job, DurationMs limit_ms);
// Without what it demands or prefers of the topology; none if it does neither.
std::optional<Variant> Anywhere(const Waiting& job);
// In each other class that settings let it into, by rank.
std::vector<Variant> InOtherClasses(const World& world, const Waiting& job);

}  // namespace kezek::engine

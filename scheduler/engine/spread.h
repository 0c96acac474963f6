// Elements of an array apart from each other: replicas of a service, which one fault of a node or
// switch should not end together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// Where elements of arrays hold nodes of one pool, counted once in a walk. A domain that has once
// had no room is not asked again in it: what is free only becomes less, or nearly so.
class Replicas {
 public:
  // `world` and `draft` outlive it.
  Replicas(const World& world, const Draft& draft, const PoolLayout& layout)
      : world_(world), draft_(draft), layout_(layout) {}

  // Of the domains of `room` that can hold it alone, one where the fewest elements of the array
  // hold nodes, those that the plan starts included: where it would go anyway (`placement`), if
  // that is such a one, else the first. A gang that no such domain can hold, and what is not to be
  // spread, stays where it would go.
  Placement Apart(const Pool& room, const Request& request, const JobRef& row, Placement placement);
  // The plan starts one more there.
  void Started(const JobRef& row, const Placement& placement);

 private:
  // Nodes [begin, end).
  struct Stretch {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::int64_t others = 0;  // elements that hold some of them
    bool full = false;
  };
  using Stretches = std::vector<Stretch>;
  Stretches& Of(const JobRef& row, Spread spread);
  Stretches AllOf(Spread spread) const;
  std::vector<Stretch*> MetBy(const Placement& placement, Stretches& stretches) const;
  void Count(const Placement& placement, Stretches& stretches) const;

  const World& world_;
  const Draft& draft_;
  const PoolLayout& layout_;
  std::map<JobId, Stretches> of_array_;
};

}  // namespace kezek::engine

// Elements of an array apart from each other: replicas of a service, which one fault of a node or
// switch should not end together.
#pragma once

#include "kezek/job.h"
#include "kezek/node.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// Of the domains of `room` that can hold it alone, one where the fewest elements of the array hold
// nodes, those that the plan starts included: where it would go anyway (`placement`), if that is
// such a one, else the first. A gang that no such domain can hold stays where it would go.
Placement SpreadOut(const World& world, const Draft& draft, const Pool& room,
                    const Request& request, const JobRef& row, Placement placement);

}  // namespace kezek::engine

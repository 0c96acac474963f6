// Best-fit gang placement: which nodes a job gets, all of them or none.
//
// Simple model: of all sets of nodes that hold the gang, one in the smallest domain (node, leaf,
// block, what is above blocks, machine): in the first level of which a domain has room, in the
// domain that is best. The better domain gives the gang in fewer leaves, then leaves fewer GPUs
// over on its nodes, then has fewer free GPUs, so that whole nodes and whole leaves stay free. A
// leaf gives its nodes with the fewest free GPUs, then CPUs, then memory. A larger domain gives all
// of the part of it (leaf, block…) with the most room, while no part holds the rest; the rest comes
// from the best part that holds it. Ties go to the first by place and name.
//
// A demand for a domain is met by what lies within one of that level whose name is known; of a
// single node, always.
//
// `spec.nodes`: with at least as many names as the gang has nodes it is placed on these only; with
// fewer it gets all of them and others.
#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "scheduler/engine/machine.h"

namespace kezek::engine {

// What placement looks at in a job. Requests that compare equal have the same placements. The spec
// must outlive it.
struct Request {
  const JobSpec* spec = nullptr;
  Domain within = Domain::kAny;  // what must hold now: the demand, or a preference still waited for
  bool preference = false;       // it is only a preference
  std::strong_ordering operator<=>(const Request& other) const;
  bool operator==(const Request& other) const { return (*this <=> other) == 0; }
};

// A job that has waited longer than `topology_wait` no longer insists on what it prefers.
Request RequestOf(const JobSpec& spec, TimeMs queued_since_ms, TimeMs now,
                  DurationMs topology_wait_ms);

// None: no room. An exclusive gang is granted all GPUs of its nodes.
std::optional<Placement> Place(const Pool& pool, const Request& request);
// The same on nodes [begin, end) of the pool alone: one node, or all of a zone.
std::optional<Placement> PlaceAmong(const Pool& pool, const Request& request, std::size_t begin,
                                    std::size_t end);
// Whether Place would find one; costs less.
bool Fits(const Pool& pool, const Request& request);

// Why the configured, empty pool could not hold it: kNoSuchGpuType with `asked`, `types`;
// kNeverFitsMachine with `field` (a path below the API's JobSpec: shape.gpus_per_node,
// shape.cpus_per_node, shape.memory_per_node_mib, constraints, nodelist, exclude_nodes,
// data_classification, shape.nodes, topology.within), `asked` and `largest` (what the machine has
// of it). kNone: it could. Health and use do not matter.
Reason WhyNeverFits(const Machine& configured, const JobSpec& spec, const PoolKey& pool);
// Whether a reason is one of these.
bool IsNever(const Reason& reason);

// Why there is no room now for a request that Place has refused: the never-reasons above;
// kWaitsForDomain (within, nodes); kWaitsForTopology (within; the caller adds until_ms);
// kWaitsForGpus (nodes, gpus_per_node, gpu_type, free, largest_free, nodes_fit).
Reason WhyNoRoom(const Machine& free, const Machine& configured, const Request& request,
                 const PoolKey& key);

}  // namespace kezek::engine

#include "scheduler/engine/placement.h"

#include <tuple>

#include "scheduler/engine/search.h"

namespace kezek::engine {
namespace {

// Asked for each job of a walk: what differs most often, and costs least, first.
auto KeyOf(const Request& request) {
  const JobSpec& spec = *request.spec;
  const Shape& shape = spec.shape;
  return std::tie(shape.nodes, shape.gpus_per_node, shape.cpus_per_node, shape.memory_mib_per_node,
                  shape.exclusive, request.within, request.preference, shape.gpu_type,
                  spec.constraints, spec.nodes, spec.exclude_nodes, spec.classification,
                  spec.reservation);
}

}  // namespace

std::strong_ordering Request::operator<=>(const Request& other) const {
  return KeyOf(*this) <=> KeyOf(other);
}

Request RequestOf(const JobSpec& spec, TimeMs queued_since_ms, TimeMs now,
                  DurationMs topology_wait_ms) {
  if (spec.within == Domain::kLeaf) return {&spec, Domain::kLeaf, false};
  if (spec.prefer != Domain::kAny && spec.prefer != spec.within &&
      now - queued_since_ms < topology_wait_ms) {
    return {&spec, spec.prefer, true};
  }
  return {&spec, spec.within, false};
}

std::optional<Placement> Place(const Pool& pool, const Request& request) {
  return PlaceAmong(pool, request, 0, pool.nodes.size());
}

std::optional<Placement> PlaceAmong(const Pool& pool, const Request& request, std::size_t begin,
                                    std::size_t end) {
  return Search(pool, request, begin, end).Run();
}

bool Fits(const Pool& pool, const Request& request) {
  return Search(pool, request, 0, pool.nodes.size()).Fits();
}

}  // namespace kezek::engine

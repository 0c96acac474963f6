// Whether more time for what runs would delay what is promised.

#include <optional>
#include <vector>

#include "scheduler/engine/agenda.h"
#include "scheduler/engine/reserve.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {
namespace {

std::optional<Reservation> DelayedIn(const World& world, const Pool& pool, const Machine& free,
                                     const Holding& attempt, DurationMs limit_ms, TimeMs now) {
  Agenda agenda(world, pool.key(), free, now);
  for (const auto& [row, promise] : world.reservations()) agenda.Promise(promise);
  // Whoever leaves for others does so whatever its limit is; not for a reclaim of others' nodes.
  const bool leaves = world.GoneBy(attempt, now) < world.EndOf(attempt, now);
  std::vector<Reservation> held;
  for (const auto& [row, promise] : world.reservations()) {
    if (row.id == attempt.attempt.job.id || (leaves && promise.victims.empty())) continue;
    if (agenda.Holds(promise)) held.push_back(promise);
  }
  const TimeMs start = attempt.start_ms == 0 ? now : attempt.start_ms;
  agenda.End(attempt.attempt, start + world.Occupies(limit_ms));
  for (const Reservation& promise : held) {
    if (!agenda.Holds(promise)) return promise;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Reservation> DelayedBy(const World& world, const AttemptRef& attempt,
                                     DurationMs limit_ms, TimeMs now) {
  const auto found = world.holdings().find(attempt);
  if (found == world.holdings().end() || found->second.placement.empty()) return std::nullopt;
  const Holding& holding = found->second;
  if (!holding.counts || holding.ends_by_ms != 0) return std::nullopt;  // it ends by that
  const Machine free = world.MachineAt(now);
  const Layout::At* at = free.Find(holding.placement.front().node);
  if (at == nullptr) return std::nullopt;
  return DelayedIn(world, free.pools()[at->pool], free, holding, limit_ms, now);
}

}  // namespace kezek::engine

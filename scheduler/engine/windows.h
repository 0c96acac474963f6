// What admins have reserved: whom it bars from which nodes when.
//
// Simple model: a job has of a node that admins have reserved nothing at all from the moment at
// which it would still be there when the next occurrence begins; so nodes drain towards it. A job
// that asks for a reservation has of all other nodes nothing, and of these only from the beginning
// of an occurrence on, if it ends before that does. Who has not asked for one is in none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/admin_reservation.h"
#include "kezek/desk.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/time.h"
#include "scheduler/engine/cells.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/machine.h"

namespace kezek::engine {

class World;

// Of one pool, for one tick. Pointers are into a directory that outlives it.
class PoolWindows {
 public:
  PoolWindows() = default;
  // Covers the cells by what is reserved of the pool.
  PoolWindows(const Directory& directory, const Machine& machine, std::size_t pool, TimeMs now,
              Cells& cells);
  bool empty() const { return reserved_.empty(); }

  // Whether what is on the cell from then on may not be there.
  bool Bar(const Cell& cell, TimeMs from, const Stay& stay) const;
  // Stays that begin now and of which this is the same are barred from the same nodes.
  std::pair<std::size_t, std::size_t> CrossedBy(const Stay& stay) const;
  // Who begins in one of these spans, [first, second), and stays for so long is barred from it.
  void AddBarred(const Cell& cell, DurationMs stays,
                 std::vector<std::pair<TimeMs, TimeMs>>& barred) const;
  // When occurrences end, as far as they are looked at.
  void AddEnds(std::vector<TimeMs>& times) const;
  // The first that begins before the stay ends, and its beginning; by time, then by name.
  std::optional<std::pair<const AdminReservation*, TimeMs>> FirstAhead(const Stay& stay) const;

 private:
  TimeMs now_ = 0;
  std::vector<const AdminReservation*> reserved_;  // by name; cells have their places here
  struct Ahead {
    Occurrence when;
    std::size_t of = 0;
  };
  std::vector<Ahead> ahead_;  // by beginning, so far as is looked ahead
};

// What a job that asks for a reservation has to wait for before it can have any node.
struct WindowTurn {
  Reason reason;        // kNone: it may start now, if its nodes are free
  TimeMs again_ms = 0;  // when this changes by itself; 0: never
};
// `stays`: for so long it holds its nodes, from now on.
WindowTurn TurnOf(const Directory& directory, const JobSpec& spec, UserId user, DurationMs stays,
                  TimeMs now);
// Of such a job whether it could never run there; kNone: it could.
Reason WhyNeverInside(const Directory& directory, const JobSpec& spec, UserId user,
                      DurationMs stays, TimeMs now);
// Engine::EffectOf and Engine::NodesFor. The world has been refreshed for `now`.
Engine::WindowEffect EffectOf(const World& world, const AdminReservation& reservation, TimeMs now);
std::vector<std::string> NodesFor(const World& world, const AdminReservation& reservation,
                                  TimeMs now);

// What a job that is barred is told; with `ms` of 0 not when.
Reason ReservedByAdmin(const AdminReservation& reservation, TimeMs ms);
// What one waits for that is inside, or was told nothing more.
Reason WaitsForNodesOf(const JobSpec& spec);

}  // namespace kezek::engine

// What of a pool is free when: by the ends that limits give to what runs, by what is promised to
// jobs that wait, and by what the plan has started. One tick's.
//
// Simple model: a list of who holds what of which node from when until when. Whoever asks for nodes
// from `t` until `u` may have of each what is left of it at every moment between. As nothing but a
// promise begins later, that is the least of what is left at `t` and at the beginning of each
// promise in between.
//
// What admins have reserved (windows.h) nobody else has anything of, however little.
//
// Departures: nodes of which all this is the same are one cell (cells.h), and asked about once.
// What may be had now is asked for each job of the walk. It depends on the time until which alone
// by the promises that begin before, so there is one machine for each number of them. A time is
// looked for among those at which anything ends by how many nodes have room then, before any is
// placed on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/reservation.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "scheduler/engine/cells.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/pools.h"
#include "scheduler/engine/seats.h"
#include "scheduler/engine/windows.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

inline constexpr TimeMs kEver = std::numeric_limits<TimeMs>::max();
inline const std::set<AttemptRef> kNobody;

class Agenda {
 public:
  // `free`: the machine with what the plan has given so far, which whoever gives more takes from it
  // and says so by Start. It and the world outlive this.
  Agenda(const World& world, PoolKey key, const Machine& free, TimeMs now);

  // From now on; instead of what was promised to the row before. What is the world's is referred
  // to, all else copied.
  void Promise(const Reservation& reservation);
  void Withdraw(const JobRef& row);
  // Null: nothing is promised to it. Stays as long as this, withdrawn or not.
  const Reservation* Of(const JobRef& row) const;
  const std::map<JobRef, const Reservation*>& promises() const { return promises_; }

  // The plan has started it on these nodes.
  void Start(const Shape& shape, const Placement& placement, const Stay& stay);
  // The plan ends it: it is gone by then.
  void End(const AttemptRef& attempt, TimeMs by_ms);
  // It does not, after all.
  void Unend(const AttemptRef& attempt);

  // What a job of this row may have that starts now without delaying any promise but its own.
  // Valid until the next call of another member.
  const Pool& RoomNow(const Stay& stay, const JobRef& row);
  // Nodes for it there, if it has room.
  std::optional<Placement> PlaceNow(const Request& request, const Stay& stay, const JobRef& row);
  // Jobs of which this is the same have the same room, if nothing is promised to them: how many
  // promises begin before they are gone, and how many reclaims under way before their limit; what
  // admins have reserved ahead, and which of it they are in.
  struct Crossed {
    std::size_t promises = 0;
    std::size_t claims = 0;
    std::pair<std::size_t, std::size_t> windows;
    auto operator<=>(const Crossed&) const = default;
  };
  Crossed CrossedBy(const Stay& stay) const;
  // Likewise of one node, and as if these had ended.
  FreeNode RoomOn(std::size_t spot, const Stay& stay, const JobRef& row,
                  const std::set<AttemptRef>& gone) const;

  // Why it may not start now that has room beside what runs: what admins have reserved ahead keeps
  // it from there, whatever is promised. None: it does not.
  std::optional<Reason> ReservedAhead(const Request& request, const Stay& stay) const;

  Machine RoomWithout(const std::set<AttemptRef>& gone, const Stay& stay, const JobRef& row) const;

  struct Slot {
    TimeMs from_ms = 0;
    Placement placement;
  };
  // The earliest time, not before `after_ms` and before `before_ms`, from which it may have nodes
  // for so long, without delaying any promise but its own. None: there is none.
  std::optional<Slot> Earliest(const Request& request, DurationMs limit_ms, const JobRef& row,
                               TimeMs after_ms, TimeMs before_ms);
  // Until when its nodes are its own.
  TimeMs EndOf(const Reservation& promise) const {
    return std::max(now_, promise.from_ms + world_.config().late_ms) +
           world_.Occupies(promise.limit_ms);
  }
  // Whether its nodes can be its own at its time beside all others' promises.
  bool Holds(const Reservation& reservation) const;
  // Whether what it promises is free now for so long, beside all others' promises.
  bool IsFreeNow(const Reservation& reservation, const Stay& stay) const;

 private:
  TimeMs BeginOf(const Reservation& promise) const;
  TimeMs EndOf(const Holding& attempt, bool firmly) const;
  DurationMs LateBy(const Holding& attempt) const;
  // Without `ms`: now, as it is. Else what is due by then has ended, and what is promised has
  // begun. Scavengers have been ended by then, but firmly: for what is being made room for nobody
  // else is.
  struct Moment {
    std::optional<TimeMs> ms;
    bool firmly = false;
  };
  // Whether what is free of it is not all that matters.
  bool IsKept(const Cell& cell, const Stay& stay) const {
    return !cell.promised.empty() || !cell.windows.empty() || stay.within != nullptr;
  }
  // Of nodes of a cell.
  const Cell& On(Cells::Index cell) const;
  NodeBalance BalanceAt(const Cell& cell, const Moment& at, const std::set<AttemptRef>& gone) const;
  FreeNode FreeAt(const Cell& cell, const Moment& at, const JobRef& but,
                  const std::set<AttemptRef>& gone) const;
  FreeNode RoomBetween(const Cell& cell, const Moment& from, const Stay& stay, const JobRef& but,
                       const std::set<AttemptRef>& gone) const;
  void Limit(Machine& machine, const Moment& from, const Stay& stay, const JobRef& but,
             const std::set<AttemptRef>& gone) const;
  std::int64_t NodesWithRoomNow(const Shape& shape, const Stay& stay, const JobRef& but) const;
  const Pool& PoolIn(const Machine& machine) const { return machine.pools()[pool_]; }
  void FindEnds();
  void ForgetOn(const AttemptRef& attempt);

  // Seats of the pool. Looked up are those of promises that are neither the world's nor made here.
  const Seating& SeatsOf(const Reservation& promise, Seating& looked_up) const;
  Seating SeatsOf(const Placement& placement) const;
  bool IsTheWorlds(const Reservation& promise) const;

  // The nodes that have room for a shape, from a time on: `count` until the next one's.
  struct Vacancy {
    TimeMs from_ms = 0;
    std::int64_t count = 0;
  };
  struct Window {  // for so long, from some time in [from, before)
    TimeMs from_ms = 0;
    TimeMs before_ms = 0;
    DurationMs occupies_ms = 0;
  };
  FreeNode LeftAt(const Cell& cell, TimeMs at_ms) const;
  void AddVacancies(const Cell& cell, const Shape& shape, const JobRef& row, const Window& window,
                    std::vector<Vacancy>& changes) const;
  std::vector<Vacancy> Vacancies(const Shape& shape, const JobRef& row, const Window& window) const;
  std::vector<TimeMs> TimesIn(const JobRef& row, const Window& window);

  const World& world_;
  const PoolKey key_;
  const Machine& free_;
  const TimeMs now_;
  std::size_t pool_ = 0;  // in a machine's
  mutable Cells cells_;   // mutable: how long what is held stays is found when it is asked for
  PoolWindows windows_;
  std::map<JobRef, const Reservation*> promises_;
  // Those that are not the world's: kept when they are withdrawn, too.
  struct Own {
    std::shared_ptr<const Reservation> promise;
    Seating seats;
  };
  std::vector<Own> own_;
  std::map<AttemptRef, TimeMs> ended_;  // by the plan
  // What ends when, in order; made when it is first asked for.
  struct Ending {
    TimeMs at_ms = 0;
    Shape shape;
    Seating seats;
  };
  std::vector<Ending> starts_;
  std::vector<std::pair<TimeMs, const Seats::Seated*>> ends_;
  bool ends_known_ = false;
  struct Room {
    Stay stay;  // one of those that have it
    Machine machine;
  };
  std::map<Crossed, Room> rooms_;
  Machine own_room_;
};

}  // namespace kezek::engine

// Where in the layout of the machine lies what is held and what is promised: names are looked up
// once, when they are told. Kept in step with events, and made anew when the layout is, or when
// the cells have become too many.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/node.h"
#include "kezek/reservation.h"
#include "kezek/time.h"
#include "scheduler/engine/cells.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/machine.h"

namespace kezek::engine {

// Seats of one placement, by pool: nearly always of one. Nodes that are not known have none.
using Seatings = std::vector<std::pair<std::size_t, Seating>>;
Seatings SeatingsOf(const Machine& machine, const Placement& placement);
// Those of a pool; none: an empty list.
const Seating& In(const Seatings& seatings, std::size_t pool);

class Seats {
 public:
  // What it is made from, besides what it is told.
  struct Source {
    const Machine& machine;
    const std::map<std::string, Node>& nodes;
    TimeMs now_ms = 0;
  };
  bool known() const { return known_; }
  void Forget() { *this = {}; }
  // Anew, of nothing held or promised.
  void Begin(const Source& source);

  // `end_ms`: when it ends, for an order. Only while it is known; what is told stays where it is
  // until it is removed.
  void Set(const Source& source, const Holding& attempt, TimeMs end_ms);
  void Remove(const AttemptRef& attempt);
  void Set(const Source& source, const Reservation& promise);
  void Remove(const JobRef& row);
  // The node is no longer as those of its cell.
  void Isolate(const Source& source, const std::string& node);

  struct Seated {
    const Holding* attempt = nullptr;
    Seatings seats;
    TimeMs end_ms = 0;
  };
  // In the order of their ends, those whose first node is of the pool.
  using Ends = std::map<std::pair<TimeMs, AttemptRef>, const Seated*>;
  const Ends& ends(std::size_t pool) const { return pools_[pool].ends; }
  const Cells& cells(std::size_t pool) const { return pools_[pool].cells; }
  const Seatings& Of(const AttemptRef& attempt) const { return held_.at(attempt).seats; }
  // Null: nothing is promised to it.
  const Seatings* Of(const JobRef& row) const;

 private:
  struct PoolSeats {
    Cells cells;
    std::size_t most = 0;  // cells; with more they are made anew
    Ends ends;
  };
  void BeginCells(const Source& source, std::size_t pool);
  void MakeAnewIfTooMany(const Source& source, std::size_t pool);
  void Cover(const Holding& attempt, std::size_t pool, const Seating& seats);
  void Cover(const Reservation& promise, std::size_t pool, const Seating& seats);

  bool known_ = false;
  std::vector<PoolSeats> pools_;
  std::map<AttemptRef, Seated> held_;
  struct Promised {
    const Reservation* promise = nullptr;
    Seatings seats;
  };
  std::map<JobRef, Promised> promised_;
};

}  // namespace kezek::engine

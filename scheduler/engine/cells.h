// The nodes of a pool in cells: what holds a node, and what is promised of it, is the same of all
// nodes of a cell. What is asked of nodes one by one, each with the same answer as its neighbours,
// is asked of cells: there are about as many as gangs that run, not as many as nodes.
//
// Whatever covers a part of a cell splits it. Nothing joins cells again: a partition that is finer
// than it must be is slower, not wrong. Who keeps one makes it anew when it has become too fine.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kezek/admin_reservation.h"
#include "kezek/reservation.h"
#include "kezek/time.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/machine.h"

namespace kezek::engine {

// How long something is on its nodes: until it is gone if others need them, and by its limit.
struct Stay {
  TimeMs gone_by_ms = 0;
  TimeMs end_ms = 0;
  const AdminReservation* within = nullptr;  // that it asks to run in; null: none
};

// What is known of each node of a cell.
struct Cell {
  std::uint32_t first = 0;  // a node of it
  std::uint32_t size = 0;
  struct Held {
    const Holding* attempt = nullptr;
    NodeUse use;
    // Told by whoever asks; see `timed`.
    Stay stay;
    TimeMs free_from_ms = 0;  // for what is promised anew
  };
  struct Kept {
    const Reservation* promise = nullptr;
    std::int32_t gpus = 0;
  };
  struct Span {
    Stay stay;
    NodeUse use;
    std::size_t nth = 0;  // of the plan's starts
  };
  std::vector<Held> held;
  std::vector<Kept> reserved;  // as the world knows it
  // Of whoever asks: what of it, or besides, is promised now, and what the plan has started.
  std::vector<Kept> promised;
  std::vector<Span> started;
  bool timed = false;                // how long what is held stays is known
  std::vector<std::size_t> windows;  // of admins, by whoever asks
};

class Cells {
 public:
  using Index = std::uint32_t;
  Cells() = default;
  // All nodes in one.
  explicit Cells(std::size_t nodes);

  const std::vector<Cell>& all() const { return cells_; }
  Cell& at(Index cell) { return cells_[cell]; }
  const Cell& at(Index cell) const { return cells_[cell]; }
  Index Of(std::size_t spot) const { return of_[spot]; }
  std::size_t nodes() const { return of_.size(); }

  // Splits so that these seats are whole cells, and no cell has seats with different GPUs: which
  // they are, with the GPUs of each seat there. No node is twice among the seats.
  std::vector<std::pair<Index, std::int32_t>> Cover(std::span<const Seat> seats);
  // Cells that have any of these seats.
  std::vector<Index> Touched(std::span<const Seat> seats) const;
  // Calls see(spot) for each node of the cell.
  template <class See>
  void ForEach(Index cell, See see) const {
    std::uint32_t spot = cells_[cell].first;
    for (std::uint32_t left = cells_[cell].size; left > 0; --left, spot = next_[spot]) see(spot);
  }

 private:
  void Move(std::uint32_t spot, Index to);

  std::vector<Cell> cells_;
  std::vector<Index> of_;  // by spot
  // The nodes of each cell in a ring.
  std::vector<std::uint32_t> next_;
  std::vector<std::uint32_t> before_;
  // For Cover: by cell, how many of its nodes are covered; where they go.
  std::vector<std::uint32_t> covered_;
  std::vector<Index> goes_to_;
};

}  // namespace kezek::engine

#include "scheduler/engine/cells.h"

#include <algorithm>

#include "kezek/check.h"

namespace kezek::engine {

Cells::Cells(std::size_t nodes) : of_(nodes, 0), next_(nodes), before_(nodes) {
  const auto count = static_cast<std::uint32_t>(nodes);
  for (std::uint32_t spot = 0; spot < count; ++spot) {
    next_[spot] = spot + 1 == count ? 0 : spot + 1;
    before_[spot] = spot == 0 ? count - 1 : spot - 1;
  }
  if (count > 0) cells_.push_back({.first = 0, .size = count});
  covered_.assign(cells_.size(), 0);
  goes_to_.assign(cells_.size(), 0);
}

// Out of the ring of its cell, into that of the other, which may have none yet.
void Cells::Move(std::uint32_t spot, Index to) {
  Cell& from = cells_[of_[spot]];
  next_[before_[spot]] = next_[spot];
  before_[next_[spot]] = before_[spot];
  if (from.first == spot) from.first = next_[spot];
  --from.size;
  Cell& into = cells_[to];
  if (into.size == 0) {
    into.first = next_[spot] = before_[spot] = spot;
  } else {
    const std::uint32_t last = before_[into.first];
    next_[last] = spot;
    before_[spot] = last;
    next_[spot] = into.first;
    before_[into.first] = spot;
  }
  ++into.size;
  of_[spot] = to;
}

std::vector<std::pair<Cells::Index, std::int32_t>> Cells::Cover(std::span<const Seat> seats) {
  std::vector<std::pair<Index, std::int32_t>> whole;
  std::vector<std::int32_t> kinds;  // numbers of GPUs: nearly always one
  for (const Seat& seat : seats) {
    if (std::find(kinds.begin(), kinds.end(), seat.gpus) == kinds.end()) kinds.push_back(seat.gpus);
  }
  for (const std::int32_t gpus : kinds) {
    std::vector<Index> touched;
    for (const Seat& seat : seats) {
      if (seat.gpus != gpus) continue;
      const Index cell = of_[seat.spot];
      if (covered_[cell]++ == 0) touched.push_back(cell);
    }
    for (const Index cell : touched) {
      goes_to_[cell] = cell;
      if (covered_[cell] < cells_[cell].size) {
        goes_to_[cell] = static_cast<Index>(cells_.size());
        Cell part = cells_[cell];
        part.size = 0;
        cells_.push_back(std::move(part));
        covered_.push_back(0);
        goes_to_.push_back(0);
      }
      whole.push_back({goes_to_[cell], gpus});
      covered_[cell] = 0;
    }
    for (const Seat& seat : seats) {
      if (seat.gpus != gpus) continue;
      const Index cell = of_[seat.spot];
      if (goes_to_[cell] != cell) Move(seat.spot, goes_to_[cell]);
    }
  }
  return whole;
}

std::vector<Cells::Index> Cells::Touched(std::span<const Seat> seats) const {
  std::vector<char> seen(cells_.size(), 0);
  std::vector<Index> touched;
  for (const Seat& seat : seats) {
    const Index cell = of_[seat.spot];
    if (seen[cell] != 0) continue;
    seen[cell] = 1;
    touched.push_back(cell);
  }
  return touched;
}

}  // namespace kezek::engine

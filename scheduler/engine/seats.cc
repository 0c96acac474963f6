#include "scheduler/engine/seats.h"

#include <algorithm>
#include <tuple>

#include "kezek/check.h"

namespace kezek::engine {
namespace {

constexpr std::size_t kFewCells = 64;

std::uint32_t Narrow(std::size_t spot) { return static_cast<std::uint32_t>(spot); }

// What makes nodes differ on which nothing is held.
auto KindOf(const Node& node, TimeMs now) {
  return std::tuple(InService(node, now), node.gpus, node.cpus, node.memory_mib, node.foreign_gpus,
                    node.foreign_cpus, node.foreign_memory_mib);
}

}  // namespace

Seatings SeatingsOf(const Machine& machine, const Placement& placement) {
  Seatings seatings;
  const auto add = [&seatings](const Layout::At& at, std::int32_t gpus) {
    if (seatings.empty() || seatings.back().first != at.pool) {
      const auto known = std::find_if(seatings.begin(), seatings.end(),
                                      [&at](const auto& one) { return one.first == at.pool; });
      if (known != seatings.end()) return known->second.push_back({Narrow(at.spot), gpus});
      seatings.push_back({at.pool, {}});
    }
    seatings.back().second.push_back({Narrow(at.spot), gpus});
  };
  for (const NodeGrant& grant : placement) {
    if (const Layout::At* at = machine.Find(grant.node)) add(*at, grant.gpus);
  }
  return seatings;
}

const Seating& In(const Seatings& seatings, std::size_t pool) {
  static const Seating kNone;
  for (const auto& [of, seats] : seatings) {
    if (of == pool) return seats;
  }
  return kNone;
}

const Seatings* Seats::Of(const JobRef& row) const {
  const auto found = promised_.find(row);
  return found == promised_.end() ? nullptr : &found->second.seats;
}

void Seats::Begin(const Source& source) {
  Forget();
  known_ = true;
  pools_.resize(source.machine.pools().size());
  for (std::size_t pool = 0; pool < pools_.size(); ++pool) BeginCells(source, pool);
}

// Cells of nodes that are alike.
void Seats::BeginCells(const Source& source, std::size_t pool) {
  const std::vector<Spot>& spots = source.machine.pools()[pool].layout->spots;
  PoolSeats& of = pools_[pool];
  of.cells = Cells(spots.size());
  using Kind = decltype(KindOf(Node{}, 0));
  std::map<Kind, Seating> kinds;
  for (std::size_t spot = 0; spot < spots.size(); ++spot) {
    const Node& node = source.nodes.at(spots[spot].name);
    kinds[KindOf(node, source.now_ms)].push_back({Narrow(spot), 0});
  }
  for (const auto& [kind, seats] : kinds) of.cells.Cover(seats);
  for (const auto& [ref, seated] : held_) Cover(*seated.attempt, pool, In(seated.seats, pool));
  for (const auto& [row, kept] : promised_) Cover(*kept.promise, pool, In(kept.seats, pool));
  of.most = 2 * of.cells.all().size() + kFewCells;
}

void Seats::MakeAnewIfTooMany(const Source& source, std::size_t pool) {
  if (pools_[pool].cells.all().size() > pools_[pool].most) BeginCells(source, pool);
}

void Seats::Cover(const Holding& attempt, std::size_t pool, const Seating& seats) {
  Cells& cells = pools_[pool].cells;
  for (const auto& [cell, gpus] : cells.Cover(seats)) {
    cells.at(cell).held.push_back({&attempt, UseOf(attempt.shape, gpus), {}, 0});
  }
}

void Seats::Cover(const Reservation& promise, std::size_t pool, const Seating& seats) {
  Cells& cells = pools_[pool].cells;
  for (const auto& [cell, gpus] : cells.Cover(seats)) {
    cells.at(cell).reserved.push_back({&promise, gpus});
  }
}

void Seats::Set(const Source& source, const Holding& attempt, TimeMs end_ms) {
  Seated& seated = held_[attempt.attempt];
  seated = {&attempt, SeatingsOf(source.machine, attempt.placement), end_ms};
  for (const auto& [pool, seats] : seated.seats) {
    Cover(attempt, pool, seats);
    MakeAnewIfTooMany(source, pool);
  }
  if (attempt.placement.empty()) return;
  const Layout::At* first = source.machine.Find(attempt.placement.front().node);
  if (first != nullptr) pools_[first->pool].ends[{end_ms, attempt.attempt}] = &seated;
}

void Seats::Remove(const AttemptRef& attempt) {
  const auto found = held_.find(attempt);
  if (found == held_.end()) return;
  for (const auto& [pool, seats] : found->second.seats) {
    Cells& cells = pools_[pool].cells;
    for (const Cells::Index cell : cells.Touched(seats)) {
      std::erase_if(cells.at(cell).held,
                    [&](const Cell::Held& held) { return held.attempt == found->second.attempt; });
    }
  }
  for (PoolSeats& pool : pools_) pool.ends.erase({found->second.end_ms, attempt});
  held_.erase(found);
}

void Seats::Set(const Source& source, const Reservation& promise) {
  Remove(promise.row);
  Promised& kept = promised_[promise.row];
  kept = {&promise, SeatingsOf(source.machine, promise.placement)};
  for (const auto& [pool, seats] : kept.seats) {
    Cover(promise, pool, seats);
    MakeAnewIfTooMany(source, pool);
  }
}

void Seats::Remove(const JobRef& row) {
  const auto found = promised_.find(row);
  if (found == promised_.end()) return;
  for (const auto& [pool, seats] : found->second.seats) {
    Cells& cells = pools_[pool].cells;
    for (const Cells::Index cell : cells.Touched(seats)) {
      std::erase_if(cells.at(cell).reserved,
                    [&](const Cell::Kept& kept) { return kept.promise == found->second.promise; });
    }
  }
  promised_.erase(found);
}

void Seats::Isolate(const Source& source, const std::string& node) {
  const Layout::At* at = source.machine.Find(node);
  if (at == nullptr) return;
  const Seat seat{Narrow(at->spot), 0};
  pools_[at->pool].cells.Cover({&seat, 1});
  MakeAnewIfTooMany(source, at->pool);
}

}  // namespace kezek::engine

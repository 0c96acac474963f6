#include "scheduler/engine/agenda.h"

#include <algorithm>

#include "kezek/check.h"
#include "scheduler/engine/node_fit.h"

namespace kezek::engine {
namespace {

FreeNode Least(const FreeNode& a, const FreeNode& b) {
  return {.gpus = std::min(a.gpus, b.gpus),
          .cpus = std::min(a.cpus, b.cpus),
          .memory_mib = std::min(a.memory_mib, b.memory_mib),
          .in_service = a.in_service && b.in_service,
          .idle = a.idle && b.idle};
}

}  // namespace

Agenda::Agenda(const World& world, PoolKey key, const Machine& free, TimeMs now)
    : world_(world), key_(std::move(key)), free_(free), now_(now) {
  const Pool* pool = free.FindPool(key_);
  KEZEK_CHECK(pool != nullptr, "an agenda of no nodes");
  pool_ = static_cast<std::size_t>(pool - free.pools().data());
  cells_ = world.seats().cells(pool_);
  windows_ = PoolWindows(world.directory(), free, pool_, now, cells_);
}

Seating Agenda::SeatsOf(const Placement& placement) const {
  return In(SeatingsOf(free_, placement), pool_);
}

const Seating& Agenda::SeatsOf(const Reservation& promise, Seating& looked_up) const {
  for (const Own& own : own_) {
    if (own.promise.get() == &promise) return own.seats;
  }
  if (IsTheWorlds(promise)) return In(*world_.seats().Of(promise.row), pool_);
  return looked_up = SeatsOf(promise.placement);
}

bool Agenda::IsTheWorlds(const Reservation& promise) const {
  const auto known = world_.reservations().find(promise.row);
  return known != world_.reservations().end() && &known->second == &promise;
}

void Agenda::Promise(const Reservation& reservation) {
  Withdraw(reservation.row);
  rooms_.clear();
  if (IsTheWorlds(reservation)) {
    promises_[reservation.row] = &reservation;
    for (Cells::Index i = 0; i < cells_.all().size(); ++i) {
      Cell& cell = cells_.at(i);
      for (const Cell::Kept& kept : cell.reserved) {
        if (kept.promise == &reservation) cell.promised.push_back(kept);
      }
    }
    return;
  }
  const auto is_it = [&](const Own& own) { return own.promise.get() == &reservation; };
  auto own = std::find_if(own_.begin(), own_.end(), is_it);
  if (own == own_.end()) {
    auto copy = std::make_shared<const Reservation>(reservation);
    own = own_.insert(own, {std::move(copy), SeatsOf(reservation.placement)});
  }
  const Reservation& kept = *(promises_[reservation.row] = own->promise.get());
  for (const auto& [cell, gpus] : cells_.Cover(own->seats)) {
    cells_.at(cell).promised.push_back({&kept, gpus});
  }
}

void Agenda::Withdraw(const JobRef& row) {
  const auto found = promises_.find(row);
  if (found == promises_.end()) return;
  for (Cells::Index i = 0; i < cells_.all().size(); ++i) {
    std::erase_if(cells_.at(i).promised,
                  [&](const Cell::Kept& kept) { return kept.promise == found->second; });
  }
  promises_.erase(found);
  rooms_.clear();
}

const Reservation* Agenda::Of(const JobRef& row) const {
  const auto found = promises_.find(row);
  return found == promises_.end() ? nullptr : found->second;
}

void Agenda::Start(const Shape& shape, const Placement& placement, const Stay& stay) {
  Seating seats = SeatsOf(placement);
  KEZEK_CHECK(seats.size() == placement.size(), "a start on a node of another pool");
  for (const auto& [i, gpus] : cells_.Cover(seats)) {
    Cell& cell = cells_.at(i);
    cell.started.push_back({stay, UseOf(shape, gpus)});
    for (auto& [crossed, room] : rooms_) {
      const bool kept = IsKept(cell, room.stay);
      const FreeNode left = kept ? RoomBetween(On(i), {}, room.stay, {}, kNobody) : FreeNode{};
      cells_.ForEach(i, [&](std::size_t spot) {
        room.machine.Copy(free_, {pool_, spot});
        if (kept) room.machine.Limit({pool_, spot}, left);
      });
    }
  }
  starts_.push_back({stay.gone_by_ms, shape, std::move(seats)});
}

void Agenda::End(const AttemptRef& attempt, TimeMs by_ms) {
  ended_[attempt] = by_ms;
  ForgetOn(attempt);
}

void Agenda::Unend(const AttemptRef& attempt) {
  ended_.erase(attempt);
  ForgetOn(attempt);
}

// When it is gone is asked anew.
void Agenda::ForgetOn(const AttemptRef& attempt) {
  ends_known_ = false;
  const Seating& seats = In(world_.seats().Of(attempt), pool_);
  for (const Cells::Index cell : cells_.Touched(seats)) cells_.at(cell).timed = false;
  rooms_.clear();
}

TimeMs Agenda::BeginOf(const Reservation& promise) const { return std::max(now_, promise.from_ms); }

TimeMs Agenda::EndOf(const Holding& attempt, bool firmly) const {
  const auto ended = ended_.find(attempt.attempt);
  if (ended != ended_.end()) return ended->second;
  return firmly ? world_.EndOf(attempt, now_) : world_.GoneBy(attempt, now_);
}

// What is starting may do so a little later yet, and what leaves for others has to be told.
DurationMs Agenda::LateBy(const Holding& attempt) const {
  const bool leaves = world_.GoneBy(attempt, now_) < world_.EndOf(attempt, now_);
  if (leaves && !ended_.contains(attempt.attempt)) return world_.config().improve_ms;
  return attempt.start_ms == 0 ? world_.config().late_ms : 0;
}

const Cell& Agenda::On(Cells::Index cell) const {
  Cell& on = cells_.at(cell);
  if (on.timed) return on;
  on.timed = true;
  for (Cell::Held& held : on.held) {
    held.stay = {EndOf(*held.attempt, false), EndOf(*held.attempt, true)};
    held.free_from_ms = held.stay.gone_by_ms + LateBy(*held.attempt);
  }
  return on;
}

NodeBalance Agenda::BalanceAt(const Cell& cell, const Moment& at,
                              const std::set<AttemptRef>& gone) const {
  NodeBalance balance = PoolIn(free_).nodes[cell.first];
  if (at.ms || !gone.empty()) {
    for (const Cell::Held& held : cell.held) {
      const bool ended = at.ms && (at.firmly ? held.stay.end_ms : held.stay.gone_by_ms) <= *at.ms;
      if (ended || (!gone.empty() && gone.contains(held.attempt->attempt))) {
        Add(balance, held.use, -1);
      }
    }
  }
  if (!at.ms) return balance;
  for (const Cell::Span& span : cell.started) {
    const TimeMs end = at.firmly ? span.stay.end_ms : span.stay.gone_by_ms;
    if (end <= *at.ms) Add(balance, span.use, -1);
  }
  return balance;
}

FreeNode Agenda::FreeAt(const Cell& cell, const Moment& at, const JobRef& but,
                        const std::set<AttemptRef>& gone) const {
  NodeBalance balance = BalanceAt(cell, at, gone);
  if (!at.ms) return balance.Free();
  for (const auto& [promise, gpus] : cell.promised) {
    if (BeginOf(*promise) > *at.ms || promise->row == but || EndOf(*promise) <= *at.ms) continue;
    Add(balance, UseOf(promise->shape, gpus), 1);
    balance.promised = true;
  }
  return balance.Free();
}

FreeNode Agenda::RoomBetween(const Cell& cell, const Moment& from, const Stay& stay,
                             const JobRef& but, const std::set<AttemptRef>& gone) const {
  const TimeMs begin = from.ms.value_or(now_);
  if (windows_.Bar(cell, begin, stay)) return {};
  FreeNode room = FreeAt(cell, from, but, gone);
  for (const auto& [promise, gpus] : cell.promised) {
    const TimeMs at = BeginOf(*promise);
    const bool claim = !promise->victims.empty();
    if (promise->row == but || at < begin || at >= (claim ? stay.end_ms : stay.gone_by_ms))
      continue;
    if (from.ms && at == begin && claim == from.firmly) continue;  // looked at
    room = Least(room, FreeAt(cell, {at, claim}, but, gone));
  }
  return room;
}

FreeNode Agenda::RoomOn(std::size_t spot, const Stay& stay, const JobRef& row,
                        const std::set<AttemptRef>& gone) const {
  return RoomBetween(On(cells_.Of(spot)), {}, stay, row, gone);
}

void Agenda::Limit(Machine& machine, const Moment& from, const Stay& stay, const JobRef& but,
                   const std::set<AttemptRef>& gone) const {
  for (Cells::Index i = 0; i < cells_.all().size(); ++i) {
    if (cells_.at(i).size == 0 || !IsKept(cells_.at(i), stay)) continue;
    const FreeNode room = RoomBetween(On(i), from, stay, but, gone);
    cells_.ForEach(i, [&](std::size_t spot) { machine.Limit({pool_, spot}, room); });
  }
}

// At most: by GPUs alone where nothing is promised.
std::int64_t Agenda::NodesWithRoomNow(const Shape& shape, const Stay& stay,
                                      const JobRef& but) const {
  const Pool& pool = PoolIn(free_);
  std::int64_t nodes = pool.AtLeast(pool.layout->all(), shape.gpus_per_node);
  for (Cells::Index i = 0; i < cells_.all().size(); ++i) {
    const Cell& cell = cells_.at(i);
    if (!IsKept(cell, stay) || cell.size == 0) continue;
    const FreeNode free = pool.Free(cell.first);
    if (!free.in_service || free.gpus < shape.gpus_per_node) continue;
    if (!HasRoom(RoomBetween(On(i), {}, stay, but, kNobody), shape)) nodes -= cell.size;
  }
  return nodes;
}

Agenda::Crossed Agenda::CrossedBy(const Stay& stay) const {
  Crossed crossed{0, 0, windows_.CrossedBy(stay)};
  for (const auto& [row, promise] : promises_) {
    const bool claim = !promise->victims.empty();
    if (BeginOf(*promise) >= (claim ? stay.end_ms : stay.gone_by_ms)) continue;
    ++(claim ? crossed.claims : crossed.promises);
  }
  return crossed;
}

const Pool& Agenda::RoomNow(const Stay& stay, const JobRef& row) {
  if (promises_.contains(row)) {
    own_room_ = free_;
    Limit(own_room_, {}, stay, row, kNobody);
    return PoolIn(own_room_);
  }
  const Crossed crossed = CrossedBy(stay);
  if (crossed == Crossed{}) return PoolIn(free_);
  const auto [room, first] = rooms_.try_emplace(crossed);
  if (first) {
    room->second = {stay, free_};
    Limit(room->second.machine, {}, stay, row, kNobody);
  }
  return PoolIn(room->second.machine);
}

std::optional<Placement> Agenda::PlaceNow(const Request& request, const Stay& stay,
                                          const JobRef& row) {
  const Shape& shape = request.spec->shape;
  const Crossed crossed = CrossedBy(stay);
  const bool made = crossed == Crossed{} || (!promises_.contains(row) && rooms_.contains(crossed));
  if (!made && NodesWithRoomNow(shape, stay, row) < shape.nodes) return std::nullopt;
  return Place(RoomNow(stay, row), request);
}

std::optional<Reason> Agenda::ReservedAhead(const Request& request, const Stay& stay) const {
  if (windows_.empty()) return std::nullopt;
  Machine room = free_;
  for (Cells::Index i = 0; i < cells_.all().size(); ++i) {
    if (cells_.at(i).size == 0 || !windows_.Bar(cells_.at(i), now_, stay)) continue;
    cells_.ForEach(i, [&](std::size_t spot) { room.Limit({pool_, spot}, {}); });
  }
  if (Fits(PoolIn(room), request)) return std::nullopt;
  if (stay.within != nullptr) return WaitsForNodesOf(*request.spec);
  const auto first = windows_.FirstAhead(stay);
  if (!first) return std::nullopt;
  return ReservedByAdmin(*first->first, first->second);
}

Machine Agenda::RoomWithout(const std::set<AttemptRef>& gone, const Stay& stay,
                            const JobRef& row) const {
  Machine room = free_;
  for (const AttemptRef& ref : gone) {
    const Holding& attempt = world_.holdings().at(ref);
    room.GiveBack({pool_, attempt.shape}, In(world_.seats().Of(ref), pool_));
  }
  Limit(room, {}, stay, row, gone);
  return room;
}

bool Agenda::IsFreeNow(const Reservation& reservation, const Stay& stay) const {
  Seating looked_up;
  const Seating& seats = SeatsOf(reservation, looked_up);
  const auto cells = cells_.Touched(seats);
  return seats.size() == reservation.placement.size() &&
         std::all_of(cells.begin(), cells.end(), [&](Cells::Index cell) {
           return HasRoom(RoomBetween(On(cell), {}, stay, reservation.row, kNobody),
                          reservation.shape);
         });
}

bool Agenda::Holds(const Reservation& reservation) const {
  const Moment begin{BeginOf(reservation), !reservation.victims.empty()};
  const Stay stay{EndOf(reservation), EndOf(reservation)};
  Seating looked_up;
  const Seating& seats = SeatsOf(reservation, looked_up);
  if (seats.size() != reservation.placement.size()) return false;
  const std::vector<Cells::Index> cells = cells_.Touched(seats);
  std::set<AttemptRef> gone;  // whoever leaves it in time, or has to leave it now
  for (const Cells::Index cell : cells) {
    for (const Cell::Held& held : cells_.at(cell).held) {
      const AttemptRef& ref = held.attempt->attempt;
      const bool leaves = world_.GoneBy(*held.attempt, now_) < world_.EndOf(*held.attempt, now_);
      if (leaves && !begin.firmly && !ended_.contains(ref)) gone.insert(ref);
    }
  }
  return std::all_of(cells.begin(), cells.end(), [&](Cells::Index cell) {
    return HasRoom(RoomBetween(On(cell), begin, stay, reservation.row, gone), reservation.shape);
  });
}

}  // namespace kezek::engine

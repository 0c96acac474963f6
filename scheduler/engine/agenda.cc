#include "scheduler/engine/agenda.h"

#include <algorithm>

#include "kezek/check.h"
#include "scheduler/engine/node_fit.h"

namespace kezek::engine {
namespace {

// Times for which a full placement is tried one by one; after that more and more are passed over.
constexpr std::int32_t kTries = 64;

NodeUse UseOf(const Shape& shape, std::int32_t gpus) {
  return {.gpus = gpus,
          .cpus = shape.cpus_per_node,
          .memory_mib = shape.memory_mib_per_node,
          .attempts = 1,
          .exclusive = shape.exclusive ? 1 : 0};
}

void Add(NodeBalance& balance, const NodeUse& use, std::int32_t sign) {
  balance.gpus -= sign * use.gpus;
  balance.cpus -= sign * use.cpus;
  balance.memory_mib -= sign * use.memory_mib;
  balance.attempts += sign * use.attempts;
  balance.exclusive += sign * use.exclusive;
}

std::int32_t GpusOn(const Placement& placement, const std::string& node) {
  const auto found = std::lower_bound(
      placement.begin(), placement.end(), node,
      [](const NodeGrant& grant, const std::string& name) { return grant.node < name; });
  return found == placement.end() || found->node != node ? 0 : found->gpus;
}

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
}

std::optional<std::size_t> Agenda::SpotOf(const std::string& node) const {
  const Layout::At* at = free_.Find(node);
  if (at == nullptr || at->pool != pool_) return std::nullopt;
  return at->spot;
}

void Agenda::Promise(const Reservation& reservation) {
  Withdraw(reservation.row);
  const Reservation& kept = promises_[reservation.row] = reservation;
  for (const NodeGrant& grant : kept.placement) {
    const auto spot = SpotOf(grant.node);
    if (!spot) continue;
    std::vector<Kept>& on = promised_[*spot];
    const auto later = std::find_if(
        on.begin(), on.end(), [&kept](const Kept& other) { return kept.row < other.promise->row; });
    on.insert(later, {&kept, grant.gpus});
  }
  rooms_.clear();
}

void Agenda::Withdraw(const JobRef& row) {
  const auto found = promises_.find(row);
  if (found == promises_.end()) return;
  for (const NodeGrant& grant : found->second.placement) {
    const auto spot = SpotOf(grant.node);
    const auto promised = spot ? promised_.find(*spot) : promised_.end();
    if (promised == promised_.end()) continue;
    std::erase_if(promised->second, [&row](const Kept& kept) { return kept.promise->row == row; });
    if (promised->second.empty()) promised_.erase(promised);
  }
  promises_.erase(found);
  rooms_.clear();
}

const Reservation* Agenda::Of(const JobRef& row) const {
  const auto found = promises_.find(row);
  return found == promises_.end() ? nullptr : &found->second;
}

void Agenda::Start(const Shape& shape, const Placement& placement, const Stay& stay) {
  bool promised = false;
  for (const NodeGrant& grant : placement) {
    const auto spot = SpotOf(grant.node);
    KEZEK_CHECK(spot.has_value(), "a start on a node of another pool");
    started_[*spot].push_back({stay, UseOf(shape, grant.gpus)});
    promised |= promised_.contains(*spot);
  }
  starts_.push_back({stay.gone_by_ms, shape, placement});
  if (promised) {
    rooms_.clear();
  } else {
    for (auto& [crossed, room] : rooms_) room.Take(key_, shape, placement);
  }
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
  for (const NodeGrant& grant : world_.holdings().at(attempt).placement) {
    if (const auto spot = SpotOf(grant.node)) occupants_.erase(*spot);
  }
  rooms_.clear();
}

TimeMs Agenda::BeginOf(const Reservation& promise) const { return std::max(now_, promise.from_ms); }

TimeMs Agenda::EndOf(const Holding& attempt, bool firmly) const {
  const auto ended = ended_.find(attempt.attempt);
  if (ended != ended_.end()) return ended->second;
  return firmly ? world_.EndOf(attempt, now_) : world_.GoneBy(attempt, now_);
}

const std::vector<Agenda::Occupant>& Agenda::On(std::size_t spot) const {
  const auto [known, first] = occupants_.try_emplace(spot);
  if (!first) return known->second;
  const std::string& name = PoolIn(free_).layout->spots[spot].name;
  for (const AttemptRef& ref : world_.on(name)) {
    const Holding& attempt = world_.holdings().at(ref);
    known->second.push_back({&attempt.attempt,
                             UseOf(attempt.shape, GpusOn(attempt.placement, name)),
                             EndOf(attempt, false), EndOf(attempt, true)});
  }
  return known->second;
}

NodeBalance Agenda::BalanceAt(std::size_t spot, const Moment& at,
                              const std::set<AttemptRef>& gone) const {
  const Pool& pool = PoolIn(free_);
  NodeBalance balance = pool.nodes[spot];
  if (at.ms || !gone.empty()) {
    for (const Occupant& one : On(spot)) {
      const bool ended = at.ms && (at.firmly ? one.end_ms : one.gone_by_ms) <= *at.ms;
      if (ended || gone.contains(*one.attempt)) Add(balance, one.use, -1);
    }
  }
  const auto started = started_.find(spot);
  if (!at.ms || started == started_.end()) return balance;
  for (const Span& span : started->second) {
    const TimeMs end = at.firmly ? span.stay.end_ms : span.stay.gone_by_ms;
    if (end <= *at.ms) Add(balance, span.use, -1);
  }
  return balance;
}

FreeNode Agenda::FreeAt(std::size_t spot, const Moment& at, const JobRef& but,
                        const std::set<AttemptRef>& gone) const {
  NodeBalance balance = BalanceAt(spot, at, gone);
  const auto promised = promised_.find(spot);
  if (promised == promised_.end() || !at.ms) return balance.Free();
  for (const auto& [promise, gpus] : promised->second) {
    if (promise->row == but || BeginOf(*promise) > *at.ms || EndOf(*promise) <= *at.ms) continue;
    Add(balance, UseOf(promise->shape, gpus), 1);
    balance.promised = true;
  }
  return balance.Free();
}

FreeNode Agenda::RoomBetween(std::size_t spot, const Moment& from, const Stay& stay,
                             const JobRef& but, const std::set<AttemptRef>& gone) const {
  FreeNode room = FreeAt(spot, from, but, gone);
  const auto promised = promised_.find(spot);
  if (promised == promised_.end()) return room;
  const TimeMs begin = from.ms.value_or(now_);
  for (const auto& [promise, gpus] : promised->second) {
    const TimeMs at = BeginOf(*promise);
    const bool claim = !promise->victims.empty();
    if (promise->row == but || at < begin || at >= (claim ? stay.end_ms : stay.gone_by_ms))
      continue;
    if (from.ms && at == begin && claim == from.firmly) continue;  // looked at
    room = Least(room, FreeAt(spot, {at, claim}, but, gone));
  }
  return room;
}

FreeNode Agenda::RoomOn(std::size_t spot, const Stay& stay, const JobRef& row,
                        const std::set<AttemptRef>& gone) const {
  return RoomBetween(spot, {}, stay, row, gone);
}

void Agenda::Limit(Machine& machine, const Moment& from, const Stay& stay,
                   const JobRef& but) const {
  for (const auto& [spot, kept] : promised_) {
    machine.Limit({pool_, spot}, RoomBetween(spot, from, stay, but, {}));
  }
}

Agenda::Crossed Agenda::CrossedBy(const Stay& stay) const {
  Crossed crossed{0, 0};
  for (const auto& [row, promise] : promises_) {
    const bool claim = !promise.victims.empty();
    if (BeginOf(promise) >= (claim ? stay.end_ms : stay.gone_by_ms)) continue;
    ++(claim ? crossed.second : crossed.first);
  }
  return crossed;
}

const Pool& Agenda::RoomNow(const Stay& stay, const JobRef& row) {
  if (promises_.contains(row)) {
    own_room_ = free_;
    Limit(own_room_, {}, stay, row);
    return PoolIn(own_room_);
  }
  const Crossed crossed = CrossedBy(stay);
  if (crossed == Crossed{0, 0}) return PoolIn(free_);
  const auto [room, first] = rooms_.try_emplace(crossed);
  if (first) {
    room->second = free_;
    Limit(room->second, {}, stay, row);
  }
  return PoolIn(room->second);
}

void Agenda::FindEnds() {
  if (ends_known_) return;
  ends_known_ = true;
  ends_.clear();
  bool sorted = true;
  for (const auto& [known, ref] : world_.ends(key_.gpu_type)) {
    const Holding& attempt = world_.holdings().at(ref);
    if (attempt.placement.empty() || !SpotOf(attempt.placement.front().node)) continue;
    // What is starting may do so a little later yet, and what leaves for others has to be told.
    DurationMs late = attempt.start_ms == 0 ? world_.config().late_ms : 0;
    const bool leaves = world_.GoneBy(attempt, now_) < world_.EndOf(attempt, now_);
    if (leaves && !ended_.contains(ref)) late = world_.config().improve_ms;
    ends_.push_back({EndOf(attempt, false) + late, &attempt});
    sorted &= ends_.size() < 2 || ends_[ends_.size() - 2].first <= ends_.back().first;
  }
  if (sorted) return;
  std::stable_sort(ends_.begin(), ends_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
}

std::optional<Agenda::Slot> Agenda::Earliest(const Request& request, DurationMs limit_ms,
                                             const JobRef& row, TimeMs after_ms, TimeMs before_ms) {
  const DurationMs occupies = world_.Occupies(limit_ms) + world_.config().late_ms;
  FindEnds();
  std::stable_sort(starts_.begin(), starts_.end(),
                   [](const Ending& a, const Ending& b) { return a.at_ms < b.at_ms; });
  std::set<TimeMs> others;  // what else may make room: the ends of promises
  for (const auto& [other, promise] : promises_) {
    if (other != row) others.insert(EndOf(promise));
  }
  Machine at = free_;
  const std::size_t whole = PoolIn(at).layout->zones.size() - 1;
  const Shape& shape = request.spec->shape;
  std::size_t ended = 0;
  std::size_t started = 0;
  std::int32_t tries = 0;
  std::int32_t pass_over = 0;
  for (TimeMs now = std::max(now_, after_ms); now < before_ms;) {
    for (; ended < ends_.size() && ends_[ended].first <= now; ++ended) {
      at.GiveBack(ends_[ended].second->shape, ends_[ended].second->placement);
    }
    for (; started < starts_.size() && starts_[started].at_ms <= now; ++started) {
      at.GiveBack(starts_[started].shape, starts_[started].placement);
    }
    others.erase(others.begin(), others.upper_bound(now));
    TimeMs next = before_ms;
    if (ended < ends_.size()) next = std::min(next, ends_[ended].first);
    if (started < starts_.size()) next = std::min(next, starts_[started].at_ms);
    if (!others.empty()) next = std::min(next, *others.begin());
    const bool enough = PoolIn(at).AtLeast(whole, shape.gpus_per_node) >= shape.nodes;
    const bool last = next == before_ms;
    if (enough && (last || --pass_over < 0) && Fits(PoolIn(at), request)) {
      if (promised_.empty()) return Slot{now, *Place(PoolIn(at), request)};
      Machine room = at;
      Limit(room, {now, false}, {now + occupies, now + occupies}, row);
      if (auto placement = Place(PoolIn(room), request)) return Slot{now, std::move(*placement)};
      if (++tries > kTries) pass_over = tries - kTries;
    }
    now = next;
  }
  return std::nullopt;
}

Machine Agenda::RoomWithout(const std::set<AttemptRef>& gone, const Stay& stay,
                            const JobRef& row) const {
  Machine room = free_;
  for (const AttemptRef& ref : gone) {
    const Holding& attempt = world_.holdings().at(ref);
    room.GiveBack(attempt.shape, attempt.placement);
  }
  for (const auto& [spot, kept] : promised_) {
    room.Limit({pool_, spot}, RoomBetween(spot, {}, stay, row, gone));
  }
  return room;
}

bool Agenda::Holds(const Reservation& reservation) const {
  const Moment begin{BeginOf(reservation), !reservation.victims.empty()};
  const Stay stay{EndOf(reservation), EndOf(reservation)};
  std::set<AttemptRef> gone;  // whoever leaves it in time, or has to leave it now
  for (const NodeGrant& grant : reservation.placement) {
    for (const AttemptRef& ref : world_.on(grant.node)) {
      const Holding& attempt = world_.holdings().at(ref);
      const bool leaves = world_.GoneBy(attempt, now_) < world_.EndOf(attempt, now_);
      if (leaves && !begin.firmly && !ended_.contains(ref)) gone.insert(ref);
    }
  }
  return std::all_of(
      reservation.placement.begin(), reservation.placement.end(), [&](const NodeGrant& grant) {
        const auto spot = SpotOf(grant.node);
        return spot &&
               HasRoom(RoomBetween(*spot, begin, stay, reservation.row, gone), reservation.shape);
      });
}

}  // namespace kezek::engine

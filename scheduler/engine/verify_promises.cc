// Whether what is promised is there at its time, beside all else that is promised and what the plan
// starts: added up from what is held and promised of a node of each cell.

#include <algorithm>
#include <utility>

#include "scheduler/engine/verify_rules.h"

namespace kezek::engine {
namespace {

void AddUse(const NodeUse& use, NodeUse& sum) {
  sum.gpus += use.gpus;
  sum.cpus += use.cpus;
  sum.memory_mib += use.memory_mib;
  sum.attempts += use.attempts;
  sum.exclusive += use.exclusive;
}

// Whether the node has all that is held of it.
bool Has(const Node& node, const NodeUse& use) {
  if (use.attempts == 0) return true;
  if (use.exclusive > 0 && use.attempts > 1) return false;
  return use.gpus + node.foreign_gpus <= node.gpus && use.cpus + node.foreign_cpus <= node.cpus &&
         use.memory_mib + node.foreign_memory_mib <= node.memory_mib;
}

class PromiseCheck {
 public:
  PromiseCheck(const Basis& basis, const Plan& plan)
      : basis_(basis),
        world_(*basis.world),
        plan_(plan),
        machine_(world_.MachineAt(basis.now_ms)),
        promised_(PromisedAfter(world_, plan)) {
    for (const Preempt& preempt : plan.preempts) ended_.insert(preempt.victim);
  }
  std::optional<Violation> Run();

 private:
  Cells MakeCells(std::size_t pool);
  Stay StayOf(const Holding& attempt) const;
  void AddPromised(const Cell::Kept& kept, TimeMs moment, NodeUse& sum) const;
  NodeUse UseAt(const Cell& cell, bool claim, TimeMs moment) const;
  std::optional<Violation> Check(const Reservation& promise);

  const Basis& basis_;
  const World& world_;
  const Plan& plan_;
  const Machine machine_;
  const std::map<JobRef, const Reservation*> promised_;
  std::set<AttemptRef> ended_;          // by the plan, with its grace
  std::map<std::size_t, Cells> cells_;  // by pool, with what the plan starts and promises
};

Stay PromiseCheck::StayOf(const Holding& attempt) const {
  const TimeMs told = world_.EndIfTold(attempt, basis_.now_ms);
  if (ended_.contains(attempt.attempt)) return {told, told};
  return {world_.GoneBy(attempt, basis_.now_ms), world_.EndOf(attempt, basis_.now_ms)};
}

Cells PromiseCheck::MakeCells(std::size_t pool) {
  Cells cells = world_.seats().cells(pool);
  for (std::size_t i = 0; i < plan_.starts.size(); ++i) {
    const Waiting& job = world_.waiting().at(plan_.starts[i].row);
    Stay stay = world_.StayOf(job, basis_.now_ms);
    stay.gone_by_ms -= world_.config().late_ms;  // a promise may begin late as well
    stay.end_ms -= world_.config().late_ms;
    const Seatings seatings = SeatingsOf(machine_, plan_.starts[i].placement);
    for (const auto& [cell, gpus] : cells.Cover(In(seatings, pool))) {
      cells.at(cell).started.push_back({stay, UseOf(job.spec->shape, gpus), i});
    }
  }
  for (const ReservationChange& change : plan_.reservations) {
    const auto promised = promised_.find(change.reservation.row);
    if (promised == promised_.end() || promised->second != &change.reservation) continue;
    const Seatings seatings = SeatingsOf(machine_, change.reservation.placement);
    for (const auto& [cell, gpus] : cells.Cover(In(seatings, pool))) {
      cells.at(cell).promised.push_back({promised->second, gpus});
    }
  }
  for (Cells::Index i = 0; i < cells.all().size(); ++i) {
    for (Cell::Held& held : cells.at(i).held) held.stay = StayOf(*held.attempt);
  }
  return cells;
}

void PromiseCheck::AddPromised(const Cell::Kept& kept, TimeMs moment, NodeUse& sum) const {
  const Reservation& promise = *kept.promise;
  const TimeMs begin = std::max(basis_.now_ms, promise.from_ms);
  const TimeMs end = std::max(basis_.now_ms, promise.from_ms + world_.config().late_ms) +
                     world_.Occupies(promise.limit_ms);
  if (begin <= moment && moment < end) AddUse(UseOf(promise.shape, kept.gpus), sum);
}

// What the plan starts excepted. For what is being made room for nobody but its victims is ended.
NodeUse PromiseCheck::UseAt(const Cell& cell, bool claim, TimeMs moment) const {
  NodeUse sum;
  for (const Cell::Held& held : cell.held) {
    if ((claim ? held.stay.end_ms : held.stay.gone_by_ms) > moment) AddUse(held.use, sum);
  }
  for (const Cell::Kept& kept : cell.reserved) {  // as long as it is promised as it was
    const auto now = promised_.find(kept.promise->row);
    if (now != promised_.end() && now->second == kept.promise) AddPromised(kept, moment, sum);
  }
  for (const Cell::Kept& kept : cell.promised) AddPromised(kept, moment, sum);
  return sum;
}

// Its nodes are its own at its time; a start that keeps it from them is what breaks the rule.
std::optional<Violation> PromiseCheck::Check(const Reservation& promise) {
  const auto change = ChangeOf(plan_, promise.row);
  const bool claim = !promise.victims.empty();
  const TimeMs moment = std::max(basis_.now_ms, promise.from_ms);
  const Seatings seatings =
      change ? SeatingsOf(machine_, promise.placement) : *world_.seats().Of(promise.row);
  std::size_t seats = 0;
  bool fits = true;
  std::optional<std::size_t> first;  // start that it no longer fits beside
  for (const auto& [pool, of] : seatings) {
    seats += of.size();
    if (!cells_.contains(pool)) cells_.emplace(pool, MakeCells(pool));
    const Cells& cells = cells_.at(pool);
    for (const Cells::Index i : cells.Touched(of)) {
      const Cell& cell = cells.at(i);
      const Node& node = world_.nodes().at(machine_.pools()[pool].layout->spots[cell.first].name);
      NodeUse use = UseAt(cell, claim, moment);
      fits &= Has(node, use);
      for (const Cell::Span& start : cell.started) {
        if ((claim ? start.stay.end_ms : start.stay.gone_by_ms) <= moment) continue;
        AddUse(start.use, use);
        if (Has(node, use)) continue;
        first = std::min(first.value_or(start.nth), start.nth);
        break;
      }
    }
  }
  if (!fits || seats != promise.placement.size()) {
    if (!change) return std::nullopt;  // what runs longer than it was to: moved at the next tick
    return Violation{Decision::kReservation, *change, "a reservation's nodes are not free for it"};
  }
  if (!first) return std::nullopt;
  return Violation{Decision::kStart, *first,
                   "the reservation of job " + ToText(promise.row) + " is delayed"};
}

std::optional<Violation> PromiseCheck::Run() {
  for (const auto& [row, promise] : promised_) {
    if (!world_.waiting().contains(row)) continue;
    if (auto violation = Check(*promise)) return violation;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Violation> BrokenPromise(const Basis& basis, const Plan& plan) {
  if (basis.world->reservations().empty() && plan.reservations.empty()) return std::nullopt;
  return PromiseCheck(basis, plan).Run();
}

}  // namespace kezek::engine

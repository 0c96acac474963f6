// After the walk: promises move earlier where what it left allows, and scavengers, which may run on
// promised nodes until just before their time, their grace included, leave them.

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/engine/passes.h"
#include "scheduler/engine/reserve.h"

namespace kezek::engine {
namespace {

// Those that have to be told now, or whose time has not come; the dearest first.
std::vector<const Holding*> ScavengersOn(const World& world, const Draft& draft,
                                         const Reservation& promise, bool due_now) {
  std::set<AttemptRef> seen;  // or ended already
  for (const Preempt& preempt : draft.plan.preempts) seen.insert(preempt.victim);
  std::vector<std::pair<MilliGpuMs, const Holding*>> due;
  for (const NodeGrant& grant : promise.placement) {
    for (const AttemptRef& ref : world.on(grant.node)) {
      const Holding& attempt = world.holdings().at(ref);
      const TimeMs gone_by = draft.now_ms + attempt.grace_ms;
      if (!attempt.counts || attempt.ends_by_ms != 0 || !world.CountOf(attempt).scavenger) continue;
      const bool is_due = gone_by + world.config().improve_ms >= promise.from_ms;
      if (is_due != due_now || !seen.insert(ref).second) continue;
      const DurationMs ran = attempt.start_ms == 0 ? 0 : draft.now_ms - attempt.start_ms;
      due.push_back({attempt.counted_milli * ran, &attempt});
    }
  }
  std::sort(due.begin(), due.end(), [](const auto& a, const auto& b) {
    return std::tuple(-a.first, a.second->attempt) < std::tuple(-b.first, b.second->attempt);
  });
  std::vector<const Holding*> attempts;
  for (const auto& [cost, attempt] : due) attempts.push_back(attempt);
  return attempts;
}

// The dearest that can stay beside it stay.
void ClearFor(const World& world, Draft& draft, Agenda& agenda, const Reservation& promise) {
  Reservation claim = promise;
  const auto go = [&](const Holding& attempt) {
    const TimeMs gone_by = draft.now_ms + attempt.grace_ms;
    agenda.End(attempt.attempt, gone_by);
    claim.from_ms = std::max(claim.from_ms, gone_by);
    claim.victims.push_back(attempt.attempt);
    draft.plan.preempts.push_back({attempt.attempt, promise.row, draft.plan.starts.size()});
  };
  for (const Holding* attempt : ScavengersOn(world, draft, promise, true)) {
    agenda.End(attempt->attempt, world.EndOf(*attempt, draft.now_ms));
    if (!agenda.Holds(promise)) go(*attempt);
  }
  if (claim.victims.empty()) return;
  // From now on nobody but its victims is ended for it.
  const auto others = ScavengersOn(world, draft, promise, false);
  for (const Holding* attempt : others) {
    agenda.End(attempt->attempt, draft.now_ms + attempt->grace_ms);
  }
  for (const Holding* attempt : others) {
    agenda.End(attempt->attempt, world.EndOf(*attempt, draft.now_ms));
    if (!agenda.Holds(claim)) go(*attempt);
  }
  agenda.Promise(claim);
  Reason reason = UnderWay(world, claim);
  const bool late = claim.from_ms > std::max(promise.from_ms, draft.now_ms);
  if (late) reason.fields["why"] = "grace";
  Note(world, draft,
       {std::move(claim), late ? ReservationNews::kLater : ReservationNews::kGiven,
        std::move(reason)});
}

void ImproveOne(const World& world, Draft& draft, Agenda& agenda, const Reservation& promise) {
  const JobSpec& spec = *world.waiting().at(promise.row).spec;
  auto slot = agenda.Earliest({&spec, spec.within, false}, promise.limit_ms, promise.row,
                              draft.now_ms, promise.from_ms);
  // What could start at once takes its turn in the order.
  if (!slot || slot->from_ms <= draft.now_ms) return;
  Reservation earlier = promise;
  earlier.from_ms = slot->from_ms;
  earlier.placement = std::move(slot->placement);
  earlier.shape = spec.shape;
  earlier.counted_milli = world.CountedOn(earlier.shape, earlier.placement);
  agenda.Promise(earlier);
  Reason reason = ReservedAt(earlier);
  Note(world, draft, {std::move(earlier), ReservationNews::kEarlier, std::move(reason)});
}

}  // namespace

void Improve(const World& world, Draft& draft) {
  if (!world.improves()) return;
  for (auto& [key, agenda] : draft.agendas) {
    std::vector<Reservation> promises;
    for (const auto& [row, promise] : agenda.promises()) {
      const bool open = promise.from_ms > draft.now_ms && promise.victims.empty();
      if (open && !draft.reservations.contains(row)) promises.push_back(promise);
    }
    std::stable_sort(promises.begin(), promises.end(), [](const auto& a, const auto& b) {
      return std::tuple(a.from_ms, a.given_ms) < std::tuple(b.from_ms, b.given_ms);
    });
    for (const Reservation& promise : promises) ImproveOne(world, draft, agenda, promise);
  }
}

void ClearPromised(const World& world, Draft& draft) {
  if (!world.config().reclaim) return;
  for (auto& [key, agenda] : draft.agendas) {
    const std::map<JobRef, Reservation> promises = agenda.promises();
    for (const auto& [row, promise] : promises) {
      if (promise.victims.empty()) ClearFor(world, draft, agenda, promise);
    }
  }
}

}  // namespace kezek::engine

// Promises move earlier after the walk, where what it left allows. Scavengers, which may run on
// promised nodes until just before their time, their grace included, leave them: before the walk,
// so that nobody starts where others are told to go, and after it for what it has promised.

#include <algorithm>
#include <set>
#include <string>
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
      const TimeMs gone_by = world.EndIfTold(attempt, draft.now_ms);
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

// Who goes for one promise.
class Clearing {
 public:
  Clearing(const World& world, Draft& draft, Agenda& agenda, const Reservation& promise)
      : world_(world), draft_(draft), agenda_(agenda), promise_(promise), claim_(promise) {}

  // The dearest that can stay beside it stay.
  void Choose() {
    considered_ = ScavengersOn(world_, draft_, promise_, true);
    for (const Holding* attempt : considered_) {
      agenda_.End(attempt->attempt, world_.EndOf(*attempt, draft_.now_ms));
      if (!agenda_.Holds(promise_)) Go(*attempt);
    }
    if (claim_.victims.empty()) return;
    // From then on nobody but its victims is ended for it.
    const auto others = ScavengersOn(world_, draft_, promise_, false);
    for (const Holding* attempt : others) {
      agenda_.End(attempt->attempt, world_.EndIfTold(*attempt, draft_.now_ms));
    }
    for (const Holding* attempt : others) {
      agenda_.End(attempt->attempt, world_.EndOf(*attempt, draft_.now_ms));
      if (!agenda_.Holds(claim_)) Go(*attempt);
    }
    considered_.insert(considered_.end(), others.begin(), others.end());
  }

  // Told too late, for whatever reason, it is late itself, and what is promised behind it gives
  // way: taken from the agenda here.
  std::vector<const Reservation*> TakeBehind() {
    std::vector<const Reservation*> behind;
    if (claim_.from_ms <= promise_.from_ms) return behind;
    std::set<std::string> nodes;
    for (const NodeGrant& grant : claim_.placement) nodes.insert(grant.node);
    for (const auto& [row, other] : agenda_.promises()) {
      const bool meets = std::any_of(other->placement.begin(), other->placement.end(),
                                     [&](const auto& grant) { return nodes.contains(grant.node); });
      const bool after = other->from_ms > claim_.from_ms && other->from_ms < agenda_.EndOf(claim_);
      if (row != claim_.row && meets && after && other->victims.empty()) behind.push_back(other);
    }
    for (const Reservation* other : behind) agenda_.Withdraw(other->row);
    return behind;
  }

  bool Holds() const { return !claim_.victims.empty() && agenda_.Holds(claim_); }

  void Carry(bool holds) {
    for (const Holding* attempt : considered_) {
      const auto& victims = claim_.victims;
      const bool goes =
          std::find(victims.begin(), victims.end(), attempt->attempt) != victims.end();
      if (!holds || !goes) agenda_.Unend(attempt->attempt);
    }
    if (!holds) return;
    for (const AttemptRef& victim : claim_.victims) {
      draft_.plan.preempts.push_back({victim, promise_.row, draft_.plan.starts.size()});
    }
    agenda_.Promise(claim_);
    Reason reason = UnderWay(world_, claim_);
    const bool late = claim_.from_ms > std::max(promise_.from_ms, draft_.now_ms);
    if (late) reason.fields["why"] = "grace";
    const auto news = late ? ReservationNews::kLater : ReservationNews::kGiven;
    Note(world_, draft_, {claim_, news, std::move(reason)});
  }

 private:
  void Go(const Holding& attempt) {
    const TimeMs gone_by = world_.EndIfTold(attempt, draft_.now_ms);
    agenda_.End(attempt.attempt, gone_by);
    claim_.from_ms = std::max(claim_.from_ms, gone_by);
    claim_.victims.push_back(attempt.attempt);
  }

  const World& world_;
  Draft& draft_;
  Agenda& agenda_;
  const Reservation& promise_;  // as long as the agenda, withdrawn or not
  Reservation claim_;
  std::vector<const Holding*> considered_;
};

// Nobody goes if what has just started there is to go at its time only: at the next tick all do.
void ClearFor(const World& world, Draft& draft, Agenda& agenda, const Reservation& promise) {
  Clearing clearing(world, draft, agenda, promise);
  clearing.Choose();
  std::vector<const Reservation*> behind;
  if (!clearing.Holds()) behind = clearing.TakeBehind();
  clearing.Carry(clearing.Holds());
  for (const Reservation* other : behind) {
    if (agenda.Holds(*other)) {
      agenda.Promise(*other);
    } else {
      MoveLater(world, draft, agenda, *other, "grace");
    }
  }
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
    std::vector<const Reservation*> promises;
    for (const auto& [row, promise] : agenda.promises()) {
      const bool open = promise->from_ms > draft.now_ms && promise->victims.empty();
      if (open && !draft.reservations.contains(row)) promises.push_back(promise);
    }
    std::stable_sort(promises.begin(), promises.end(), [](const auto* a, const auto* b) {
      return std::tuple(a->from_ms, a->given_ms) < std::tuple(b->from_ms, b->given_ms);
    });
    for (const Reservation* promise : promises) ImproveOne(world, draft, agenda, *promise);
  }
}

void ClearPromised(const World& world, Draft& draft, Agenda& agenda) {
  if (!world.config().reclaim) return;
  std::vector<JobRef> rows;
  for (const auto& [row, promise] : agenda.promises()) rows.push_back(row);
  for (const JobRef& row : rows) {
    const Reservation* promise = agenda.Of(row);  // another one's may have moved it
    if (promise != nullptr && promise->victims.empty()) ClearFor(world, draft, agenda, *promise);
  }
}

void ClearPromised(const World& world, Draft& draft) {
  for (auto& [key, agenda] : draft.agendas) ClearPromised(world, draft, agenda);
}

}  // namespace kezek::engine

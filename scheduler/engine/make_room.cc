// What is done about a job that finds no room: attempts that it may end make it room; inside its
// guarantee it goes before what is promised to other projects; else nodes are promised to it.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

#include "scheduler/engine/pool_walk.h"
#include "scheduler/engine/reserve.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

// What is asked of nodes whenever they are free: no preference.
Request DemandOf(const JobSpec& spec) { return {&spec, spec.within, false}; }

bool WaitsForRoom(ReasonCode code) {
  return code == ReasonCode::kWaitsForGpus || code == ReasonCode::kWaitsForDomain ||
         code == ReasonCode::kReservationAhead || code == ReasonCode::kReservedByAdmin;
}

}  // namespace

PoolWalk::Asked PoolWalk::AskedBy(const Blocked& blocked) {
  return {blocked.candidate.project, blocked.count.job_class, DemandOf(*blocked.job.spec)};
}

// Of a job that finds no room, and has no promise: whether anything may be done about it.
bool PoolWalk::MayBeMadeRoom(const quota::Candidate& candidate, const Waiting& row) {
  const quota::OrderJob& job = *candidate.job;
  if (job.scavenger) return false;
  if (candidate.inside) return true;
  const bool may_reclaim = victims_ && victims_->asks() < world_.config().reclaim_asks;
  if (may_reclaim &&
      (IsInsideSomewhere(candidate.project, job.counted_milli) || victims_->AnybodyMayAsk())) {
    return true;
  }
  return passed_outside_ < world_.config().reservations && Waited(row) && IsWide(*row.spec);
}

// True: it has started, or what is to go for it is on its way. Else `held` may say more.
bool PoolWalk::MakeRoom(const Blocked& blocked, Held& held) {
  // Inside an admin's reservation nobody is ended, and nothing promised.
  if (!WaitsForRoom(held.reason->code) || !blocked.job.spec->reservation.empty()) return false;
  if (Reclaim(blocked)) return true;
  if (blocked.candidate.inside && PushThrough(blocked)) return true;
  if (const Reservation* own = agenda_->Of(blocked.job.ref)) {
    held = InThisTick(ReservedAt(*own));
    return false;
  }
  const bool ahead = held.reason->code == ReasonCode::kReservationAhead ||
                     held.reason->code == ReasonCode::kReservedByAdmin;
  if (blocked.candidate.inside && !ahead && fragmented_.contains(AskedBy(blocked))) {
    Reason reason = *held.reason;
    AddOfRow(blocked.candidate, reason);
    reason.code = ReasonCode::kGuaranteeFragmented;
    held = InThisTick(std::move(reason));
  }
  if (!blocked.count.scavenger && Waited(blocked.job) && IsWide(*blocked.job.spec)) {
    // More of either kind would get no place.
    const bool inside = blocked.candidate.inside;
    const std::int32_t most = world_.config().reservations / (inside ? 2 : 1);
    std::int32_t& passed = inside ? passed_inside_ : passed_outside_;
    if (passed < most) {
      ++passed;
      passed_.push_back({&blocked.job, inside});
    }
  }
  return false;
}

bool PoolWalk::Waited(const Waiting& job) const {
  const DurationMs least = world_.config().reserve_after_ms;
  return least <= 0 || draft_.now_ms - job.queued_since_ms >= least;
}

bool PoolWalk::IsWide(const JobSpec& spec) const {
  const std::int64_t least = world_.config().reserve_width_percent;
  const std::int64_t nodes = pool_ == nullptr ? 0 : std::ssize(pool_->nodes);
  return std::int64_t{spec.shape.nodes} * 100 >= least * nodes;
}

bool PoolWalk::Reclaim(const Blocked& blocked) {
  const Asked asked = AskedBy(blocked);
  if (!victims_ || no_victims_.contains(asked)) return false;
  if (victims_->asks() >= world_.config().reclaim_asks) return false;
  const auto choice = victims_->For(blocked.job, blocked.count, std::get<Request>(asked));
  if (!choice) {
    no_victims_.insert(asked);
    const bool fits = !blocked.candidate.inside ||
                      victims_->WillFit(blocked.job, blocked.count, std::get<Request>(asked));
    if (!fits) fragmented_.insert(asked);
    return false;
  }
  const Reservation* own = agenda_->Of(blocked.job.ref);
  const bool under_way = own != nullptr && !own->victims.empty();  // for another element
  if (under_way || (own != nullptr && own->from_ms <= choice->gone_by_ms))
    return false;  // no sooner
  victims_->Take(*choice);
  const JobRef& row = blocked.job.ref;
  const JobSpec& spec = *blocked.job.spec;
  for (const AttemptRef& victim : choice->attempts) {
    const Holding& attempt = world_.holdings().at(victim);
    agenda_->End(victim, world_.EndIfTold(attempt, draft_.now_ms));
    draft_.plan.preempts.push_back({victim, row, draft_.plan.starts.size()});
    free_milli_ += attempt.counted_milli;
  }
  const Reservation claim{.row = row,
                          .from_ms = choice->gone_by_ms,
                          .limit_ms = spec.time_limit_ms,
                          .shape = spec.shape,
                          .placement = choice->placement,
                          .counted_milli = world_.CountedOn(spec.shape, choice->placement),
                          .inside = blocked.candidate.inside,
                          .given_ms = draft_.now_ms,
                          .victims = choice->attempts};
  agenda_->Promise(claim);
  ForgetNoRoom();
  Reason reason = UnderWay(world_, claim);
  Note(world_, draft_, {claim, ReservationNews::kGiven, reason});
  const Given given = AddClaim(world_, draft_, blocked.job, claim);
  Count(blocked.candidate.project, given.count);
  Wait(blocked.candidate, InThisTick(std::move(reason)));
  claimed_.insert(row);
  disturbed_.insert(blocked.job.spec->project);
  order_.Start({given.count.counted_milli, given.expected_charge});
  return true;
}

// Promises of other projects do not stand in the way of what is inside its guarantee; what they
// need is found anew behind it. A reclaim under way is not undone.
bool PoolWalk::PushThrough(const Blocked& blocked) {
  const Asked asked{blocked.candidate.project, blocked.count.job_class, blocked.request};
  if (no_way_through_.contains(asked)) return false;
  std::vector<const Reservation*> others;
  for (const auto& [row, promise] : agenda_->promises()) {
    const bool own = world_.waiting().at(row).spec->project == blocked.job.spec->project;
    if (!own && promise->victims.empty()) others.push_back(promise);
  }
  if (others.empty()) return false;
  std::stable_sort(others.begin(), others.end(), [](const auto* a, const auto* b) {
    return std::pair(a->given_ms, a->row) < std::pair(b->given_ms, b->row);
  });
  for (const Reservation* other : others) agenda_->Withdraw(other->row);
  const Stay stay = world_.StayOf(blocked.job, draft_.now_ms);
  auto placement = agenda_->PlaceNow(blocked.request, stay, blocked.job.ref);
  const MilliGpus kept = kept_.From(blocked.candidate.project);
  const bool starts = placement && (kept == 0 || free_milli_ - blocked.count.counted_milli >= kept);
  if (starts) StartOn(blocked.candidate, blocked.job, std::move(*placement));
  for (const Reservation* other : others) {
    if (starts && !agenda_->Holds(*other)) {
      MoveLater(world_, draft_, *agenda_, *other, "guarantee");
    } else {
      agenda_->Promise(*other);
    }
  }
  ForgetNoRoom();
  if (!starts) no_way_through_.insert(asked);
  pushed_ = starts;
  return starts;
}

// Free places among the promises go to the first in the order that have none, now that a later job
// is about to start past them. Whether any was given.
bool PoolWalk::GivePlaces() {
  bool given = false;
  passed_inside_ = passed_outside_ = 0;
  for (const Passed& passed : std::exchange(passed_, {})) {
    given |= Promise(*passed.job, passed.inside);
  }
  return given;
}

// Whether a place is free for what is inside its guarantee, or is not.
bool PoolWalk::MayPromise(bool inside) const {
  const std::int32_t most = world_.config().reservations;
  std::int32_t alive = 0;
  std::int32_t alive_inside = 0;
  for (const auto& [row, promise] : agenda_->promises()) {
    if (!promise->victims.empty()) continue;
    ++alive;
    alive_inside += promise->inside ? 1 : 0;
  }
  return alive < most && (!inside || alive_inside < most / 2);
}

bool PoolWalk::Promise(const Waiting& job, bool inside) {
  if (!MayPromise(inside)) return false;
  const JobSpec& spec = *job.spec;
  const Request demand = DemandOf(spec);
  if (never_free_.contains(demand)) return false;
  auto slot = agenda_->Earliest(demand, spec.time_limit_ms, job.ref, draft_.now_ms, kEver);
  if (!slot) {
    never_free_.insert(demand);
    return false;
  }
  Reservation promise{.row = job.ref,
                      .from_ms = slot->from_ms,
                      .limit_ms = spec.time_limit_ms,
                      .shape = spec.shape,
                      .placement = std::move(slot->placement),
                      .inside = inside,
                      .given_ms = draft_.now_ms};
  promise.counted_milli = world_.CountedOn(spec.shape, promise.placement);
  agenda_->Promise(promise);
  ForgetNoRoom();
  Reason reason = ReservedAt(promise);
  if (key_.shared()) {
    told_[job.ref] = std::make_shared<const Reason>(reason);
  } else {
    waits_[job.ref].reason = reason;
  }
  Note(world_, draft_, {std::move(promise), ReservationNews::kGiven, std::move(reason)});
  return true;
}

}  // namespace kezek::engine

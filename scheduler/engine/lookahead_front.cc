// What stands before a job, and whether the walk comes to it.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "scheduler/engine/lookahead.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {

// By a budget, however much room there is.
bool Lookahead::HeldBack(const Waiting& job) const {
  return IsOfBudget(StandingOf(job.ref)->reason);
}

// What accounts have of the pool once the job is in the queue.
Lookahead::Shares Lookahead::SharesWith(const Waiting& job, const PoolKey& key) const {
  const auto entitled = draft_.entitled.find(key.gpu_type);
  if (key.shared() && entitled != draft_.entitled.end()) {
    return {draft_.running.AllocatedByIndex(world_.tree(), key.gpu_type),
            GuaranteesWith(job, world_.CountOf(job), key.gpu_type)};
  }
  const auto size = static_cast<std::size_t>(world_.tree().size());
  return {std::vector<MilliGpus>(size, 0),
          quota::GuaranteesNow(std::vector<quota::Entitlement>(size))};
}

// Whether what waits is stopped where accounts have this: guarantees that are others than those of
// the plan may stop what it found no room for, and no longer stop what it did.
bool Lookahead::IsStoppedWith(const Shares& shares, const Waiting& other,
                              const PoolKey& key) const {
  const Reason& reason = StandingOf(other.ref)->reason;
  if (IsStop(reason) && reason.code != ReasonCode::kClassNotPreemptible) return true;
  quota::JobCount count = world_.CountOf(other);
  count.apart = !key.shared();
  const ClassRules& rules = world_.ClassOf(count.job_class);
  const Reason outside = quota::OutsideGuarantee(world_.tree(), rules, count,
                                                 shares.allocated_milli, shares.guarantee_milli);
  return outside.code != ReasonCode::kNone;
}

Lookahead::Front Lookahead::FrontOf(const Waiting& job) const {
  const PoolKey key = PoolsFor(world_.apart(), world_.tree(), *job.spec).back();
  const JobStanding* standing = StandingOf(job.ref);
  if (standing == nullptr) {
    Front front = FrontOfNew(job, key);
    front.looked = front.known && ComesTo(job, front.jobs);
    return front;
  }
  Front front;
  front.looked = standing->rank > 0;
  const auto walked = waiting_.find(key);
  if (walked == waiting_.end()) return front;
  for (const Waiting* other : walked->second) {
    if (other->ref == job.ref) return front;
    if (!HeldBack(*other)) front.jobs.push_back(other);
  }
  front.known = complete_;
  return front;
}

// The walk again, with the new job: those that it comes to before.
Lookahead::Front Lookahead::FrontOfNew(const Waiting& job, const PoolKey& key) const {
  Front front;
  const quota::WaitingJobs* orders = nullptr;
  if (key.shared()) {
    const auto found = world_.order().find(key.gpu_type);
    if (found != world_.order().end()) orders = &found->second;
  } else if (const auto found = world_.apart_order().find(key);
             found != world_.apart_order().end()) {
    orders = &found->second;
  }
  if (orders == nullptr) return front;
  quota::WaitingJobs waiting;
  for (const auto& [id, project] : orders->projects()) {
    for (const auto& [ref, entry] : project.jobs) waiting.Set(entry.job);
  }
  waiting.Set(world_.OrderOf(job));
  waiting.Arrange(world_.tree());
  const Shares shares = SharesWith(job, key);
  quota::OrderTree order({.tree = &world_.tree(),
                          .gpu_type = key.gpu_type,
                          .waiting = &waiting,
                          .running_milli = shares.allocated_milli,
                          .guarantee_milli = shares.guarantee_milli,
                          .usage = &world_.usage(key.gpu_type),
                          .now_ms = draft_.now_ms});
  std::size_t left = 0;  // ranked, and to come
  if (const auto walked = waiting_.find(key); walked != waiting_.end()) {
    left = walked->second.size();
  }
  while (const auto next = order.Next()) {
    const JobRef ref = next->job->ref;
    if (ref == job.ref) {
      front.known = complete_ || left > 0;
      return front;
    }
    const JobStanding* standing = StandingOf(ref);
    // With the new one in the queue the walk may come to others.
    if (standing != nullptr && standing->reason.code == ReasonCode::kNotLookedAt) break;
    const bool waits = standing != nullptr && standing->rank > 0;
    if (waits) {
      --left;
      const Waiting& other = world_.waiting().at(ref);
      if (!HeldBack(other)) front.jobs.push_back(&other);
    }
    const bool stopped = waits && IsStoppedWith(shares, world_.waiting().at(ref), key);
    stopped ? order.PassOver() : order.Take(false);
    order.DropRest();
  }
  front.known = false;
  return front;
}

// Whatever stands before it there.
bool Lookahead::ComesToDedicated(const PoolKey& key) const {
  const auto order = world_.apart_order().find(key);
  if (!key.account || order == world_.apart_order().end()) return true;
  const auto rows = static_cast<std::int64_t>(order->second.size());
  return rows < std::min(world_.config().look, world_.config().look_project);
}

// The walk looks at so many that are blocked, of one project at so many; others of a shape that has
// found no room count for nothing.
bool Lookahead::ComesTo(const Waiting& job, const std::vector<const Waiting*>& before) const {
  for (const auto& [ref, standing] : standings_) {
    const bool left = standing.reason.code == ReasonCode::kNotLookedAt;
    if (left && world_.waiting().at(ref).spec->project == job.spec->project) return false;
  }
  std::map<PoolKey, Shares> shares;
  std::set<std::pair<Request, Agenda::Crossed>> known;
  std::int32_t looked = 0;
  std::int32_t looked_of_project = 0;
  for (const Waiting* other : before) {
    const Reason& reason = StandingOf(other->ref)->reason;
    const PoolKey key = PoolsFor(world_.apart(), world_.tree(), *other->spec).back();
    if (world_.ClassOf(other->spec->job_class).preemptible) {  // no guarantee stops it
      if (IsStop(reason)) continue;
    } else {
      if (!shares.contains(key)) shares[key] = SharesWith(job, key);
      if (IsStoppedWith(shares.at(key), *other, key)) continue;
    }
    const auto agenda = draft_.agendas.find(key);
    const TimeMs now = draft_.now_ms;
    Agenda::Crossed crossed{};
    bool promised = false;
    if (agenda != draft_.agendas.end()) {
      crossed = agenda->second.CrossedBy(world_.StayOf(*other, now));
      promised = agenda->second.Of(other->ref) != nullptr;
    }
    const Request request =
        RequestOf(*other->spec, other->queued_since_ms, now, world_.config().topology_wait_ms);
    const bool kept = reason.code == ReasonCode::kGuaranteeProtected;
    if (!kept && !promised && !known.insert({request, crossed}).second) continue;
    ++looked;
    if (other->spec->project == job.spec->project) ++looked_of_project;
  }
  // With a margin: the job itself may change what is looked at before it.
  return 2 * looked < world_.config().look && 2 * looked_of_project < world_.config().look_project;
}

}  // namespace kezek::engine

// Keeping what is promised.

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "scheduler/engine/kept.h"
#include "scheduler/engine/node_fit.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/reserve.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

bool AsksForMore(const JobSpec& spec, const Reservation& promise) {
  const Shape& now = spec.shape;
  const Shape& then = promise.shape;
  return spec.time_limit_ms > promise.limit_ms || now.gpu_type != then.gpu_type ||
         now.nodes > then.nodes || now.gpus_per_node > then.gpus_per_node ||
         now.cpus_per_node > then.cpus_per_node ||
         now.memory_mib_per_node > then.memory_mib_per_node || now.exclusive != then.exclusive;
}

// Of one pool.
class Keeper {
 public:
  Keeper(const World& world, Draft& draft, const PoolKey& key, Agenda& agenda)
      : world_(world), draft_(draft), key_(key), agenda_(agenda) {}
  // `promises`: those with nodes of this pool.
  void Run(std::vector<const Reservation*> promises);

 private:
  const Waiting& JobOf(const Reservation& promise) const {
    return world_.waiting().at(promise.row);
  }
  bool IsOver(const Reservation& promise, Reason& why) const;
  Reason StopNow(const Reservation& promise) const;
  bool HasItsNodes(const Reservation& promise) const;
  void Move(const Reservation& promise, const std::string& why);
  std::string WhyPushed(const Reservation& promise) const;
  void StartDue(const Reservation& promise);
  bool CanStart(const Reservation& promise) const;
  void End(const Reservation& promise, Reason why) {
    Note(world_, draft_, {promise, ReservationNews::kEnded, std::move(why)});
  }

  const World& world_;
  Draft& draft_;
  const PoolKey& key_;
  Agenda& agenda_;
};

void Keeper::Run(std::vector<const Reservation*> promises) {
  std::sort(promises.begin(), promises.end(), [](const Reservation* a, const Reservation* b) {
    return std::tuple(a->given_ms, a->row) < std::tuple(b->given_ms, b->row);
  });
  std::vector<const Reservation*> lost;
  for (const Reservation* promise : promises) {
    Reason why;
    if (IsOver(*promise, why)) {
      End(*promise, std::move(why));
    } else if (HasItsNodes(*promise)) {
      agenda_.Promise(*promise);
    } else {
      lost.push_back(promise);
    }
  }
  std::vector<const Reservation*> pushed;   // by what runs longer than it was to
  for (const bool claim : {false, true}) {  // what gives way to a reclaim that is late first
    for (const Reservation* promise : promises) {
      if (promise->victims.empty() == claim || agenda_.Of(promise->row) == nullptr) continue;
      if (agenda_.Holds(*promise)) continue;
      agenda_.Withdraw(promise->row);
      pushed.push_back(promise);
    }
  }
  for (const Reservation* promise : lost) Move(*promise, "node");
  for (const Reservation* promise : pushed) Move(*promise, WhyPushed(*promise));
  std::vector<const Reservation*> kept;
  for (const auto& [row, promise] : agenda_.promises()) kept.push_back(promise);
  // Those first that have to be inside their guarantees.
  const auto order = [this](const Reservation* promise) {
    const bool preemptible = world_.ClassOf(JobOf(*promise).spec->job_class).preemptible;
    return std::tuple(preemptible, promise->from_ms, promise->given_ms);
  };
  std::stable_sort(kept.begin(), kept.end(),
                   [&](const auto* a, const auto* b) { return order(a) < order(b); });
  for (const Reservation* promise : kept) StartDue(*promise);
  ClearPromised(world_, draft_, agenda_);  // before others start across it
  for (const auto& [row, promise] : agenda_.promises()) {
    if (promise->victims.empty()) continue;
    const Given given = AddClaim(world_, draft_, JobOf(*promise), *promise);
    ++draft_.started[row];
    draft_.charged[key_.gpu_type][{given.count.project, given.count.user}] +=
        given.count.scavenger ? 0 : given.expected_charge;
    draft_.plan.waiting.Set(row, *JobOf(*promise).spec, {.reason = UnderWay(world_, *promise)});
  }
}

// What was made room for where it cannot be any more begins anew, in its turn.
void Keeper::Move(const Reservation& promise, const std::string& why) {
  if (!promise.victims.empty()) return End(promise, {ReasonCode::kReservedAt, {{"why", why}}});
  MoveLater(world_, draft_, agenda_, promise, why);
}

// An admin has reserved its nodes; launches and ends of what is there may take longer than they
// should, or its grace; others may use its nodes; else what is there has got more time.
std::string Keeper::WhyPushed(const Reservation& promise) const {
  for (const auto& [name, reservation] : world_.directory().reservations) {
    const TimeMs from = std::max(draft_.now_ms, promise.from_ms);
    if (!FirstIn(reservation, from, agenda_.EndOf(promise))) continue;
    const bool meets = std::any_of(
        promise.placement.begin(), promise.placement.end(),
        [&of = reservation](const NodeGrant& grant) { return HasNode(of, grant.node); });
    if (meets) return "admin:" + name;
  }
  bool grace = false;
  bool foreign = false;
  for (const NodeGrant& grant : promise.placement) {
    for (const AttemptRef& ref : world_.on(grant.node)) {
      const Holding& attempt = world_.holdings().at(ref);
      if (attempt.start_ms == 0 || world_.EndOf(attempt, draft_.now_ms) <= draft_.now_ms)
        return "late";
      grace |= attempt.ends_by_ms != 0;
    }
    const auto node = world_.nodes().find(grant.node);
    foreign |= node != world_.nodes().end() && node->second.foreign_gpus > 0;
  }
  return grace ? "grace" : foreign ? "foreign" : "extension";
}

// Its job waits no more, is stopped by a limit or budget, or asks for more; `why`: what stops it.
bool Keeper::IsOver(const Reservation& promise, Reason& why) const {
  const auto job = world_.waiting().find(promise.row);
  if (job == world_.waiting().end() || world_.IsBarred(promise.row)) return true;
  const auto started = draft_.started.find(promise.row);
  const std::int32_t before = started == draft_.started.end() ? 0 : started->second;
  if (StartableCount(job->second) <= before) return true;
  if (AsksForMore(*job->second.spec, promise)) return true;
  if (world_.CountOf(job->second).scavenger) return true;  // by a budget, since it was given
  why = StopNow(promise);
  return why.code != ReasonCode::kNone;
}

// The limit, guarantee or budget that stops it, beside what the plan has given.
Reason Keeper::StopNow(const Reservation& promise) const {
  const Waiting& job = JobOf(promise);
  quota::JobCount count = world_.CountOf(job);
  count.apart = !key_.shared();
  const quota::AccountIndex project = world_.tree().IndexOf(count.project);
  if (!world_.MayBeStopped(project, count.job_class)) return {};
  const auto entitled = draft_.entitled.find(key_.gpu_type);
  const bool known = !count.apart && entitled != draft_.entitled.end();
  const std::vector<MilliGpus> nothing(static_cast<std::size_t>(world_.tree().size()), 0);
  const Reason stop =
      StopOf(world_, draft_.running,
             count.apart ? nothing : draft_.running.AllocatedByIndex(world_.tree(), key_.gpu_type),
             count, known ? quota::GuaranteesNow(entitled->second) : std::vector<MilliGpus>{});
  if (stop.code != ReasonCode::kNone) return stop;
  return StopOf(world_, world_.DrawOf(job, draft_.taken));
}

// They are in service, and still such as the job may have.
bool Keeper::HasItsNodes(const Reservation& promise) const {
  const JobSpec& spec = *JobOf(promise).spec;
  const Pool& pool = *draft_.free.FindPool(key_);
  const auto index = static_cast<std::size_t>(&pool - draft_.free.pools().data());
  const Seating& seats = In(*world_.seats().Of(promise.row), index);
  const bool any = Restricting(spec).empty();  // node of the pool will do
  return seats.size() == promise.placement.size() &&
         std::all_of(seats.begin(), seats.end(), [&](const Seat& seat) {
           return pool.nodes[seat.spot].in_service &&
                  (any || Allowed(pool.layout->spots[seat.spot], spec));
         });
}

// Whether all its nodes are free now. Who asks for less than it did needs no more.
bool Keeper::CanStart(const Reservation& promise) const {
  const bool due = promise.from_ms <= draft_.now_ms || !promise.victims.empty();
  if (!due || promise.shape != JobOf(promise).spec->shape) return false;
  for (const AttemptRef& victim : promise.victims) {
    if (world_.holdings().contains(victim)) return false;
  }
  const TimeMs end = agenda_.EndOf(promise);
  const bool room = agenda_.IsFreeNow(promise, {end, end});
  const auto entitled = draft_.entitled.find(key_.gpu_type);
  if (!room || !key_.shared() || entitled == draft_.entitled.end()) return room;
  const Kept kept(world_.tree(), entitled->second);
  const MilliGpus idle = kept.From(world_.tree().IndexOf(JobOf(promise).spec->project));
  const MilliGpus free = draft_.free.FindPool(key_)->free_gpus * 1000;
  return idle == 0 || free - promise.counted_milli >= idle;
}

void Keeper::StartDue(const Reservation& promise) {
  const auto most = static_cast<std::size_t>(std::max(0, world_.config().starts_max));
  if (!CanStart(promise)) return;
  if (draft_.plan.starts.size() >= most) {
    draft_.plan.more |= !draft_.plan.starts.empty();
    return;
  }
  if (Reason stop = StopNow(promise); stop.code != ReasonCode::kNone) {
    agenda_.Withdraw(promise.row);  // by what has just started
    return End(promise, std::move(stop));
  }
  const Waiting& job = JobOf(promise);
  const auto started = draft_.started.find(job.ref);
  const std::int32_t nth = started == draft_.started.end() ? 0 : started->second;
  Placement placement = promise.placement;
  const Given given = AddStart(world_, draft_, key_, job, nth, std::move(placement));
  ++draft_.started[job.ref];
  draft_.charged[key_.gpu_type][{given.count.project, given.count.user}] +=
      given.count.scavenger ? 0 : given.expected_charge;
}

// By the pool that its nodes are of; those that are nobody's any more have ended.
std::map<PoolKey, std::vector<const Reservation*>> ByPool(const World& world, Draft& draft,
                                                          bool shared) {
  std::map<PoolKey, std::vector<const Reservation*>> by_pool;
  for (const auto& [row, promise] : world.reservations()) {
    const PoolKey* key = nullptr;
    for (const NodeGrant& grant : promise.placement) {
      const Layout::At* at = draft.free.Find(grant.node);
      if (at != nullptr) key = &draft.free.pools()[at->pool].key();
      if (key != nullptr) break;
    }
    const auto job = world.waiting().find(row);
    if (key != nullptr && job != world.waiting().end()) {
      const auto pools = PoolsFor(world.apart(), world.tree(), *job->second.spec);
      if (std::find(pools.begin(), pools.end(), *key) == pools.end()) key = nullptr;
    }
    if (key == nullptr && shared) Note(world, draft, {promise, ReservationNews::kEnded, {}});
    if (key != nullptr && key->shared() == shared) by_pool[*key].push_back(&promise);
  }
  return by_pool;
}

void KeepPools(const World& world, Draft& draft, bool shared) {
  if (!world.LooksAhead()) return;
  auto promises = ByPool(world, draft, shared);
  for (const Pool& pool : draft.free.pools()) {
    if (pool.key().shared() != shared) continue;
    const auto agenda =
        draft.agendas.try_emplace(pool.key(), world, pool.key(), draft.free, draft.now_ms);
    Keeper(world, draft, pool.key(), agenda.first->second).Run(std::move(promises[pool.key()]));
  }
}

}  // namespace

void Note(const World& world, Draft& draft, ReservationChange change) {
  const JobRef row = change.reservation.row;
  const auto before = world.reservations().find(row);
  const auto noted = draft.reservations.find(row);
  const bool known = before != world.reservations().end();
  if (known && noted != draft.reservations.end() && noted->second.reason.fields.contains("why") &&
      change.news != ReservationNews::kEnded &&
      change.reservation.from_ms > std::max(before->second.from_ms, draft.now_ms)) {
    change.news = ReservationNews::kLater;
    change.reason.fields["why"] = noted->second.reason.fields.at("why");
  }
  const bool moved =
      change.news == ReservationNews::kEarlier || change.news == ReservationNews::kLater;
  if (moved && !known) change.news = ReservationNews::kGiven;
  draft.reservations[row] = std::move(change);
}

Reason ReservedAt(const Reservation& reservation) {
  std::string nodes;
  for (const NodeGrant& grant : reservation.placement) {
    nodes += (nodes.empty() ? "" : ",") + grant.node;
  }
  return {ReasonCode::kReservedAt,
          {{"at_ms", std::to_string(reservation.from_ms)}, {"nodes", nodes}}};
}

Reason UnderWay(const World& world, const Reservation& claim) {
  std::int64_t gpus = 0;
  for (const AttemptRef& victim : claim.victims) {
    const auto attempt = world.holdings().find(victim);
    if (attempt == world.holdings().end()) continue;
    for (const NodeGrant& grant : attempt->second.placement) gpus += grant.gpus;
  }
  return {ReasonCode::kReclaimUnderWay, {{"gpus", std::to_string(gpus)}}};
}

void MoveLater(const World& world, Draft& draft, Agenda& agenda, Reservation reservation,
               const std::string& why) {
  const Waiting& job = world.waiting().at(reservation.row);
  auto slot = agenda.Earliest({job.spec.get(), job.spec->within, false}, job.spec->time_limit_ms,
                              job.ref, reservation.from_ms, kEver);
  if (!slot) {
    Note(world, draft,
         {std::move(reservation),
          ReservationNews::kEnded,
          {ReasonCode::kReservedAt, {{"why", why}}}});
    return;
  }
  reservation.from_ms = slot->from_ms;
  reservation.placement = std::move(slot->placement);
  reservation.shape = job.spec->shape;
  reservation.limit_ms = job.spec->time_limit_ms;
  reservation.counted_milli = world.CountedOn(reservation.shape, reservation.placement);
  agenda.Promise(reservation);
  Reason reason = ReservedAt(reservation);
  reason.fields["why"] = why;
  Note(world, draft, {std::move(reservation), ReservationNews::kLater, std::move(reason)});
}

Given AddClaim(const World& world, Draft& draft, const Waiting& job, const Reservation& claim) {
  Given given{world.CountOf(job), world.ExpectedChargeOf(*job.spec, claim.counted_milli)};
  given.count.counted_milli = claim.counted_milli;
  draft.running.Add(world.tree(), given.count);
  Take(world.DrawOf(job, draft.taken), draft.taken);
  return given;
}

void KeepApart(const World& world, Draft& draft) { KeepPools(world, draft, false); }
void Keep(const World& world, Draft& draft) { KeepPools(world, draft, true); }

}  // namespace kezek::engine

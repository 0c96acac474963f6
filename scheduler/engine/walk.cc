// The walk through the order of each pool: start, block or pass over.
#include <algorithm>
#include <limits>
#include <utility>

#include "scheduler/engine/pool_walk.h"
#include "scheduler/engine/ranks.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

// Of pools that are not shared nothing is anybody's by right.
std::vector<quota::Entitlement> EntitledIn(const World& world, const Draft& draft,
                                           const PoolKey& key) {
  if (key.shared()) return draft.entitled.at(key.gpu_type);
  return std::vector<quota::Entitlement>(static_cast<std::size_t>(world.tree().size()));
}

std::vector<MilliGpus> AllocatedIn(const World& world, const Draft& draft, const PoolKey& key) {
  if (key.shared()) return draft.running.AllocatedByIndex(world.tree(), key.gpu_type);
  return std::vector<MilliGpus>(static_cast<std::size_t>(world.tree().size()), 0);
}

// Of projects of which nothing has happened since a tick made their blocks: what users have used
// is as it was, too, within a period of usage.
decltype(quota::OrderInput::own_orders) OwnOrdersIn(const World& world, const Draft& draft,
                                                    const PoolKey& key) {
  if (!key.shared() || draft.charged.contains(key.gpu_type)) return {};
  const KeptBlocks::OfType& kept = world.blocks().Of(key.gpu_type);
  const std::int64_t period = world.usage(key.gpu_type).decay().PeriodOf(draft.now_ms);
  const DurationMs age_ms = draft.now_ms - kept.made_ms;
  if (!kept.known || kept.period != period || age_ms >= world.config().places_keep_ms) return {};
  return [&kept, &world](quota::AccountIndex project) -> std::shared_ptr<const quota::OwnOrder> {
    const AccountId id = world.tree().id(project);
    const auto* block = kept.touched.contains(id) ? nullptr : kept.blocks.Find(id);
    return block == nullptr ? nullptr : ProjectRows::OrderOf(**block);
  };
}

quota::OrderInput InputOf(const World& world, const Draft& draft, const PoolKey& key,
                          const quota::WaitingJobs& waiting,
                          const std::vector<MilliGpus>& allocated,
                          const std::vector<MilliGpus>& guarantees) {
  const auto charged = draft.charged.find(key.gpu_type);
  return {.tree = &world.tree(),
          .gpu_type = key.gpu_type,
          .waiting = &waiting,
          .running_milli = allocated,
          .guarantee_milli = guarantees,
          .usage = &world.usage(key.gpu_type),
          .sums = world.UsageSums(key.gpu_type),
          .now_ms = draft.now_ms,
          .started = charged == draft.charged.end() ? decltype(quota::OrderInput::started){}
                                                    : charged->second,
          .own_orders = OwnOrdersIn(world, draft, key)};
}

}  // namespace

PoolWalk::PoolWalk(const World& world, Draft& draft, const PoolKey& key)
    : world_(world),
      draft_(draft),
      key_(key),
      type_(key_.gpu_type),
      pool_(draft.free.FindPool(key)),
      waiting_(key.shared() ? world.order().at(key.gpu_type) : world.apart_order().at(key)),
      entitled_(EntitledIn(world, draft, key)),
      kept_(world.tree(), entitled_),
      guarantees_(quota::GuaranteesNow(entitled_)),
      allocated_(AllocatedIn(world, draft, key)),
      order_(InputOf(world, draft, key, waiting_, allocated_, guarantees_),
             key.shared() ? &world.order_kept(key.gpu_type) : nullptr),
      free_milli_(pool_ == nullptr ? 0 : pool_->free_gpus * 1000),
      seen_(allocated_.size()),
      given_(allocated_.size(), 0) {
  if (pool_ != nullptr) replicas_.emplace(world, draft, *pool_->layout);
  if (key.shared()) draft.places[type_] = order_.Places();
  const auto agenda = draft.agendas.find(key);
  if (agenda == draft.agendas.end()) return;
  agenda_ = &agenda->second;
  if (key.shared() && world.config().reclaim) victims_.emplace(world, draft, type_, *agenda_);
}

std::map<JobRef, JobStanding> PoolWalk::Run() {
  End end = Walk();
  if (end == End::kAllSeen && skipped_) end = End::kNothingStarts;
  if (draft_.one_more_passes) GivePlaces();
  if (key_.shared()) {
    TellOfAll(end);
  } else if (end == End::kLeft) {
    LeaveAllApart();
  }
  return std::move(waits_);
}

PoolWalk::End PoolWalk::Walk() {
  while (true) {
    const bool full = draft_.plan.starts.size() >=
                      static_cast<std::size_t>(std::max(0, world_.config().starts_max));
    if (full || pushed_ || looked_ >= world_.config().look) {
      draft_.plan.more |= (full || pushed_) && !draft_.plan.starts.empty();
      return End::kLeft;
    }
    if (NothingStarts()) return End::kNothingStarts;
    const auto candidate = order_.Next();
    if (!candidate) return End::kAllSeen;
    if (seen_since_asked_ > 0) ++seen_since_asked_;
    Examine(*candidate);
  }
}

// What limits, guarantees and budgets have against it now.
Reason PoolWalk::Stop(const quota::Candidate& candidate, const Waiting& job,
                      const quota::JobCount& count) const {
  if (!world_.MayBeStopped(candidate.project, count.job_class)) return {};
  Reason stop = StopOf(world_, draft_.running, allocated_, count, guarantees_);
  if (stop.code != ReasonCode::kNone || !world_.DrawsOnBudgets(count.project)) return stop;
  return StopOf(world_, world_.DrawOf(job, draft_.taken));
}

// How many elements of it (of a job: 1) have started in this tick, or are being made room for.
std::int32_t PoolWalk::StartedBefore(const JobRef& row) const {
  if (draft_.started.empty()) return 0;
  const auto found = draft_.started.find(row);
  return found == draft_.started.end() ? 0 : found->second;
}

// Of what asks for the same it is known that it finds no room, and nothing else is to be asked of
// it, nor done for it: so it is with most.
bool PoolWalk::IsKnownToWait(const quota::Candidate& candidate) {
  const quota::OrderJob& job = *candidate.job;
  if (!key_.shared() || StartedBefore(job.ref) > 0) return false;
  if (job.class_stops || world_.HasLimits(candidate.project)) return false;
  Agenda::Crossed crossed;
  if (agenda_ != nullptr) {
    const Waiting& row = World::RowOf(job);
    if (agenda_->Of(job.ref) != nullptr || MayBeMadeRoom(candidate, row)) return false;
    crossed = agenda_->CrossedBy(world_.StayOf(row, draft_.now_ms));
  }
  const auto known = no_room_for_.find({job.asks, draft_.now_ms < job.prefers_until_ms, crossed});
  if (known == no_room_for_.end()) return false;
  const Held held = OfDedicated(candidate, {known->second, Held::Whose::kShapes});
  IsNever(*known->second) ? PassOver(candidate, held) : Block(candidate, held, false);
  return true;
}

void PoolWalk::Examine(const quota::Candidate& candidate) {
  if (IsKnownToWait(candidate)) return;
  const Waiting& job = World::RowOf(*candidate.job);
  if (candidate.nth < StartedBefore(candidate.job->ref)) return order_.PassOver();
  quota::JobCount count = World::CountOf(*candidate.job, type_);
  count.apart = !key_.shared();
  if (Reason stop = Stop(candidate, job, count); stop.code != ReasonCode::kNone) {
    return PassOver(candidate, StopsBy(std::move(stop)));
  }
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, draft_.now_ms, world_.config().topology_wait_ms);
  const Stay stay = world_.StayOf(job, draft_.now_ms);
  const bool promised = agenda_ != nullptr && agenda_->Of(job.ref) != nullptr;
  const Shaped shaped{request, agenda_ == nullptr ? Agenda::Crossed{} : agenda_->CrossedBy(stay)};
  const bool known = !promised && no_room_.contains(shaped);
  std::optional<Placement> placement;
  // Where nothing is reserved who asks for a reservation has no node.
  const bool nowhere = agenda_ == nullptr && !job.spec->reservation.empty();
  if (!known && !nowhere && pool_ != nullptr) {
    placement =
        agenda_ == nullptr ? Place(*pool_, request) : agenda_->PlaceNow(request, stay, job.ref);
  }
  if (!placement) {
    const Blocked blocked{candidate, job, count, request, !known};
    Held held = NoRoom(blocked, shaped, promised);
    if (!promised && candidate.job->asks != 0 && held.whose == Held::Whose::kShapes &&
        job.spec->reservation.empty()) {
      no_room_for_.try_emplace({candidate.job->asks, request.preference, shaped.second},
                               held.reason);
    }
    return WaitForRoom(blocked, std::move(held));
  }
  if (job.spec->spread != Spread::kNone) {
    const Pool& room = agenda_ == nullptr ? *pool_ : agenda_->RoomNow(stay, job.ref);
    placement = replicas_->Apart(room, request, job.ref, std::move(*placement));
  }
  const MilliGpus kept = kept_.From(candidate.project);
  if (kept > 0 && free_milli_ - count.counted_milli < kept) {
    const bool first = kept_from_.insert({candidate.project, count.counted_milli}).second;
    Block(candidate,
          InThisTick({ReasonCode::kGuaranteeProtected,
                      {{"free", GpusText(free_milli_)},
                       {"kept", GpusText(kept)},
                       {"asked", GpusText(count.counted_milli)}}}),
          first);
    return;
  }
  // Who is in an admin's reservation passes nobody who could have its nodes.
  const bool passes = !promised && job.spec->reservation.empty();
  if (!passed_.empty() && passes && GivePlaces()) return Examine(candidate);
  StartOn(candidate, job, std::move(*placement));
}

// Blocked; but what this pool could never hold waits for nothing here. Its reason is that of the
// nearest pool that could hold it, if there is one.
void PoolWalk::WaitForRoom(const Blocked& blocked, Held held) {
  const bool never = IsNever(*held.reason);
  held = OfDedicated(blocked.candidate, std::move(held));
  if (!never) {
    if (agenda_ != nullptr && MakeRoom(blocked, held)) return;
    return Block(blocked.candidate, std::move(held), blocked.counts);
  }
  if (key_.account) {
    order_.PassOver();
    order_.DropRest();
    return;
  }
  PassOver(blocked.candidate, std::move(held));
}

// The reason that does not depend on how long a job stays, as it was found first; null: none was.
std::shared_ptr<const Reason> PoolWalk::NoRoomFor(const Request& request) const {
  auto known = no_room_.lower_bound({request, {}});
  const auto is_of_it = [&] { return known != no_room_.end() && known->first.first == request; };
  while (is_of_it() && IsOfStay(known->second->code)) ++known;
  return is_of_it() ? known->second : nullptr;
}

// The reason for the shape, worked out once; or what is the job's own.
PoolWalk::Held PoolWalk::NoRoom(const Blocked& blocked, const Shaped& shaped, bool promised) {
  const auto known = no_room_.find(shaped);
  Held held;
  if (known != no_room_.end()) {
    held.reason = known->second;
  } else {
    const Stay stay = world_.StayOf(blocked.job, draft_.now_ms);
    held.reason =
        std::make_shared<const Reason>(WhyNoRoomNow(blocked.request, blocked.job.ref, stay));
    if (!IsOfStay(held.reason->code)) {  // then it is the same for all who ask for the same
      if (auto first = NoRoomFor(blocked.request)) held.reason = std::move(first);
    }
    if (!promised) no_room_[shaped] = held.reason;
  }
  if (held.reason->code == ReasonCode::kReservedByAdmin) held.whose = Held::Whose::kTicks;
  return held;
}

// Of who may have dedicated nodes, too: what kept it from those.
PoolWalk::Held PoolWalk::OfDedicated(const quota::Candidate& candidate, Held held) const {
  if (draft_.waits_apart.empty() || !key_.shared()) return held;
  const auto apart = draft_.waits_apart.find(candidate.job->ref);
  if (apart == draft_.waits_apart.end()) return held;
  if (IsNever(*held.reason)) return InThisTick(apart->second);
  const auto dedicated = apart->second.fields.find("dedicated");
  if (held.reason->code != ReasonCode::kWaitsForGpus || dedicated == apart->second.fields.end()) {
    return held;
  }
  Reason reason = *held.reason;
  AddOfRow(candidate, reason);
  reason.fields["dedicated"] = dedicated->second;
  return InThisTick(std::move(reason));
}

// What fits beside what runs is kept from it by admins' reservations or by promises. How long it
// stays is not known of those not come to.
Reason PoolWalk::WhyNoRoomNow(const Request& request, const JobRef& asks,
                              const std::optional<Stay>& stay) const {
  if (!request.spec->reservation.empty()) {
    Reason never = WhyNeverFits(draft_.configured, *request.spec, key_);
    return never.code == ReasonCode::kNone ? WaitsForNodesOf(*request.spec) : std::move(never);
  }
  if (agenda_ != nullptr && pool_ != nullptr && Fits(*pool_, request)) {
    const TimeMs ever = std::numeric_limits<TimeMs>::max();
    const bool any = stay || agenda_->promises().empty();
    if (auto reserved =
            any ? agenda_->ReservedAhead(request, stay.value_or(Stay{ever, ever})) : std::nullopt) {
      return std::move(*reserved);
    }
    const Reservation* first = nullptr;
    for (const auto& [row, promise] : agenda_->promises()) {
      if (row == asks) continue;
      if (first == nullptr || promise->from_ms < first->from_ms) first = promise;
    }
    if (first != nullptr) {
      return {ReasonCode::kReservationAhead,
              {{"at_ms", std::to_string(std::max(first->from_ms, draft_.now_ms))}}};
    }
  }
  return WhyNoRoom(draft_.free, draft_.configured, request, key_);
}

// What a shape's reason says besides of the row (WaitingStandings adds the same).
void PoolWalk::AddOfRow(const quota::Candidate& candidate, Reason& reason) const {
  if (reason.code == ReasonCode::kWaitsForTopology) {
    reason.fields["until_ms"] = std::to_string(candidate.job->prefers_until_ms);
  }
  if (reason.code != ReasonCode::kWaitsForGpus || !key_.shared()) return;
  const auto index = static_cast<std::size_t>(candidate.project);
  if (guarantees_[index] < world_.tree().Guarantee(candidate.project, type_)) {
    reason.fields["guarantee_now"] = GpusText(guarantees_[index]);
  }
  const MilliGpus share = std::max(guarantees_[index], entitled_[index].entitled_milli);
  if (candidate.job->counted_milli > share) {
    reason.fields["wider_than_share"] = GpusText(share);
  }
}

void PoolWalk::StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement) {
  if (replicas_) replicas_->Started(job.ref, placement);
  const Given given = AddStart(world_, draft_, key_, job, candidate.nth, std::move(placement));
  Count(candidate.project, given.count);
  disturbed_.insert(candidate.job->project);
  if (key_.account) ++draft_.started[job.ref];
  if (!key_.shared() && !given.count.scavenger) {
    draft_.charged[type_][{given.count.project, given.count.user}] += given.expected_charge;
  }
  order_.Start({given.count.counted_milli, given.expected_charge});
}

// What the plan gives, in what this walk measures by.
void PoolWalk::Count(quota::AccountIndex project, const quota::JobCount& count) {
  free_milli_ -= count.counted_milli;
  for (auto i = project; i != quota::kNoAccount && count.IsShared(); i = world_.tree().parent(i)) {
    allocated_[static_cast<std::size_t>(i)] += count.counted_milli;
    given_[static_cast<std::size_t>(i)] += count.counted_milli;
  }
}

void PoolWalk::PassOver(const quota::Candidate& candidate, Held held) {
  Wait(candidate, std::move(held));
  order_.PassOver();
  order_.DropRest();
}

void PoolWalk::Block(const quota::Candidate& candidate, Held held, bool counts) {
  Wait(candidate, std::move(held));
  order_.Take(false);
  order_.DropRest();
  if (!counts) return;
  ++looked_;
  if (++looked_of_[candidate.project] >= world_.config().look_project) {
    LeaveProject(candidate.project, candidate.job->scavenger);
  }
}

void PoolWalk::Wait(const quota::Candidate& candidate, Held held, bool looked) {
  if (!key_.shared()) return WaitApart(candidate, held, looked);
  const JobRef& ref = candidate.job->ref;
  if (held.whose == Held::Whose::kTicks) told_[ref] = held.reason;
  if (!claimed_.empty() && claimed_.contains(ref)) return;  // an array: it has its place
  if (held.whose == Held::Whose::kStops) stopped_[ref] = held.reason;
  if (looked && ++rank_ <= world_.config().exact_ranks) ranks_.push_back({ref, rank_});
  seen_[static_cast<std::size_t>(candidate.project)].push_back(ref);
}

void PoolWalk::WaitApart(const quota::Candidate& candidate, const Held& held, bool looked) {
  JobStanding standing;
  standing.reason = *held.reason;
  AddOfRow(candidate, standing.reason);
  standing.place_in_project = ++place_of_[candidate.project];
  if (looked && ++rank_ <= world_.config().exact_ranks) standing.rank = rank_;
  if (!looked) standing.reason.fields["place"] = std::to_string(standing.place_in_project);
  if (key_.account) {
    standing.reason.fields["dedicated"] = world_.tree().path(world_.tree().IndexOf(key_.account));
  } else {
    standing.reason.fields["lane"] = key_.job_class;
  }
  waits_[candidate.job->ref] = std::move(standing);
}

// What is left of a project, of its scavengers or of the others, has been looked at often enough.
void PoolWalk::LeaveProject(quota::AccountIndex project, bool scavengers) {
  for (const quota::Candidate& candidate : order_.Remaining(project)) {
    if (candidate.job->scavenger == scavengers) Leave(candidate);
  }
  disturbed_.insert(world_.tree().id(project));
  order_.CloseProject(project);
}

void PoolWalk::Leave(const quota::Candidate& candidate) {
  if (candidate.job->count <= StartedBefore(candidate.job->ref)) return;
  const JobRef& ref = candidate.job->ref;
  const bool waits = key_.shared() ? claimed_.contains(ref) : waits_.contains(ref);
  if (!waits) Wait(candidate, InThisTick({ReasonCode::kNotLookedAt, {}}), false);
}

void PoolWalk::LeaveAllApart() {
  for (const auto& [id, project] : waiting_.projects()) {
    const quota::AccountIndex index = world_.tree().IndexOf(id);
    if (index == quota::kNoAccount) continue;
    for (const quota::Candidate& candidate : order_.Remaining(index)) Leave(candidate);
  }
}

namespace {

// What is in no order: jobs that settings bar, rows of arrays that run as many as they may.
void WaitOutside(const World& world, Draft& draft) {
  const auto tell = [&draft](const Waiting& row, Reason reason) {
    draft.plan.waiting.Set(row.ref, *row.spec, {.reason = std::move(reason)});
  };
  draft.plan.waiting.Bar(world.barred());
  for (const JobRef& ref : world.resting()) {
    const Waiting& row = world.waiting().at(ref);
    if (draft.plan.waiting.IsSet(ref) || world.IsBarred(ref)) continue;
    const std::string limit = std::to_string(row.spec->array->max_running);
    tell(row, {ReasonCode::kArrayLimit, {{"limit", limit}}});
  }
}

}  // namespace

// Lanes, then dedicated nodes, those of lower accounts before those of accounts above them.
void WalkApart(const World& world, Draft& draft) {
  std::vector<std::pair<quota::AccountIndex, const PoolKey*>> dedicated;
  for (const auto& [key, jobs] : world.apart_order()) {
    if (jobs.size() == 0) continue;
    if (key.account) {
      dedicated.push_back({-world.tree().IndexOf(key.account), &key});
    } else {
      for (auto& [ref, standing] : PoolWalk(world, draft, key).Run()) {
        draft.plan.waiting.Set(ref, *world.waiting().at(ref).spec, std::move(standing));
      }
    }
  }
  std::stable_sort(dedicated.begin(), dedicated.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [index, key] : dedicated) {
    for (auto& [ref, standing] : PoolWalk(world, draft, *key).Run())
      draft.waits_apart.try_emplace(ref, standing.reason);
  }
}

void WalkInOrder(const World& world, Draft& draft) {
  for (const auto& [type, jobs] : world.order()) {
    if (jobs.size() > 0) PoolWalk(world, draft, {type, {}, {}}).Run();
  }
  WaitOutside(world, draft);
}

}  // namespace kezek::engine

// The walk through the order of each pool: start, block or pass over.
#include <algorithm>
#include <utility>

#include "scheduler/engine/pool_walk.h"
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

quota::OrderInput InputOf(const World& world, const Draft& draft, const PoolKey& key,
                          const quota::WaitingJobs& waiting) {
  const auto charged = draft.charged.find(key.gpu_type);
  return {.tree = &world.tree(),
          .gpu_type = key.gpu_type,
          .waiting = &waiting,
          .running_milli = AllocatedIn(world, draft, key),
          .guarantee_milli = quota::GuaranteesNow(EntitledIn(world, draft, key)),
          .usage = &world.usage(key.gpu_type),
          .now_ms = draft.now_ms,
          .started = charged == draft.charged.end() ? decltype(quota::OrderInput::started){}
                                                    : charged->second};
}

}  // namespace

PoolWalk::PoolWalk(const World& world, Draft& draft, const PoolKey& key,
                   std::map<JobRef, JobStanding>& waits)
    : world_(world),
      draft_(draft),
      key_(key),
      type_(key_.gpu_type),
      pool_(draft.free.FindPool(key)),
      waiting_(key.shared() ? world.order().at(key.gpu_type) : world.apart_order().at(key)),
      waits_(waits),
      order_(InputOf(world, draft, key, waiting_)),
      entitled_(EntitledIn(world, draft, key)),
      kept_(world.tree(), entitled_),
      guarantees_(quota::GuaranteesNow(entitled_)),
      allocated_(AllocatedIn(world, draft, key)),
      free_milli_(pool_ == nullptr ? 0 : pool_->free_gpus * 1000) {
  if (key.shared()) draft.places[type_] = order_.Places();
  const auto agenda = draft.agendas.find(key);
  if (agenda == draft.agendas.end()) return;
  agenda_ = &agenda->second;
  if (key.shared() && world.config().reclaim) victims_.emplace(world, draft, type_, *agenda_);
}

void PoolWalk::Run() {
  Walk();
  if (draft_.one_more_passes) GivePlaces();
}

void PoolWalk::Walk() {
  while (true) {
    const bool full = draft_.plan.starts.size() >=
                      static_cast<std::size_t>(std::max(0, world_.config().starts_max));
    if (full || pushed_ || looked_ >= world_.config().look) {
      LeaveAll();
      draft_.plan.more |= (full || pushed_) && !draft_.plan.starts.empty();
      return;
    }
    if (NothingStarts()) return WaitForAll();
    const auto candidate = order_.Next();
    if (!candidate) return;
    Examine(*candidate);
  }
}

// Nothing that waits would fit any more, whoever is next, and ranks are not told so far back: what
// is left need not be walked through. Asked once after each start.
bool PoolWalk::NothingStarts() {
  if (agenda_ != nullptr || !key_.shared() || pool_ == nullptr || !draft_.started.empty()) {
    return false;
  }
  const std::size_t starts = draft_.plan.starts.size();
  if (rank_ < world_.config().exact_ranks || asked_after_ == starts) return false;
  asked_after_ = starts;
  const auto fits = [this](const JobSpec& spec) {
    return Fits(*pool_, {&spec, spec.within, false});
  };
  if (fitting_ != nullptr && fits(*fitting_)) return false;
  std::int32_t first = 0;  // so many shapes may yet count as looked at
  for (const auto& [spec, alike] : world_.asked(type_)) {
    if (fits(*spec)) {
      fitting_ = spec.get();
      return false;
    }
    for (const Domain within : {spec->within, spec->prefer}) {
      const bool preference = within == spec->prefer && within != spec->within;
      if (preference && within == Domain::kAny) continue;
      if (!no_room_.contains({{spec.get(), within, preference}, {}})) ++first;
    }
  }
  std::int32_t most = 0;
  for (const auto& [project, looked] : looked_of_) most = std::max(most, looked);
  return looked_ + first < world_.config().look && most + first < world_.config().look_project;
}

void PoolWalk::WaitForAll() {
  for (const auto& [id, project] : waiting_.projects()) {
    const quota::AccountIndex index = world_.tree().IndexOf(id);
    if (index == quota::kNoAccount) continue;
    order_.Drain(index, [this](const quota::Candidate& candidate) { return IsBlocked(candidate); });
  }
}

// Of a job that cannot start: says why, and whether it is for lack of room now.
bool PoolWalk::IsBlocked(const quota::Candidate& candidate) {
  const Waiting& job = world_.waiting().at(candidate.job->ref);
  const quota::JobCount count = world_.CountOf(job);
  if (Reason stop = Stop(candidate, job, count); stop.code != ReasonCode::kNone) {
    Wait(candidate, std::move(stop), true);
    return false;
  }
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, draft_.now_ms, world_.config().topology_wait_ms);
  Reason reason = NoRoom({candidate, job, count, request, false}, {request, {}}, false);
  const auto apart = draft_.waits_apart.find(job.ref);
  const bool never = IsNever(reason);
  if (never && apart != draft_.waits_apart.end()) reason = apart->second;
  Wait(candidate, std::move(reason), true);
  return !never;
}

// What limits, guarantees and budgets have against it now.
Reason PoolWalk::Stop(const quota::Candidate& candidate, const Waiting& job,
                      const quota::JobCount& count) const {
  if (!world_.MayBeStopped(candidate.project, count.job_class)) return {};
  Reason stop = StopOf(world_, draft_.running, allocated_, count, guarantees_);
  if (stop.code != ReasonCode::kNone) return stop;
  return StopOf(world_, world_.DrawOf(job, draft_.taken));
}

// How many elements of it (of a job: 1) have started in this tick, or are being made room for.
std::int32_t PoolWalk::StartedBefore(const JobRef& row) const {
  if (draft_.started.empty()) return 0;
  const auto found = draft_.started.find(row);
  return found == draft_.started.end() ? 0 : found->second;
}

void PoolWalk::Examine(const quota::Candidate& candidate) {
  const Waiting& job = world_.waiting().at(candidate.job->ref);
  if (candidate.nth < StartedBefore(job.ref)) return order_.PassOver();
  quota::JobCount count = world_.CountOf(job);
  count.apart = !key_.shared();
  if (Reason stop = Stop(candidate, job, count); stop.code != ReasonCode::kNone) {
    return PassOver(candidate, std::move(stop));
  }
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, draft_.now_ms, world_.config().topology_wait_ms);
  const Stay stay = world_.StayOf(job, draft_.now_ms);
  const bool promised = agenda_ != nullptr && agenda_->Of(job.ref) != nullptr;
  const Shaped shaped{request, agenda_ == nullptr ? Agenda::Crossed{} : agenda_->CrossedBy(stay)};
  const bool known = !promised && no_room_.contains(shaped);
  std::optional<Placement> placement;
  if (!known && pool_ != nullptr) {
    placement =
        agenda_ == nullptr ? Place(*pool_, request) : agenda_->PlaceNow(request, stay, job.ref);
  }
  if (!placement) {
    const Blocked blocked{candidate, job, count, request, !known};
    return WaitForRoom(blocked, NoRoom(blocked, shaped, promised));
  }
  const MilliGpus kept = kept_.From(candidate.project);
  if (kept > 0 && free_milli_ - count.counted_milli < kept) {
    const bool first = kept_from_.insert({candidate.project, count.counted_milli}).second;
    Block(candidate,
          {ReasonCode::kGuaranteeProtected,
           {{"free", quota::GpusText(free_milli_)},
            {"kept", quota::GpusText(kept)},
            {"asked", quota::GpusText(count.counted_milli)}}},
          first);
    return;
  }
  if (!passed_.empty() && !promised && GivePlaces()) return Examine(candidate);
  StartOn(candidate, job, std::move(*placement));
}

// Blocked; but what this pool could never hold waits for nothing here. Its reason is that of the
// nearest pool that could hold it, if there is one.
void PoolWalk::WaitForRoom(const Blocked& blocked, Reason reason) {
  if (!IsNever(reason)) {
    if (agenda_ != nullptr && MakeRoom(blocked, reason)) return;
    return Block(blocked.candidate, std::move(reason), blocked.counts);
  }
  if (key_.account) {
    order_.PassOver();
    order_.DropRest();
    return;
  }
  const auto apart = draft_.waits_apart.find(blocked.job.ref);
  const bool elsewhere = key_.shared() && apart != draft_.waits_apart.end();
  PassOver(blocked.candidate, elsewhere ? apart->second : std::move(reason));
}

// The reason for the shape, worked out once, with what is the job's own.
Reason PoolWalk::NoRoom(const Blocked& blocked, const Shaped& shaped, bool promised) {
  Reason reason;
  const auto known = no_room_.find(shaped);
  if (known != no_room_.end()) {
    reason = known->second;
  } else {
    reason = WhyNoRoomNow(blocked);
    if (!promised) no_room_[shaped] = reason;
  }
  if (reason.code == ReasonCode::kWaitsForTopology) {
    reason.fields["until_ms"] =
        std::to_string(blocked.job.queued_since_ms + world_.config().topology_wait_ms);
  }
  if (key_.shared()) AddOfGuarantees(blocked.candidate, reason);
  return reason;
}

// What fits beside what runs is kept from it by promises.
Reason PoolWalk::WhyNoRoomNow(const Blocked& blocked) const {
  if (agenda_ != nullptr && pool_ != nullptr && !agenda_->promises().empty() &&
      Fits(*pool_, blocked.request)) {
    const Reservation* first = nullptr;
    for (const auto& [row, promise] : agenda_->promises()) {
      if (row == blocked.job.ref) continue;
      if (first == nullptr || promise->from_ms < first->from_ms) first = promise;
    }
    if (first != nullptr) {
      return {ReasonCode::kReservationAhead,
              {{"at_ms", std::to_string(std::max(first->from_ms, draft_.now_ms))}}};
    }
  }
  return WhyNoRoom(draft_.free, draft_.configured, blocked.request, key_);
}

void PoolWalk::AddOfGuarantees(const quota::Candidate& candidate, Reason& reason) const {
  if (reason.code != ReasonCode::kWaitsForGpus) return;
  const auto index = static_cast<std::size_t>(candidate.project);
  if (guarantees_[index] < world_.tree().Guarantee(candidate.project, type_)) {
    reason.fields["guarantee_now"] = quota::GpusText(guarantees_[index]);
  }
  const MilliGpus share = std::max(guarantees_[index], entitled_[index].entitled_milli);
  if (candidate.job->counted_milli > share) {
    reason.fields["wider_than_share"] = quota::GpusText(share);
  }
  const auto apart = draft_.waits_apart.find(candidate.job->ref);
  if (apart != draft_.waits_apart.end() && apart->second.fields.contains("dedicated")) {
    reason.fields["dedicated"] = apart->second.fields.at("dedicated");
  }
}

void PoolWalk::StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement) {
  const Given given = AddStart(world_, draft_, key_, job, candidate.nth, std::move(placement));
  Count(candidate.project, given.count);
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
  }
}

void PoolWalk::PassOver(const quota::Candidate& candidate, Reason reason) {
  Wait(candidate, std::move(reason), true);
  order_.PassOver();
  order_.DropRest();
}

void PoolWalk::Block(const quota::Candidate& candidate, Reason reason, bool counts) {
  Wait(candidate, std::move(reason), true);
  order_.Take(false);
  order_.DropRest();
  if (!counts) return;
  ++looked_;
  if (++looked_of_[candidate.project] >= world_.config().look_project) {
    LeaveProject(candidate.project, candidate.job->scavenger);
  }
}

void PoolWalk::Wait(const quota::Candidate& candidate, Reason reason, bool looked) {
  JobStanding standing;
  standing.place_in_project = ++place_of_[candidate.project];
  if (looked && ++rank_ <= world_.config().exact_ranks) standing.rank = rank_;
  if (!looked) reason.fields["place"] = std::to_string(standing.place_in_project);
  if (key_.account) {
    reason.fields["dedicated"] = world_.tree().path(world_.tree().IndexOf(key_.account));
  } else if (!key_.shared()) {
    reason.fields["lane"] = key_.job_class;
  }
  standing.reason = std::move(reason);
  waits_[candidate.job->ref] = std::move(standing);
}

// What is left of a project, of its scavengers or of the others (none: of both), has been looked at
// often enough.
void PoolWalk::LeaveProject(quota::AccountIndex project, std::optional<bool> scavengers) {
  for (const quota::Candidate& candidate : order_.Remaining(project)) {
    if (scavengers && candidate.job->scavenger != *scavengers) continue;
    if (waits_.contains(candidate.job->ref)) continue;
    if (candidate.job->count <= StartedBefore(candidate.job->ref)) continue;
    Wait(candidate, {ReasonCode::kNotLookedAt, {}}, false);
  }
  order_.CloseProject(project);
}

void PoolWalk::LeaveAll() {
  for (const auto& [id, project] : waiting_.projects()) {
    const quota::AccountIndex index = world_.tree().IndexOf(id);
    if (index != quota::kNoAccount) LeaveProject(index, std::nullopt);
  }
}

namespace {

// What is in no order: jobs that settings bar, rows of arrays that run as many as they may.
void WaitOutside(const World& world, Draft& draft) {
  for (const auto& [ref, reason] : world.barred()) draft.plan.waiting[ref].reason = reason;
  for (const JobRef& ref : world.resting()) {
    const std::string limit = std::to_string(world.waiting().at(ref).spec->array->max_running);
    Reason& reason = draft.plan.waiting[ref].reason;
    if (reason.code == ReasonCode::kNone) reason = {ReasonCode::kArrayLimit, {{"limit", limit}}};
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
      PoolWalk(world, draft, key, draft.plan.waiting).Run();
    }
  }
  std::stable_sort(dedicated.begin(), dedicated.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [index, key] : dedicated) {
    std::map<JobRef, JobStanding> waits;
    PoolWalk(world, draft, *key, waits).Run();
    for (auto& [ref, standing] : waits) draft.waits_apart.try_emplace(ref, standing.reason);
  }
}

void WalkInOrder(const World& world, Draft& draft) {
  for (const auto& [type, jobs] : world.order()) {
    if (jobs.size() > 0) PoolWalk(world, draft, {type, {}, {}}, draft.plan.waiting).Run();
  }
  WaitOutside(world, draft);
}

}  // namespace kezek::engine

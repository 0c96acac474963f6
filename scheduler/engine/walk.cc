// The walk through the order of each pool: start, block or pass over.

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "quota/order.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

// GPUs each account keeps idle that a job of `project` must leave free: those of accounts that the
// project is not in.
class Kept {
 public:
  Kept(const quota::AccountTree& tree, const std::vector<quota::Entitlement>& entitled)
      : tree_(tree), entitled_(entitled) {
    for (const quota::Entitlement& account : entitled_) all_milli_ += account.idle_milli;
  }
  MilliGpus From(quota::AccountIndex project) const {
    MilliGpus kept = all_milli_;
    if (kept == 0) return 0;
    for (auto i = project; i != quota::kNoAccount; i = tree_.parent(i)) {
      kept -= entitled_[static_cast<std::size_t>(i)].idle_milli;
    }
    return kept;
  }

 private:
  const quota::AccountTree& tree_;
  const std::vector<quota::Entitlement>& entitled_;
  MilliGpus all_milli_ = 0;
};

class PoolWalk {
 public:
  // Says of each job that it comes to and that does not start, in `waits`, why.
  PoolWalk(const World& world, Draft& draft, const PoolKey& key,
           std::map<JobRef, JobStanding>& waits);
  void Run();

 private:
  void Examine(const quota::Candidate& candidate);
  void PassOver(const quota::Candidate& candidate, Reason reason);
  void Block(const quota::Candidate& candidate, Reason reason, bool counts);
  void WaitForRoom(const quota::Candidate& candidate, Reason reason, bool counts);
  void StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement);
  void Wait(const quota::Candidate& candidate, Reason reason, bool looked);
  void LeaveProject(quota::AccountIndex project, std::optional<bool> scavengers);
  void LeaveAll();
  std::int32_t StartedApart(const JobRef& row) const;
  void AddOfGuarantees(const quota::Candidate& candidate, Reason& reason) const;
  Reason NoRoom(const Request& request, const Waiting& job, const quota::Candidate& candidate);

  const World& world_;
  Draft& draft_;
  const PoolKey key_;
  const std::string& type_;
  const Pool* pool_;  // null: there is no such node
  const quota::WaitingJobs& waiting_;
  std::map<JobRef, JobStanding>& waits_;
  quota::OrderTree order_;
  std::vector<quota::Entitlement> entitled_;  // by index; apart: nothing
  Kept kept_;
  std::vector<MilliGpus> guarantees_;  // by index, those that count now
  std::vector<MilliGpus> allocated_;   // by index, with what the plan has given
  MilliGpus free_milli_ = 0;           // GPUs free, less counted GPUs given
  std::int32_t looked_ = 0;
  std::int64_t rank_ = 0;
  std::map<quota::AccountIndex, std::int32_t> looked_of_;
  std::map<quota::AccountIndex, std::int64_t> place_of_;
  // Shapes that have found no room in this tick: free GPUs only become fewer.
  std::map<Request, Reason> no_room_;
  std::set<std::pair<quota::AccountIndex, MilliGpus>> kept_from_;
};

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
}

void PoolWalk::Run() {
  while (true) {
    const bool full = draft_.plan.starts.size() >=
                      static_cast<std::size_t>(std::max(0, world_.config().starts_max));
    if (full || looked_ >= world_.config().look) {
      LeaveAll();
      draft_.plan.more |= full && !draft_.plan.starts.empty();
      return;
    }
    const auto candidate = order_.Next();
    if (!candidate) return;
    Examine(*candidate);
  }
}

// How many elements of it (of a job: 1) have started on dedicated nodes in this tick.
std::int32_t PoolWalk::StartedApart(const JobRef& row) const {
  if (draft_.started_apart.empty()) return 0;
  const auto found = draft_.started_apart.find(row);
  return found == draft_.started_apart.end() ? 0 : found->second;
}

void PoolWalk::Examine(const quota::Candidate& candidate) {
  const Waiting& job = world_.waiting().at(candidate.job->ref);
  if (candidate.nth < StartedApart(job.ref)) return order_.PassOver();
  quota::JobCount count = world_.CountOf(job);
  count.apart = !key_.shared();
  if (world_.MayBeStopped(candidate.project, count.job_class)) {
    Reason stop = StopOf(world_, draft_.running, allocated_, count, guarantees_);
    if (stop.code == ReasonCode::kNone) {
      stop = StopOf(world_, world_.DrawOf(job, draft_.taken));
    }
    if (stop.code != ReasonCode::kNone) {
      PassOver(candidate, std::move(stop));
      return;
    }
  }
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, draft_.now_ms, world_.config().topology_wait_ms);
  const bool known = no_room_.contains(request);
  std::optional<Placement> placement;
  if (!known && pool_ != nullptr) placement = Place(*pool_, request);
  if (!placement) return WaitForRoom(candidate, NoRoom(request, job, candidate), !known);
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
  StartOn(candidate, job, std::move(*placement));
}

// Blocked; but what this pool could never hold waits for nothing here. Its reason is that of the
// nearest pool that could hold it, if there is one.
void PoolWalk::WaitForRoom(const quota::Candidate& candidate, Reason reason, bool counts) {
  if (!IsNever(reason)) return Block(candidate, std::move(reason), counts);
  if (key_.account) {
    order_.PassOver();
    order_.DropRest();
    return;
  }
  const auto apart = draft_.waits_apart.find(candidate.job->ref);
  const bool elsewhere = key_.shared() && apart != draft_.waits_apart.end();
  PassOver(candidate, elsewhere ? apart->second : std::move(reason));
}

// The reason for the shape, worked out once, with what is the job's own.
Reason PoolWalk::NoRoom(const Request& request, const Waiting& job,
                        const quota::Candidate& candidate) {
  const auto [found, first] = no_room_.try_emplace(request);
  if (first) found->second = WhyNoRoom(draft_.free, draft_.configured, request, key_);
  Reason reason = found->second;
  if (reason.code == ReasonCode::kWaitsForTopology) {
    reason.fields["until_ms"] =
        std::to_string(job.queued_since_ms + world_.config().topology_wait_ms);
  }
  if (key_.shared()) AddOfGuarantees(candidate, reason);
  return reason;
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

// From here on it counts as what its nodes make of it.
void PoolWalk::StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement) {
  draft_.free.Take(key_, job.spec->shape, placement);
  const MilliGpus counted = world_.CountedOn(job.spec->shape, placement);
  Start start{.job = StartableRef(job, candidate.nth),
              .row = job.ref,
              .placement = std::move(placement),
              .counted_milli = counted,
              .scavenges = world_.ScavengesOf(job.ref)};
  const quota::JobCount count = world_.CountOf(start);
  Take(world_.DrawOf(start, draft_.taken), draft_.taken);
  draft_.running.Add(world_.tree(), count);
  free_milli_ -= count.counted_milli;
  for (auto i = candidate.project; i != quota::kNoAccount && count.IsShared();
       i = world_.tree().parent(i)) {
    allocated_[static_cast<std::size_t>(i)] += count.counted_milli;
  }
  draft_.plan.starts.push_back(std::move(start));
  if (key_.account) ++draft_.started_apart[job.ref];
  const MilliGpuMs charge = world_.ExpectedChargeOf(*job.spec, counted);
  if (!key_.shared() && !count.scavenger) {
    draft_.charged[type_][{count.project, count.user}] += charge;
  }
  order_.Start({counted, charge});
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
    if (candidate.job->count <= StartedApart(candidate.job->ref)) continue;
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

// What is in no order: jobs that settings bar, rows of arrays that run as many as they may.
void WaitOutside(const World& world, Draft& draft) {
  for (const auto& [ref, reason] : world.barred()) draft.plan.waiting[ref].reason = reason;
  for (const auto& [ref, job] : world.waiting()) {
    if (!IsArrayRow(ref, *job.spec) || !job.elements.empty()) continue;
    const std::string limit = std::to_string(job.spec->array->max_running);
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

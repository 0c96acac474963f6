// The walk through the order of each GPU type: start, block or pass over.

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

class TypeWalk {
 public:
  TypeWalk(const World& world, Draft& draft, const std::string& type);
  void Run();

 private:
  void Examine(const quota::Candidate& candidate);
  void PassOver(const quota::Candidate& candidate, Reason reason);
  void Block(const quota::Candidate& candidate, Reason reason, bool counts);
  void StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement);
  void Wait(const quota::Candidate& candidate, Reason reason, bool looked);
  void LeaveProject(quota::AccountIndex project, std::optional<bool> scavengers);
  void LeaveAll();
  Reason NoRoom(const Request& request, const Waiting& job, const quota::Candidate& candidate);

  const World& world_;
  Draft& draft_;
  const std::string& type_;
  const Pool* pool_;  // null: there is no such node
  quota::OrderTree order_;
  const std::vector<quota::Entitlement>& entitled_;
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

quota::OrderInput InputOf(const World& world, const Draft& draft, const std::string& type) {
  return {.tree = &world.tree(),
          .gpu_type = type,
          .waiting = &world.order().at(type),
          .running_milli = draft.running.AllocatedByIndex(world.tree(), type),
          .guarantee_milli = quota::GuaranteesNow(draft.entitled.at(type)),
          .usage = &world.usage(type),
          .now_ms = draft.now_ms};
}

TypeWalk::TypeWalk(const World& world, Draft& draft, const std::string& type)
    : world_(world),
      draft_(draft),
      type_(type),
      pool_(draft.free.FindPool(type)),
      order_(InputOf(world, draft, type)),
      entitled_(draft.entitled.at(type)),
      kept_(world.tree(), entitled_),
      guarantees_(quota::GuaranteesNow(entitled_)),
      allocated_(draft.running.AllocatedByIndex(world.tree(), type)),
      free_milli_(pool_ == nullptr ? 0 : pool_->free_gpus * 1000) {
  draft.places[type] = order_.Places();
}

void TypeWalk::Run() {
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

void TypeWalk::Examine(const quota::Candidate& candidate) {
  const Waiting& job = world_.waiting().at(candidate.job->ref);
  const quota::JobCount count = world_.CountOf(job);
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
  if (no_room_.contains(request)) {
    Block(candidate, NoRoom(request, job, candidate), false);
    return;
  }
  std::optional<Placement> placement;
  if (pool_ != nullptr) placement = Place(*pool_, request);
  if (!placement) {
    Block(candidate, NoRoom(request, job, candidate), true);
    return;
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
  StartOn(candidate, job, std::move(*placement));
}

// The reason for the shape, worked out once, with what is the job's own.
Reason TypeWalk::NoRoom(const Request& request, const Waiting& job,
                        const quota::Candidate& candidate) {
  const auto [found, first] = no_room_.try_emplace(request);
  if (first) found->second = WhyNoRoom(draft_.free, draft_.configured, request);
  Reason reason = found->second;
  if (reason.code == ReasonCode::kWaitsForTopology) {
    reason.fields["until_ms"] =
        std::to_string(job.queued_since_ms + world_.config().topology_wait_ms);
  }
  const auto index = static_cast<std::size_t>(candidate.project);
  const MilliGpus set = world_.tree().share(candidate.project, type_).guarantee_milli;
  if (reason.code == ReasonCode::kWaitsForGpus && guarantees_[index] < set) {
    reason.fields["guarantee_now"] = quota::GpusText(guarantees_[index]);
  }
  const MilliGpus share = std::max(guarantees_[index], entitled_[index].entitled_milli);
  if (reason.code == ReasonCode::kWaitsForGpus && candidate.job->counted_milli > share) {
    reason.fields["wider_than_share"] = quota::GpusText(share);
  }
  return reason;
}

// From here on it counts as what its nodes make of it.
void TypeWalk::StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement) {
  draft_.free.Take(job.spec->shape, placement);
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
  for (auto i = candidate.project; i != quota::kNoAccount && !count.scavenger;
       i = world_.tree().parent(i)) {
    allocated_[static_cast<std::size_t>(i)] += count.counted_milli;
  }
  draft_.plan.starts.push_back(std::move(start));
  order_.Start({counted, world_.ExpectedChargeOf(*job.spec, counted)});
}

void TypeWalk::PassOver(const quota::Candidate& candidate, Reason reason) {
  Wait(candidate, std::move(reason), true);
  order_.PassOver();
  order_.DropRest();
}

void TypeWalk::Block(const quota::Candidate& candidate, Reason reason, bool counts) {
  Wait(candidate, std::move(reason), true);
  order_.Take(false);
  order_.DropRest();
  if (!counts) return;
  ++looked_;
  if (++looked_of_[candidate.project] >= world_.config().look_project) {
    LeaveProject(candidate.project, candidate.job->scavenger);
  }
}

void TypeWalk::Wait(const quota::Candidate& candidate, Reason reason, bool looked) {
  JobStanding standing;
  standing.place_in_project = ++place_of_[candidate.project];
  if (looked && ++rank_ <= world_.config().exact_ranks) standing.rank = rank_;
  if (!looked) reason.fields["place"] = std::to_string(standing.place_in_project);
  standing.reason = std::move(reason);
  draft_.plan.waiting[candidate.job->ref] = std::move(standing);
}

// What is left of a project, of its scavengers or of the others (none: of both), has been looked at
// often enough.
void TypeWalk::LeaveProject(quota::AccountIndex project, std::optional<bool> scavengers) {
  for (const quota::Candidate& candidate : order_.Remaining(project)) {
    if (scavengers && candidate.job->scavenger != *scavengers) continue;
    if (draft_.plan.waiting.contains(candidate.job->ref)) continue;
    Wait(candidate, {ReasonCode::kNotLookedAt, {}}, false);
  }
  order_.CloseProject(project);
}

void TypeWalk::LeaveAll() {
  for (const auto& [id, project] : world_.order().at(type_).projects()) {
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

void WalkInOrder(const World& world, Draft& draft) {
  for (const auto& [type, jobs] : world.order()) {
    if (jobs.size() > 0) TypeWalk(world, draft, type).Run();
  }
  WaitOutside(world, draft);
}

}  // namespace kezek::engine

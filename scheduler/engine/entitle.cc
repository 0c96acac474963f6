// Demand and standings, account by account.

#include <algorithm>
#include <utility>

#include "quota/usage.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

// Adds jobs to demand in the order of their submission, as if there were GPUs for all of them:
// what limits stop even then is not demand.
class DemandCount {
 public:
  DemandCount(const World& world, const Draft& draft)
      : world_(world),
        draft_(draft),
        tree_(world.tree()),
        running_(draft.running),
        taken_(draft.taken) {}

  void AddRunning(const std::string& type) {
    demand_[type] = running_.AllocatedByIndex(tree_, type);
    allocated_[type] = demand_[type];
  }

  void AddQueued(const Waiting& job) {
    const quota::AccountIndex project = tree_.IndexOf(job.spec->project);
    const quota::JobCount count = world_.CountOf(job);
    const std::int64_t jobs = Startable(job) + job.more;
    if (world_.barred().contains(job.ref) || count.scavenger || jobs == 0) return;
    if (!IsForShared(*job.spec)) return;
    MilliGpus& demand = demand_[count.gpu_type].at(static_cast<std::size_t>(project));
    if (!world_.MayBeStopped(project, count.job_class)) {  // need not be counted one by one
      demand += count.counted_milli * jobs;
      GiveAbove(project, count, jobs);
      return;
    }
    // One after the other: what stops one stops all after it. Limits are asked before budgets.
    const std::int64_t by_limits = PassLimits(project, count, jobs);
    const std::int64_t pass = PassBudgets(job, by_limits);
    demand += count.counted_milli * pass;
    running_.Add(tree_, count, pass);
    GiveAbove(project, count, pass);
    if (pass == jobs) return;
    StoppedDemand& stopped = stopped_[{count.project, count.gpu_type}];
    (pass < by_limits ? stopped.by_budgets : stopped.by_limits) +=
        count.counted_milli * (jobs - pass);
  }

  const std::vector<MilliGpus>& demand(const std::string& type) { return demand_[type]; }
  std::map<std::pair<AccountId, std::string>, StoppedDemand> TakeStopped() {
    return std::move(stopped_);
  }

 private:
  // Less what has just started on dedicated nodes.
  std::int32_t Startable(const Waiting& job) const {
    const std::int32_t all = StartableCount(job);
    if (draft_.started.empty()) return all;
    const auto started = draft_.started.find(job.ref);
    return started == draft_.started.end() ? all : all - started->second;
  }

  // Not what a lane alone takes, nor what the shared nodes could not hold if they were empty and
  // all of them in service.
  bool IsForShared(const JobSpec& spec) {
    const PoolKey shared{spec.shape.gpu_type, {}, {}};
    if (!world_.apart().empty() && PoolsFor(world_.apart(), tree_, spec).back() != shared) {
      return false;
    }
    const auto [held, first] = could_hold_.try_emplace({&spec, spec.within, false});
    if (first) {
      held->second = WhyNeverFits(draft_.configured, spec, shared).code == ReasonCode::kNone;
    }
    return held->second;
  }

  // How many of so many like it.
  std::int64_t PassLimits(quota::AccountIndex project, const quota::JobCount& count,
                          std::int64_t jobs) {
    const auto passes = [&](std::int64_t before) {  // the one after these
      running_.Add(tree_, count, before);
      GiveAbove(project, count, before);
      const Reason stop = StopOf(world_, running_, allocated_[count.gpu_type], count);
      running_.Add(tree_, count, -before);
      GiveAbove(project, count, -before);
      return stop.code == ReasonCode::kNone;
    };
    std::int64_t pass = 0;
    std::int64_t fail = jobs + 1;
    while (fail - pass > 1) {
      const std::int64_t middle = pass == 0 ? 1 : pass + (fail - pass) / 2;
      (passes(middle - 1) ? pass : fail) = middle;
    }
    return pass;
  }

  // How many of so many; takes what they draw. Each draws the same.
  std::int64_t PassBudgets(const Waiting& job, std::int64_t jobs) {
    if (jobs == 0) return 0;
    const quota::Draw draw = world_.DrawOf(job, taken_);
    if (StopOf(world_, draw).code != ReasonCode::kNone) return 0;
    for (const auto& [budget, from_ms, amount] : draw.holds) {
      jobs = std::min(jobs, (world_.budgets().Of(budget).left - taken_[budget]) / amount);
    }
    for (const auto& [budget, from_ms, amount] : draw.holds) taken_[budget] += amount * jobs;
    return jobs;
  }

  void GiveAbove(quota::AccountIndex project, const quota::JobCount& count, std::int64_t jobs) {
    auto& allocated = allocated_[count.gpu_type];
    for (auto i = project; i != quota::kNoAccount; i = tree_.parent(i)) {
      allocated.at(static_cast<std::size_t>(i)) += count.counted_milli * jobs;
    }
  }

  const World& world_;
  const Draft& draft_;
  const quota::AccountTree& tree_;
  std::map<Request, bool> could_hold_;  // the shared pool, by shape
  quota::RunningTable running_;
  quota::Taken taken_;
  std::map<std::pair<AccountId, std::string>, StoppedDemand> stopped_;
  std::map<std::string, std::vector<MilliGpus>> demand_;     // by type; by index
  std::map<std::string, std::vector<MilliGpus>> allocated_;  // the same, summed up the tree
};

// Places among siblings that still have something waiting, without gaps.
std::vector<std::int64_t> PlacesOfWaiting(const World& world, const Draft& draft,
                                          const std::string& type) {
  const quota::AccountTree& tree = world.tree();
  std::vector<char> waits(static_cast<std::size_t>(tree.size()), 0);
  for (const auto& [ref, standing] : draft.plan.waiting) {
    const JobSpec& spec = *world.waiting().at(ref).spec;
    if (spec.shape.gpu_type != type || world.barred().contains(ref)) continue;
    for (auto i = tree.IndexOf(spec.project); i != quota::kNoAccount; i = tree.parent(i)) {
      waits[static_cast<std::size_t>(i)] = 1;
    }
  }
  std::vector<std::int64_t> places(waits.size(), 0);
  const auto found = draft.places.find(type);
  if (found == draft.places.end()) return places;
  if (waits[0] != 0) places[0] = 1;
  for (quota::AccountIndex parent = 0; parent < tree.size(); ++parent) {
    std::vector<std::pair<std::int64_t, std::size_t>> siblings;
    for (const quota::AccountIndex child : tree.children(parent)) {
      const auto index = static_cast<std::size_t>(child);
      if (waits[index] != 0 && found->second[index] != 0)
        siblings.push_back({found->second[index], index});
    }
    std::sort(siblings.begin(), siblings.end());
    for (std::size_t i = 0; i < siblings.size(); ++i) {
      places[siblings[i].second] = static_cast<std::int64_t>(i) + 1;
    }
  }
  return places;
}

}  // namespace

void Entitle(const World& world, Draft& draft) {
  DemandCount count(world, draft);
  const std::set<std::string> types = world.AllTypes();
  for (const std::string& type : types) count.AddRunning(type);
  for (const auto& [ref, job] : world.waiting()) count.AddQueued(job);
  for (const std::string& type : types) {
    const Pool* pool = draft.free.FindPool({type, {}, {}});
    const MilliGpus capacity = pool == nullptr ? 0 : pool->capacity_gpus * 1000;
    draft.entitled[type] = quota::Entitle(world.tree(), type, capacity, count.demand(type));
    draft.plan.capacity_milli[type] = capacity;
  }
  draft.plan.stopped = count.TakeStopped();
}

void Stand(const World& world, Draft& draft) {
  const quota::AccountTree& tree = world.tree();
  for (const auto& [type, entitled] : draft.entitled) {
    const std::vector<MilliGpus> allocated = draft.running.AllocatedByIndex(tree, type);
    const std::vector<std::int64_t> places = PlacesOfWaiting(world, draft, type);
    const quota::UsageBook& usage = world.usage(type);
    const Pool* pool = draft.free.FindPool({type, {}, {}});
    const MilliGpus free = pool == nullptr ? 0 : pool->free_gpus * 1000;
    const std::vector<MilliGpus> lent = quota::Lent(tree, entitled, allocated, free);
    for (quota::AccountIndex i = 0; i < tree.size(); ++i) {
      const auto index = static_cast<std::size_t>(i);
      Standing standing;
      standing.guarantee_milli = tree.Guarantee(i, type);
      standing.entitled_milli = entitled[index].entitled_milli;
      standing.allocated_milli = allocated[index];
      standing.demand_milli = entitled[index].demand_milli;
      standing.guarantee_now_milli = entitled[index].guarantee_milli;
      standing.entitled_gpus = entitled[index].entitled_gpus;
      standing.lent_milli = lent[index];
      standing.idle_milli = entitled[index].idle_milli;
      standing.entitled_by = entitled[index].by;
      standing.apart_milli = draft.running.Apart(tree.id(i), type);
      standing.usage_gpu_hours =
          quota::UsageGpuHours(usage.decay(), usage.OfAccount(tree.id(i)), draft.now_ms);
      standing.place = places[index];
      const auto parent = tree.parent(i);
      standing.siblings =
          parent == quota::kNoAccount ? 1 : static_cast<std::int64_t>(tree.children(parent).size());
      draft.plan.standings[{tree.id(i), type}] = standing;
    }
  }
}

}  // namespace kezek::engine

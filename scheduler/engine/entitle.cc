// Demand and standings, account by account.

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "quota/usage.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

using Demands = std::map<std::string, std::vector<MilliGpus>>;  // by GPU type; by index
using Started = std::map<JobRef, std::int32_t>;

std::int32_t StartedOf(const Started& started, const JobRef& row) {
  const auto found = started.find(row);
  return found == started.end() ? 0 : found->second;
}

void Add(const quota::AccountTree& tree, const Demand::OfProjects& asked, std::int64_t times,
         Demands& demands) {
  for (const auto& [key, milli] : asked) {
    const quota::AccountIndex project = tree.IndexOf(key.first);
    const auto demand = demands.find(key.second);
    if (project == quota::kNoAccount || demand == demands.end()) continue;
    demand->second[static_cast<std::size_t>(project)] += milli * times;
  }
}

// Adds jobs that more than GPUs may stop, in the order of their submission, as if there were GPUs
// for all of them: what limits stop even then is not demand.
class DemandCount {
 public:
  // `but`: of this row nothing counts that is known of it.
  DemandCount(const World& world, const quota::RunningTable& running, const quota::Taken& taken,
              const Started& started, const JobRef& but = {})
      : world_(world),
        started_(started),
        but_(but),
        tree_(world.tree()),
        running_(running.Over()),
        taken_(taken) {}
  DemandCount(const World& world, const Draft& draft)
      : DemandCount(world, draft.running, draft.taken, draft.started) {}

  // Goes on from what was counted when all was as it is now.
  void GoOnFrom(const Demand::Counted& counted) {
    counted_ = counted;
    for (const auto& [count, jobs] : counted.passed) running_.Add(tree_, count, jobs);
  }

  void Add(const JobRef& row, const Demand::Ask& ask) {
    const quota::JobCount& count = ask.count;
    const quota::AccountIndex project = tree_.IndexOf(count.project);
    const std::int64_t jobs = ask.jobs - StartedOf(started_, row);
    if (jobs == 0) return;
    // One after the other: what stops one stops all after it. Limits are asked before budgets.
    const std::int64_t by_limits = PassLimits(row, project, count, jobs);
    const std::int64_t pass = PassBudgets(ask, by_limits);
    const std::pair key{count.project, count.gpu_type};
    if (pass > 0) {
      counted_.asked[key] += count.counted_milli * pass;
      running_.Add(tree_, count, pass);
      counted_.passed.push_back({count, pass});
    }
    if (pass == jobs) return;
    StoppedDemand& stopped = counted_.stopped[key];
    (pass < by_limits ? stopped.by_budgets : stopped.by_limits) +=
        count.counted_milli * (jobs - pass);
  }

  Demand::Counted& counted() { return counted_; }
  bool by_budgets() const { return by_budgets_; }  // budgets had a say, as they are now

 private:
  // How many of so many like it.
  std::int64_t PassLimits(const JobRef& row, quota::AccountIndex project,
                          const quota::JobCount& count, std::int64_t jobs) {
    const ClassRules& rules = world_.ClassOf(count.job_class);
    const auto passes = [&](std::int64_t before) {  // the one after these
      if (before > 0) running_.Add(tree_, count, before);
      const bool stops =
          IsLimited(tree_, running_, rules, count) || IsOutside(row, project, rules, count);
      if (before > 0) running_.Add(tree_, count, -before);
      return !stops;
    };
    std::int64_t pass = 0;
    std::int64_t fail = jobs + 1;
    while (fail - pass > 1) {
      const std::int64_t middle = pass == 0 ? 1 : pass + (fail - pass) / 2;
      (passes(middle - 1) ? pass : fail) = middle;
    }
    return pass;
  }

  // The guarantee of an account on its path, by what runs and by all that was submitted before it.
  bool IsOutside(const JobRef& row, quota::AccountIndex project, const ClassRules& rules,
                 const quota::JobCount& count) {
    if (rules.preemptible || !count.IsShared()) return false;
    const std::string& type = count.gpu_type;
    const auto outside = [&](const MilliGpus* before) {
      for (auto i = project; i != quota::kNoAccount; i = tree_.parent(i)) {
        const MilliGpus allocated = running_.Allocated(tree_.id(i), type) +
                                    (before == nullptr ? 0 : before[static_cast<std::size_t>(i)]);
        if (allocated + count.counted_milli > tree_.Guarantee(i, type)) return true;
      }
      return false;
    };
    return outside(nullptr) || outside(PlainBefore(row, type).data());
  }

  // What nothing else can stop of what was submitted before the row, by index, with all below. Rows
  // are asked for in their order.
  const std::vector<MilliGpus>& PlainBefore(const JobRef& row, const std::string& gpu_type) {
    const auto& asks = world_.demand().asks();
    if (!sweeping_) sweep_ = asks.begin();
    sweeping_ = true;
    for (; sweep_ != asks.end() && sweep_->first < row; ++sweep_) {
      const Demand::Ask& ask = sweep_->second;
      if (ask.may_be_stopped || sweep_->first == but_) continue;
      const std::int64_t jobs = ask.jobs - StartedOf(started_, sweep_->first);
      auto& before = before_[ask.count.gpu_type];
      before.resize(static_cast<std::size_t>(tree_.size()), 0);
      for (auto i = tree_.IndexOf(ask.count.project); i != quota::kNoAccount; i = tree_.parent(i)) {
        before[static_cast<std::size_t>(i)] += ask.count.counted_milli * jobs;
      }
    }
    auto& before = before_[gpu_type];
    before.resize(static_cast<std::size_t>(tree_.size()), 0);
    return before;
  }

  // How many of so many; takes what they draw. Each draws the same.
  std::int64_t PassBudgets(const Demand::Ask& ask, std::int64_t jobs) {
    if (!world_.DrawsOnBudgets(ask.count.project)) return jobs;
    by_budgets_ = true;
    if (jobs == 0) return 0;
    const quota::Draw draw = world_.DrawOf(*ask.row, taken_);
    if (StopOf(world_, draw).code != ReasonCode::kNone) return 0;
    for (const auto& [budget, from_ms, amount] : draw.holds) {
      jobs = std::min(jobs, (world_.budgets().Of(budget).left - taken_[budget]) / amount);
    }
    for (const auto& [budget, from_ms, amount] : draw.holds) taken_[budget] += amount * jobs;
    return jobs;
  }

  const World& world_;
  const Started& started_;
  const JobRef but_;
  const quota::AccountTree& tree_;
  quota::RunningTable running_;
  quota::Taken taken_;
  Demand::Counted counted_;
  bool by_budgets_ = false;
  bool sweeping_ = false;
  std::map<JobRef, Demand::Ask>::const_iterator sweep_;
  Demands before_;
};

using RowsAsking = std::vector<std::pair<JobRef, const Demand::Ask*>>;

// In the order of their submission.
RowsAsking AllStoppable(const Demand& demand) {
  RowsAsking rows;
  for (const auto& [account, group] : demand.groups()) {
    rows.insert(rows.end(), group.rows.begin(), group.rows.end());
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

// Of what may be stopped. Groups without a limit in common are counted one by one, and what was
// counted holds while nothing of them changes; what a class may stop could be in the way of all.
void CountStoppable(const World& world, Draft& draft, Demands& demands) {
  const Demand& demand = world.demand();
  const auto take = [&](const Demand::Counted& counted) {
    Add(world.tree(), counted.asked, 1, demands);
    for (const auto& [key, stopped] : counted.stopped) draft.plan.stopped[key] = stopped;
  };
  if (demand.groups().contains(AccountId{})) {
    DemandCount count(world, draft);
    for (const auto& [row, ask] : AllStoppable(demand)) count.Add(row, *ask);
    return take(count.counted());
  }
  const bool as_known = draft.plan.starts.empty() && draft.started.empty();
  for (const auto& [account, group] : demand.groups()) {
    const bool known = as_known && group.known;
    if (known && !group.more) {
      take(group.counted);
      continue;
    }
    DemandCount count(world, draft);
    if (known) count.GoOnFrom(group.counted);
    auto row = known ? group.rows.upper_bound(group.until) : group.rows.begin();
    for (; row != group.rows.end(); ++row) count.Add(row->first, *row->second);
    take(count.counted());
    if (as_known && !count.by_budgets()) demand.Keep(account, std::move(count.counted()));
  }
}

// What no more than a lack of GPUs stops, less what has started on nodes of its own. Of `but`
// nothing.
void AddPlain(const World& world, const Started& started, const JobRef& but, Demands& demands) {
  const Demand& demand = world.demand();
  Add(world.tree(), demand.plain(), 1, demands);
  const auto take_back = [&](const JobRef& row, std::int64_t jobs) {
    const auto ask = demand.asks().find(row);
    if (ask == demand.asks().end() || ask->second.may_be_stopped) return;
    Add(world.tree(), {{Demand::KeyOf(ask->second), ask->second.count.counted_milli}},
        -(row == but ? ask->second.jobs : jobs), demands);
  };
  for (const auto& [row, jobs] : started) take_back(row, jobs);
  if (!started.contains(but)) take_back(but, 0);
}

// As they stand in the order, where no project's last row starts: all that is in it waits.
std::vector<std::int64_t> PlacesInOrder(const World& world, const Draft& draft,
                                        const std::string& type) {
  const quota::AccountTree& tree = world.tree();
  const auto queued = world.queued().find(type);
  const auto found = draft.places.find(type);
  if (queued == world.queued().end() || found == draft.places.end()) {
    return std::vector<std::int64_t>(static_cast<std::size_t>(tree.size()), 0);
  }
  std::vector<std::int64_t> places = found->second;
  if (places.empty()) return places;
  const bool any = std::any_of(queued->second.begin(), queued->second.end(), [&](const auto& of) {
    return tree.IndexOf(of.first) != quota::kNoAccount;
  });
  places[0] = any ? 1 : 0;
  return places;
}

// Places among siblings that still have something waiting, without gaps.
std::vector<std::int64_t> PlacesOfWaiting(const World& world, const Draft& draft,
                                          const std::string& type) {
  const quota::AccountTree& tree = world.tree();
  std::map<JobRef, std::int32_t> starts;
  for (const Start& start : draft.plan.starts) ++starts[start.row];
  std::map<AccountId, std::int64_t> gone;  // rows all of which start
  for (const auto& [ref, count] : starts) {
    const Waiting& row = world.waiting().at(ref);
    if (row.spec->shape.gpu_type == type && count >= StartableCount(row)) ++gone[row.spec->project];
  }
  const auto queued = world.queued().find(type);
  const auto is_gone = [&](const auto& left) {
    const auto rows = queued->second.find(left.first);
    return rows != queued->second.end() && left.second >= rows->second;
  };
  if (queued == world.queued().end() || std::none_of(gone.begin(), gone.end(), is_gone)) {
    return PlacesInOrder(world, draft, type);
  }
  std::vector<char> waits(static_cast<std::size_t>(tree.size()), 0);
  for (const auto& [project, rows] : queued->second) {
    const auto left = gone.find(project);
    if (left != gone.end() && left->second >= rows) continue;
    for (auto i = tree.IndexOf(project); i != quota::kNoAccount; i = tree.parent(i)) {
      if (std::exchange(waits[static_cast<std::size_t>(i)], 1) != 0) break;
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
  Demands demands;
  const std::set<std::string> types = world.AllTypes();
  for (const std::string& type : types) {
    draft.running.KeepByIndex(world.tree(), type);
    demands[type] = draft.running.AllocatedByIndex(world.tree(), type);
  }
  AddPlain(world, draft.started, {}, demands);
  CountStoppable(world, draft, demands);
  for (const std::string& type : types) {
    const Pool* pool = draft.free.FindPool({type, {}, {}});
    const MilliGpus capacity =
        pool == nullptr ? 0 : pool->capacity_gpus * 1000 - world.ClosedMilli(type);
    draft.entitled[type] =
        quota::Entitle(world.tree(), type, capacity, demands.at(type), &world.levels(type));
    draft.plan.capacity_milli[type] = capacity;
  }
}

std::vector<MilliGpus> DemandWith(const World& world, const DemandBasis& basis,
                                  const Waiting& job) {
  const std::string& type = job.spec->shape.gpu_type;
  Demands demands{{type, basis.running.AllocatedByIndex(world.tree(), type)}};
  AddPlain(world, basis.started, job.ref, demands);
  Demand::Ask asked{.count = world.CountOf(job),
                    .jobs = StartableCount(job) + job.more,
                    .may_be_stopped = true,
                    .group = {},
                    .row = &job};
  RowsAsking rows = AllStoppable(world.demand());
  std::erase_if(rows, [&job](const auto& row) { return row.first == job.ref; });
  const RowsAsking::value_type own{job.ref, &asked};
  rows.insert(std::lower_bound(rows.begin(), rows.end(), own), own);
  DemandCount count(world, basis.running, basis.taken, basis.started, job.ref);
  for (const auto& [row, ask] : rows) count.Add(row, *ask);
  Add(world.tree(), count.counted().asked, 1, demands);
  return std::move(demands.at(type));
}

void Stand(const World& world, Draft& draft) {
  const quota::AccountTree& tree = world.tree();
  std::vector<Standings::value_type> standings;
  standings.reserve(static_cast<std::size_t>(tree.size()) * draft.entitled.size());
  for (const auto& [type, entitled] : draft.entitled) {
    const std::vector<MilliGpus> allocated = draft.running.AllocatedByIndex(tree, type);
    const std::vector<std::int64_t> places = PlacesOfWaiting(world, draft, type);
    const quota::UsageInGpuHours hours(world.usage(type).decay(), draft.now_ms);
    const Pool* pool = draft.free.FindPool({type, {}, {}});
    const MilliGpus free = pool == nullptr ? 0 : pool->free_gpus * 1000;
    const std::vector<MilliGpus> lent = quota::Lent(tree, entitled, allocated, free);
    const std::vector<MilliGpus>& set = world.GuaranteesSet(type);
    const std::vector<const quota::UsageSum*>& sums = world.UsageSums(type);
    for (const auto& [id, i] : tree.by_id()) {
      const auto index = static_cast<std::size_t>(i);
      Standing standing;
      standing.guarantee_milli = set[index];
      standing.entitled_milli = entitled[index].entitled_milli;
      standing.allocated_milli = allocated[index];
      standing.demand_milli = entitled[index].demand_milli;
      standing.guarantee_now_milli = entitled[index].guarantee_milli;
      standing.entitled_gpus = entitled[index].entitled_gpus;
      standing.lent_milli = lent[index];
      standing.idle_milli = entitled[index].idle_milli;
      standing.entitled_by = entitled[index].by;
      standing.apart_milli = draft.running.Apart(id, type);
      standing.usage_gpu_hours = hours.Of(*sums[index]);
      standing.place = places[index];
      const auto parent = tree.parent(i);
      standing.siblings =
          parent == quota::kNoAccount ? 1 : static_cast<std::int64_t>(tree.children(parent).size());
      standings.push_back({{id, type}, standing});
    }
  }
  draft.plan.standings = Standings(std::move(standings));
}

}  // namespace kezek::engine

#include "tests/property/naive_engine.h"

#include <algorithm>
#include <set>

#include "quota/counted.h"
#include "tests/property/naive_entitlement.h"
#include "tests/property/naive_tick.h"

namespace kezek::test {

using engine::Holding;
using engine::Plan;
using engine::Waiting;

NaiveEngine::NaiveEngine(engine::EngineConfig config, std::shared_ptr<const Directory> directory)
    : config_(config) {
  SetDirectory(std::move(directory));
}

void NaiveEngine::SetDirectory(std::shared_ptr<const Directory> directory) {
  directory_ = std::move(directory);
  tree_ = std::make_shared<const quota::AccountTree>(
      quota::AccountTree::Build(directory_->accounts).value());
  FindPools();
}

// Demand: as if there were GPUs for all, in the order of submission.
std::map<std::string, NaiveEngine::Entitled> NaiveEngine::EntitleAll(Tick& tick) const {
  quota::RunningTable running = tick.running;
  Holds taken = tick.taken;
  std::set<std::string> types;
  for (const auto& [name, node] : nodes_) {
    if (!node.gpu_type.empty()) types.insert(node.gpu_type);
  }
  for (const auto& [ref, attempt] : holdings_) types.insert(attempt.shape.gpu_type);
  for (const auto& [ref, job] : waiting_) {
    if (Barred(job).code != ReasonCode::kNone) continue;
    if (Startable(job) > 0) types.insert(job.spec->shape.gpu_type);
    const quota::JobCount count = CountOf(job, tick.now);
    if (count.scavenger || !IsForShared(job)) continue;
    const std::int64_t jobs = Startable(job) + job.more;
    const auto started = tick.started_apart.find(ref);
    engine::StoppedDemand& stopped = tick.plan.stopped[{count.project, count.gpu_type}];
    for (std::int64_t i = started == tick.started_apart.end() ? 0 : started->second; i < jobs;
         ++i) {
      const MilliGpus rest = count.counted_milli * (jobs - i);
      const bool limited = Stopped(running, count, {}).code != ReasonCode::kNone;
      const Drawn drawn = DrawOf(job, count.counted_milli, tick.now, taken);
      const bool unpaid = drawn.stop.code != ReasonCode::kNone || drawn.scavenges;
      if (limited) stopped.by_limits += rest;
      if (!limited && unpaid) stopped.by_budgets += rest;
      if (limited || unpaid) break;
      for (const auto& [budget, amount] : drawn.holds) taken[budget] += amount;
      running.Add(*tree_, count);
    }
  }
  std::map<std::string, Entitled> entitled;
  for (const std::string& type : types) {
    MilliGpus capacity = 0;
    for (const NaiveNode& free : Of(tick.free, {type, {}, {}})) {
      if (!free.in_service || IsClosed(free.node.name, tick.now)) continue;
      capacity += std::max(0, free.node.gpus - free.node.foreign_gpus) * MilliGpus{1000};
    }
    entitled[type] = NaiveEntitle(*tree_, type, capacity, running.AllocatedByIndex(*tree_, type));
  }
  return entitled;
}

void NaiveEngine::Leave(Tick& tick, const quota::OrderTree& order, AccountId project,
                        const bool* scavengers) const {
  for (const quota::Candidate& rest : order.Remaining(tree_->IndexOf(project))) {
    const Waiting& job = waiting_.at(rest.job->ref);
    if (tick.waits.contains(job.ref)) continue;
    if (scavengers != nullptr && rest.job->scavenger != *scavengers) continue;
    const auto started = tick.started_apart.find(job.ref);
    if (started != tick.started_apart.end() && started->second == Startable(job)) continue;
    JobStanding standing;
    standing.place_in_project = ++tick.place_of[project];
    standing.reason = {ReasonCode::kNotLookedAt,
                       {{"place", std::to_string(standing.place_in_project)}}};
    tick.waits[job.ref] = standing;
  }
}

void NaiveEngine::WalkApart(Tick& tick) const {
  std::vector<std::pair<quota::AccountIndex, engine::PoolKey>> pools;
  std::set<engine::PoolKey> seen;
  for (const auto& [name, node] : nodes_) {
    const engine::PoolKey pool = PoolOf(node);
    if (pool.shared() || !seen.insert(pool).second) continue;
    const quota::AccountIndex index = pool.account ? tree_->IndexOf(pool.account) : INT32_MAX;
    pools.push_back({-index, pool});  // lanes first, then the lowest accounts
  }
  std::sort(pools.begin(), pools.end());
  for (const auto& [index, pool] : pools) {
    Walk(tick, pool);
    for (const auto& [ref, standing] : tick.waits) {
      Reason reason = standing.reason;
      if (pool.account) {
        reason.fields["dedicated"] = tree_->path(tree_->IndexOf(pool.account));
        tick.waits_apart.try_emplace(ref, reason);
      } else {
        tick.waiting[ref] = standing;
        tick.waiting[ref].reason.fields["lane"] = pool.job_class;
      }
    }
  }
}

NaiveEngine::Entitled NaiveEngine::EntitledIn(const Tick& tick, const engine::PoolKey& pool) const {
  if (pool.shared()) return tick.entitled.at(pool.gpu_type);
  return Entitled(static_cast<std::size_t>(tree_->size()));
}

void NaiveEngine::Walk(Tick& tick, const engine::PoolKey& pool) const {
  const std::string& type = pool.gpu_type;
  quota::WaitingJobs jobs;
  std::set<AccountId> projects;
  tick.pool = pool;
  tick.waits.clear();
  for (const auto& [ref, job] : waiting_) {
    const std::vector<engine::PoolKey> pools = PoolsFor(*job.spec);
    if (std::find(pools.begin(), pools.end(), pool) == pools.end() || Startable(job) == 0) continue;
    if (Barred(job).code != ReasonCode::kNone) continue;
    jobs.Set(OrderOf(job, tick.now));
    if (tree_->IndexOf(job.spec->project) != quota::kNoAccount) projects.insert(job.spec->project);
  }
  if (jobs.size() == 0) return;
  jobs.Arrange(*tree_);
  quota::UsageBook usage = Usage(type);
  for (const engine::Start& start : tick.plan.starts) {  // as if it were booked
    const Waiting& job = waiting_.at(start.row);
    if (job.spec->shape.gpu_type != type || CountOf(job, tick.now).scavenger) continue;
    usage.Book(*tree_, job.spec->project, job.user, tick.now,
               ExpectedCharge(*job.spec, start.counted_milli));
  }
  std::vector<MilliGpus> running(static_cast<std::size_t>(tree_->size()), 0);
  if (pool.shared()) running = tick.running.AllocatedByIndex(*tree_, type);
  quota::OrderTree order({.tree = tree_.get(),
                          .gpu_type = type,
                          .waiting = &jobs,
                          .running_milli = running,
                          .guarantee_milli = Guarantees(tick, pool),
                          .usage = &usage,
                          .now_ms = tick.now});
  if (pool.shared()) tick.places[type] = order.Places();
  tick.own_orders.clear();
  for (const AccountId project : projects) {
    std::vector<JobRef>& own = tick.own_orders.emplace_back();
    for (const quota::Candidate& next : order.Remaining(tree_->IndexOf(project))) {
      own.push_back(next.job->ref);
    }
  }
  tick.free_milli = 0;
  for (const NaiveNode& node : Of(tick.free, pool)) tick.free_milli += node.gpus * 1000;
  tick.failed.clear();
  tick.kept_from.clear();
  tick.looked_of.clear();
  tick.place_of.clear();
  tick.looked = 0;
  tick.rank = 0;
  while (true) {
    const bool full = static_cast<int>(tick.plan.starts.size()) >= config_.starts_max;
    if (full || tick.looked >= config_.look) {
      for (const AccountId project : projects) Leave(tick, order, project, nullptr);
      tick.plan.more |= full && !tick.plan.starts.empty();
      return;
    }
    const auto candidate = order.Next();
    if (!candidate) return;
    const bool counts = WalkOne(tick, order, *candidate);
    if (!counts) continue;
    ++tick.looked;
    const AccountId project = candidate->job->project;
    if (++tick.looked_of[project] < config_.look_project) continue;
    Leave(tick, order, project, &candidate->job->scavenger);
    order.CloseProject(candidate->project);
  }
}

MilliGpus NaiveEngine::Start(Tick& tick, const Waiting& job, int nth,
                             const Placement& placement) const {
  const JobSpec& spec = *job.spec;
  quota::JobCount count = CountOf(job, tick.now);
  count.counted_milli = 0;
  for (const NodeGrant& grant : placement) count.counted_milli += CountedOn(spec.shape, grant.node);
  count.apart = !tick.pool.shared();
  const JobRef ref = spec.array && job.ref.element == kNoElement
                         ? JobRef{job.ref.id, job.elements[static_cast<std::size_t>(nth)]}
                         : job.ref;
  const BudgetRef scavenges = Scavenges(job, tick.now);
  tick.plan.starts.push_back({ref, job.ref, placement, count.counted_milli, scavenges});
  Drawn drawn;
  if (!scavenges) drawn = DrawOf(job, count.counted_milli, tick.now, tick.taken);
  for (const auto& [budget, amount] : drawn.holds) tick.taken[budget] += amount;
  for (NaiveNode& node : tick.free) {
    for (const NodeGrant& grant : placement) {
      if (grant.node != node.node.name) continue;
      node.gpus = spec.shape.exclusive ? 0 : node.gpus - grant.gpus;
      node.cpus = spec.shape.exclusive ? 0 : node.cpus - spec.shape.cpus_per_node;
      node.memory_mib = spec.shape.exclusive ? 0 : node.memory_mib - spec.shape.memory_mib_per_node;
      node.idle = false;
    }
  }
  tick.running.Add(*tree_, count);
  tick.free_milli -= count.counted_milli;
  if (tick.pool.account) ++tick.started_apart[job.ref];
  return count.counted_milli;
}

// That count now.
std::vector<MilliGpus> NaiveEngine::Guarantees(const Tick& tick,
                                               const engine::PoolKey& pool) const {
  const std::string& type = pool.gpu_type;
  if (!pool.shared()) {
    return std::vector<MilliGpus>(static_cast<std::size_t>(tree_->size()), 0);
  }
  std::vector<MilliGpus> guarantees;
  for (quota::AccountIndex i = 0; i < tree_->size(); ++i) {
    const quota::Entitlement& own = tick.entitled.at(type)[static_cast<std::size_t>(i)];
    const bool scaled = own.by == EntitledBy::kScaled;
    guarantees.push_back(scaled ? own.entitled_milli : NaiveGuarantee(*tree_, i, type));
  }
  return guarantees;
}

// What a reason for lack of room says besides of this job.
void NaiveEngine::Explain(const Tick& tick, const Waiting& job, const quota::Candidate& candidate,
                          Reason& reason) const {
  if (reason.code == ReasonCode::kWaitsForTopology) {
    reason.fields["until_ms"] = std::to_string(job.queued_since_ms + config_.topology_wait_ms);
  }
  if (reason.code != ReasonCode::kWaitsForGpus || !tick.pool.shared()) return;
  const MilliGpus guarantee =
      Guarantees(tick, tick.pool)[static_cast<std::size_t>(candidate.project)];
  const auto& entitled = tick.entitled.at(tick.pool.gpu_type);
  if (guarantee < NaiveGuarantee(*tree_, candidate.project, tick.pool.gpu_type)) {
    reason.fields["guarantee_now"] = GpusText(guarantee);
  }
  const MilliGpus share =
      std::max(guarantee, entitled[static_cast<std::size_t>(candidate.project)].entitled_milli);
  if (CountOf(job, tick.now).counted_milli > share)
    reason.fields["wider_than_share"] = GpusText(share);
  const auto apart = tick.waits_apart.find(job.ref);
  if (apart != tick.waits_apart.end()) {
    reason.fields["dedicated"] = apart->second.fields.at("dedicated");
  }
}

// What budgets have against it now. That it will be a scavenger counts from the next tick on.
Reason NaiveEngine::Unpaid(const Tick& tick, const Waiting& job, MilliGpus counted) const {
  if (Scavenges(job, tick.now)) return {};
  const Drawn drawn = DrawOf(job, counted, tick.now, tick.taken);
  if (!drawn.scavenges) return drawn.stop;
  const auto account = tree_->IndexOf(drawn.scavenges.account);
  return {ReasonCode::kBudgetExhausted,
          {{"account", tree_->path(account)}, {"budget", drawn.scavenges.name}}};
}

// What accounts keep idle that the project is not in.
MilliGpus NaiveEngine::Kept(const Tick& tick, quota::AccountIndex project) const {
  const Entitled entitled = EntitledIn(tick, tick.pool);
  MilliGpus kept = 0;
  for (quota::AccountIndex i = 0; i < tree_->size(); ++i) {
    if (!tree_->IsAncestor(i, project)) kept += entitled[static_cast<std::size_t>(i)].idle_milli;
  }
  return kept;
}

// Starts, blocks or passes over; true if it is blocked and counts as looked at.
bool NaiveEngine::WalkOne(Tick& tick, quota::OrderTree& order,
                          const quota::Candidate& candidate) const {
  const Waiting& job = waiting_.at(candidate.job->ref);
  const JobSpec& spec = *job.spec;
  const auto apart = tick.started_apart.find(job.ref);
  if (apart != tick.started_apart.end() && candidate.nth < apart->second) {
    order.PassOver();
    return false;
  }
  quota::JobCount count = CountOf(job, tick.now);
  count.apart = !tick.pool.shared();
  const auto wait = [&](Reason reason, bool blocked) {
    const std::int64_t rank = ++tick.rank <= config_.exact_ranks ? tick.rank : 0;
    tick.waits[job.ref] = {std::move(reason), rank, ++tick.place_of[count.project]};
    blocked ? order.Take(false) : order.PassOver();
    order.DropRest();
  };
  const std::vector<MilliGpus> guarantees = Guarantees(tick, tick.pool);
  Reason stop = Stopped(tick.running, count, guarantees);
  if (stop.code == ReasonCode::kNone) stop = Unpaid(tick, job, count.counted_milli);
  if (stop.code != ReasonCode::kNone) {
    wait(stop, false);
    return false;
  }
  const bool young = tick.now - job.queued_since_ms < config_.topology_wait_ms;
  const bool preference = spec.within != Domain::kLeaf && spec.prefer != Domain::kAny &&
                          spec.prefer != spec.within && young;
  const Domain within = preference ? spec.prefer : spec.within;
  const NaiveCrossed crossed = Crossed(tick, job);
  const auto known = std::find_if(tick.failed.begin(), tick.failed.end(), [&](const auto& failed) {
    return failed.Same(spec, within, preference) && failed.crossed == crossed;
  });
  const bool first = known == tick.failed.end();
  const NaiveNodes open = OpenTo(tick, job);
  const auto placement = first ? NaivePlace(open, spec, within) : std::nullopt;
  if (!placement) {
    Reason reason = first ? NoRoom(tick.free, tick.pool, spec, within, preference) : known->reason;
    if (first) {
      reason = Reserved(tick, job, within, std::move(reason));
      reason = HeardBefore(tick.failed, spec, within, preference, std::move(reason));
      tick.failed.push_back({spec, within, preference, crossed, reason});
    }
    const bool never =
        reason.code == ReasonCode::kNeverFitsMachine || reason.code == ReasonCode::kNoSuchGpuType;
    if (never && tick.pool.account) {
      order.PassOver();
      order.DropRest();
      return false;
    }
    if (never) {
      wait(tick.waits_apart.contains(job.ref) ? tick.waits_apart.at(job.ref) : reason, false);
      return false;
    }
    Explain(tick, job, candidate, reason);
    wait(reason, true);
    return first;
  }
  const MilliGpus kept = Kept(tick, candidate.project);
  if (kept > 0 && tick.free_milli - count.counted_milli < kept) {
    wait({ReasonCode::kGuaranteeProtected,
          {{"free", GpusText(tick.free_milli)},
           {"kept", GpusText(kept)},
           {"asked", GpusText(count.counted_milli)}}},
         true);
    return tick.kept_from.insert({count.project, count.counted_milli}).second;
  }
  const MilliGpus counted = Start(tick, job, candidate.nth, *placement);
  order.Start({counted, ExpectedCharge(spec, counted)});
  return false;
}

void NaiveEngine::Stand(Tick& tick, const std::string& type) const {
  const quota::UsageBook usage = Usage(type);
  const auto& places = tick.places[type];
  std::set<quota::AccountIndex> waits;
  for (const auto& [ref, standing] : tick.waiting) {
    if (quota::IsBar(standing.reason.code)) continue;
    const JobSpec& spec = *waiting_.at(ref).spec;
    auto i = spec.shape.gpu_type == type ? tree_->IndexOf(spec.project) : quota::kNoAccount;
    for (; i != quota::kNoAccount; i = tree_->parent(i)) waits.insert(i);
  }
  const auto at = [&places](quota::AccountIndex i) {
    return places.empty() ? 0 : places[static_cast<std::size_t>(i)];
  };
  const std::vector<MilliGpus> guarantees = Guarantees(tick, {type, {}, {}});
  MilliGpus free = 0;
  for (const NaiveNode& node : Of(tick.free, {type, {}, {}})) free += node.gpus * 1000;
  const std::vector<MilliGpus> lent = quota::Lent(
      *tree_, tick.entitled.at(type), tick.running.AllocatedByIndex(*tree_, type), free);
  for (quota::AccountIndex i = 0; i < tree_->size(); ++i) {
    const quota::Entitlement& entitled = tick.entitled.at(type)[static_cast<std::size_t>(i)];
    Standing standing{NaiveGuarantee(*tree_, i, type),
                      entitled.entitled_milli,
                      tick.running.Allocated(tree_->id(i), type),
                      entitled.demand_milli,
                      quota::UsageGpuHours(usage.decay(), usage.OfAccount(tree_->id(i)), tick.now),
                      0,
                      1,
                      guarantees[static_cast<std::size_t>(i)],
                      entitled.entitled_gpus,
                      lent[static_cast<std::size_t>(i)],
                      entitled.idle_milli,
                      entitled.by,
                      tick.running.Apart(tree_->id(i), type)};
    const auto parent = tree_->parent(i);
    if (parent == quota::kNoAccount) {
      standing.place = waits.contains(i) && !places.empty() ? 1 : 0;
    } else {
      standing.siblings = static_cast<std::int64_t>(tree_->children(parent).size());
      for (const quota::AccountIndex sibling : tree_->children(parent)) {
        if (!waits.contains(i) || at(i) == 0 || !waits.contains(sibling)) continue;
        standing.place += at(sibling) != 0 && at(sibling) <= at(i) ? 1 : 0;
      }
    }
    tick.plan.standings[{tree_->id(i), type}] = standing;
  }
}

Plan NaiveEngine::Decide(TimeMs now) const {
  Tick tick;
  tick.now = now;
  tick.free = Free(now);
  tick.running = Running();
  WalkApart(tick);
  tick.entitled = EntitleAll(tick);
  std::set<std::string> types;
  for (const auto& [ref, job] : waiting_) types.insert(job.spec->shape.gpu_type);
  for (const std::string& type : types) {
    Walk(tick, {type, {}, {}});
    PlaceInOwnOrders(tick.own_orders, tick.waits);
    for (const auto& [ref, standing] : tick.waits) tick.waiting[ref] = standing;
  }
  for (const auto& [ref, job] : waiting_) {
    const Reason bar = Barred(job);
    if (bar.code != ReasonCode::kNone) {
      tick.waiting[ref].reason = bar;
    } else if (Startable(job) == 0) {
      tick.waiting[ref].reason = {ReasonCode::kArrayLimit,
                                  {{"limit", std::to_string(job.spec->array->max_running)}}};
    }
  }
  for (const auto& [type, entitled] : tick.entitled) Stand(tick, type);
  tick.plan.waiting = WaitingStandings(std::move(tick.waiting));
  return std::move(tick.plan);
}

}  // namespace kezek::test

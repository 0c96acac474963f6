#include "tests/property/naive_engine.h"

#include <algorithm>
#include <set>

#include "quota/counted.h"
#include "tests/property/naive_entitlement.h"

namespace kezek::test {

using engine::Holding;
using engine::Plan;
using engine::Waiting;

namespace {

bool Serves(const Node& node, TimeMs now) {
  const bool aside =
      node.drained_by_kezek && (node.set_aside_until_ms == 0 || node.set_aside_until_ms > now);
  return node.health == NodeHealth::kUp && !aside;
}

// A job that has failed to find room, with all that placement looks at.
struct Failed {
  JobSpec spec;
  Domain within;
  bool preference;
  Reason reason;
  bool Same(const JobSpec& other, Domain other_within, bool other_preference) const {
    return spec.shape == other.shape && spec.constraints == other.constraints &&
           spec.nodes == other.nodes && spec.exclude_nodes == other.exclude_nodes &&
           within == other_within && preference == other_preference;
  }
};

}  // namespace

struct NaiveEngine::Tick {
  TimeMs now = 0;
  std::map<std::string, Entitled> entitled;
  std::map<std::string, std::vector<std::int64_t>> places;
  NaiveNodes free;
  quota::RunningTable running;
  Holds taken;  // of budgets, by the plan
  Plan plan;
  // Of one type:
  MilliGpus free_milli = 0;
  std::vector<Failed> failed;
  std::set<std::pair<AccountId, MilliGpus>> kept_from;
  int looked = 0;
  std::int64_t rank = 0;
  std::map<AccountId, int> looked_of;
  std::map<AccountId, std::int64_t> place_of;
};

NaiveEngine::NaiveEngine(engine::EngineConfig config, std::shared_ptr<const Directory> directory)
    : config_(config) {
  SetDirectory(std::move(directory));
}

void NaiveEngine::SetDirectory(std::shared_ptr<const Directory> directory) {
  directory_ = std::move(directory);
  tree_ = std::make_shared<const quota::AccountTree>(
      quota::AccountTree::Build(directory_->accounts).value());
}

ClassRules NaiveEngine::ClassOf(const std::string& name) const {
  const auto found = directory_->classes.find(name);
  return found == directory_->classes.end() ? ClassRules{} : found->second;
}

NaiveNodes NaiveEngine::Free(TimeMs now) const {
  NaiveNodes free;
  for (const auto& [name, node] : nodes_) {
    NaiveNode state{node,
                    node.gpus - node.foreign_gpus,
                    node.cpus - node.foreign_cpus,
                    node.memory_mib - node.foreign_memory_mib,
                    Serves(node, now),
                    node.foreign_gpus + node.foreign_cpus + node.foreign_memory_mib == 0};
    bool taken = !state.in_service;
    for (const auto& [ref, attempt] : holdings_) {
      for (const NodeGrant& grant : attempt.placement) {
        if (grant.node != name) continue;
        state.gpus -= grant.gpus;
        state.cpus -= attempt.shape.cpus_per_node;
        state.memory_mib -= attempt.shape.memory_mib_per_node;
        state.idle = false;
        taken |= attempt.shape.exclusive;
      }
    }
    state.gpus = taken ? 0 : std::max(0, state.gpus);
    state.cpus = taken ? 0 : std::max(0, state.cpus);
    state.memory_mib = taken ? 0 : std::max<std::int64_t>(0, state.memory_mib);
    state.idle &= !taken;
    free.push_back(state);
  }
  return free;
}

NaiveNodes NaiveEngine::Configured() const {
  NaiveNodes all;
  for (const auto& [name, node] : nodes_) {
    all.push_back({node, node.gpus, node.cpus, node.memory_mib, true, true});
  }
  return all;
}

quota::RunningTable NaiveEngine::Running() const {
  quota::RunningTable running;
  for (const auto& [ref, attempt] : holdings_) {
    if (!attempt.counts) continue;
    running.Add(*tree_, {attempt.project, attempt.user, attempt.job_class, attempt.shape.gpu_type,
                         attempt.counted_milli,
                         attempt.as_scavenger || ClassOf(attempt.job_class).scavenger});
  }
  return running;
}

quota::UsageBook NaiveEngine::Usage(const std::string& type) const {
  quota::UsageBook book(config_.half_life_ms);
  for (const auto& [booking, tree] : bookings_) {
    if (booking.gpu_type != type) continue;
    book.Book(*tree, booking.project, booking.user, booking.date_ms, booking.amount);
  }
  return book;
}

// Demand: as if there were GPUs for all, in the order of submission.
std::map<std::string, NaiveEngine::Entitled> NaiveEngine::EntitleAll(Tick& tick) const {
  quota::RunningTable running = Running();
  Holds taken;
  std::set<std::string> types;
  for (const auto& [name, node] : nodes_) {
    if (!node.gpu_type.empty()) types.insert(node.gpu_type);
  }
  for (const auto& [ref, attempt] : holdings_) types.insert(attempt.shape.gpu_type);
  for (const auto& [ref, job] : waiting_) {
    if (Barred(job).code != ReasonCode::kNone) continue;
    if (Startable(job) > 0) types.insert(job.spec->shape.gpu_type);
    const quota::JobCount count = CountOf(job, tick.now);
    if (count.scavenger || !NaivePlace(Configured(), *job.spec, job.spec->within)) continue;
    const std::int64_t jobs = Startable(job) + job.more;
    engine::StoppedDemand& stopped = tick.plan.stopped[{count.project, count.gpu_type}];
    for (std::int64_t i = 0; i < jobs; ++i) {
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
    for (const auto& [name, node] : nodes_) {
      if (node.gpu_type == type && Serves(node, tick.now)) {
        capacity += std::max(0, node.gpus - node.foreign_gpus) * MilliGpus{1000};
      }
    }
    entitled[type] = NaiveEntitle(*tree_, type, capacity, running.AllocatedByIndex(*tree_, type));
  }
  return entitled;
}

void NaiveEngine::Leave(Tick& tick, const quota::OrderTree& order, const std::string& type,
                        AccountId project, const bool* scavengers) const {
  for (const quota::Candidate& rest : order.Remaining(tree_->IndexOf(project))) {
    const Waiting& job = waiting_.at(rest.job->ref);
    if (job.spec->shape.gpu_type != type || tick.plan.waiting.contains(job.ref)) continue;
    if (scavengers != nullptr && rest.job->scavenger != *scavengers) continue;
    JobStanding standing;
    standing.place_in_project = ++tick.place_of[project];
    standing.reason = {ReasonCode::kNotLookedAt,
                       {{"place", std::to_string(standing.place_in_project)}}};
    tick.plan.waiting[job.ref] = standing;
  }
}

void NaiveEngine::Walk(Tick& tick, const std::string& type) const {
  quota::WaitingJobs jobs;
  std::set<AccountId> projects;
  for (const auto& [ref, job] : waiting_) {
    if (job.spec->shape.gpu_type != type || Startable(job) == 0) continue;
    if (Barred(job).code != ReasonCode::kNone) continue;
    jobs.Set(OrderOf(job, tick.now));
    if (tree_->IndexOf(job.spec->project) != quota::kNoAccount) projects.insert(job.spec->project);
  }
  if (jobs.size() == 0) return;
  jobs.Arrange(*tree_);
  const quota::UsageBook usage = Usage(type);
  quota::OrderTree order({.tree = tree_.get(),
                          .gpu_type = type,
                          .waiting = &jobs,
                          .running_milli = tick.running.AllocatedByIndex(*tree_, type),
                          .guarantee_milli = Guarantees(tick, type),
                          .usage = &usage,
                          .now_ms = tick.now});
  tick.places[type] = order.Places();
  tick.free_milli = 0;
  for (const NaiveNode& node : tick.free) {
    if (node.node.gpu_type == type) tick.free_milli += node.gpus * 1000;
  }
  tick.failed.clear();
  tick.kept_from.clear();
  tick.looked_of.clear();
  tick.place_of.clear();
  tick.looked = 0;
  tick.rank = 0;
  while (true) {
    const bool full = static_cast<int>(tick.plan.starts.size()) >= config_.starts_max;
    if (full || tick.looked >= config_.look) {
      for (const AccountId project : projects) Leave(tick, order, type, project, nullptr);
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
    Leave(tick, order, type, project, &candidate->job->scavenger);
    order.CloseProject(candidate->project);
  }
}

MilliGpus NaiveEngine::Start(Tick& tick, const Waiting& job, int nth,
                             const Placement& placement) const {
  const JobSpec& spec = *job.spec;
  quota::JobCount count = CountOf(job, tick.now);
  count.counted_milli = 0;
  for (const NodeGrant& grant : placement) count.counted_milli += CountedOn(spec.shape, grant.node);
  const JobRef ref = spec.array && job.ref.element == kNoElement
                         ? JobRef{job.ref.id, job.elements[static_cast<std::size_t>(nth)]}
                         : job.ref;
  const BudgetRef scavenges = Scavenges(job, tick.now);
  tick.plan.starts.push_back({ref, job.ref, placement, count.counted_milli, scavenges});
  for (const auto& [budget, amount] :
       DrawOf(job, count.counted_milli, tick.now, tick.taken).holds) {
    tick.taken[budget] += amount;
  }
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
  return count.counted_milli;
}

// That count now.
std::vector<MilliGpus> NaiveEngine::Guarantees(const Tick& tick, const std::string& type) const {
  std::vector<MilliGpus> guarantees;
  for (quota::AccountIndex i = 0; i < tree_->size(); ++i) {
    const quota::Entitlement& own = tick.entitled.at(type)[static_cast<std::size_t>(i)];
    const bool scaled = own.by == EntitledBy::kScaled;
    guarantees.push_back(scaled ? own.entitled_milli : tree_->share(i, type).guarantee_milli);
  }
  return guarantees;
}

// What today's settings bar for good is as if it did not wait.
Reason NaiveEngine::Barred(const Waiting& job) const {
  return NeverFits(*tree_, ClassOf(job.spec->job_class), *job.spec, Counted(*job.spec),
                   directory_->classifications)
      .reason;
}

Reason NaiveEngine::Stopped(const quota::RunningTable& running, const quota::JobCount& count,
                            const std::vector<MilliGpus>& guarantees) const {
  const ClassRules rules = ClassOf(count.job_class);
  Reason limit = FirstLimit(*tree_, running, rules, count);
  if (limit.code != ReasonCode::kNone) return limit;
  return OutsideGuarantee(*tree_, rules, count, running.AllocatedByIndex(*tree_, count.gpu_type),
                          guarantees);
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

// Starts, blocks or passes over; true if it is blocked and counts as looked at.
bool NaiveEngine::WalkOne(Tick& tick, quota::OrderTree& order,
                          const quota::Candidate& candidate) const {
  const Waiting& job = waiting_.at(candidate.job->ref);
  const JobSpec& spec = *job.spec;
  const quota::JobCount count = CountOf(job, tick.now);
  const auto wait = [&](Reason reason, bool blocked) {
    const std::int64_t rank = ++tick.rank <= config_.exact_ranks ? tick.rank : 0;
    tick.plan.waiting[job.ref] = {std::move(reason), rank, ++tick.place_of[count.project]};
    if (blocked) order.Take(false);
    if (!blocked) order.PassOver();
    order.DropRest();
  };
  const std::vector<MilliGpus> guarantees = Guarantees(tick, count.gpu_type);
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
  const auto known =
      std::find_if(tick.failed.begin(), tick.failed.end(),
                   [&](const Failed& failed) { return failed.Same(spec, within, preference); });
  const bool first = known == tick.failed.end();
  const auto placement = first ? NaivePlace(tick.free, spec, within) : std::nullopt;
  const Entitled& entitled = tick.entitled.at(count.gpu_type);
  if (!placement) {
    Reason reason =
        first ? NaiveNoRoom(tick.free, Configured(), spec, within, preference) : known->reason;
    if (first) tick.failed.push_back({spec, within, preference, reason});
    if (reason.code == ReasonCode::kWaitsForTopology) {
      reason.fields["until_ms"] = std::to_string(job.queued_since_ms + config_.topology_wait_ms);
    }
    const auto project = static_cast<std::size_t>(candidate.project);
    const MilliGpus set = tree_->share(candidate.project, count.gpu_type).guarantee_milli;
    if (reason.code == ReasonCode::kWaitsForGpus && guarantees[project] < set) {
      reason.fields["guarantee_now"] = quota::GpusText(guarantees[project]);
    }
    const MilliGpus share = std::max(guarantees[project], entitled[project].entitled_milli);
    if (reason.code == ReasonCode::kWaitsForGpus && count.counted_milli > share) {
      reason.fields["wider_than_share"] = quota::GpusText(share);
    }
    wait(reason, true);
    return first;
  }
  MilliGpus kept = 0;
  for (quota::AccountIndex i = 0; i < tree_->size(); ++i) {
    if (!tree_->IsAncestor(i, candidate.project)) {
      kept += entitled[static_cast<std::size_t>(i)].idle_milli;
    }
  }
  if (kept > 0 && tick.free_milli - count.counted_milli < kept) {
    wait({ReasonCode::kGuaranteeProtected,
          {{"free", quota::GpusText(tick.free_milli)},
           {"kept", quota::GpusText(kept)},
           {"asked", quota::GpusText(count.counted_milli)}}},
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
  for (const auto& [ref, standing] : tick.plan.waiting) {
    if (quota::IsBar(standing.reason.code)) continue;
    const JobSpec& spec = *waiting_.at(ref).spec;
    auto i = spec.shape.gpu_type == type ? tree_->IndexOf(spec.project) : quota::kNoAccount;
    for (; i != quota::kNoAccount; i = tree_->parent(i)) waits.insert(i);
  }
  const auto at = [&places](quota::AccountIndex i) {
    return places.empty() ? 0 : places[static_cast<std::size_t>(i)];
  };
  const std::vector<MilliGpus> guarantees = Guarantees(tick, type);
  MilliGpus free = 0;
  for (const NaiveNode& node : tick.free) free += node.node.gpu_type == type ? node.gpus * 1000 : 0;
  const std::vector<MilliGpus> lent = quota::Lent(
      *tree_, tick.entitled.at(type), tick.running.AllocatedByIndex(*tree_, type), free);
  for (quota::AccountIndex i = 0; i < tree_->size(); ++i) {
    const quota::Entitlement& entitled = tick.entitled.at(type)[static_cast<std::size_t>(i)];
    Standing standing{tree_->share(i, type).guarantee_milli,
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
                      entitled.by};
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
  tick.entitled = EntitleAll(tick);
  tick.free = Free(now);
  tick.running = Running();
  std::set<std::string> types;
  for (const auto& [ref, job] : waiting_) types.insert(job.spec->shape.gpu_type);
  for (const std::string& type : types) Walk(tick, type);
  for (const auto& [ref, job] : waiting_) {
    const Reason bar = Barred(job);
    if (bar.code != ReasonCode::kNone) {
      tick.plan.waiting[ref].reason = bar;
    } else if (Startable(job) == 0) {
      tick.plan.waiting[ref].reason = {ReasonCode::kArrayLimit,
                                       {{"limit", std::to_string(job.spec->array->max_running)}}};
    }
  }
  for (const auto& [type, entitled] : tick.entitled) Stand(tick, type);
  return std::move(tick.plan);
}

}  // namespace kezek::test

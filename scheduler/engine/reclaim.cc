#include "scheduler/engine/reclaim.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"

namespace kezek::engine {
namespace {

using quota::AccountIndex;

constexpr DurationMs kLostMax = kHourMs;  // of an attempt's time, what its end counts as lost
constexpr std::size_t kAsksMost = 200;    // an ask costs milliseconds on a large machine

// What holds resources, with what has been decided.
struct State {
  Machine free;
  quota::RunningTable running;
  std::set<AttemptRef> gone;
};

// A job that asks.
struct Ask {
  quota::JobCount count;
  Request request;
};

struct Victim {
  const Holding* attempt = nullptr;
  bool scavenger = false;
  MilliGpus over_milli = 0;  // of its side of L, above its guarantee
  MilliGpuMs lost = 0;
  // Cheapest first.
  auto Cost() const { return std::tuple(!scavenger, -over_milli, lost, attempt->attempt); }
};

struct Choice {
  Placement placement;
  std::vector<Victim> victims;
  // Smaller is better.
  auto Loss() const {
    MilliGpuMs all = 0;
    MilliGpuMs of_others = 0;
    std::vector<AttemptRef> ids;
    for (const Victim& victim : victims) {
      all += victim.lost;
      of_others += victim.scavenger ? 0 : victim.lost;
      ids.push_back(victim.attempt->attempt);
    }
    return std::tuple(of_others, all, victims.size(), std::move(ids));
  }
};

// Nodes [begin, end) of the shared pool: those that such a job may be placed among.
struct Among {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Victims in the order of their cost, and their places there by the nodes that they are on.
struct Victims {
  std::vector<Victim> by_cost;
  std::map<std::string, std::vector<std::size_t>> on;
};

// GPU type, whether a single node is asked for, and within what.
using DomainKey = std::tuple<std::string, bool, Domain>;

DomainKey KeyOf(const Request& request) {
  const Shape& shape = request.spec->shape;
  return {shape.gpu_type, shape.nodes == 1, request.within};
}

// Single nodes by name; or the leaves first, all nodes last.
std::vector<Among> DomainsOf(const Pool& pool, const DomainKey& key) {
  const auto& [type, single, within] = key;
  const PoolLayout& layout = *pool.layout;
  std::vector<Among> domains;
  if (single) {
    for (std::size_t i = 0; i < layout.spots.size(); ++i) domains.push_back({i, i + 1});
    std::sort(domains.begin(), domains.end(), [&layout](const Among& a, const Among& b) {
      return layout.spots[a.begin].name < layout.spots[b.begin].name;
    });
    return domains;
  }
  const std::size_t all = layout.levels.size() - 1;
  const std::size_t top = within == Domain::kLeaf ? 0 : within == Domain::kBlock ? 1 : all;
  for (std::size_t level = 0; level <= top; ++level) {
    for (std::size_t i = layout.levels[level].first; i < layout.levels[level].second; ++i) {
      const Zone& zone = layout.zones[i];
      if (level == all || !zone.name.empty()) domains.push_back({zone.begin, zone.end});
    }
  }
  return domains;
}

// The guarantee that counts now.
MilliGpus GuaranteeOf(const World& world, const Draft& draft, AccountIndex account,
                      const std::string& type) {
  const auto entitled = draft.entitled.find(type);
  if (entitled == draft.entitled.end()) return world.tree().Guarantee(account, type);
  return entitled->second[static_cast<std::size_t>(account)].guarantee_milli;
}

Covers CoversOf(const World& world, const Draft& draft) {
  std::vector<const Holding*> runs;
  for (const auto& [ref, attempt] : world.holdings()) {
    const bool known = world.tree().IndexOf(attempt.project) != quota::kNoAccount;
    if (known && attempt.counts && world.CountOf(attempt).IsShared()) runs.push_back(&attempt);
  }
  const auto age = [](const Holding* attempt) {  // not running yet: youngest
    return std::tuple(attempt->start_ms == 0, attempt->start_ms, attempt->attempt);
  };
  std::sort(runs.begin(), runs.end(),
            [&age](const Holding* a, const Holding* b) { return age(a) < age(b); });
  std::map<std::pair<AccountIndex, std::string>, MilliGpus> left;
  Covers covers;
  for (const Holding* attempt : runs) {
    const std::string& type = attempt->shape.gpu_type;
    for (auto i = world.tree().IndexOf(attempt->project); i != quota::kNoAccount;
         i = world.tree().parent(i)) {
      const auto [rest, first] = left.try_emplace({i, type}, GuaranteeOf(world, draft, i, type));
      if (attempt->counted_milli > rest->second) continue;
      rest->second -= attempt->counted_milli;
      covers[{i, type}].insert(attempt->attempt);
    }
  }
  return covers;
}

class Reclaimer {
 public:
  Reclaimer(const World& world, const Plan& plan, TimeMs now);
  std::vector<Reclaimed> Run();

 private:
  bool IsInside(const State& state, AccountIndex account, const quota::JobCount& job) const;
  bool MayTake(const State& state, const quota::JobCount& job, const Holding& victim) const;
  bool MayTakeAcross(const State& state, const quota::JobCount& job, const Holding& victim,
                     AccountIndex from, AccountIndex to) const;
  MilliGpus OverOf(const State& state, const quota::JobCount& job, const Holding& victim) const;
  Victims VictimsFor(const State& state, const quota::JobCount& job,
                     const std::set<AttemptRef>& but = {}) const;
  std::optional<Placement> PlaceWithout(Machine& free, const Ask& ask, const Among& among,
                                        const std::vector<Victim>& victims) const;
  std::optional<Choice> In(Machine& free, const Ask& ask, const Among& among,
                           const Victims& victims) const;
  std::optional<Choice> Best(const State& state, const Ask& ask, const Victims& victims);
  std::optional<Choice> Choose(const State& state, const Ask& ask);
  std::optional<AttemptRef> ReclaimsBack(const State& state, const Ask& ask, const Choice& choice);
  bool LeavesWhatIsKept(const State& after, const quota::JobCount& job) const;
  State After(State state, const Ask& ask, const Choice& choice) const;

  const World& world_;
  const Plan& plan_;
  Draft draft_;
  Covers covered_;
  State state_;
  std::map<DomainKey, std::vector<Among>> domains_;
};

Reclaimer::Reclaimer(const World& world, const Plan& plan, TimeMs now)
    : world_(world), plan_(plan), draft_(world, now) {
  WalkApart(world, draft_);
  Entitle(world, draft_);
  covered_ = CoversOf(world, draft_);
  state_ = {world.MachineAt(now), world.running(), {}};
  for (const Start& start : plan.starts) {
    const Waiting& job = world.waiting().at(start.row);
    state_.free.Hold(job.spec->shape, start.placement);
    state_.running.Add(world.tree(), world.CountOf(start));
  }
}

bool Reclaimer::IsInside(const State& state, AccountIndex account,
                         const quota::JobCount& job) const {
  const MilliGpus runs = state.running.Allocated(world_.tree().id(account), job.gpu_type);
  return runs + job.counted_milli <= GuaranteeOf(world_, draft_, account, job.gpu_type);
}

AccountIndex ChildToward(const quota::AccountTree& tree, AccountIndex above, AccountIndex below) {
  while (tree.parent(below) != above) below = tree.parent(below);
  return below;
}

bool Reclaimer::MayTake(const State& state, const quota::JobCount& job,
                        const Holding& victim) const {
  const AccountIndex from = world_.tree().IndexOf(victim.project);
  const AccountIndex to = world_.tree().IndexOf(job.project);
  if (!victim.counts || state.gone.contains(victim.attempt)) return false;
  if (from == quota::kNoAccount || to == quota::kNoAccount) return false;
  if (job.scavenger || victim.shape.gpu_type != job.gpu_type) return false;
  const quota::JobCount runs = world_.CountOf(victim);
  if (runs.apart || runs.scavenger) return !runs.apart;
  const ClassRules& rules = world_.ClassOf(victim.job_class);
  const bool has_run = victim.start_ms != 0 && draft_.now_ms - victim.start_ms >= rules.min_run_ms;
  return rules.preemptible && has_run && MayTakeAcross(state, job, victim, from, to);
}

bool Reclaimer::MayTakeAcross(const State& state, const quota::JobCount& job, const Holding& victim,
                              AccountIndex from, AccountIndex to) const {
  const quota::AccountTree& tree = world_.tree();
  if (from == to) {
    const ClassRules& rules = world_.ClassOf(job.job_class);
    return rules.preempts_lower && world_.ClassOf(victim.job_class).rank > rules.rank;
  }
  const AccountIndex ancestor = tree.LowestCommonAncestor(from, to);
  if (!IsInside(state, ChildToward(tree, ancestor, to), job)) return false;
  for (AccountIndex i = from; i != ancestor; i = tree.parent(i)) {
    const auto covered = covered_.find({i, job.gpu_type});
    if (covered != covered_.end() && covered->second.contains(victim.attempt)) return false;
  }
  return true;
}

MilliGpus Reclaimer::OverOf(const State& state, const quota::JobCount& job,
                            const Holding& victim) const {
  const quota::AccountTree& tree = world_.tree();
  const AccountIndex from = tree.IndexOf(victim.project);
  const AccountIndex to = tree.IndexOf(job.project);
  const AccountIndex side =
      from == to ? from : ChildToward(tree, tree.LowestCommonAncestor(from, to), from);
  return state.running.Allocated(tree.id(side), job.gpu_type) -
         GuaranteeOf(world_, draft_, side, job.gpu_type);
}

Victims Reclaimer::VictimsFor(const State& state, const quota::JobCount& job,
                              const std::set<AttemptRef>& but) const {
  Victims victims;
  for (const auto& [ref, attempt] : world_.holdings()) {
    if (but.contains(ref) || !MayTake(state, job, attempt)) continue;
    const DurationMs ran =
        attempt.start_ms == 0 ? 0 : std::max<DurationMs>(0, draft_.now_ms - attempt.start_ms);
    victims.by_cost.push_back({&attempt, world_.CountOf(attempt).scavenger,
                               OverOf(state, job, attempt),
                               attempt.counted_milli * std::min(ran, kLostMax)});
  }
  std::sort(victims.by_cost.begin(), victims.by_cost.end(),
            [](const Victim& a, const Victim& b) { return a.Cost() < b.Cost(); });
  for (std::size_t i = 0; i < victims.by_cost.size(); ++i) {
    for (const NodeGrant& grant : victims.by_cost[i].attempt->placement) {
      victims.on[grant.node].push_back(i);
    }
  }
  return victims;
}

// Leaves `free` as it was.
std::optional<Placement> Reclaimer::PlaceWithout(Machine& free, const Ask& ask, const Among& among,
                                                 const std::vector<Victim>& victims) const {
  const Pool* pool = free.FindPool({ask.count.gpu_type, {}, {}});
  for (const Victim& victim : victims) {
    free.GiveBack(victim.attempt->shape, victim.attempt->placement);
  }
  auto placement = PlaceAmong(*pool, ask.request, among.begin, among.end);
  for (const Victim& victim : victims) {
    free.Hold(victim.attempt->shape, victim.attempt->placement);
  }
  return placement;
}

// The cheapest victims of the domain that make room, without those that are not needed: none at
// all, where there is room.
std::optional<Choice> Reclaimer::In(Machine& free, const Ask& ask, const Among& among,
                                    const Victims& victims) const {
  const PoolLayout& layout = *free.FindPool({ask.count.gpu_type, {}, {}})->layout;
  std::set<std::size_t> indexes;
  for (std::size_t i = among.begin; i < among.end; ++i) {
    const auto on = victims.on.find(layout.spots[i].name);
    if (on != victims.on.end()) indexes.insert(on->second.begin(), on->second.end());
  }
  std::vector<Victim> here;
  for (const std::size_t i : indexes) here.push_back(victims.by_cost[i]);
  if (!PlaceWithout(free, ask, among, here)) return std::nullopt;
  if (auto room = PlaceWithout(free, ask, among, {})) return Choice{std::move(*room), {}};
  std::size_t few = 0;  // too few
  std::size_t enough = here.size();
  while (enough - few > 1) {
    const std::size_t middle = few + (enough - few) / 2;
    const std::vector<Victim> first(here.begin(),
                                    here.begin() + static_cast<std::ptrdiff_t>(middle));
    (PlaceWithout(free, ask, among, first) ? enough : few) = middle;
  }
  here.resize(enough);
  for (std::size_t i = here.size(); i-- > 0;) {
    std::vector<Victim> without = here;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    if (PlaceWithout(free, ask, among, without)) here = std::move(without);
  }
  return Choice{*PlaceWithout(free, ask, among, here), std::move(here)};
}

std::optional<Choice> Reclaimer::Best(const State& state, const Ask& ask, const Victims& victims) {
  if (victims.by_cost.empty()) return std::nullopt;
  Machine free = state.free;
  const Pool* pool = free.FindPool({ask.count.gpu_type, {}, {}});
  if (pool == nullptr) return std::nullopt;
  const DomainKey key = KeyOf(ask.request);
  const auto [domains, first] = domains_.try_emplace(key);
  if (first) domains->second = DomainsOf(*pool, key);
  std::optional<Choice> best;
  for (const Among& among : domains->second) {
    auto choice = In(free, ask, among, victims);
    if (choice && (!best || choice->Loss() < best->Loss())) best = std::move(choice);
  }
  return best;
}

State Reclaimer::After(State state, const Ask& ask, const Choice& choice) const {
  for (const Victim& victim : choice.victims) {
    state.free.GiveBack(victim.attempt->shape, victim.attempt->placement);
    state.running.Remove(world_.tree(), world_.CountOf(*victim.attempt));
    state.gone.insert(victim.attempt->attempt);
  }
  state.free.Hold(ask.request.spec->shape, choice.placement);
  quota::JobCount placed = ask.count;
  placed.counted_milli = world_.CountedOn(ask.request.spec->shape, choice.placement);
  state.running.Add(world_.tree(), placed);
  return state;
}

// A victim that could at once reclaim from anybody.
std::optional<AttemptRef> Reclaimer::ReclaimsBack(const State& state, const Ask& ask,
                                                  const Choice& choice) {
  const State after = After(state, ask, choice);
  for (const Victim& victim : choice.victims) {
    if (victim.scavenger) continue;
    JobSpec spec;
    spec.shape = victim.attempt->shape;
    const Ask again{world_.CountOf(*victim.attempt), {&spec, Domain::kAny, false}};
    const auto back = Best(after, again, VictimsFor(after, again.count));
    if (back && !back->victims.empty()) return victim.attempt->attempt;
  }
  return std::nullopt;
}

// Whether accounts the job is not in still have free what they keep idle.
bool Reclaimer::LeavesWhatIsKept(const State& after, const quota::JobCount& job) const {
  const auto entitled = draft_.entitled.find(job.gpu_type);
  if (entitled == draft_.entitled.end()) return true;
  MilliGpus kept = 0;
  for (const quota::Entitlement& account : entitled->second) kept += account.idle_milli;
  if (kept == 0) return true;
  for (auto i = world_.tree().IndexOf(job.project); i != quota::kNoAccount;
       i = world_.tree().parent(i)) {
    kept -= entitled->second[static_cast<std::size_t>(i)].idle_milli;
  }
  return after.free.FindPool({job.gpu_type, {}, {}})->free_gpus * 1000 >= kept;
}

std::optional<Choice> Reclaimer::Choose(const State& state, const Ask& ask) {
  std::set<AttemptRef> reclaiming;  // what would come back at once
  while (true) {
    auto choice = Best(state, ask, VictimsFor(state, ask.count, reclaiming));
    if (!choice || !LeavesWhatIsKept(After(state, ask, *choice), ask.count)) return std::nullopt;
    const auto back = ReclaimsBack(state, ask, *choice);
    if (!back) return choice;
    reclaiming.insert(*back);
  }
}

bool WaitsForRoom(const Reason& reason) {
  return reason.code == ReasonCode::kWaitsForGpus || reason.code == ReasonCode::kWaitsForDomain;
}

std::vector<Reclaimed> Reclaimer::Run() {
  std::vector<std::pair<std::int64_t, const Waiting*>> order;
  for (const auto& [ref, standing] : plan_.waiting) {
    const auto job = world_.waiting().find(ref);
    if (job == world_.waiting().end() || StartableCount(job->second) == 0) continue;
    const std::vector<PoolKey> pools = PoolsFor(world_.apart(), world_.tree(), *job->second.spec);
    if (standing.rank != 0 && pools.back().shared() && WaitsForRoom(standing.reason)) {
      order.push_back({standing.rank, &job->second});
    }
  }
  std::sort(order.begin(), order.end());
  std::vector<Reclaimed> all;
  std::set<std::tuple<AccountId, std::string, Request>> in_vain;  // what is left only gets less
  for (const auto& [rank, job] : order) {
    const Request request = RequestOf(*job->spec, job->queued_since_ms, draft_.now_ms,
                                      world_.config().topology_wait_ms);
    const Ask ask{world_.CountOf(*job), request};
    const std::tuple key{ask.count.project, ask.count.job_class, request};
    if (in_vain.contains(key)) continue;
    if (all.size() + in_vain.size() >= kAsksMost) break;
    const auto choice = Choose(state_, ask);
    if (!choice) {
      in_vain.insert(key);
      continue;
    }
    state_ = After(std::move(state_), ask, *choice);
    Reclaimed& one = all.emplace_back();
    one = {StartableRef(*job, 0), job->ref, choice->placement, {}};
    for (const Victim& victim : choice->victims) one.victims.push_back(victim.attempt->attempt);
  }
  return all;
}

}  // namespace

Covers CoveredBy(const World& world, TimeMs now) {
  Draft draft(world, now);
  WalkApart(world, draft);
  Entitle(world, draft);
  return CoversOf(world, draft);
}

std::vector<Reclaimed> Reclaim(const World& world, const Plan& plan, TimeMs now) {
  return Reclaimer(world, plan, now).Run();
}

}  // namespace kezek::engine

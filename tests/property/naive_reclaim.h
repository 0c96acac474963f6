// Reclaim by its rule, for clarity alone: of one job that waits in a small random world. Lists that
// are sorted and filtered, the naive placement, no index; and all sets of victims that there are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/engine/engine.h"
#include "tests/property/naive_placement.h"
#include "tests/property/seeds.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::engine {

using test::NaiveNode;
using test::NaiveNodes;

inline constexpr std::int64_t kRoot = 1;
inline constexpr DurationMs kRefundMax = kHourMs;

// One to eight nodes of several sizes in one to three leaves, up to ten jobs that run, one that
// waits.
struct SmallCase {
  explicit SmallCase(std::uint64_t seed) : dice(seed) {
    MakeNodes();
    MakeAccounts();
    for (std::int64_t left = dice.Roll(3, 10); left > 0; --left) TryToRun();
    job = Queued(1, Gang(Project(), 1, 1));
    JobSpec spec = *job.spec;
    spec.shape = ShapeOf(dice.Chance(50) ? 1 : dice.Roll(2, 4), dice.Roll(1, largest));
    if (spec.shape.nodes > 1 && dice.Chance(40)) {
      spec.within = dice.Chance(50) ? Domain::kLeaf : Domain::kBlock;
    }
    if (dice.Chance(15)) spec.job_class = "urgent";
    job.spec = std::make_shared<const JobSpec>(std::move(spec));
  }

  void MakeNodes() {
    const std::int64_t leaves = dice.Roll(1, 3);
    const std::int32_t usual = 1 << dice.Roll(0, 3);
    for (std::int64_t i = dice.Roll(1, 8); i > 0; --i) {
      const std::int64_t leaf = dice.Roll(1, leaves);
      Node node =
          H200("n" + std::to_string(i), "l" + std::to_string(leaf), leaf == 3 ? "b2" : "b1");
      node.gpus = dice.Chance(80) ? usual : 1 << dice.Roll(0, 3);
      node.cpus = 8 * node.gpus;
      largest = std::max(largest, node.gpus);
      gpus += node.gpus;
      nodes[node.name] = node;
    }
  }
  // Guarantees fit in those above, and in the machine: none is scaled down.
  void MakeAccounts() {
    std::int64_t left = gpus;
    const auto add = [&](std::int64_t id, std::int64_t above, std::int64_t& rest) {
      const std::int64_t some = dice.Roll(0, std::max<std::int64_t>(0, rest));
      rest -= some;
      tree.Add(id, above, some, id == 5 ? "institution" : "project");
      parent[id] = above;
      guarantee[id] = some * 1000;
      return some;
    };
    std::int64_t inside = add(5, kRoot, left);
    for (const std::int64_t id : {2, 3, 4}) add(id, kRoot, left);
    for (const std::int64_t id : {6, 7}) add(id, 5, inside);
    ClassRules urgent{.name = "urgent", .rank = 1, .preempts_lower = true};
    tree.directory().classes["urgent"] = urgent;
    classes = tree.directory().classes;
  }
  std::int64_t Project() { return std::vector<std::int64_t>{2, 3, 4, 6, 7}.at(Index(5)); }
  std::size_t Index(std::size_t size) {
    return static_cast<std::size_t>(dice.Roll(0, static_cast<std::int64_t>(size) - 1));
  }
  static Shape ShapeOf(std::int64_t of_nodes, std::int64_t of_gpus) {
    return Gang(2, static_cast<std::int32_t>(of_nodes), static_cast<std::int32_t>(of_gpus)).shape;
  }
  void TryToRun() {
    const auto id = 100 + static_cast<std::int64_t>(running.size());
    JobSpec spec = Gang(Project(), 1, 1);
    spec.shape = ShapeOf(dice.Chance(65) ? 1 : dice.Roll(2, 3), dice.Roll(1, largest));
    const std::int64_t drawn = dice.Roll(1, 100);
    spec.job_class = drawn <= 25   ? "scavenger"
                     : drawn <= 32 ? "realtime"
                     : drawn <= 37 ? "urgent"
                                   : "normal";
    spec.time_limit_ms = 10 * kHourMs;
    const auto placement = test::NaivePlace(Free({}), spec, Domain::kAny);
    if (!placement) return;
    const Waiting row = Queued(id, spec);
    Holding attempt =
        HoldingOf({.job = row.ref,
                   .row = row.ref,
                   .placement = *placement,
                   .counted_milli = 1000LL * spec.shape.nodes * spec.shape.gpus_per_node},
                  row, kNoon - dice.Roll(1, 150) * kMinuteMs);
    // Nobody but scavengers loses nothing.
    if (dice.Chance(30)) attempt.checkpointed_ms = kNoon - dice.Roll(1, 90) * kMinuteMs;
    if (dice.Chance(5)) attempt.start_ms = 0;
    attempt.grace_ms = kMinuteMs;
    running[attempt.attempt] = attempt;
  }

  NaiveNodes Free(const std::set<AttemptRef>& gone) const {
    std::map<std::string, NaiveNode> free;
    for (const auto& [name, node] : nodes) {
      free[name] = {node, node.gpus, node.cpus, node.memory_mib, true, true};
    }
    for (const auto& [ref, attempt] : running) {
      if (gone.contains(ref)) continue;
      for (const NodeGrant& grant : attempt.placement) {
        NaiveNode& node = free.at(grant.node);
        node.gpus -= grant.gpus;
        node.cpus -= attempt.shape.cpus_per_node;
        node.memory_mib -= attempt.shape.memory_mib_per_node;
        node.idle = false;
      }
    }
    NaiveNodes all;
    for (auto& [name, node] : free) all.push_back(std::move(node));
    return all;
  }
  std::optional<Placement> Room(const std::set<AttemptRef>& gone) const {
    return test::NaivePlace(Free(gone), *job.spec, job.spec->within);
  }
  Plan Decide() {
    Engine engine(EngineConfig{.reclaim = true}, tree.Make());
    for (const auto& [name, node] : nodes) engine.SetNode(node);
    for (const auto& [ref, attempt] : running) engine.SetHolding(attempt);
    engine.SetWaiting(job);
    return engine.Decide(kNoon);
  }

  property::Dice dice;
  SmallTree tree;
  std::map<std::string, ClassRules> classes;
  std::map<std::string, Node> nodes;
  std::int32_t largest = 1;
  std::int64_t gpus = 0;
  std::map<std::int64_t, std::int64_t> parent;
  std::map<std::int64_t, MilliGpus> guarantee;
  std::map<AttemptRef, Holding> running;
  Waiting job;
};

// Of a job that asks, and of what runs: whom it may end, in which order.
class Rule {
 public:
  Rule(const SmallCase& world, std::map<AttemptRef, Holding> running, const JobSpec& spec)
      : world_(world), running_(std::move(running)), spec_(spec) {}

  const Holding& At(const AttemptRef& ref) const { return running_.at(ref); }
  bool IsScavenger(const AttemptRef& ref) const { return At(ref).job_class == "scavenger"; }
  std::vector<std::int64_t> Path(std::int64_t project) const {  // from below, without the root
    std::vector<std::int64_t> path;
    for (; project != kRoot; project = world_.parent.at(project)) path.push_back(project);
    return path;
  }
  bool IsIn(const Holding& attempt, std::int64_t account) const {
    const auto path = Path(attempt.project.value);
    return std::count(path.begin(), path.end(), account) > 0;
  }
  MilliGpus Runs(std::int64_t account) const {
    MilliGpus sum = 0;
    for (const auto& [ref, attempt] : running_) {
      if (IsIn(attempt, account) && !IsScavenger(ref)) sum += attempt.counted_milli;
    }
    return sum;
  }
  // Of what it runs, oldest start first, each that still fits in what is left of its guarantee.
  bool Covers(std::int64_t account, const AttemptRef& asked) const {
    std::vector<std::tuple<bool, TimeMs, AttemptRef>> order;
    for (const auto& [ref, attempt] : running_) {
      if (!IsIn(attempt, account) || IsScavenger(ref)) continue;
      order.push_back({attempt.start_ms == 0, attempt.start_ms, ref});
    }
    std::sort(order.begin(), order.end());
    MilliGpus left = world_.guarantee.at(account);
    for (const auto& [starting, since, ref] : order) {
      if (At(ref).counted_milli > left) continue;
      left -= At(ref).counted_milli;
      if (ref == asked) return true;
    }
    return false;
  }
  // Accounts of a project's path below its lowest common ancestor with another.
  std::vector<std::int64_t> Below(std::int64_t project, std::int64_t other) const {
    const auto others = Path(other);
    std::vector<std::int64_t> below;
    for (const std::int64_t account : Path(project)) {
      if (std::count(others.begin(), others.end(), account) > 0) break;
      below.push_back(account);
    }
    return below;
  }
  bool MayEnd(const AttemptRef& ref) const {
    const Holding& victim = At(ref);
    if (IsScavenger(ref)) return true;
    const ClassRules& rules = world_.classes.at(victim.job_class);
    const ClassRules& own = world_.classes.at(spec_.job_class);
    if (!rules.preemptible || victim.start_ms == 0) return false;
    if (kNoon - victim.start_ms < rules.min_run_ms) return false;
    if (victim.project == spec_.project) return own.preempts_lower && rules.rank > own.rank;
    const std::int64_t side = Below(spec_.project.value, victim.project.value).back();
    if (Runs(side) + Counted() > world_.guarantee.at(side)) return false;
    for (const std::int64_t account : Below(victim.project.value, spec_.project.value)) {
      if (Covers(account, ref)) return false;
    }
    return true;
  }
  MilliGpuMs Lost(const AttemptRef& ref) const {
    const Holding& attempt = At(ref);
    if (attempt.start_ms == 0) return 0;
    const DurationMs ran = kNoon - std::max(attempt.start_ms, attempt.checkpointed_ms);
    return attempt.counted_milli * std::min(ran, kRefundMax);
  }
  MilliGpus Over(const AttemptRef& ref) const {
    const auto below = Below(At(ref).project.value, spec_.project.value);
    const std::int64_t side = below.empty() ? At(ref).project.value : below.back();
    return Runs(side) - world_.guarantee.at(side);
  }
  MilliGpus Counted() const { return 1000LL * spec_.shape.nodes * spec_.shape.gpus_per_node; }
  std::vector<AttemptRef> All() const {  // the cheapest first
    std::vector<std::tuple<bool, MilliGpus, MilliGpuMs, AttemptRef>> order;
    for (const auto& [ref, attempt] : running_) {
      if (MayEnd(ref)) order.push_back({!IsScavenger(ref), -Over(ref), Lost(ref), ref});
    }
    std::sort(order.begin(), order.end());
    std::vector<AttemptRef> all;
    for (const auto& one : order) all.push_back(std::get<3>(one));
    return all;
  }

 private:
  const SmallCase& world_;
  const std::map<AttemptRef, Holding> running_;
  const JobSpec& spec_;
};

using Attempts = std::set<AttemptRef>;
// GPU-time lost of others than scavengers, GPU-time lost, how many they are, and who.
using Cost = std::tuple<MilliGpuMs, MilliGpuMs, std::size_t, std::vector<AttemptRef>>;

// Of the job that waits.
class Reclaims {
 public:
  explicit Reclaims(const SmallCase& world)
      : world_(world), rule_(world, world.running, *world.job.spec), all_(rule_.All()) {}

  const std::vector<AttemptRef>& all() const { return all_; }
  Cost CostOf(const std::vector<AttemptRef>& set) const {
    MilliGpuMs of_others = 0;
    MilliGpuMs lost = 0;
    for (const AttemptRef& ref : set) {
      lost += rule_.Lost(ref);
      of_others += rule_.IsScavenger(ref) ? 0 : rule_.Lost(ref);
    }
    return {of_others, lost, set.size(), set};
  }
  bool IsScavenger(const AttemptRef& ref) const { return rule_.IsScavenger(ref); }

  // One that has no room and could have some by ending others, once the job runs there. Of all it
  // may end: if these do not make it room, fewer do not.
  std::optional<AttemptRef> TakesBack(const std::vector<AttemptRef>& set,
                                      const Placement& placement) const {
    std::map<AttemptRef, Holding> after = world_.running;
    for (const AttemptRef& ref : set) after.erase(ref);
    Holding own = HoldingOf({.job = world_.job.ref,
                             .row = world_.job.ref,
                             .placement = placement,
                             .counted_milli = rule_.Counted()},
                            world_.job);
    own.start_ms = 0;
    after[own.attempt] = own;
    SmallCase then = world_;
    then.running = after;
    for (const AttemptRef& ref : set) {
      if (rule_.IsScavenger(ref)) continue;
      JobSpec spec = Gang(rule_.At(ref).project.value, 1, 1);
      spec.shape = rule_.At(ref).shape;
      spec.job_class = rule_.At(ref).job_class;
      then.job.spec = std::make_shared<const JobSpec>(spec);
      if (then.Room({})) continue;
      const std::vector<AttemptRef> others = Rule(then, after, spec).All();
      if (then.Room(Attempts(others.begin(), others.end()))) return ref;
    }
    return std::nullopt;
  }

  // Whether there is no room without any one of them.
  bool NeedsAll(const std::vector<AttemptRef>& set) const {
    return std::none_of(set.begin(), set.end(), [&](const AttemptRef& ref) {
      Attempts without(set.begin(), set.end());
      without.erase(ref);
      return world_.Room(without).has_value();
    });
  }
  // The cheapest of all sets that are allowed.
  std::optional<Cost> Cheapest() const {
    std::optional<Cost> best;
    for (std::uint32_t mask = 1; mask < 1U << all_.size(); ++mask) {
      std::vector<AttemptRef> set;
      for (std::size_t i = 0; i < all_.size(); ++i) {
        if ((mask >> i & 1U) != 0) set.push_back(all_[i]);
      }
      Cost cost = CostOf(set);
      if (best && *best <= cost) continue;
      const auto placement = world_.Room(Attempts(set.begin(), set.end()));
      if (placement && NeedsAll(set) && !TakesBack(set, *placement)) best = std::move(cost);
    }
    return best;
  }

  // As the rule goes about it; none: there is no such set.
  std::vector<AttemptRef> Chosen() const {
    Attempts but;
    while (true) {
      std::vector<AttemptRef> among;
      for (const AttemptRef& ref : all_) {
        if (!but.contains(ref)) among.push_back(ref);
      }
      auto best = Best(among);
      if (!best) return {};
      while (true) {  // of the winner's those are dropped, too, that another domain does not need
        const auto fewer = Best(std::get<3>(best->first));
        if (fewer->first == best->first) break;
        best = fewer;
      }
      const std::vector<AttemptRef>& set = std::get<3>(best->first);
      const auto back = TakesBack(set, best->second);
      if (!back) return set;
      but.insert(*back);
    }
  }

 private:
  // The domain that loses the least.
  std::optional<std::pair<Cost, Placement>> Best(const std::vector<AttemptRef>& among) const {
    std::optional<std::pair<Cost, Placement>> best;
    for (const std::set<std::string>& domain : Domains()) {
      const auto set = In(domain, among);
      if (!set) continue;
      Cost cost = CostOf(*set);
      if (best && best->first <= cost) continue;
      best.emplace(std::move(cost), *RoomIn(domain, Attempts(set->begin(), set->end())));
    }
    return best;
  }
  std::vector<std::set<std::string>> Domains() const {
    std::map<std::string, std::set<std::string>> domains;
    const JobSpec& spec = *world_.job.spec;
    for (const auto& [name, node] : world_.nodes) {
      if (spec.shape.nodes == 1) {
        domains["0" + name].insert(name);
        continue;
      }
      domains["1" + node.leaf].insert(name);
      if (spec.within != Domain::kLeaf) domains["2" + node.block].insert(name);
      if (spec.within == Domain::kAny) domains["3"].insert(name);
    }
    std::vector<std::set<std::string>> sets;
    for (auto& [name, domain] : domains) sets.push_back(std::move(domain));
    return sets;
  }
  std::optional<Placement> RoomIn(const std::set<std::string>& domain, const Attempts& gone) const {
    NaiveNodes nodes = world_.Free(gone);
    std::erase_if(nodes, [&](const NaiveNode& one) { return !domain.contains(one.node.name); });
    return test::NaivePlace(nodes, *world_.job.spec, world_.job.spec->within);
  }
  // None: it cannot have room there.
  std::optional<std::vector<AttemptRef>> In(const std::set<std::string>& domain,
                                            const std::vector<AttemptRef>& among) const {
    std::vector<AttemptRef> taken;
    Attempts gone;
    for (const AttemptRef& ref : among) {
      const Placement& on = rule_.At(ref).placement;
      const bool here = std::any_of(on.begin(), on.end(), [&](const NodeGrant& grant) {
        return domain.contains(grant.node);
      });
      if (!here || RoomIn(domain, gone)) continue;
      taken.push_back(ref);
      gone.insert(ref);
    }
    if (!RoomIn(domain, gone)) return std::nullopt;
    for (auto dearest = taken.end(); dearest != taken.begin();) {
      --dearest;
      gone.erase(*dearest);
      if (RoomIn(domain, gone)) {
        dearest = taken.erase(dearest);
      } else {
        gone.insert(*dearest);
      }
    }
    return taken;
  }

  const SmallCase& world_;
  const Rule rule_;
  const std::vector<AttemptRef> all_;
};

}  // namespace kezek::engine

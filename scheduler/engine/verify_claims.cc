// Preemptions and reservations. No pass makes them yet; what they must keep is settled.

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "scheduler/engine/recount.h"
#include "scheduler/engine/verify_rules.h"

namespace kezek::engine {
namespace {

using quota::AccountIndex;

TimeMs EndOf(const Holding& attempt, TimeMs now) {
  if (!attempt.counts) return now;
  return std::max(now, (attempt.start_ms == 0 ? now : attempt.start_ms) + attempt.limit_ms);
}

// Whether `job` fits on the node beside what is used of it.
bool Holds(const Node& node, const NodeUse& use, const Shape& shape) {
  if (shape.exclusive && use.attempts > 0) return false;
  return use.exclusive == 0 && use.gpus + shape.gpus_per_node <= node.gpus &&
         use.cpus + shape.cpus_per_node <= node.cpus &&
         use.memory_mib + shape.memory_mib_per_node <= node.memory_mib;
}

std::optional<Violation> Broken(const Basis& basis, const Plan& plan, std::size_t index) {
  const World& world = *basis.world;
  const Reservation& reservation = plan.reservations[index];
  const auto broken = [index](std::string rule) {
    return Violation{Decision::kReservation, index, std::move(rule)};
  };
  const auto job = world.waiting().find(reservation.job);
  if (job == world.waiting().end()) return broken("the job of a reservation does not wait");
  const Shape& shape = job->second.spec->shape;
  if (reservation.nodes.size() != static_cast<std::size_t>(shape.nodes)) {
    return broken("a reservation has not as many nodes as the gang");
  }
  if (reservation.from_ms < basis.now_ms) return broken("a reservation lies in the past");
  std::map<std::string, NodeUse> used;
  for (const auto& [ref, attempt] : world.holdings()) {
    if (EndOf(attempt, basis.now_ms) > reservation.from_ms) {
      AddUse(attempt.shape, attempt.placement, 1, used);
    }
  }
  const auto held = [&]() {
    return std::all_of(
        reservation.nodes.begin(), reservation.nodes.end(), [&](const std::string& name) {
          const auto node = world.nodes().find(name);
          return node != world.nodes().end() && Holds(node->second, used[name], shape);
        });
  };
  if (!held()) return broken("what runs does not leave a reservation its nodes");
  for (std::size_t i = 0; i < plan.starts.size(); ++i) {
    const Waiting& later = world.waiting().at(plan.starts[i].row);
    if (later.ref == reservation.job) continue;
    if (basis.now_ms + later.spec->time_limit_ms <= reservation.from_ms) continue;
    AddUse(later.spec->shape, plan.starts[i].placement, 1, used);
    if (!held()) {
      return Violation{Decision::kStart, i,
                       "the reservation of job " + ToText(reservation.job) + " is delayed"};
    }
  }
  return std::nullopt;
}

// Whether the guarantee of `account` covers the attempt: oldest start first, each that still fits.
bool Covers(const World& world, const Recount& recount, AccountIndex account,
            const Holding& victim) {
  const quota::AccountTree& tree = world.tree();
  std::vector<const Holding*> runs;
  for (const auto& [ref, attempt] : world.holdings()) {
    const AccountIndex project = tree.IndexOf(attempt.project);
    if (project == quota::kNoAccount || !tree.IsAncestor(account, project)) continue;
    const bool same_type = attempt.shape.gpu_type == victim.shape.gpu_type;
    if (attempt.counts && same_type && world.CountOf(attempt).IsShared()) runs.push_back(&attempt);
  }
  const auto age = [](const Holding* attempt) {  // not running yet: youngest
    return std::tuple(attempt->start_ms == 0, attempt->start_ms, attempt->attempt);
  };
  std::sort(runs.begin(), runs.end(),
            [&age](const Holding* a, const Holding* b) { return age(a) < age(b); });
  MilliGpus left = recount.Guarantee(account, victim.shape.gpu_type);
  for (const Holding* attempt : runs) {
    if (attempt->counted_milli > left) continue;
    if (attempt == &victim) return true;
    left -= attempt->counted_milli;
  }
  return false;
}

// The account of the path from `below` up that lies just under `above`.
AccountIndex ChildToward(const quota::AccountTree& tree, AccountIndex above, AccountIndex below) {
  while (tree.parent(below) != above) below = tree.parent(below);
  return below;
}

std::optional<std::string> BrokenBetween(const World& world, const Recount& recount,
                                         const Holding& victim, const quota::JobCount& job) {
  const quota::AccountTree& tree = world.tree();
  const AccountIndex from = tree.IndexOf(victim.project);
  const AccountIndex to = tree.IndexOf(job.project);
  if (from == quota::kNoAccount || to == quota::kNoAccount) return "an account is not known";
  if (from == to) {
    const ClassRules& rules = world.ClassOf(job.job_class);
    const bool lower = rules.preempts_lower && world.ClassOf(victim.job_class).rank > rules.rank;
    return lower ? std::nullopt : std::optional<std::string>("the victim is of the same project");
  }
  const AccountIndex ancestor = tree.LowestCommonAncestor(from, to);
  if (!recount.Inside(ChildToward(tree, ancestor, to), job)) {
    return "the job is not inside its side's guarantee";
  }
  for (AccountIndex i = from; i != ancestor; i = tree.parent(i)) {
    if (Covers(world, recount, i, victim)) {
      return "the guarantee of '" + tree.path(i) + "' covers the victim";
    }
  }
  return std::nullopt;
}

std::optional<std::string> BrokenPreemptRule(const Basis& basis, const Recount& recount,
                                             const Preempt& preempt) {
  const World& world = *basis.world;
  const auto found = world.holdings().find(preempt.victim);
  if (found == world.holdings().end() || !found->second.counts) return "the victim does not run";
  const auto waiting = world.waiting().find(preempt.for_job);
  if (waiting == world.waiting().end()) return "the job that it is for does not wait";
  const Holding& victim = found->second;
  const quota::JobCount job = world.CountOf(waiting->second);
  if (job.scavenger) return "a scavenger preempts nobody";
  if (auto forbids = recount.Forbids(job)) return forbids;
  const ClassRules& rules = world.ClassOf(victim.job_class);
  if (rules.scavenger) return std::nullopt;
  if (!rules.preemptible) return "the victim may not be preempted";
  if (victim.start_ms == 0 || basis.now_ms - victim.start_ms < rules.min_run_ms) {
    return "the victim is not past min_run";
  }
  return BrokenBetween(world, recount, victim, job);
}

}  // namespace

std::optional<Violation> BrokenReservation(const Basis& basis, const Plan& plan) {
  for (std::size_t i = 0; i < plan.reservations.size(); ++i) {
    if (auto violation = Broken(basis, plan, i)) return violation;
  }
  return std::nullopt;
}

std::optional<Violation> BrokenPreempt(const Basis& basis, const Plan& plan) {
  if (plan.preempts.empty()) return std::nullopt;
  Recount recount(*basis.world, basis.entitled);
  for (const Start& start : plan.starts) recount.Add(start);
  std::set<AttemptRef> victims;  // what a job starts in place of is gone by then
  for (const Preempt& preempt : plan.preempts) {
    const auto found = basis.world->holdings().find(preempt.victim);
    if (found == basis.world->holdings().end() || !found->second.counts) continue;
    if (victims.insert(preempt.victim).second) recount.Remove(found->second);
  }
  for (std::size_t i = 0; i < plan.preempts.size(); ++i) {
    if (auto broken = BrokenPreemptRule(basis, recount, plan.preempts[i])) {
      return Violation{Decision::kPreempt, i, std::move(*broken)};
    }
  }
  return std::nullopt;
}

}  // namespace kezek::engine

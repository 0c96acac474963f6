// Preemptions and reservations.

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "scheduler/engine/recount.h"
#include "scheduler/engine/verify_rules.h"

namespace kezek::engine {
namespace {

using quota::AccountIndex;

bool IsOut(const Basis& basis, const Reservation& promise) {
  return std::any_of(
      promise.placement.begin(), promise.placement.end(), [&](const NodeGrant& grant) {
        const auto node = basis.world->nodes().find(grant.node);
        return node == basis.world->nodes().end() || !InService(node->second, basis.now_ms);
      });
}

// A change of what was promised: by what the rules allow to move it.
std::optional<std::string> BrokenChange(const Basis& basis, const Plan& plan,
                                        const ReservationChange& change) {
  const World& world = *basis.world;
  const Reservation& promise = change.reservation;
  if (change.news == ReservationNews::kEnded) return std::nullopt;
  const auto job = world.waiting().find(promise.row);
  if (job == world.waiting().end()) return "the job of a reservation does not wait";
  const Shape& shape = job->second.spec->shape;
  if (promise.placement.size() != static_cast<std::size_t>(shape.nodes)) {
    return "a reservation has not as many nodes as the gang";
  }
  if (promise.from_ms < basis.now_ms && change.news != ReservationNews::kGiven) {
    return "a reservation lies in the past";
  }
  if (IsOut(basis, promise)) return "a reservation has nodes out of service";
  const TimeMs from = std::max(promise.from_ms, basis.now_ms);
  if (auto broken = BrokenWindow(world, job->second, promise.placement, from,
                                 from + world.Occupies(promise.limit_ms))) {
    return broken;
  }
  const auto before = world.reservations().find(promise.row);
  // What an element of an array started by is gone, and the next one may be given another.
  const bool next = std::any_of(plan.starts.begin(), plan.starts.end(),
                                [&](const Start& start) { return start.row == promise.row; });
  if (next && change.news == ReservationNews::kGiven) return std::nullopt;
  if (before == world.reservations().end()) {
    return change.news == ReservationNews::kGiven
               ? std::nullopt
               : std::optional<std::string>("a reservation moves that was not there");
  }
  const bool later = promise.from_ms > std::max(before->second.from_ms, basis.now_ms);
  if (later && change.news != ReservationNews::kLater) return "a reservation moves later";
  return std::nullopt;
}

// Whether the guarantee of `account` covers the attempt: oldest start first, each that still fits.
bool Covers(const World& world, const Recount& recount, AccountIndex account,
            const Holding& victim) {
  const quota::AccountTree& tree = world.tree();
  std::vector<const Holding*> runs;
  for (const auto& [key, attempts] : world.runs()) {
    const AccountIndex project = tree.IndexOf(key.first);
    if (project == quota::kNoAccount || !tree.IsAncestor(account, project)) continue;
    if (key.second != victim.shape.gpu_type) continue;
    for (const World::Run& run : attempts) {
      if (run.attempt->counts && run.shared()) runs.push_back(run.attempt);
    }
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
  if (!recount.Inside(tree.ChildToward(ancestor, to), job)) {
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
  if (found->second.ends_by_ms != 0) return "the victim is being ended already";
  const auto waiting = world.waiting().find(preempt.for_row);
  if (waiting == world.waiting().end()) return "the job that it is for does not wait";
  const Holding& victim = found->second;
  const quota::JobCount job = world.CountOf(waiting->second);
  if (job.scavenger) return "a scavenger preempts nobody";
  if (world.CountOf(victim).scavenger) return std::nullopt;
  const ClassRules& rules = world.ClassOf(victim.job_class);
  if (!rules.preemptible) return "the victim may not be preempted";
  if (victim.start_ms == 0 || basis.now_ms - victim.start_ms < rules.min_run_ms) {
    return "the victim is not past min_run";
  }
  return BrokenBetween(world, recount, victim, job);
}

}  // namespace

std::optional<std::size_t> ChangeOf(const Plan& plan, const JobRef& row) {
  for (std::size_t i = 0; i < plan.reservations.size(); ++i) {
    if (plan.reservations[i].reservation.row == row) return i;
  }
  return std::nullopt;
}

std::map<JobRef, const Reservation*> PromisedAfter(const World& world, const Plan& plan) {
  std::map<JobRef, const Reservation*> promised;
  for (const auto& [row, promise] : world.reservations()) promised[row] = &promise;
  for (const ReservationChange& change : plan.reservations) {
    if (change.news == ReservationNews::kEnded) {
      promised.erase(change.reservation.row);
    } else {
      promised[change.reservation.row] = &change.reservation;
    }
  }
  return promised;
}

std::optional<Violation> BrokenReservation(const Basis& basis, const Plan& plan) {
  for (std::size_t i = 0; i < plan.reservations.size(); ++i) {
    if (auto broken = BrokenChange(basis, plan, plan.reservations[i])) {
      return Violation{Decision::kReservation, i, std::move(*broken)};
    }
  }
  return BrokenPromise(basis, plan);
}

// In the order of decision: each is measured with the starts and the reclaims before it.
std::optional<Violation> BrokenPreempt(const Basis& basis, const Plan& plan) {
  if (plan.preempts.empty()) return std::nullopt;
  const World& world = *basis.world;
  Recount recount(world, basis.entitled);
  std::set<JobRef> claims;
  const auto allocate = [&](const JobRef& row) {
    const auto job = world.waiting().find(row);
    if (job != world.waiting().end() && claims.insert(row).second)
      recount.Add(world.CountOf(job->second));
  };
  for (const auto& [row, promise] : world.reservations()) {
    const auto change = ChangeOf(plan, row);
    if (!promise.victims.empty() && !change) allocate(row);
  }
  std::set<AttemptRef> victims;
  std::size_t started = 0;
  for (std::size_t i = 0; i < plan.preempts.size(); ++i) {
    const Preempt& preempt = plan.preempts[i];
    if (i > 0 && plan.preempts[i - 1].for_row != preempt.for_row) {
      allocate(plan.preempts[i - 1].for_row);
    }
    for (; started < std::min(preempt.starts_before, plan.starts.size()); ++started) {
      recount.Add(plan.starts[started]);
    }
    if (!victims.insert(preempt.victim).second) {
      return Violation{Decision::kPreempt, i, "the victim is ended twice"};
    }
    if (auto broken = BrokenPreemptRule(basis, recount, preempt)) {
      return Violation{Decision::kPreempt, i, std::move(*broken)};
    }
  }
  return std::nullopt;
}

}  // namespace kezek::engine

#include "scheduler/engine/verify.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kezek/node_parts.h"
#include "kezek/reason_text.h"
#include "quota/limits.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/recount.h"
#include "scheduler/engine/stops.h"
#include "scheduler/engine/verify_rules.h"

namespace kezek::engine {
namespace {

using Broken = std::optional<std::string>;

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The job waits, the element is one that may start, and it runs nowhere.
Broken NotStartable(const Basis& basis, const Start& start, const std::set<JobRef>& started) {
  const auto found = basis.world->waiting().find(start.row);
  if (found == basis.world->waiting().end()) return "the job does not wait";
  const Waiting& job = found->second;
  const std::int32_t element = start.job.element;
  const bool known =
      IsArrayRow(job.ref, *job.spec)
          ? start.job.id == job.ref.id &&
                std::find(job.elements.begin(), job.elements.end(), element) != job.elements.end()
          : start.job == job.ref;
  if (!known) return "the job is not one that may start";
  if (started.contains(start.job)) return "the job starts twice";
  const auto& holdings = basis.world->holdings();
  const auto held = holdings.lower_bound(AttemptRef{start.job, 0});
  if (held != holdings.end() && held->first.job == start.job) return "the job still holds nodes";
  return std::nullopt;
}

Broken WrongNode(const Basis& basis, const JobSpec& spec, const NodeGrant& grant) {
  const auto found = basis.world->nodes().find(grant.node);
  if (found == basis.world->nodes().end()) return "node " + grant.node + " is not known";
  const Node& node = found->second;
  if (!InService(node, basis.now_ms)) return "node " + node.name + " is out of service";
  if (node.gpu_type != spec.shape.gpu_type) return "node " + node.name + " has another GPU type";
  for (const std::string& label : spec.constraints) {
    if (!Has(node.labels, label)) return "node " + node.name + " lacks label " + label;
  }
  if (!spec.classification.empty() && !Has(node.cleared, spec.classification)) {
    return "node " + node.name + " is not cleared for " + spec.classification;
  }
  if (Has(spec.exclude_nodes, node.name)) return "node " + node.name + " is excluded";
  const bool listed_only = spec.nodes.size() >= static_cast<std::size_t>(spec.shape.nodes);
  if (!spec.nodes.empty() && listed_only && !Has(spec.nodes, node.name)) {
    return "node " + node.name + " is not among the job's nodes";
  }
  const std::int32_t due = spec.shape.exclusive ? node.gpus : spec.shape.gpus_per_node;
  if (grant.gpus != due) return "the grant on " + node.name + " is not what the gang needs";
  return std::nullopt;
}

// Nodes of one pool, and of one that the job may start in.
Broken WrongPool(const Basis& basis, const JobSpec& spec, const Placement& placement) {
  const World& world = *basis.world;
  if (world.owners().empty()) return std::nullopt;
  const auto owner_of = [&world](const std::string& node) {
    const auto found = world.owners().find(node);
    return found == world.owners().end() ? NodeOwner{} : found->second;
  };
  bool has_lane = false;
  for (const auto& [name, owner] : world.owners()) {
    const auto node = world.nodes().find(name);
    has_lane |= owner.job_class == spec.job_class && node != world.nodes().end() &&
                node->second.gpu_type == spec.shape.gpu_type;
  }
  const NodeOwner pool = owner_of(placement.front().node);
  for (const NodeGrant& grant : placement) {
    const NodeOwner owner = owner_of(grant.node);
    if (owner != pool) return "the gang is on nodes of two pools";
    const std::string& lane = owner.job_class;
    if (has_lane && lane != spec.job_class) return "class '" + spec.job_class + "' has a lane";
    if (!lane.empty() && lane != spec.job_class) return "node " + grant.node + " is a lane's";
    if (!owner.account) continue;
    const quota::AccountIndex above = world.tree().IndexOf(owner.account);
    if (!world.tree().IsAncestor(above, world.tree().IndexOf(spec.project))) {
      return "node " + grant.node + " is dedicated to '" + world.tree().path(above) + "'";
    }
  }
  return std::nullopt;
}

// What it prefers is not asked of nodes that were promised to it.
Broken WrongDomain(const Basis& basis, const Waiting& job, const Placement& placement) {
  const auto promise = basis.world->reservations().find(job.ref);
  const bool promised =
      promise != basis.world->reservations().end() && promise->second.placement == placement;
  const Request request = promised ? Request{job.spec.get(), job.spec->within, false}
                                   : RequestOf(*job.spec, job.queued_since_ms, basis.now_ms,
                                               basis.world->config().topology_wait_ms);
  if (request.within == Domain::kAny || placement.size() < 2) return std::nullopt;
  const Node& first = basis.world->nodes().at(placement.front().node);
  for (const NodeGrant& grant : placement) {
    const Node& node = basis.world->nodes().at(grant.node);
    const bool leaf = request.within == Domain::kLeaf;
    const bool named = leaf ? !node.leaf.empty() : !node.block.empty();
    if (!named || node.above != first.above || node.block != first.block ||
        (leaf && node.leaf != first.leaf)) {
      return "the gang is not within one domain";
    }
  }
  return std::nullopt;
}

Broken WrongGang(const Basis& basis, const Waiting& job, const Start& start) {
  const JobSpec& spec = *job.spec;
  if (start.placement.size() != static_cast<std::size_t>(spec.shape.nodes)) {
    return "the gang is split";
  }
  for (std::size_t i = 0; i < start.placement.size(); ++i) {
    const NodeGrant& grant = start.placement[i];
    if (i > 0 && !(start.placement[i - 1].node < grant.node)) {
      return "the gang has a node twice, or its nodes are not sorted";
    }
    if (auto broken = WrongNode(basis, spec, grant)) return broken;
  }
  if (spec.nodes.size() < start.placement.size()) {
    for (const std::string& name : spec.nodes) {
      const bool has = std::any_of(start.placement.begin(), start.placement.end(),
                                   [&name](const NodeGrant& grant) { return grant.node == name; });
      if (!has) return "the gang lacks node " + name + ", which the job names";
    }
  }
  MilliGpus counted = 0;
  for (const NodeGrant& grant : start.placement) {
    counted += quota::CountOnNode(spec.shape, quota::SizeOf(basis.world->nodes().at(grant.node)));
  }
  if (start.counted_milli != counted) return "counted GPUs are wrong";
  if (auto broken = WrongPool(basis, spec, start.placement)) return broken;
  return WrongDomain(basis, job, start.placement);
}

// The recount has the start already. What it takes nothing of may be short for other reasons, such
// as jobs that are not Kezek's.
Broken TooMuch(const Basis& basis, const Recount& recount, const Start& start, const Shape& shape) {
  for (const NodeGrant& grant : start.placement) {
    const Node& node = basis.world->nodes().at(grant.node);
    const NodeUse use = recount.UseOf(grant.node);
    if (grant.gpus > 0 && use.gpus + node.foreign_gpus > node.gpus) {
      return "GPUs of " + node.name + " twice";
    }
    if (shape.cpus_per_node > 0 && use.cpus + node.foreign_cpus > node.cpus) {
      return "CPUs of " + node.name + " twice";
    }
    if (shape.memory_mib_per_node > 0 &&
        use.memory_mib + node.foreign_memory_mib > node.memory_mib) {
      return "memory of " + node.name + " twice";
    }
    const bool foreign =
        node.foreign_gpus > 0 || node.foreign_cpus > 0 || node.foreign_memory_mib > 0;
    if (use.exclusive > 0 && use.attempts > 1) return "node " + node.name + " is not shared";
    const bool host = shape.exclusive && SharesHost(basis.world->nodes(), node.name);
    if (host) return "node " + node.name + " is not the whole host";
    if (shape.exclusive && foreign) return "node " + node.name + " is not free for one alone";
  }
  return std::nullopt;
}

// Settings may have been narrowed since it was submitted.
Broken Barred(const Basis& basis, const JobSpec& spec, const quota::JobCount& count) {
  const World& world = *basis.world;
  const quota::Refusal refusal =
      NeverFits(world.tree(), world.ClassOf(spec.job_class), spec, world.CountedOf(spec),
                world.directory().classifications, !count.IsShared());
  if (refusal.reason.code == ReasonCode::kNone) return std::nullopt;
  return "settings bar it: " + Sentence(refusal.reason);
}

// No budget holds less than the starts take of it.
Broken Overdrawn(const Basis& basis, const Start& start, quota::Taken& taken) {
  if (start.scavenges != basis.world->ScavengesOf(start.row)) {
    return "whether it is a scavenger is not what its budgets say";
  }
  const quota::Draw draw = basis.world->DrawOf(start, taken);
  if (draw.stop.code != ReasonCode::kNone || draw.scavenges) return "a budget does not hold it";
  Take(draw, taken);
  for (const auto& [budget, amount] : taken) {
    if (amount > basis.world->budgets().Of(budget).left) return "a budget is overdrawn";
  }
  return std::nullopt;
}

// What accounts that the job is not in keep idle stays free. Where nobody keeps anything there is
// nothing to count.
class Idle {
 public:
  Idle(const Basis& basis, const Recount& before) : basis_(basis) {
    for (const auto& [type, entitled] : *basis.entitled) {
      for (const quota::Entitlement& account : entitled) kept_milli_[type] += account.idle_milli;
      if (kept_milli_[type] > 0) free_milli_[type] = FreeMilli(basis, before, type);
    }
  }

  Broken Start(const quota::JobCount& job) {
    const auto all = kept_milli_.find(job.gpu_type);
    if (job.apart || all == kept_milli_.end() || all->second == 0) return std::nullopt;
    MilliGpus kept = all->second;
    const quota::AccountTree& tree = basis_.world->tree();
    const auto& entitled = basis_.entitled->at(job.gpu_type);
    for (auto i = tree.IndexOf(job.project); i != quota::kNoAccount; i = tree.parent(i)) {
      kept -= entitled[static_cast<std::size_t>(i)].idle_milli;
    }
    MilliGpus& free = free_milli_[job.gpu_type];
    if (kept > 0 && free - job.counted_milli < kept) return "GPUs that others keep idle are taken";
    free -= job.counted_milli;
    return std::nullopt;
  }

 private:
  const Basis& basis_;
  std::map<std::string, MilliGpus> kept_milli_;  // by GPU type
  std::map<std::string, MilliGpus> free_milli_;  // where any is kept
};

std::optional<Violation> BrokenStart(const Basis& basis, const Plan& plan) {
  Recount recount(*basis.world, basis.entitled);
  Idle idle(basis, recount);
  quota::Taken taken;
  std::set<JobRef> started;
  for (std::size_t i = 0; i < plan.starts.size(); ++i) {
    const Start& start = plan.starts[i];
    const auto violation = [i](Broken broken) {
      return Violation{Decision::kStart, i, std::move(*broken)};
    };
    if (auto broken = NotStartable(basis, start, started)) return violation(std::move(broken));
    const Waiting& job = basis.world->waiting().at(start.row);
    if (auto broken = WrongGang(basis, job, start)) return violation(std::move(broken));
    const TimeMs until = basis.now_ms + basis.world->Occupies(job.spec->time_limit_ms);
    if (auto broken = BrokenWindow(*basis.world, job, start.placement, basis.now_ms, until)) {
      return violation(std::move(broken));
    }
    const quota::JobCount count = basis.world->CountOf(start);
    if (auto broken = Barred(basis, *job.spec, count)) return violation(std::move(broken));
    if (auto broken = recount.Forbids(count)) return violation(std::move(broken));
    if (auto broken = Overdrawn(basis, start, taken)) return violation(std::move(broken));
    if (auto broken = idle.Start(count)) return violation(std::move(broken));
    recount.Add(start);
    const Shape& shape = job.spec->shape;
    if (auto broken = TooMuch(basis, recount, start, shape)) return violation(std::move(broken));
    started.insert(start.job);
  }
  return std::nullopt;
}

template <class T>
void Erase(std::vector<T>& list, std::size_t index) {
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(index));
}

void Drop(const Basis& basis, const Violation& violation, Plan& plan) {
  JobRef job;
  JobRef row;
  switch (violation.decision) {
    case Decision::kStart:
      job = plan.starts[violation.index].job;
      row = plan.starts[violation.index].row;
      plan.dropped_starts.push_back(plan.starts[violation.index]);
      Erase(plan.starts, violation.index);
      break;
    case Decision::kPreempt:
      job = row = plan.preempts[violation.index].for_row;
      plan.dropped_preempts.push_back(plan.preempts[violation.index]);
      Erase(plan.preempts, violation.index);
      break;
    case Decision::kReservation:
      job = row = plan.reservations[violation.index].reservation.row;
      plan.dropped_reservations.push_back(plan.reservations[violation.index]);
      Erase(plan.reservations, violation.index);
      break;
  }
  plan.dropped.push_back({job, violation.rule});
  const auto waits = basis.world->waiting().find(row);
  if (waits == basis.world->waiting().end()) return;
  JobStanding standing;
  standing.reason = {ReasonCode::kSetAside, {{"rule", violation.rule}}};
  plan.waiting.Set(row, *waits->second.spec, std::move(standing));
}

}  // namespace

MilliGpus FreeMilli(const Basis& basis, const Recount& recount, const std::string& gpu_type) {
  MilliGpus free = 0;
  for (const auto& [name, node] : basis.world->nodes()) {
    const bool shared = node.gpu_type == gpu_type && !basis.world->owners().contains(name);
    if (!shared || !InService(node, basis.now_ms)) continue;
    const NodeUse use = recount.UseOf(name);
    const std::int32_t gpus = use.exclusive > 0 ? 0 : node.gpus - node.foreign_gpus - use.gpus;
    free += std::max(0, gpus) * MilliGpus{1000};
  }
  return free;
}

std::optional<Violation> FirstViolation(const Basis& basis, const Plan& plan) {
  if (plan.starts.empty() && plan.preempts.empty() && plan.reservations.empty()) {
    return std::nullopt;  // every rule is about a decision
  }
  if (auto violation = BrokenStart(basis, plan)) return violation;
  if (auto violation = BrokenReservation(basis, plan)) return violation;
  if (auto violation = BrokenPreempt(basis, plan)) return violation;
  return BrokenOrder(basis, plan);
}

void Verify(const Basis& basis, Plan& plan) {
  while (const auto violation = FirstViolation(basis, plan)) Drop(basis, *violation, plan);
}

}  // namespace kezek::engine

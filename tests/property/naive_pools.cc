// What is free, whose nodes are, what runs and what stops: from scratch.

#include <algorithm>

#include "tests/property/naive_engine.h"

namespace kezek::test {

using engine::Waiting;

namespace {

bool Serves(const Node& node, TimeMs now) {
  const bool aside =
      node.drained_by_kezek && (node.set_aside_until_ms == 0 || node.set_aside_until_ms > now);
  return node.health == NodeHealth::kUp && !aside;
}

}  // namespace

ClassRules NaiveEngine::ClassOf(const std::string& name) const {
  const auto found = directory_->classes.find(name);
  return found == directory_->classes.end() ? ClassRules{} : found->second;
}

void NaiveEngine::FindPools() {
  for (const auto& [node_name, node] : nodes_) {
    const auto has = [name = node_name](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    engine::PoolKey& pool = pools_[node_name];
    pool = {node.gpu_type, {}, {}};
    std::int32_t lowest = -1;
    for (quota::AccountIndex i = 0; i < tree_->size(); ++i) {
      if (tree_->IsClosed(i) || tree_->depth(i) <= lowest) continue;
      if (!has(tree_->account(i).settings.dedicated_nodes)) continue;
      pool.account = tree_->id(i);
      lowest = tree_->depth(i);
    }
    for (const auto& [name, rules] : directory_->classes) {
      if (has(rules.nodes)) pool = {node.gpu_type, {}, name};
    }
  }
}

std::vector<engine::PoolKey> NaiveEngine::PoolsFor(const JobSpec& spec) const {
  const std::string& type = spec.shape.gpu_type;
  const auto exists = [this](const engine::PoolKey& pool) {
    return std::any_of(pools_.begin(), pools_.end(),
                       [&](const auto& entry) { return entry.second == pool; });
  };
  if (exists({type, {}, spec.job_class})) return {{type, {}, spec.job_class}};
  std::vector<engine::PoolKey> pools;
  for (auto i = tree_->IndexOf(spec.project); i != quota::kNoAccount; i = tree_->parent(i)) {
    if (exists({type, tree_->id(i), {}})) pools.push_back({type, tree_->id(i), {}});
  }
  pools.push_back({type, {}, {}});
  return pools;
}

NaiveNodes NaiveEngine::Of(const NaiveNodes& nodes, const engine::PoolKey& pool) const {
  NaiveNodes of;
  for (const NaiveNode& node : nodes) {
    if (PoolOf(node.node) == pool) of.push_back(node);
  }
  return of;
}

bool NaiveEngine::IsApart(const Placement& placement) const {
  for (const NodeGrant& grant : placement) {
    if (!nodes_.contains(grant.node) || PoolOf(nodes_.at(grant.node)).shared()) return false;
  }
  return !placement.empty();
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
                         attempt.as_scavenger || ClassOf(attempt.job_class).scavenger,
                         IsApart(attempt.placement)});
  }
  return running;
}

// Whether the shared nodes are what it waits for: those could hold it if they were empty.
bool NaiveEngine::IsForShared(const Waiting& job) const {
  const engine::PoolKey last = PoolsFor(*job.spec).back();
  return last.shared() && NaivePlace(Of(Configured(), last), *job.spec, job.spec->within);
}

// What today's settings bar for good is as if it did not wait. Guarantees and borrowing bar nothing
// that nodes of an owner could hold.
Reason NaiveEngine::Barred(const Waiting& job) const {
  bool apart = false;
  for (const engine::PoolKey& pool : PoolsFor(*job.spec)) {
    apart |= !pool.shared() && NaivePlace(Of(Configured(), pool), *job.spec, job.spec->within);
  }
  return NeverFits(*tree_, ClassOf(job.spec->job_class), *job.spec, Counted(*job.spec),
                   directory_->classifications, apart)
      .reason;
}

Reason NaiveEngine::NoRoom(const NaiveNodes& free, const engine::PoolKey& pool, const JobSpec& spec,
                           Domain within, bool preference) const {
  const NaiveNodes all = Configured();
  const NaiveNodes of = Of(all, pool);
  const bool known = std::any_of(all.begin(), all.end(), [&spec](const NaiveNode& node) {
    return node.node.gpu_type == spec.shape.gpu_type;
  });
  if (known && of.empty()) {  // other pools have all of its nodes
    return {
        ReasonCode::kNeverFitsMachine,
        {{"field", "shape.nodes"}, {"asked", std::to_string(spec.shape.nodes)}, {"largest", "0"}}};
  }
  return NaiveNoRoom(Of(free, pool), known ? of : all, spec, within, preference);
}

Reason NaiveEngine::Stopped(const quota::RunningTable& running, const quota::JobCount& count,
                            const std::vector<MilliGpus>& guarantees) const {
  const ClassRules rules = ClassOf(count.job_class);
  Reason limit = FirstLimit(*tree_, running, rules, count);
  if (limit.code != ReasonCode::kNone) return limit;
  return OutsideGuarantee(*tree_, rules, count, running.AllocatedByIndex(*tree_, count.gpu_type),
                          guarantees);
}

}  // namespace kezek::test

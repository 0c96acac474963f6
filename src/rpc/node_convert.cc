#include "rpc/node_convert.h"

#include <algorithm>

#include "kezek/reason_text.h"
#include "rpc/account_convert.h"

namespace kezek::rpc {
namespace {

v1::NodeHealth HealthOf(const Node& node, bool empty) {
  switch (node.health) {
    case NodeHealth::kUp:
      return v1::NODE_HEALTH_UP;
    case NodeHealth::kDraining:
      return empty ? v1::NODE_HEALTH_DRAINED : v1::NODE_HEALTH_DRAINING;
    case NodeHealth::kDown:
      return v1::NODE_HEALTH_DOWN;
    case NodeHealth::kUnknown:
      return v1::NODE_HEALTH_UNKNOWN;
  }
  return v1::NODE_HEALTH_UNKNOWN;
}

v1::JobClass ToWire(const ClassRules& rules) {
  v1::JobClass wire;
  wire.set_name(rules.name);
  wire.set_factor_milli(rules.factor_milli);
  wire.set_longest_limit_ms(rules.longest_limit_ms);
  wire.set_default_limit_ms(rules.default_limit_ms);
  wire.set_grace_max_ms(rules.grace_max_ms);
  wire.set_min_run_ms(rules.min_run_ms);
  wire.set_preemptible(rules.preemptible);
  wire.set_scavenger(rules.scavenger);
  wire.set_rank(rules.rank);
  return wire;
}

}  // namespace

v1::Reason ToWire(const Reason& reason) {
  v1::Reason wire;
  wire.set_code(std::string(WireName(reason.code)));
  wire.mutable_fields()->insert(reason.fields.begin(), reason.fields.end());
  wire.set_sentence(Sentence(reason));
  return wire;
}

v1::Cluster ToWire(const View& view, const std::string& cluster) {
  const Directory& directory = *view.directory;
  std::map<std::string, v1::GpuType> types;
  for (const auto& [name, rate] : directory.rate_milli) {
    types[name].set_name(name);
    types[name].set_rate_milli(rate);
  }
  for (const auto& [name, node] : view.nodes) {
    auto& type = types[node.gpu_type];
    type.set_name(node.gpu_type);
    type.set_gpus(type.gpus() + node.gpus);
    type.set_gpus_per_node(std::max(type.gpus_per_node(), node.gpus));
  }
  v1::Cluster wire;
  wire.set_name(cluster);
  const auto first = types.find(directory.default_gpu_type);
  if (first != types.end()) *wire.add_gpu_types() = first->second;
  for (const auto& [name, type] : types) {
    if (name != directory.default_gpu_type) *wire.add_gpu_types() = type;
  }
  std::vector<ClassRules> classes;
  for (const auto& [name, rules] : directory.classes) classes.push_back(rules);
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return a.rank < b.rank; });
  for (const auto& rules : classes) *wire.add_job_classes() = ToWire(rules);
  std::vector<NodeDomain> domains = DomainsOf(Node{});
  if (!view.nodes.empty()) domains = DomainsOf(view.nodes.begin()->second);
  wire.add_domains("node");
  for (const NodeDomain& domain : domains) wire.add_domains(domain.level);
  wire.set_slurm_version(view.cluster_version);
  wire.set_nodes(static_cast<std::int32_t>(view.nodes.size()));
  return wire;
}

NodeUse::NodeUse(const Caller& caller) : view_(*caller.view), owners_(view_.directory->owners) {
  if (!owners_.empty()) {
    const std::vector<AccountId> visible = VisibleAccounts(caller);
    visible_.insert(visible.begin(), visible.end());
  }
  if (!view_.alive) return;
  for (const auto& attempt : *view_.alive) {
    for (const auto& grant : attempt.placement) {
      Use& use = by_node_[grant.node];
      ++use.job_count;
      use.cpus += attempt.shape.cpus_per_node;
      use.memory_mib += attempt.shape.memory_mib_per_node;
      const TimeMs begin = attempt.start_ms != 0 ? attempt.start_ms : view_.now_ms;
      use.ends_by_ms = std::max(use.ends_by_ms, begin + attempt.limit_ms);
      if (caller.Reaches(attempt.user, attempt.project)) {
        use.jobs.push_back(ToText(attempt.attempt.job));
      }
    }
  }
}

std::string NodeUse::DedicatedTo(const Node& node) const {
  const auto owner = owners_.find(node.name);
  if (owner == owners_.end()) return "";
  if (!owner->second.account) return "class " + owner->second.job_class;
  if (!visible_.contains(owner->second.account)) return "another account";
  return PathOf(*view_.directory, owner->second.account);
}

v1::Node NodeUse::ToWire(const Node& node, const std::string& cluster) const {
  const auto found = by_node_.find(node.name);
  const Use use = found == by_node_.end() ? Use{} : found->second;
  const auto free = view_.free_gpus.find(node.name);
  v1::Node wire;
  wire.set_cluster(cluster);
  wire.set_name(node.name);
  wire.set_gpu_type(node.gpu_type);
  wire.set_gpus(node.gpus);
  wire.set_free_gpus(free == view_.free_gpus.end() ? 0 : free->second);
  wire.set_foreign_gpus(node.foreign_gpus);
  wire.set_cpus(node.cpus);
  wire.set_free_cpus(static_cast<std::int32_t>(
      std::max<std::int64_t>(0, node.cpus - node.foreign_cpus - use.cpus)));
  wire.set_memory_mib(node.memory_mib);
  wire.set_free_memory_mib(
      std::max<std::int64_t>(0, node.memory_mib - node.foreign_memory_mib - use.memory_mib));
  wire.set_leaf(node.leaf);
  wire.set_block(node.block);
  for (const auto& label : node.labels) wire.add_labels(label);
  wire.set_health(HealthOf(node, use.job_count == 0));
  wire.set_health_reason(node.health_reason);
  wire.set_drained_by_kezek(node.drained_by_kezek);
  wire.set_set_aside_until_ms(node.set_aside_until_ms);
  for (const auto& job : use.jobs) wire.add_jobs(job);
  wire.set_job_count(use.job_count);
  wire.set_ends_by_ms(use.ends_by_ms);
  wire.set_dedicated_to(DedicatedTo(node));
  return wire;
}

}  // namespace kezek::rpc

// The machine as the cluster reports it, put together with the configured topology.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/names.h"
#include "kezek/node_parts.h"
#include "scheduler/control/core.h"
#include "scheduler/control/host_parts.h"
#include "scheduler/engine/machine.h"

namespace kezek::control {
namespace {

// Without what changes all the time and is worth no row.
Node Lasting(Node node) {
  node.foreign_gpus = 0;
  node.foreign_cpus = 0;
  node.foreign_memory_mib = 0;
  return node;
}

Event NodeEvent(const Core& core, const Node& before, const Node& after) {
  Event event;
  event.time_ms = core.now;
  event.subject = Subject::kNode;
  event.name = after.name;
  event.project = kRootAccount;
  event.from = NameOf(before.health);
  event.to = NameOf(after.health);
  event.reason = {ReasonCode::kUpdated,
                  {{"field", "health"}, {"from", event.from}, {"to", event.to}}};
  if (!after.health_reason.empty()) event.reason.fields["text"] = after.health_reason;
  event.actor = kActorKezek;
  return event;
}

// What the cluster knows better: capacity, health, foreign use.
Node Merged(Node node, const Node& seen, TimeMs now) {
  node.health = seen.health;
  const bool out_by_kezek =
      node.drained_by_kezek && (node.set_aside_until_ms == 0 || node.set_aside_until_ms > now);
  if (!out_by_kezek) node.health_reason = seen.health_reason;
  node.gpus = seen.gpus;
  node.cpus = seen.cpus;
  node.memory_mib = seen.memory_mib;
  if (node.gpu_type.empty()) node.gpu_type = seen.gpu_type;
  node.foreign_gpus = seen.foreign_gpus;
  node.foreign_cpus = seen.foreign_cpus;
  node.foreign_memory_mib = seen.foreign_memory_mib;
  return node;
}

void Take(Core& core, const Node& before, const Node& after) {
  if (before == after) return;
  if (before.health != after.health) core.Say(NodeEvent(core, before, after));
  if (before.gpus != after.gpus && before.health != NodeHealth::kUnknown) {
    core.Log("node " + after.name + ": " + std::to_string(after.gpus) + " GPUs instead of " +
             std::to_string(before.gpus));
  }
  if (Lasting(before) != Lasting(after)) {
    core.Put(after);
  } else {
    core.state.PutNode(after);
  }
  core.engine.SetNode(after);
  core.directory_changed = true;
  core.tick_wanted = true;
}

void TakeSeen(Core& core, const Node& seen) {
  const auto known = core.state.nodes().find(seen.name);
  if (known != core.state.nodes().end()) {
    const Node before = known->second;
    Take(core, before, Merged(before, seen, core.now));
  } else if (core.config.nodes.empty()) {
    Node before;
    before.name = seen.name;
    Take(core, before, seen);
  } else if (core.reported.insert("node " + seen.name).second) {
    core.Log("node " + seen.name + " is in the cluster, but not configured here: not used");
  }
}

// A host that is known by a type has that one first, whatever comes first in the cluster's list:
// none of them, if it has lost them.
void PutFirst(const std::string& gpu_type, Node& host) {
  if (gpu_type.empty() || host.gpu_type == gpu_type || host.more_gpus.empty()) return;
  const HostGpus first{host.gpu_type, host.gpus, host.foreign_gpus, 0, 0};
  const auto found =
      std::find_if(host.more_gpus.begin(), host.more_gpus.end(),
                   [&gpu_type](const HostGpus& one) { return one.gpu_type == gpu_type; });
  host.gpu_type = gpu_type;
  host.gpus = found == host.more_gpus.end() ? 0 : found->gpus;
  host.foreign_gpus = found == host.more_gpus.end() ? 0 : found->foreign_gpus;
  if (found == host.more_gpus.end()) {
    if (first.gpus > 0) host.more_gpus.push_back(first);
    return;
  }
  host.foreign_cpus += found->foreign_cpus;
  host.foreign_memory_mib += found->foreign_memory_mib;
  *found = first;
}

// A configured host of one node is that, whatever else it has.
std::vector<Node> NodesOf(Core& core, Node host, const Shares& shares) {
  const auto known = core.state.nodes().find(host.name);
  if (known != core.state.nodes().end()) PutFirst(known->second.gpu_type, host);
  if (core.config.nodes.empty() || host.more_gpus.empty()) return AsNodes(host, shares);
  const auto parts = shares.find(host.name);
  for (const HostGpus& more : host.more_gpus) {
    const bool named =
        parts != shares.end() &&
        std::any_of(parts->second.begin(), parts->second.end(),
                    [&more](const Node& part) { return part.gpu_type == more.gpu_type; });
    if (named || !core.reported.insert("node " + PartName(host.name, more.gpu_type)).second)
      continue;
    core.Log("node " + host.name + " has " + std::to_string(more.gpus) + " GPUs of type " +
             more.gpu_type + " that the topology gives no part of it: not used");
  }
  if (parts == shares.end()) host.more_gpus.clear();
  return AsNodes(host, shares);
}

}  // namespace

Node Effective(const Node& node, TimeMs now) {
  Node result = node;
  if (!node.drained_by_kezek) return result;
  if (node.set_aside_until_ms == 0 || node.set_aside_until_ms > now) {
    if (node.health == NodeHealth::kUp) result.health = NodeHealth::kDraining;
    return result;
  }
  result.drained_by_kezek = false;  // it is tried again
  result.set_aside_until_ms = 0;
  if (node.health == NodeHealth::kUp) result.health_reason.clear();
  return result;
}

void OnNodes(Core& core, const NodesObserved& observed) {
  if (!core.nodes_seen) core.tick_wanted = true;
  core.nodes_seen = true;
  const Shares shares = SharesOf(core.config.nodes);
  std::set<std::string> seen;
  for (const Node& host : observed.nodes) {
    for (const Node& node : NodesOf(core, host, shares)) {
      seen.insert(node.name);
      TakeSeen(core, node);
    }
  }
  core.listed_nodes = seen;
  std::vector<Node> gone;
  for (const auto& [name, node] : core.state.nodes()) {
    if (!seen.contains(name) && node.health != NodeHealth::kDown) gone.push_back(node);
  }
  for (const Node& node : gone) {
    Node after = node;
    after.health = NodeHealth::kDown;
    after.health_reason = kNotListed;
    Take(core, node, after);
  }
}

}  // namespace kezek::control

// Nodes on which launch after launch fails are set aside for a time, with an event: a gang that
// waits for one of them would be planned there again and again.
#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/control/core.h"
#include "scheduler/engine/machine.h"

namespace kezek::control {
namespace {

constexpr DurationMs kAsideMost = 6 * kHourMs;
// A launch that fails everywhere is not the nodes' fault.
constexpr std::size_t kMostOfTen = 1;

bool IsAside(const Node& node, TimeMs now) {
  return node.drained_by_kezek && node.set_aside_until_ms > now;
}

// A node that had its time and is being tried again counts no more.
std::size_t Aside(const Core& core) {
  return static_cast<std::size_t>(
      std::count_if(core.state.nodes().begin(), core.state.nodes().end(),
                    [&core](const auto& one) { return IsAside(one.second, core.now); }));
}

void Put(Core& core, const Node& node, std::string text, const char* to) {
  Event event;
  event.time_ms = core.now;
  event.subject = Subject::kNode;
  event.name = node.name;
  event.project = kRootAccount;
  event.reason = {ReasonCode::kUpdated,
                  {{"field", "service"}, {"to", to}, {"text", std::move(text)}}};
  event.actor = kActorKezek;
  core.Say(std::move(event));
  core.Put(node);
  core.engine.SetNode(node);
  core.directory_changed = true;
  core.tick_wanted = true;
}

void SetAside(Core& core, Node node, NodeFault& fault) {
  const DurationMs time = core.config.set_aside_ms << std::min(fault.times, 10);
  ++fault.times;
  node.drained_by_kezek = true;
  node.set_aside_until_ms = core.now + std::min(time, kAsideMost);
  node.health_reason = std::to_string(fault.failed) + " launches in a row failed here";
  core.aside_over_ms = core.aside_over_ms == 0
                           ? node.set_aside_until_ms
                           : std::min(core.aside_over_ms, node.set_aside_until_ms);
  Put(core, node, node.health_reason, "set aside");
}

}  // namespace

void LaunchFailed(Core& core, const Attempt& attempt) {
  const std::int32_t most = core.config.set_aside_after;
  // What was not released has never come to its nodes.
  if (most == 0 || !attempt.released) return;
  std::vector<std::string> suspects;
  for (const NodeGrant& grant : attempt.placement) {
    const auto node = core.state.nodes().find(grant.node);
    if (node == core.state.nodes().end() || !engine::InService(node->second, core.now)) continue;
    NodeFault& fault = core.node_faults[grant.node];
    ++fault.failed;
    fault.jobs.insert(attempt.ref.job.id);
    // One job alone may be at fault itself; and a node that was set aside has its one try.
    const bool suspect = fault.failed >= most && fault.jobs.size() > 1;
    if (suspect || fault.times > 0) suspects.push_back(grant.node);
  }
  if (suspects.empty()) return;
  const std::size_t room = std::max<std::size_t>(1, core.state.nodes().size() * kMostOfTen / 10);
  if (Aside(core) + suspects.size() > room) {
    if (core.reported.insert("launches fail").second) {
      core.Log("launches fail on " + std::to_string(suspects.size()) + " nodes, such as " +
               suspects.front() + ": too many to set aside, so look at what they have in common");
    }
    return;
  }
  for (const std::string& name : suspects) {
    SetAside(core, core.state.nodes().at(name), core.node_faults.at(name));
  }
}

void LaunchSucceeded(Core& core, const Attempt& attempt) {
  for (const NodeGrant& grant : attempt.placement) {
    core.node_faults.erase(grant.node);
    const auto found = core.state.nodes().find(grant.node);
    if (found == core.state.nodes().end() || !found->second.drained_by_kezek) continue;
    if (found->second.set_aside_until_ms == 0) continue;  // by an admin
    Node node = found->second;
    node.drained_by_kezek = false;
    node.set_aside_until_ms = 0;
    node.health_reason.clear();
    Put(core, node, "a launch has succeeded", "in service");
  }
}

void EndAsides(Core& core) {
  if (core.aside_over_ms == 0 || core.now < core.aside_over_ms) return;
  core.aside_over_ms = 0;
  for (const auto& [name, node] : core.state.nodes()) {
    if (!IsAside(node, core.now)) continue;
    core.aside_over_ms = core.aside_over_ms == 0
                             ? node.set_aside_until_ms
                             : std::min(core.aside_over_ms, node.set_aside_until_ms);
  }
  core.directory_changed = true;  // people see it in service again
}

}  // namespace kezek::control

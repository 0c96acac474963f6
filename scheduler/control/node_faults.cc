// Nodes on which launch after launch fails are set aside for a time, with an event: a gang that
// waits for one of them would be planned there again and again.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "scheduler/control/core.h"
#include "scheduler/engine/machine.h"

namespace kezek::control {
namespace {

constexpr DurationMs kAsideMost = 6 * kHourMs;

// A launch that fails everywhere is not the nodes' fault: a tenth of them, at least one of several.
std::size_t MostAside(const Core& core) {
  const std::size_t nodes = core.state.nodes().size();
  return nodes < 2 ? 0 : std::max<std::size_t>(1, nodes / 10);
}

// What was not released has never come to its nodes; and what waits in the cluster for something of
// its owner's or of an account's says nothing of them.
bool MayBeTheNodes(const Attempt& attempt) {
  if (!attempt.released) return false;
  const auto text = attempt.reason.fields.find("text");
  if (text == attempt.reason.fields.end()) return true;
  constexpr std::array<std::string_view, 11> kOthers{
      "Assoc",    "QOS",         "BeginTime", "Dependency", "JobHeld", "Licenses",
      "Priority", "Reservation", "Partition", "MaxJob",     "Invalid"};
  return std::none_of(kOthers.begin(), kOthers.end(),
                      [&text](std::string_view other) { return text->second.starts_with(other); });
}

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
  if (most == 0 || !MayBeTheNodes(attempt)) return;
  const UserId user = core.JobOf(attempt.ref.job).user;
  std::vector<std::string> suspects;
  std::int32_t worst = 0;
  for (const NodeGrant& grant : attempt.placement) {
    const auto node = core.state.nodes().find(grant.node);
    if (node == core.state.nodes().end() || !engine::InService(node->second, core.now)) continue;
    NodeFault& fault = core.node_faults[grant.node];
    ++fault.failed;
    fault.users.insert(user);
    // What one user's launches meet may be his own doing. A node that was set aside has one try.
    const bool suspect = (fault.failed >= most || fault.times > 0) && fault.users.size() > 1;
    if (!suspect || fault.failed < worst) continue;
    if (fault.failed > worst) suspects.clear();
    worst = fault.failed;
    suspects.push_back(grant.node);
  }
  if (suspects.empty()) return;
  if (Aside(core) + suspects.size() > MostAside(core)) {
    core.Log("launches fail on " + std::to_string(suspects.size()) + " nodes, such as " +
             suspects.front() + ": too many to set aside, so look at what they have in common");
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

// What must not happen, and what is done when it does: decisions that verify dropped, totals that a
// recount does not confirm. An operator is told, with all that is needed to find the cause.
#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

constexpr std::int32_t kBadPlansMost = 3;   // in a row, then nothing is decided any more
constexpr std::int32_t kRecountParts = 60;  // ten minutes for the whole
constexpr DurationMs kRecountEvery = 10 * kSecondMs;
constexpr std::size_t kDumpMost = 32 * 1024;

void Alarm(Core& core, std::string text) { core.ready.report.alarms.push_back(std::move(text)); }

// The job, or for a pending element the array's row: it has no row of its own.
void SetAside(Core& core, const std::pair<JobRef, std::string>& dropped) {
  const auto& [ref, text] = dropped;
  const bool own = core.state.FindJob(ref) != nullptr;
  const JobRef row = own ? ref : JobRef{ref.id, kNoElement};
  if (!core.set_aside.insert(row).second) return;
  Alarm(core, "a decision about " + ToText(ref) + " was dropped: " + text);
  if (const Job* job = core.state.FindJob(row)) {
    core.Say(Note(*job, {ReasonCode::kSetAside, {{"text", text}}}, kActorKezek, 0, core.now));
  }
  core.refresh.insert(row);
}

std::string Shown(const Placement& placement) {
  std::string text;
  for (const NodeGrant& grant : placement) {
    text += (text.empty() ? "" : ",") + grant.node + ":" + std::to_string(grant.gpus);
  }
  return text;
}

std::string Shown(const engine::Start& start) {
  return ToText(start.job) + "@" + Shown(start.placement) +
         " counted_milli=" + std::to_string(start.counted_milli) + "; ";
}

std::string Shown(const Reservation& promise) {
  std::string text = ToText(promise.row) + "@" + Shown(promise.placement) +
                     " from=" + std::to_string(promise.from_ms) +
                     " limit=" + std::to_string(promise.limit_ms);
  for (const AttemptRef& victim : promise.victims) text += " -" + ClusterName(victim);
  return text + "; ";
}

// One node with all that is on it.
std::string Shown(const Core& core, const std::string& name) {
  const auto found = core.state.nodes().find(name);
  if (found == core.state.nodes().end()) return name + " unknown; ";
  const Node& node = found->second;
  std::string text = name + " gpus=" + std::to_string(node.gpus) +
                     " foreign=" + std::to_string(node.foreign_gpus) +
                     " cpus=" + std::to_string(node.cpus) +
                     " memory_mib=" + std::to_string(node.memory_mib) +
                     " health=" + std::to_string(static_cast<int>(node.health)) + " holds";
  for (const auto& [ref, holding] : core.engine.holdings()) {
    for (const NodeGrant& grant : holding.placement) {
      if (grant.node == name) text += " " + ClusterName(ref) + ":" + std::to_string(grant.gpus);
    }
  }
  return text + "; ";
}

// The plan as it was made, and the nodes that the dropped decisions are about.
std::string Dump(const Core& core) {
  const engine::Plan& plan = core.plan;
  std::string text =
      "plan of tick " + std::to_string(core.tick) + " at " + std::to_string(core.now) +
      " settings_version=" + std::to_string(core.state.directory()->settings_version) +
      " dropped: ";
  for (const auto& [ref, rule] : plan.dropped) text += ToText(ref) + " (" + rule + "); ";
  std::set<std::string> nodes;
  text += "dropped starts: ";
  for (const engine::Start& start : plan.dropped_starts) {
    text += Shown(start);
    for (const NodeGrant& grant : start.placement) nodes.insert(grant.node);
  }
  text += "dropped reservations: ";
  for (const engine::ReservationChange& change : plan.dropped_reservations) {
    text += Shown(change.reservation);
    for (const NodeGrant& grant : change.reservation.placement) nodes.insert(grant.node);
  }
  text += "dropped victims: ";
  for (const engine::Preempt& preempt : plan.dropped_preempts) {
    text += ClusterName(preempt.victim) + " for " + ToText(preempt.for_row) + "; ";
  }
  text += "nodes: ";
  for (const std::string& node : nodes) text += Shown(core, node);
  text += "kept starts: ";
  for (const engine::Start& start : plan.starts) text += Shown(start);
  text += "promised before: ";
  for (const auto& [row, promise] : core.state.reservations()) text += Shown(promise);
  text += "changes: ";
  for (const engine::ReservationChange& change : plan.reservations) {
    text += std::to_string(static_cast<int>(change.news)) + " " + Shown(change.reservation);
  }
  return text.substr(0, kDumpMost);
}

std::string Difference(const Attempt& attempt, const engine::Holding* holding) {
  const std::string name = "the engine's holding of " + ClusterName(attempt.ref);
  if (holding == nullptr) return name + " is missing";
  const bool same = holding->placement == attempt.placement &&
                    holding->counted_milli == attempt.counted_milli &&
                    holding->limit_ms == attempt.limit_ms && holding->start_ms == attempt.start_ms;
  return same ? "" : name + " is not the attempt's: " + Shown(holding->placement);
}

}  // namespace

void JudgePlan(Core& core) {
  const engine::Plan& plan = core.plan;
  if (plan.dropped.empty()) {
    // An empty plan proves nothing.
    if (!plan.starts.empty() || !plan.preempts.empty()) core.bad_plans = 0;
    return;
  }
  for (const auto& dropped : plan.dropped) SetAside(core, dropped);
  Alarm(core, Dump(core));
  if (++core.bad_plans < kBadPlansMost || !core.stop.empty()) return;
  core.bad_plans = 0;
  core.stop =
      std::to_string(kBadPlansMost) +
      " plans in a row had decisions that break a rule, the last: " + plan.dropped.front().second;
  core.ready.changes.stop = core.stop;
  core.directory_changed = true;
  Alarm(core, "nothing is started or cancelled until an admin has looked: " + core.stop);
  core.Say(ClusterNote(core, {ReasonCode::kWarning, {{"field", "verify"}, {"text", core.stop}}}));
}

void RecountPart(Core& core) {
  if (core.now < core.recount_at_ms) return;
  core.recount_at_ms = core.now + kRecountEvery;
  const std::int32_t part = core.recount_part;
  core.recount_part = (part + 1) % kRecountParts;
  std::vector<std::string> found = core.engine.Audit(part, kRecountParts);
  const auto& holdings = core.engine.holdings();
  if (holdings.size() != core.state.attempts().size()) {
    found.push_back("the engine knows of " + std::to_string(holdings.size()) + " attempts, of " +
                    std::to_string(core.state.attempts().size()));
  }
  if (core.engine.reservations() != core.state.reservations()) {
    found.push_back("what the engine has promised is not what is stored");
  }
  std::int32_t at = 0;
  for (const auto& [ref, attempt] : core.state.attempts()) {
    if (at++ % kRecountParts != part) continue;
    const auto holding = holdings.find(ref);
    std::string text = Difference(attempt, holding == holdings.end() ? nullptr : &holding->second);
    if (!text.empty()) found.push_back(std::move(text));
  }
  for (const std::string& text : found) {
    if (!core.reported.insert("recount " + text).second) continue;
    Alarm(core, "recount: " + text);
    core.Say(ClusterNote(core, {ReasonCode::kWarning, {{"field", "recount"}, {"text", text}}}));
  }
}

}  // namespace kezek::control

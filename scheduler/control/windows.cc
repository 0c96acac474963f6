// What admins reserve: an event, maintenance, a course every week. All is checked before anything
// changes; what then stands in its way the next plan moves.
#include "scheduler/engine/windows.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kezek/node_parts.h"
#include "kezek/reason_text.h"
#include "quota/charge.h"
#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

constexpr DurationMs kLongest = 366 * kDayMs;
constexpr const char* kNodesField = "reservation.nodes";

Error Problem(Code code, const std::string& field, std::string reason, std::string message,
              std::map<std::string, std::string> values = {}) {
  return FieldProblem(code, {field, std::move(reason), std::move(message), std::move(values)});
}

Error Invalid(const std::string& field, std::string message) {
  return Problem(Code::kInvalidArgument, "reservation." + field, "FIELD_INVALID",
                 std::move(message));
}

Result<void> CheckTimes(const AdminReservation& one, TimeMs now) {
  if (one.duration_ms < kMinuteMs || one.duration_ms > kLongest) {
    return Invalid("duration_ms", "it lasts between a minute and 366 days");
  }
  if (one.repeat_every_ms != 0 && one.repeat_every_ms < std::max(one.duration_ms, kDayMs)) {
    return Invalid("repeat_every_ms",
                   "it is repeated every day at most, and begins again no sooner than it ends");
  }
  if (one.repeat_until_ms != 0 && one.repeat_every_ms == 0) {
    return Invalid("repeat_until_ms", "it is not repeated: say how often, or leave out until when");
  }
  if (one.repeat_until_ms != 0 && one.repeat_until_ms < one.start_ms) {
    return Invalid("repeat_until_ms", "that is before it begins");
  }
  if (IsOver(one, now)) return Invalid("start_ms", "it would be over already");
  return {};
}

Result<void> CheckVersion(const Directory& directory, const AdminReservation& one) {
  const auto known = directory.reservations.find(one.name);
  const bool exists = known != directory.reservations.end();
  if (one.version == 0 && exists) {
    return Problem(Code::kAlreadyExists, "reservation.name", "NAME_TAKEN",
                   "there is a reservation " + one.name + " already: change or delete that one");
  }
  if (one.version != 0 && !exists) {
    return Problem(Code::kNotFound, "reservation.name", "RESERVATION_NOT_FOUND",
                   "there is no reservation " + one.name);
  }
  if (exists && known->second.version != one.version) {
    return Problem(Code::kAborted, "reservation.version", "VERSION_CHANGED",
                   "somebody else has just changed reservation " + one.name +
                       ": look at that, then repeat yours");
  }
  return {};
}

// Where only a number of nodes is asked for: those that it has, or the best ones.
Result<void> ChooseNodes(const Core& core, AdminReservation& one) {
  if (one.node_count == 0) return {};
  const auto& reservations = core.state.directory()->reservations;
  const auto known = reservations.find(one.name);
  if (known != reservations.end() && known->second.node_count == one.node_count &&
      known->second.gpu_type == one.gpu_type) {
    one.nodes = known->second.nodes;
    return {};
  }
  one.nodes = core.engine.NodesFor(one, core.now);
  const auto found = static_cast<std::int32_t>(one.nodes.size());
  if (found == one.node_count) return {};
  return Problem(Code::kFailedPrecondition, "reservation.node_count", "TOO_FEW_NODES",
                 std::to_string(found) + " nodes of " + one.gpu_type +
                     " in service are nobody's and not reserved then: ask for fewer, or name them");
}

Result<void> CheckEffect(const Core& core, const PutReservation& put, const AdminReservation& one,
                         const engine::Engine::WindowEffect& effect) {
  for (const std::string& node : one.nodes) {
    if (core.state.nodes().contains(node)) continue;
    return Problem(Code::kNotFound, kNodesField, "NODE_NOT_FOUND", "there is no node " + node);
  }
  if (!effect.overlaps.empty()) {
    return Problem(Code::kFailedPrecondition, kNodesField, "NODES_RESERVED",
                   "reservation " + effect.overlaps +
                       " has some of these nodes at some of these times: choose others, or change "
                       "that one",
                   {{"reservation", effect.overlaps}});
  }
  if (effect.runs_on && !put.allow_running) {
    const std::string job = ToText(effect.runs_on->job);
    return Problem(Code::kFailedPrecondition, kNodesField, "RUNNING_BEYOND",
                   "job " + job +
                       " may run there when it begins, by its limit: begin later, choose other "
                       "nodes, or allow what runs to run on",
                   {{"job", job}});
  }
  if (!effect.promises.empty() && !put.delay_jobs) {
    const std::string job = ToText(effect.promises.front().row);
    const std::string count = std::to_string(effect.promises.size());
    return Problem(Code::kFailedPrecondition, kNodesField, "NODES_RESERVED",
                   "nodes of it are promised to " + count + " waiting job(s), such as " + job +
                       ", for that time: choose others, or let them be delayed",
                   {{"job", job}});
  }
  return {};
}

std::string Text(const Core& core, const AdminReservation& one) {
  std::string nodes;
  for (const std::string& node : one.nodes) nodes += (nodes.empty() ? "" : ",") + node;
  std::string text = nodes + " from " + reason_text::UtcText(one.start_ms) + " for " +
                     reason_text::LengthText(one.duration_ms);
  if (one.repeat_every_ms != 0) text += ", every " + reason_text::LengthText(one.repeat_every_ms);
  if (one.repeat_until_ms != 0) text += " until " + reason_text::UtcText(one.repeat_until_ms);
  std::string whose;
  for (const AccountId& account : one.accounts) whose += ", " + core.PathOf(account);
  for (const UserId& user : one.users) {
    const auto known = core.state.directory()->users.find(user);
    if (known != core.state.directory()->users.end()) whose += ", " + known->second.name;
  }
  return text + (whose.empty() ? ", for nobody" : ", for " + whose.substr(2));
}

// With both ends, the actor and why.
void Say(Core& core, const std::string& name, const AdminReservation* before,
         const AdminReservation* after, const std::string& why, const Command& command) {
  Event event;
  event.time_ms = core.now;
  event.subject = Subject::kCluster;
  event.name = core.config.cluster_name;
  event.project = kRootAccount;
  event.reason = {ReasonCode::kUpdated, {{"field", "reservation " + name}}};
  if (before != nullptr) event.reason.fields["from"] = Text(core, *before);
  event.reason.fields["to"] = after == nullptr ? "deleted" : Text(core, *after);
  if (!why.empty()) event.reason.fields["text"] = why;
  event.actor = command.actor_name;
  core.Say(std::move(event));
}

// Jobs that ask for it are looked at again, and all that waits in the next plan.
void TakeOver(Core& core, const std::string& name, std::optional<AdminReservation> next) {
  Directory directory = *core.state.directory();
  if (next) {
    directory.reservations[name] = *next;
  } else {
    directory.reservations.erase(name);
  }
  core.state.SetDirectory(std::move(directory));
  core.engine.SetDirectory(core.state.directory());
  core.changed_windows.insert_or_assign(name, std::move(next));
  core.directory_changed = true;
  core.tick_wanted = true;
  for (const auto& [ref, job] : core.state.jobs()) {
    const bool asks = job.spec->reservation == name;
    if (asks && job.state == JobState::kQueued) core.refresh.insert(ref);
  }
}

}  // namespace

Result<CommandOutcome> ExecutePutReservation(Core& core, const PutReservation& put,
                                             const Command& command) {
  AdminReservation one = put.reservation;
  const Directory& directory = *core.state.directory();
  if (auto valid = CheckVersion(directory, one); !valid) return valid.error();
  if (auto valid = CheckTimes(one, core.now); !valid) return valid.error();
  if (auto chosen = ChooseNodes(core, one); !chosen) return chosen.error();
  if (one.node_count == 0) one.nodes = WithParts(core.state.nodes(), std::move(one.nodes));
  if (one.nodes.empty()) return Invalid("nodes", "name nodes, or say how many of which GPU type");
  const auto effect = core.engine.EffectOf(one, core.now);
  if (auto valid = CheckEffect(core, put, one, effect); !valid) return valid.error();
  ++one.version;
  one.actor = command.actor_name;
  const auto known = directory.reservations.find(one.name);
  Say(core, one.name, known == directory.reservations.end() ? nullptr : &known->second, &one,
      one.reason, command);
  CommandOutcome outcome{.reservation = one};
  for (const Reservation& promise : effect.promises) {
    outcome.jobs.push_back(promise.row);
    const Job* job = core.state.FindJob(promise.row);
    if (job == nullptr) continue;
    Reason reason{ReasonCode::kUpdated,
                  {{"field", "reservation"},
                   {"to", "behind reservation " + one.name},
                   {kOverrideField, kOverrideReservation}}};
    if (!one.reason.empty()) reason.fields["text"] = one.reason;
    core.Say(Note(*job, std::move(reason), command.actor_name, 0, core.now));
  }
  TakeOver(core, put.reservation.name, std::move(one));
  return outcome;
}

Result<CommandOutcome> ExecuteDeleteReservation(Core& core, const DeleteReservation& end,
                                                const Command& command) {
  const Directory& directory = *core.state.directory();
  const auto known = directory.reservations.find(end.name);
  if (known == directory.reservations.end()) {
    return Problem(Code::kNotFound, "name", "RESERVATION_NOT_FOUND",
                   "there is no reservation " + end.name);
  }
  Say(core, end.name, &known->second, nullptr, end.reason, command);
  TakeOver(core, end.name, std::nullopt);
  return CommandOutcome{};
}

std::optional<TimeMs> WindowAhead(const Core& core, const Attempt& attempt, const Job& job,
                                  DurationMs limit_ms) {
  const TimeMs start = attempt.start_ms == 0 ? core.now : attempt.start_ms - core.clock_skew_ms;
  const TimeMs end = start + quota::HeldTime(limit_ms, core.config.charge);
  for (const auto& [name, one] : core.state.directory()->reservations) {
    const bool has =
        std::any_of(attempt.placement.begin(), attempt.placement.end(),
                    [&of = one](const auto& grant) { return HasNode(of, grant.node); });
    const auto next = FirstIn(one, core.now, end);
    if (!has || !next) continue;
    if (name != job.spec->reservation) return next->begin_ms;
    if (!Covers(one, core.now, end)) return next->end_ms;
  }
  return std::nullopt;
}

}  // namespace kezek::control

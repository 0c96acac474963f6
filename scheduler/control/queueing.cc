// Jobs that wait: what keeps them from starting, what the engine is told, arrays, cancelling.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "kezek/check.h"
#include "kezek/index_ranges.h"
#include "kezek/names.h"
#include "quota/charge.h"
#include "scheduler/control/core.h"
#include "scheduler/engine/windows.h"

namespace kezek::control {
namespace {

// As many elements of an array as a tick can start: of the others it is enough to say how many.
constexpr std::int64_t kElementsShown = 512;

std::string Ms(TimeMs time) { return std::to_string(time); }

// Why it may not start, and when to look again.
struct Standstill {
  Reason reason;  // kNone: it may start
  TimeMs until_ms = 0;
  bool for_ever = false;  // and it is to be cancelled
};

void AskForJob(Core& core, const JobRef& job) {
  if (core.asked.insert(job).second) core.ready.load_jobs.push_back(job);
}

std::optional<Standstill> ByDependencies(Core& core, const Job& job) {
  std::optional<Standstill> result;
  for (const Dependency& dependency : job.spec->dependencies) {
    const Met met = core.state.DependencyMet(dependency);
    const TimeMs due = dependency.delay_ms == 0 || met != Met::kYes
                           ? 0
                           : core.state.DelayFrom(dependency) + dependency.delay_ms;
    if (met == Met::kYes && due <= core.now) continue;
    if (met == Met::kUnknown) AskForJob(core, dependency.on);
    Standstill stop;
    const bool never = met == Met::kNever;
    stop.reason = {never ? ReasonCode::kDependencyNeverMet : ReasonCode::kDependency,
                   {{"on", ToText(dependency.on)}, {"kind", std::string(NameOf(dependency.kind))}}};
    stop.until_ms = due;
    if (due != 0) stop.reason.fields["until_ms"] = Ms(due);
    stop.for_ever = never && job.spec->kill_on_invalid_dependency;
    if (never) return stop;
    if (!result) result = std::move(stop);
  }
  return result;
}

// Whether jobs of the project may start for this user: a member, or an admin of everything.
bool IsMember(const User& user, AccountId project) {
  return std::any_of(user.roles.begin(), user.roles.end(), [&](const RoleGrant& grant) {
    const bool of_project = grant.role == Role::kResearcher || grant.role == Role::kProjectLead;
    return grant.role == Role::kClusterAdmin || (of_project && grant.account == project);
  });
}

// What of its owner stands against any start. It holds until the user is back: nothing is to be
// released by hand then.
Reason OwnerReason(const Core& core, const Job& job) {
  const auto& users = core.state.directory()->users;
  const auto user = users.find(job.user);
  if (user == users.end() || user->second.unix_account.empty()) {
    return {ReasonCode::kNoUnixAccount,
            {{"user", user == users.end() ? std::string() : user->second.name}}};
  }
  const std::string& name = user->second.name;
  if (user->second.disabled) return {ReasonCode::kHeldByAdmin, {{"text", name + " has no access"}}};
  if (IsMember(user->second, job.spec->project)) return {};
  return {ReasonCode::kNotAMember, {{"user", name}, {"account", core.PathOf(job.spec->project)}}};
}

// When it may start in the admin's reservation that it asks for.
engine::WindowTurn TurnInReservation(const Core& core, const Job& job) {
  const DurationMs stays =
      quota::HeldTime(job.spec->time_limit_ms, core.config.charge) + core.config.engine.late_ms;
  return engine::TurnOf(*core.state.directory(), *job.spec, job.user, stays, core.now);
}

Standstill WhyNot(Core& core, const Job& job) {
  const TimeMs earliest = std::max({core.now, job.spec->begin_ms, job.not_before_ms});
  const TimeMs deadline = job.spec->deadline_ms;
  if (deadline != 0 && earliest + job.spec->time_limit_ms > deadline) {
    return {
        {ReasonCode::kDeadlineUnreachable,
         {{"deadline_ms", Ms(deadline)}, {"earliest_ms", Ms(earliest + job.spec->time_limit_ms)}}},
        0,
        true};
  }
  const TimeMs last_start = deadline == 0 ? 0 : deadline - job.spec->time_limit_ms + 1;
  if (job.hold != Hold::kNone) return {job.hold_reason, last_start, false};
  if (auto stop = ByDependencies(core, job)) {
    const bool sooner = last_start != 0 && (stop->until_ms == 0 || last_start < stop->until_ms);
    if (sooner) stop->until_ms = last_start;
    return *stop;
  }
  if (Reason reason = OwnerReason(core, job); reason.code != ReasonCode::kNone) {
    return {std::move(reason), last_start, false};
  }
  if (core.set_aside.contains(job.ref)) return {{ReasonCode::kSetAside, {}}, last_start, false};
  if (job.spec->begin_ms > core.now) {
    return {{ReasonCode::kBeginTime, {{"at_ms", Ms(job.spec->begin_ms)}}}, job.spec->begin_ms};
  }
  if (job.not_before_ms > core.now) {
    return {{ReasonCode::kLaunchBackoff, {{"until_ms", Ms(job.not_before_ms)}}}, job.not_before_ms};
  }
  if (job.spec->reservation.empty()) return {{}, last_start, false};
  engine::WindowTurn turn = TurnInReservation(core, job);
  const bool sooner = last_start != 0 && (turn.again_ms == 0 || last_start < turn.again_ms);
  return {std::move(turn.reason), sooner ? last_start : turn.again_ms, false};
}

engine::Waiting WaitingOf(const Job& job) {
  return {.ref = job.ref,
          .user = job.user,
          .spec = job.spec,
          .submitted_ms = job.submitted_ms,
          .queued_since_ms = job.queued_since_ms,
          .elements = {}};
}

void StandStill(Core& core, const Job& job, Reason reason) {
  DropPromise(core, job.ref, reason);
  core.engine.RemoveWaiting(job.ref);
  core.plan.waiting.Erase(job.ref, *job.spec);  // where this tick's plan has it
  core.stopped.Set(job.ref, {.reason = std::move(reason)});
}

void Forget(Core& core, const JobRef& job) {
  DropPromise(core, job, {});
  core.engine.RemoveWaiting(job);
  core.stopped.Erase(job);
  core.timers.Set({job, 0}, 0);
}

// Final once nothing of it is pending or alive.
void FinishArray(Core& core, const JobRef& row) {
  const Job* known = core.state.FindJob(row);
  if (known == nullptr || IsFinal(known->state) || !known->pending.empty()) return;
  for (const Job* element : core.state.Elements(row.id)) {
    if (!IsFinal(element->state)) return;
  }
  Job job = *known;
  Reason reason{ReasonCode::kFinished, {}};
  // Cancelled as a whole: noted in its reason at that time.
  const bool as_whole =
      job.reason.code != ReasonCode::kNone && job.reason.code != ReasonCode::kSubmitted;
  if (as_whole) reason = job.reason;
  JobState state = JobState::kSucceeded;
  if (as_whole || job.launch_failures > 0) state = JobState::kCancelled;
  if (job.failed_runs > 0) state = JobState::kFailed;
  core.Say(Move(job, state, std::move(reason), kActorKezek, 0, core.now));
  core.Put(job);
  AfterFinal(core, job);
}

// What has started goes on.
void CancelPending(Core& core, Job row, const Reason& reason, std::string_view actor) {
  row.pending.clear();
  row.reason = reason;
  core.Say(Note(row, reason, actor, 0, core.now));
  core.Put(row);
}

// Everything of an array that waits shares its limit: first the elements that have rows of their
// own (they came back), then the pending ones, in order.
void RefreshArray(Core& core, const JobRef& row_ref) {
  const Job* found = core.state.FindJob(row_ref);
  if (found == nullptr || IsFinal(found->state)) return Forget(core, row_ref);
  const Job row = *found;
  std::int64_t room = row.spec->array->max_running;
  const bool limited = room > 0;
  if (!limited) room = std::numeric_limits<std::int64_t>::max();
  std::vector<Job> queued;
  for (const Job* element : core.state.Elements(row_ref.id)) {
    const bool alive =
        element->state == JobState::kStarting || element->state == JobState::kRunning;
    if (alive && limited) --room;
    if (element->state == JobState::kQueued) queued.push_back(*element);
  }
  const Reason full{ReasonCode::kArrayLimit,
                    {{"limit", std::to_string(row.spec->array->max_running)}}};
  for (const Job& element : queued) {
    Standstill stop = WhyNot(core, element);
    if (stop.for_ever) {
      CancelJob(core, element.ref, stop.reason, kActorKezek);
      continue;
    }
    core.timers.Set({element.ref, 0}, stop.until_ms);
    if (stop.reason.code == ReasonCode::kNone && limited && room <= 0) stop.reason = full;
    if (stop.reason.code != ReasonCode::kNone) {
      StandStill(core, element, std::move(stop.reason));
      continue;
    }
    if (limited) --room;
    core.stopped.Erase(element.ref);
    DropIfMore(core, element);
    core.engine.SetWaiting(WaitingOf(element));
  }
  if (row.pending.empty()) {
    Forget(core, row_ref);
    FinishArray(core, row_ref);
    return;
  }
  Standstill stop = WhyNot(core, row);
  if (stop.for_ever) return CancelPending(core, row, stop.reason, kActorKezek);
  core.timers.Set({row_ref, 0}, stop.until_ms);
  if (stop.reason.code == ReasonCode::kNone && room <= 0) stop.reason = full;
  if (stop.reason.code != ReasonCode::kNone) return StandStill(core, row, std::move(stop.reason));
  engine::Waiting waiting = WaitingOf(row);
  waiting.elements = FirstIndices(row.pending, std::min(room, kElementsShown));
  waiting.more = std::min(room, CountIndices(row.pending)) - std::ssize(waiting.elements);
  core.stopped.Erase(row_ref);
  DropIfMore(core, row);
  core.engine.SetWaiting(waiting);
}

void CancelRow(Core& core, Job row, const Reason& reason, std::string_view actor) {
  const JobRef ref = row.ref;
  CancelPending(core, std::move(row), reason, actor);
  std::vector<JobRef> elements;
  for (const Job* element : core.state.Elements(ref.id)) {
    if (!IsFinal(element->state)) elements.push_back(element->ref);
  }
  for (const JobRef& element : elements) CancelJob(core, element, reason, actor);
  core.refresh.insert(ref);
}

}  // namespace

void Touch(Core& core, const JobRef& ref) {
  core.tick_wanted = true;
  for (const JobRef& dependent : core.state.DependentsOf(ref)) {
    if (dependent != ref) core.refresh.insert(dependent);
  }
  const Job* found = core.state.FindJob(ref);
  if (found == nullptr || found->state != JobState::kQueued) Forget(core, ref);
}

void Refresh(Core& core, const JobRef& ref) {
  Touch(core, ref);
  const Job* found = core.state.FindJob(ref);
  if (ref.element != kNoElement) return RefreshArray(core, {ref.id, kNoElement});
  if (found == nullptr || found->state != JobState::kQueued) return;
  if (IsArrayRow(*found)) return RefreshArray(core, ref);
  const Job job = *found;
  Standstill stop = WhyNot(core, job);
  if (stop.for_ever) return CancelJob(core, ref, stop.reason, kActorKezek);
  core.timers.Set({ref, 0}, stop.until_ms);
  if (stop.reason.code != ReasonCode::kNone) return StandStill(core, job, std::move(stop.reason));
  core.stopped.Erase(ref);
  DropIfMore(core, job);
  core.engine.SetWaiting(WaitingOf(job));
}

void CancelJob(Core& core, const JobRef& ref, const Reason& reason, std::string_view actor) {
  Job job = core.JobOf(ref);
  if (IsArrayRow(job)) return CancelRow(core, std::move(job), reason, actor);
  if (job.state != JobState::kQueued) {
    const Attempt* attempt = core.state.AliveAttempt(ref);
    KEZEK_CHECK(attempt != nullptr, "a job that is under way has an attempt: " + ToText(ref));
    if (attempt->ending == Ending::kCancel) return;
    const AttemptRef number = attempt->ref;
    core.Say(Note(job, reason, actor, number.number, core.now));
    SetEnding(core, number, Ending::kCancel, reason);
    return;
  }
  core.Say(Move(job, JobState::kCancelled, reason, actor, 0, core.now));
  core.Put(job);
  AfterFinal(core, job);
}

Job MakeElement(Core& core, const JobRef& ref) {
  Job row = core.JobOf({ref.id, kNoElement});
  KEZEK_CHECK(ContainsIndex(row.pending, ref.element), "not pending: " + ToText(ref));
  Job element;
  element.ref = ref;
  element.user = row.user;
  element.spec = row.spec;
  element.hold = row.hold;
  element.hold_reason = row.hold_reason;
  element.submitted_ms = row.submitted_ms;
  element.queued_since_ms = row.queued_since_ms;
  element.reason = {ReasonCode::kSubmitted, {}};
  row.pending = WithoutIndex(row.pending, ref.element);
  ++row.attempts;
  core.Put(row);
  core.Put(element);
  return element;
}

void AfterFinal(Core& core, const Job& job) {
  if (job.ref.element == kNoElement) {
    core.ready.changes.final_jobs.push_back(job.ref.id);
    return;
  }
  if (job.state != JobState::kSucceeded) {
    Job row = core.JobOf({job.ref.id, kNoElement});
    ++(job.state == JobState::kCancelled ? row.launch_failures : row.failed_runs);
    core.Put(row);
  }
  core.refresh.insert({job.ref.id, kNoElement});
}

void Settle(Core& core) {
  while (!core.refresh.empty() || !core.attend.empty()) {
    while (!core.attend.empty()) {
      const AttemptRef attempt = *core.attend.begin();
      core.attend.erase(core.attend.begin());
      Attend(core, attempt);
    }
    if (core.refresh.empty()) break;
    const JobRef job = *core.refresh.begin();
    core.refresh.erase(core.refresh.begin());
    // Of elements the whole array is looked at: once for all of them.
    while (job.element != kNoElement && !core.refresh.empty() &&
           core.refresh.begin()->id == job.id) {
      const JobRef sibling = *core.refresh.begin();
      core.refresh.erase(core.refresh.begin());
      Touch(core, sibling);
    }
    Refresh(core, job);
  }
}

}  // namespace kezek::control

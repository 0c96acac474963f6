// What people ask of jobs: cancel, signal, hold, release, requeue, update, note a checkpoint. All
// is checked before anything changes.
#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "scheduler/control/core.h"
#include "scheduler/control/job_updates.h"
#include "scheduler/control/targets.h"

namespace kezek::control {
namespace {

// --- Cancel. ---

Result<void> Check(const Core& core, const CancelJobs& cancel) {
  return CheckAll(core, cancel.jobs);
}

void Apply(Core& core, const CancelJobs& cancel, const Command& command, CommandOutcome& outcome) {
  Reason reason{cancel.by_admin ? ReasonCode::kCancelledByAdmin : ReasonCode::kCancelledByUser,
                {{"by", command.actor_name}}};
  if (!cancel.text.empty()) reason.fields["text"] = cancel.text;
  for (const JobRef& ref : cancel.jobs) {
    if (IsOver(core, ref)) {
      outcome.unchanged.push_back(ref);
      continue;
    }
    RowFor(core, ref);
    CancelJob(core, ref, reason, command.actor_name);
    outcome.jobs.push_back(ref);
  }
}

// --- Signal. ---

// Of the job, or of the array's elements: the attempts that can take a signal.
std::vector<const Attempt*> RunningOf(const Core& core, const JobRef& ref) {
  std::vector<const Attempt*> running;
  const auto add = [&](const JobRef& job) {
    const Attempt* attempt = core.state.AliveAttempt(job);
    const bool runs = attempt != nullptr && attempt->state == AttemptState::kRunning &&
                      attempt->end_ms == 0 && attempt->cluster_job_id != 0;
    if (runs) running.push_back(attempt);
  };
  const Job* job = core.state.FindJob(ref);
  if (job == nullptr) return running;
  add(ref);
  if (!IsArrayRow(*job)) return running;
  for (const Job* element : core.state.Elements(ref.id)) add(element->ref);
  return running;
}

Result<void> Check(const Core& core, const SignalJobs& signal) {
  if (auto known = CheckAll(core, signal.jobs); !known) return known;
  if (!core.cluster_answers || !core.MayAct()) {
    return FieldProblem(
        Code::kFailedPrecondition,
        {"signal", "CLUSTER_AWAY", "the cluster does not answer now: no signal can be sent", {}});
  }
  const auto runs = [&core](const JobRef& ref) { return !RunningOf(core, ref).empty(); };
  if (signal.jobs.empty() || std::any_of(signal.jobs.begin(), signal.jobs.end(), runs)) return {};
  return FieldProblem(Code::kFailedPrecondition,
                      {"jobs",
                       "NOT_RUNNING",
                       ToText(signal.jobs.front()) + " does not run: nothing to signal",
                       {}});
}

void Apply(Core& core, const SignalJobs& signal, const Command& command, CommandOutcome& outcome) {
  Reason reason{ReasonCode::kSignalled, {{"signal", signal.signal}, {"by", command.actor_name}}};
  if (!signal.text.empty()) reason.fields["text"] = signal.text;
  for (const JobRef& ref : signal.jobs) {
    const std::vector<const Attempt*> running = RunningOf(core, ref);
    (running.empty() ? outcome.unchanged : outcome.jobs).push_back(ref);
    for (const Attempt* attempt : running) {
      core.Say(Note(core.JobOf(attempt->ref.job), reason, command.actor_name, attempt->ref.number,
                    core.now));
      core.Do(SignalAction{core.FollowedOf(*attempt), signal.signal, false});
      core.follow[attempt->ref].signals.insert(signal.signal);
    }
  }
}

// --- Hold and release. ---

// All of them are over: says so of the first.
Result<void> CheckSomeLive(const Core& core, const std::vector<JobRef>& jobs) {
  const auto over = [&core](const JobRef& ref) { return IsOver(core, ref); };
  if (jobs.empty() || !std::all_of(jobs.begin(), jobs.end(), over)) return {};
  return FieldProblem(Code::kFailedPrecondition,
                      {"hold",
                       "JOB_FINAL",
                       "job " + ToText(jobs.front()) + " is over: it does not start any more",
                       {{"job", ToText(jobs.front())}}});
}

Result<void> Check(const Core& core, const HoldJobs& hold) {
  if (auto known = CheckAll(core, hold.jobs); !known) return known;
  return CheckSomeLive(core, hold.jobs);
}

Result<void> Check(const Core& core, const ReleaseJobs& release) {
  if (auto known = CheckAll(core, release.jobs); !known) return known;
  for (const JobRef& ref : release.jobs) {
    const Job* job = core.state.FindJob(ref);
    if (job == nullptr) job = core.state.FindJob({ref.id, kNoElement});  // as its array
    if (job != nullptr && job->hold == Hold::kAdmin && !release.by_admin) {
      return FieldProblem(Code::kPermissionDenied,
                          {"hold",
                           "HELD_BY_ADMIN",
                           "job " + ToText(ref) +
                               " is held by an admin, and only an admin may "
                               "release it",
                           {{"job", ToText(ref)}}});
    }
  }
  return CheckSomeLive(core, release.jobs);
}

void SetHold(Core& core, Job job, Hold hold, const Reason& reason, Event event) {
  job.hold = hold;
  job.hold_reason = hold == Hold::kNone ? Reason{} : reason;
  core.Say(std::move(event));
  core.Put(job);
}

// What runs goes on; the hold is for when it waits again. An admin's hold of an element stays when
// somebody else holds or releases the array.
void Hold1(Core& core, const JobRef& ref, Hold hold, bool by_admin, const Reason& reason,
           std::string_view actor) {
  const Job job = RowFor(core, ref);
  Event event = Note(job, reason, actor, 0, core.now);
  if (by_admin) event.reason.fields[kOverrideField] = kOverrideHold;
  SetHold(core, job, hold, reason, std::move(event));
  if (!IsArrayRow(job)) return;
  std::vector<JobRef> elements;
  for (const Job* element : core.state.Elements(ref.id)) {
    if (IsFinal(element->state) || element->hold == hold) continue;
    if (element->hold != Hold::kAdmin || by_admin) elements.push_back(element->ref);
  }
  for (const JobRef& element : elements) {
    const Job row = core.JobOf(element);
    SetHold(core, row, hold, reason, Note(row, reason, actor, 0, core.now));
  }
}

void Apply(Core& core, const HoldJobs& hold, const Command& command, CommandOutcome& outcome) {
  const Hold wanted = hold.by_admin ? Hold::kAdmin : Hold::kUser;
  Reason reason{hold.by_admin ? ReasonCode::kHeldByAdmin : ReasonCode::kHeldByUser, {}};
  if (!hold.text.empty()) reason.fields["text"] = hold.text;
  for (const JobRef& ref : hold.jobs) {
    const Job* job = core.state.FindJob(ref);
    // Held already; an admin's hold is not weakened to a user's.
    const bool held = job != nullptr && (job->hold == wanted || job->hold == Hold::kAdmin);
    if (held || IsOver(core, ref)) {
      outcome.unchanged.push_back(ref);
      continue;
    }
    Hold1(core, ref, wanted, hold.by_admin, reason, command.actor_name);
    outcome.jobs.push_back(ref);
  }
}

void Apply(Core& core, const ReleaseJobs& release, const Command& command,
           CommandOutcome& outcome) {
  Reason reason{ReasonCode::kReleased, {}};
  if (!release.text.empty()) reason.fields["text"] = release.text;
  for (const JobRef& ref : release.jobs) {
    // An element of a held array that is released by itself gets a row of its own.
    if (Find(core, ref) == Place::kPending &&
        core.JobOf({ref.id, kNoElement}).hold != Hold::kNone) {
      RowFor(core, ref);
    }
    const Job* job = core.state.FindJob(ref);
    const bool lives = job != nullptr && !IsFinal(job->state);
    const bool aside = core.set_aside.erase(ref) != 0;
    if (!lives || (job->hold == Hold::kNone && !aside && job->not_before_ms <= core.now)) {
      outcome.unchanged.push_back(ref);
      continue;
    }
    Job changed = *job;
    changed.not_before_ms = 0;
    core.Put(changed);
    Hold1(core, ref, Hold::kNone, release.by_admin, reason, command.actor_name);
    outcome.jobs.push_back(ref);
  }
}

// --- Requeue. ---

// Of the job, or of the array's elements: the attempts that are asked back, or were.
std::vector<const Attempt*> GoingBackOf(const Core& core, const JobRef& ref) {
  std::vector<const Attempt*> running = RunningOf(core, ref);
  std::erase_if(running, [&core](const Attempt* attempt) {
    // A preemption ends with the queue, too, unless the job is not to run again.
    const bool preempted = attempt->ending == Ending::kPreempt;
    const bool back = preempted && core.JobOf(attempt->ref.job).spec->requeue;
    return attempt->ending != Ending::kNone && attempt->ending != Ending::kRequeue && !back;
  });
  return running;
}

// What there is of it instead of a run that could be put back.
std::string InsteadOfRunning(const Core& core, const JobRef& ref) {
  const std::string job = "job " + ToText(ref);
  if (IsOver(core, ref)) return job + " is over: submit it again";
  const Job* row = core.state.FindJob(ref);
  if (row == nullptr || row->state == JobState::kQueued) {
    const bool array = row != nullptr && IsArrayRow(*row);
    return array ? "nothing of array " + ToText(ref) + " runs"
                 : job + " waits in the queue as it is";
  }
  if (row->state == JobState::kStarting) return job + " is just starting: it has not run yet";
  return job + " is being ended already";
}

Result<void> Check(const Core& core, const RequeueJobs& requeue) {
  if (auto known = CheckAll(core, requeue.jobs); !known) return known;
  const auto goes = [&core](const JobRef& ref) { return !GoingBackOf(core, ref).empty(); };
  if (requeue.jobs.empty() || std::any_of(requeue.jobs.begin(), requeue.jobs.end(), goes)) {
    return {};
  }
  const JobRef& first = requeue.jobs.front();
  return FieldProblem(
      Code::kFailedPrecondition,
      {"jobs", "NOT_RUNNING", InsteadOfRunning(core, first), {{"job", ToText(first)}}});
}

void Apply(Core& core, const RequeueJobs& requeue, const Command& command,
           CommandOutcome& outcome) {
  Reason reason{requeue.by_admin ? ReasonCode::kRequeuedByAdmin : ReasonCode::kRequeuedByUser,
                {{"by", command.actor_name}}};
  if (!requeue.text.empty()) reason.fields["text"] = requeue.text;
  const Hold hold = requeue.by_admin ? Hold::kAdmin : Hold::kUser;
  Reason held{requeue.by_admin ? ReasonCode::kHeldByAdmin : ReasonCode::kHeldByUser, {}};
  if (!requeue.text.empty()) held.fields["text"] = requeue.text;
  for (const JobRef& ref : requeue.jobs) {
    std::vector<AttemptRef> back;
    for (const Attempt* attempt : GoingBackOf(core, ref)) back.push_back(attempt->ref);
    (back.empty() ? outcome.unchanged : outcome.jobs).push_back(ref);
    for (const AttemptRef& attempt : back) {
      PutBack(core, attempt, reason, command.actor_name);
      const Job job = core.JobOf(attempt.job);
      if (!requeue.hold || job.hold == hold || job.hold == Hold::kAdmin) continue;
      Hold1(core, attempt.job, hold, requeue.by_admin, held, command.actor_name);
    }
  }
}

// --- Checkpoint. ---

constexpr DurationMs kSeenSaidEvery = 10 * kMinuteMs;

Result<CommandOutcome> On(Core& core, const NoteCheckpoint& note, const Command& command) {
  if (auto known = CheckAll(core, {note.job}); !known) return known.error();
  const Attempt* alive = core.state.AliveAttempt(note.job);
  const auto refused = [&](const char* reason, const std::string& what) -> Error {
    return FieldProblem(
        Code::kFailedPrecondition,
        {"job", reason, "job " + ToText(note.job) + what, {{"job", ToText(note.job)}}});
  };
  if (alive != nullptr && note.attempt != 0 && note.attempt < alive->ref.number) {
    return refused("ATTEMPT_ENDED", ": attempt " + std::to_string(note.attempt) + " has ended");
  }
  // A job's own word for its attempt may come before Slurm's for its start.
  const bool by_itself = alive != nullptr && note.attempt == alive->ref.number;
  const bool runs = alive != nullptr && alive->end_ms == 0 &&
                    (by_itself || (note.attempt == 0 && alive->state == AttemptState::kRunning));
  if (!runs) return refused("NOT_RUNNING", " does not run: it has no new checkpoint");
  Job job = core.JobOf(note.job);
  const bool by_owner = command.actor == job.user;
  if (!by_owner && !note.path.empty()) {
    return FieldProblem(Code::kPermissionDenied,
                        {"path",
                         "NOT_OWNER",
                         "job " + ToText(note.job) +
                             " is another's: only its owner says where its checkpoint is, for its "
                             "next attempt starts with that in its environment",
                         {{"job", ToText(note.job)}}});
  }
  if (!note.unseen.empty()) {
    core.Say(Note(job, {ReasonCode::kWarning, {{"field", "checkpoint"}, {"text", note.unseen}}},
                  command.actor_name, alive->ref.number, core.now));
    return CommandOutcome{.unchanged = {note.job}, .recorded_ms = alive->last_checkpoint_ms};
  }
  const bool said = note.at_ms == 0;  // now, and perhaps with another path
  const TimeMs at = said ? core.now : std::min(note.at_ms, core.now);
  Attempt attempt = *alive;
  // What was saved before this attempt, or before its last checkpoint, saves nothing of it.
  if (!said && (at < attempt.start_ms || at <= attempt.last_checkpoint_ms)) {
    return CommandOutcome{.unchanged = {note.job}, .recorded_ms = attempt.last_checkpoint_ms};
  }
  // A job that writes all the time is not to fill the events.
  TimeMs& said_ms = core.follow[attempt.ref].checkpoint_said_ms;
  const bool news = said || said_ms == 0 || at - said_ms >= kSeenSaidEvery;
  if (news) said_ms = at;
  attempt.last_checkpoint_ms = at;
  core.Put(attempt);
  job.checkpointed_ms = std::max(job.checkpointed_ms, at);
  if (by_owner) job.resume_from = note.path;
  core.Put(job);
  Reason reason{ReasonCode::kCheckpoint, {}};
  if (!note.path.empty()) reason.fields["path"] = note.path;
  if (news) core.Say(Note(job, reason, command.actor_name, attempt.ref.number, core.now));
  return CommandOutcome{.jobs = {note.job}, .recorded_ms = at};
}

// --- Commands. ---

// Of all but updates, which are checked together.
Result<void> CheckOther(const Core& core, const JobChange& change) {
  return std::visit(
      [&core](const auto& what) -> Result<void> {
        if constexpr (std::is_same_v<std::decay_t<decltype(what)>, UpdateJobs>) {
          return {};
        } else {
          return Check(core, what);
        }
      },
      change);
}

Result<CommandOutcome> On(Core& core, const ChangeJobs& body, const Command& command) {
  std::optional<UpdateCheck> updates;
  for (const JobChange& change : body.changes) {
    const auto* update = std::get_if<UpdateJobs>(&change);
    if (update != nullptr && !updates) updates.emplace(core);
    const auto valid = update != nullptr ? updates->Check(*update) : CheckOther(core, change);
    if (!valid) return valid.error();
  }
  CommandOutcome outcome;
  for (const JobChange& change : body.changes) {
    std::visit([&](const auto& what) { Apply(core, what, command, outcome); }, change);
  }
  return outcome;
}
Result<CommandOutcome> On(Core& core, const PutAccounts& body, const Command& command) {
  return ExecuteAccounts(core, body, command);
}
Result<CommandOutcome> On(Core& core, const PutUsers& body, const Command& command) {
  return ExecuteUsers(core, body, command);
}
Result<CommandOutcome> On(Core& core, const PutToken& body, const Command& command) {
  return ExecuteToken(core, body, command);
}
Result<CommandOutcome> On(Core& core, const SetNodeService& body, const Command& command) {
  return ExecuteService(core, body, command);
}
Result<CommandOutcome> On(Core& core, const PutReservation& body, const Command& command) {
  return ExecutePutReservation(core, body, command);
}
Result<CommandOutcome> On(Core& core, const DeleteReservation& body, const Command& command) {
  return ExecuteDeleteReservation(core, body, command);
}
Result<CommandOutcome> On(Core& core, const ResumeScheduling& body, const Command& command) {
  return ExecuteResume(core, body, command);
}
Result<CommandOutcome> On(Core& core, const NoteAct& body, const Command& command) {
  return ExecuteNote(core, body, command);
}
Result<CommandOutcome> On(Core& core, const ProposeCorrection& body, const Command& command) {
  return ExecuteProposal(core, body, command);
}
Result<CommandOutcome> On(Core& core, const DecideCorrection& body, const Command& command) {
  return ExecuteDecision(core, body, command);
}
Result<CommandOutcome> On(Core& core, const BookForeign& body, const Command& /*command*/) {
  return ExecuteForeign(core, body);
}
Result<CommandOutcome> On(Core& core, const LookAhead& body, const Command& /*command*/) {
  return ExecuteLookAhead(core, body);
}

}  // namespace

Result<CommandOutcome> Execute(Core& core, const Command& command) {
  return std::visit([&](const auto& body) { return On(core, body, command); }, command.body);
}

}  // namespace kezek::control

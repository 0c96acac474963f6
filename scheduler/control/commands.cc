// What people ask of jobs: cancel, hold, release, update. All is checked before anything changes.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/control/admission.h"
#include "scheduler/control/core.h"
#include "scheduler/control/ranges.h"

namespace kezek::control {
namespace {

std::string At(std::size_t index) { return "jobs[" + std::to_string(index) + "]"; }

// Where a reference leads.
enum class Place : std::uint8_t {
  kRow,      // a job, an array or an element with a row
  kPending,  // an element without one
  kGone,     // final, and no longer in memory
  kNone,     // the array has no such element
};

Place Find(const Core& core, const JobRef& ref) {
  if (core.state.FindJob(ref) != nullptr) return Place::kRow;
  if (ref.element == kNoElement) return Place::kGone;
  const Job* row = core.state.FindJob({ref.id, kNoElement});
  if (row == nullptr) return Place::kGone;
  if (!IsArrayRow(*row)) return Place::kNone;
  if (ContainsIndex(row->pending, ref.element)) return Place::kPending;
  return ContainsIndex(row->spec->array->indices, ref.element) ? Place::kGone : Place::kNone;
}

Error NoSuchElement(std::size_t index, const JobRef& ref) {
  return FieldProblem(Code::kNotFound, {At(index),
                                        "NO_SUCH_JOB",
                                        ToText({ref.id, kNoElement}) + " has no element " +
                                            std::to_string(ref.element),
                                        {}});
}

// The row, made for a pending element.
Job RowFor(Core& core, const JobRef& ref) {
  const Job* job = core.state.FindJob(ref);
  return job != nullptr ? *job : MakeElement(core, ref);
}

Result<void> CheckAll(const Core& core, const std::vector<JobRef>& jobs) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (Find(core, jobs[i]) == Place::kNone) return NoSuchElement(i, jobs[i]);
  }
  return {};
}

Result<CommandOutcome> On(Core& core, const CancelJobs& cancel, const Command& command) {
  if (const auto valid = CheckAll(core, cancel.jobs); !valid) return valid.error();
  Reason reason{cancel.by_admin ? ReasonCode::kCancelledByAdmin : ReasonCode::kCancelledByUser,
                {{"by", command.actor_name}}};
  if (!cancel.text.empty()) reason.fields["text"] = cancel.text;
  CommandOutcome outcome;
  for (const JobRef& ref : cancel.jobs) {
    const Place place = Find(core, ref);
    const bool over =
        place == Place::kGone || (place == Place::kRow && IsFinal(core.JobOf(ref).state));
    if (over) {
      outcome.unchanged.push_back(ref);
      continue;
    }
    RowFor(core, ref);
    CancelJob(core, ref, reason, command.actor_name);
    outcome.jobs.push_back(ref);
  }
  return outcome;
}

bool CanBeHeld(const Core& core, const JobRef& ref) {
  const Place place = Find(core, ref);
  if (place != Place::kRow) return place == Place::kPending;
  return core.JobOf(ref).state == JobState::kQueued;
}

// None of them could be changed: say why of the first.
Error NothingQueued(const std::vector<JobRef>& jobs, std::string_view what) {
  return FieldProblem(
      Code::kFailedPrecondition,
      {At(0),
       "NOT_QUEUED",
       ToText(jobs.front()) + " does not wait: only queued jobs can be " + std::string(what),
       {}});
}

void Hold1(Core& core, const JobRef& ref, Hold hold, const Reason& reason, std::string_view actor) {
  Job job = RowFor(core, ref);
  job.hold = hold;
  job.hold_reason = hold == Hold::kNone ? Reason{} : reason;
  core.Say(Note(job, reason, actor, 0, core.now));
  core.Put(job);
  if (!IsArrayRow(job)) return;
  std::vector<JobRef> queued;
  for (const Job* element : core.state.Elements(ref.id)) {
    if (element->state == JobState::kQueued) queued.push_back(element->ref);
  }
  for (const JobRef& element : queued) Hold1(core, element, hold, reason, actor);
}

Result<CommandOutcome> On(Core& core, const HoldJobs& hold, const Command& command) {
  if (const auto valid = CheckAll(core, hold.jobs); !valid) return valid.error();
  const Hold wanted = hold.by_admin ? Hold::kAdmin : Hold::kUser;
  Reason reason{hold.by_admin ? ReasonCode::kHeldByAdmin : ReasonCode::kHeldByUser, {}};
  if (!hold.text.empty()) reason.fields["text"] = hold.text;
  CommandOutcome outcome;
  std::size_t cannot = 0;
  for (const JobRef& ref : hold.jobs) {
    if (!CanBeHeld(core, ref)) {
      ++cannot;
      outcome.unchanged.push_back(ref);
      continue;
    }
    const Job* job = core.state.FindJob(ref);
    // Held already; an admin's hold is not weakened to a user's.
    if (job != nullptr && (job->hold == wanted || job->hold == Hold::kAdmin)) {
      outcome.unchanged.push_back(ref);
      continue;
    }
    Hold1(core, ref, wanted, reason, command.actor_name);
    outcome.jobs.push_back(ref);
  }
  if (cannot != 0 && cannot == hold.jobs.size()) return NothingQueued(hold.jobs, "held");
  return outcome;
}

Result<CommandOutcome> On(Core& core, const ReleaseJobs& release, const Command& command) {
  if (const auto valid = CheckAll(core, release.jobs); !valid) return valid.error();
  for (std::size_t i = 0; i < release.jobs.size(); ++i) {
    const Job* job = core.state.FindJob(release.jobs[i]);
    if (job != nullptr && job->hold == Hold::kAdmin && !release.by_admin) {
      return FieldProblem(Code::kPermissionDenied,
                          {At(i),
                           "HELD_BY_ADMIN",
                           ToText(job->ref) + " is held by an administrator, who must release it",
                           {}});
    }
  }
  CommandOutcome outcome;
  std::size_t cannot = 0;
  for (const JobRef& ref : release.jobs) {
    if (!CanBeHeld(core, ref)) ++cannot;
    // An element of a held array that is released by itself gets a row of its own.
    if (Find(core, ref) == Place::kPending &&
        core.JobOf({ref.id, kNoElement}).hold != Hold::kNone) {
      RowFor(core, ref);
    }
    const Job* job = core.state.FindJob(ref);
    const bool waits = job != nullptr && job->state == JobState::kQueued;
    const bool aside = core.set_aside.erase(ref) != 0;
    if (!waits || (job->hold == Hold::kNone && !aside && job->not_before_ms <= core.now)) {
      outcome.unchanged.push_back(ref);
      continue;
    }
    Job changed = *job;
    changed.not_before_ms = 0;
    core.Put(changed);
    Hold1(core, ref, Hold::kNone, {ReasonCode::kReleased, {}}, command.actor_name);
    outcome.jobs.push_back(ref);
  }
  if (cannot != 0 && cannot == release.jobs.size()) return NothingQueued(release.jobs, "released");
  return outcome;
}

Result<CommandOutcome> On(Core& core, const UpdateJob& body, const Command& command) {
  return ExecuteUpdate(core, body, command);
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

// --- Updates. ---

Error Refused(std::string field, std::string reason, std::string message) {
  return FieldProblem(Code::kFailedPrecondition,
                      {std::move(field), std::move(reason), std::move(message), {}});
}

// The spec as asked for, and what is changed in it: for the events.
struct Edited {
  JobSpec spec;
  std::vector<Reason> changes;
};

template <class T>
void Edit(Edited& edited, const char* field, T& value, const std::optional<T>& asked) {
  if (!asked || *asked == value) return;
  Reason reason{ReasonCode::kUpdated, {{"field", field}}};
  if constexpr (std::is_same_v<T, std::string>) {
    reason.fields["from"] = value;
    reason.fields["to"] = *asked;
  } else {
    reason.fields["from"] = std::to_string(value);
    reason.fields["to"] = std::to_string(*asked);
  }
  edited.changes.push_back(std::move(reason));
  value = *asked;
}

Edited EditSpec(const JobSpec& spec, const UpdateJob& update) {
  Edited edited{spec, {}};
  Edit(edited, "time_limit", edited.spec.time_limit_ms, update.time_limit_ms);
  Edit(edited, "user_priority", edited.spec.user_priority, update.user_priority);
  Edit(edited, "comment", edited.spec.comment, update.comment);
  Edit(edited, "job_class", edited.spec.job_class, update.job_class);
  Edit(edited, "name", edited.spec.name, update.name);
  Edit(edited, "begin", edited.spec.begin_ms, update.begin_ms);
  Edit(edited, "deadline", edited.spec.deadline_ms, update.deadline_ms);
  if (edited.spec.array) {
    Edit(edited, "array_max_running", edited.spec.array->max_running, update.array_max_running);
  }
  return edited;
}

// Of a job that is under way: what its cluster job was started with stays.
Result<void> CheckRunning(const JobSpec& before, const JobSpec& after) {
  if (after.job_class != before.job_class) {
    return Refused("job_class", "NOT_QUEUED", "the class of a job that has started stays");
  }
  if (after.begin_ms != before.begin_ms) {
    return Refused("begin", "NOT_QUEUED", "the job has started already");
  }
  if (after.time_limit_ms > before.time_limit_ms) {
    return Refused("time_limit", "NOT_QUEUED",
                   "the limit of a job that has started can be shortened, not raised");
  }
  return {};
}

}  // namespace

Result<CommandOutcome> ExecuteUpdate(Core& core, const UpdateJob& update, const Command& command) {
  const Place place = Find(core, update.job);
  if (place == Place::kNone) return NoSuchElement(0, update.job);
  const Job* known = core.state.FindJob(update.job);
  if (place == Place::kGone || (known != nullptr && IsFinal(known->state))) {
    return Refused("job", "JOB_ENDED", ToText(update.job) + " has ended");
  }
  const Job* source = known != nullptr ? known : core.state.FindJob({update.job.id, kNoElement});
  if (update.array_max_running && !IsArrayRow(*source)) {
    return Refused("array_max_running", "NOT_AN_ARRAY", ToText(update.job) + " is no array");
  }
  Edited edited = EditSpec(*source->spec, update);
  const bool queued = known == nullptr || known->state == JobState::kQueued;
  if (!queued) {
    if (const auto valid = CheckRunning(*source->spec, edited.spec); !valid) return valid.error();
  } else {
    const Admission admission(core.config, core.state.directory(), core.state.nodes());
    Result<JobSpec> complete = admission.Complete(edited.spec);
    if (!complete) return complete.error();
    edited.spec = std::move(*complete);
  }
  if (edited.changes.empty()) return CommandOutcome{.unchanged = {update.job}};
  Job job = RowFor(core, update.job);
  job.spec = std::make_shared<const JobSpec>(std::move(edited.spec));
  for (Reason& reason : edited.changes) {
    core.Say(Note(job, std::move(reason), command.actor_name, 0, core.now));
  }
  core.Put(job);
  const Attempt* alive = core.state.AliveAttempt(job.ref);
  if (alive != nullptr && alive->limit_ms > job.spec->time_limit_ms) {
    Attempt attempt = *alive;
    attempt.limit_ms = job.spec->time_limit_ms;
    core.Put(attempt);
  }
  return CommandOutcome{.jobs = {update.job}};
}

Result<CommandOutcome> Execute(Core& core, const Command& command) {
  return std::visit([&](const auto& body) { return On(core, body, command); }, command.body);
}

}  // namespace kezek::control

#include "scheduler/control/job_updates.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kezek/check.h"
#include "kezek/index_ranges.h"
#include "scheduler/control/admission.h"
#include "scheduler/control/targets.h"

namespace kezek::control {
namespace {

Error Started(const JobRef& job, const std::string& field, const std::string& message) {
  return FieldProblem(Code::kFailedPrecondition, {field,
                                                  "JOB_STARTED",
                                                  "job " + ToText(job) + " " + message,
                                                  {{"job", ToText(job)}, {"field", field}}});
}

// What would speak against submitting the job as it would be. The request has only the fields that
// it changes: what is wrong with another one is wrong with the job.
Error OfUpdate(Error error) {
  constexpr std::array<std::string_view, 4> kChanged = {"time_limit_ms", "job_class", "begin_ms",
                                                        "deadline_ms"};
  if (error.details.size() != 1) return error;
  FieldError detail = error.details.front();
  if (std::ranges::find(kChanged, detail.field) == kChanged.end()) detail.field = "jobs";
  return FieldProblem(error.code, std::move(detail));
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

Edited EditSpec(const JobSpec& spec, const UpdateJobs& update) {
  Edited edited{spec, {}};
  std::optional<DurationMs> limit = update.time_limit_ms;
  if (limit) limit = WholeMinutes(*limit);
  Edit(edited, "time_limit_ms", edited.spec.time_limit_ms, limit);
  Edit(edited, "user_priority", edited.spec.user_priority, update.user_priority);
  Edit(edited, "comment", edited.spec.comment, update.comment);
  Edit(edited, "job_class", edited.spec.job_class, update.job_class);
  Edit(edited, "name", edited.spec.name, update.name);
  Edit(edited, "begin_ms", edited.spec.begin_ms, update.begin_ms);
  Edit(edited, "deadline_ms", edited.spec.deadline_ms, update.deadline_ms);
  if (edited.spec.array) {
    Edit(edited, "array_max_running", edited.spec.array->max_running, update.array_max_running);
  }
  return edited;
}

// Of a job that is under way: what its cluster job was started with stays.
Result<void> CheckStarted(const JobRef& job, const JobSpec& before, const JobSpec& after) {
  if (after.job_class != before.job_class) {
    return Started(job, "job_class", "has started: its class stays");
  }
  if (after.begin_ms != before.begin_ms) return Started(job, "begin_ms", "has started already");
  return {};
}

// The limit that the attempt is to have when its job's changes. Never below what it has run: a
// charge is capped by the limit, and that time has been used.
DurationMs LimitOf(const Core& core, const Attempt& attempt, const JobSpec& before,
                   const JobSpec& after) {
  if (after.time_limit_ms == before.time_limit_ms) return attempt.limit_ms;
  if (after.time_limit_ms >= attempt.limit_ms) return after.time_limit_ms;
  const bool runs = attempt.start_ms != 0;
  const DurationMs run = runs ? std::max<DurationMs>(0, core.now - attempt.start_ms) : 0;
  return std::min(attempt.limit_ms, std::max(after.time_limit_ms, WholeMinutes(run)));
}

// A limit that is raised under way is one that the job could be submitted with today, and all
// budgets hold what is more of it. Adds what they hold to `taken`.
Result<void> CheckRaise(const Core& core, const Admission& admission, const JobRef& ref,
                        const JobSpec& spec, quota::Taken& taken) {
  const Attempt* alive = core.state.AliveAttempt(ref);
  if (alive == nullptr) return {};
  const Job& job = core.JobOf(ref);
  const DurationMs limit = LimitOf(core, *alive, *job.spec, spec);
  if (limit <= alive->limit_ms) return {};
  if (alive->ending != Ending::kNone || alive->end_ms != 0) {
    return Started(ref, "time_limit_ms", "is ending: its limit cannot be raised any more");
  }
  if (auto valid = admission.Complete(spec); !valid) return OfUpdate(valid.error());
  const quota::Draw draw = DrawOfRaise(core, job, *alive, limit, taken);
  if (draw.stop.code != ReasonCode::kNone) return Admission::Stopped("time_limit_ms", draw.stop);
  for (const quota::BudgetHold& hold : draw.holds) taken[hold.budget] += hold.amount;
  return {};
}

// What of the rules an admin overrides by changing this field of another's job; null: nothing.
const char* OverriddenBy(std::string_view field) {
  if (field == "time_limit_ms" || field == "array_max_running") return kOverrideLimit;
  return field == "user_priority" || field == "job_class" ? kOverridePriority : nullptr;
}

// One job's spec as asked for, complete; or why not.
Result<Edited> Prepare(const Core& core, const Admission& admission, const JobRef& ref,
                       const UpdateJobs& update) {
  if (IsOver(core, ref)) {
    return FieldProblem(Code::kFailedPrecondition,
                        {"jobs",
                         "JOB_FINAL",
                         "job " + ToText(ref) + " is over and cannot be changed",
                         {{"job", ToText(ref)}}});
  }
  const Job* known = core.state.FindJob(ref);
  const Job* source = known != nullptr ? known : core.state.FindJob({ref.id, kNoElement});
  KEZEK_CHECK(source != nullptr, "what is not over has a row: " + ToText(ref));
  if (update.array_max_running && !(IsArrayRow(*source) && ref.element == kNoElement)) {
    return FieldProblem(
        Code::kInvalidArgument,
        {"array_max_running", "FIELD_INVALID", "job " + ToText(ref) + " is no array", {}});
  }
  Edited edited = EditSpec(*source->spec, update);
  for (Reason& change : edited.changes) {
    if (!update.text.empty()) change.fields["text"] = update.text;
    const char* overridden = update.by_admin ? OverriddenBy(change.fields.at("field")) : nullptr;
    if (overridden != nullptr) change.fields[kOverrideField] = overridden;
  }
  if (known != nullptr && known->state != JobState::kQueued) {
    const auto valid = CheckStarted(ref, *source->spec, edited.spec);
    if (!valid) return valid.error();
    return edited;
  }
  Result<JobSpec> complete = admission.Complete(edited.spec);
  if (!complete) return OfUpdate(complete.error());
  const auto held = admission.CheckBudgets(*complete, core.now, [&core](const BudgetRef& budget) {
    return core.engine.budgets().Of(budget).carried_in;
  });
  if (!held) return OfUpdate(held.error());
  edited.spec = std::move(*complete);
  return edited;
}

void Apply1(Core& core, const JobRef& ref, Edited edited, std::string_view actor) {
  Job job = RowFor(core, ref);
  const std::shared_ptr<const JobSpec> before = job.spec;
  job.spec = std::make_shared<const JobSpec>(std::move(edited.spec));
  for (Reason& reason : edited.changes) {
    core.Say(Note(job, std::move(reason), actor, 0, core.now));
  }
  core.Put(job);
  const Attempt* alive = core.state.AliveAttempt(job.ref);
  if (alive == nullptr) return;
  const DurationMs limit = LimitOf(core, *alive, *before, *job.spec);
  if (alive->limit_ms == limit) return;
  Attempt attempt = *alive;
  const bool raised = limit > attempt.limit_ms;
  if (raised) {
    const quota::Draw draw = DrawOfRaise(core, job, attempt, limit, {});
    KEZEK_CHECK(draw.stop.code == ReasonCode::kNone, "a raise that was checked: " + ToText(ref));
    BookHolds(core, job, attempt, draw);
  }
  // The cluster counts from the limit it has: before a shorter one the signal is ours. Before a
  // longer one it comes from whom it would have come before the old one, again if need be.
  const bool ours = !IsClustersToSend(job.spec->signal);
  if (ours || !raised) attempt.signalled = false;
  attempt.limit_ms = limit;
  core.Put(attempt);
}

// Queued jobs that leave their class for another one, all of the update together.
class ClassDoor {
 public:
  ClassDoor(const Core& core, const Admission& admission)
      : core_(core), admission_(admission), queued_(core.state.queued()) {}

  Result<void> Move(const JobRef& ref, const JobSpec& to) {
    const Job* job = core_.state.FindJob(ref);
    const bool waits = job != nullptr && job->state == JobState::kQueued;
    if (!waits || job->spec->job_class == to.job_class) return {};
    const std::int64_t jobs = IsArrayRow(*job) ? CountIndices(job->pending) : 1;
    if (auto room = admission_.CheckClassQueue(queued_, job->user, to, jobs); !room) return room;
    queued_.of_class_user[{job->spec->job_class, job->user}] -= jobs;
    queued_.of_class_user[{to.job_class, job->user}] += jobs;
    return {};
  }

 private:
  const Core& core_;
  const Admission& admission_;
  quota::QueuedJobs queued_;
};

}  // namespace

struct UpdateCheck::Parts {
  explicit Parts(const Core& core_in)
      : core(core_in), admission(core.config, core.state.directory(), core.state.nodes()) {}

  const Core& core;
  Admission admission;
  std::optional<ClassDoor> door;  // once a class is changed
  quota::Taken taken;             // by raised limits
};

UpdateCheck::UpdateCheck(const Core& core) : parts_(std::make_unique<Parts>(core)) {}
UpdateCheck::~UpdateCheck() = default;

Result<void> UpdateCheck::Check(const UpdateJobs& update) {
  const Core& core = parts_->core;
  if (auto known = CheckAll(core, update.jobs); !known) return known;
  std::optional<ClassDoor>& door = parts_->door;
  if (update.job_class && !door) door.emplace(core, parts_->admission);
  for (const JobRef& ref : update.jobs) {
    const Result<Edited> edited = Prepare(core, parts_->admission, ref, update);
    if (!edited) return edited.error();
    auto raise = CheckRaise(core, parts_->admission, ref, edited->spec, parts_->taken);
    if (!raise) return raise;
    if (!door) continue;
    if (auto room = door->Move(ref, edited->spec); !room) return room;
  }
  return {};
}

void Apply(Core& core, const UpdateJobs& update, const Command& command, CommandOutcome& outcome) {
  const Admission admission(core.config, core.state.directory(), core.state.nodes());
  for (const JobRef& ref : update.jobs) {
    Result<Edited> edited = Prepare(core, admission, ref, update);
    if (!edited || edited->changes.empty()) {
      outcome.unchanged.push_back(ref);
      continue;
    }
    Apply1(core, ref, std::move(*edited), command.actor_name);
    outcome.jobs.push_back(ref);
  }
}

}  // namespace kezek::control

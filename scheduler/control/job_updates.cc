#include "scheduler/control/job_updates.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
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

bool IsEnding(const Attempt& attempt) {
  return attempt.ending != Ending::kNone || attempt.end_ms != 0;
}

// The limit that the attempt is to have when its job's changes. Never below what it has run: a
// charge is capped by the limit, and that time has been used.
DurationMs LimitOf(const Core& core, const Attempt& attempt, const JobSpec& before,
                   const JobSpec& after) {
  if (after.time_limit_ms == before.time_limit_ms || IsEnding(attempt)) return attempt.limit_ms;
  if (after.time_limit_ms >= attempt.limit_ms) return after.time_limit_ms;
  const bool runs = attempt.start_ms != 0;
  const DurationMs run = runs ? std::max<DurationMs>(0, core.ClusterNow() - attempt.start_ms) : 0;
  return std::min(attempt.limit_ms, std::max(after.time_limit_ms, WholeMinutes(run)));
}

// Whose it is is nobody else's business.
Error Delays(const JobRef& job, const Reservation& promise) {
  return FieldProblem(Code::kFailedPrecondition,
                      {"time_limit_ms",
                       "RESERVATION_AHEAD",
                       "nodes of job " + ToText(job) +
                           " are promised to another: with so much time it would delay that",
                       {{"at_ms", std::to_string(promise.from_ms)}}});
}

Error RunsInto(const JobRef& job, TimeMs at_ms) {
  return FieldProblem(Code::kFailedPrecondition,
                      {"time_limit_ms",
                       "RESERVATION_AHEAD",
                       "nodes of job " + ToText(job) +
                           " are reserved by an administrator: with so much time it would run on "
                           "into that, or beyond its own reservation",
                       {{"at_ms", std::to_string(at_ms)}}});
}

// A limit that is raised under way is one that the job could be submitted with today, and all
// budgets hold what is more of it; and it delays no reservation, unless an admin says so. Adds what
// budgets hold to `taken`. What is ending is refused one if it was named; as one of an array's
// elements it is left to its end.
Result<void> CheckRaise(const Core& core, const Admission& admission, const JobRef& ref, bool named,
                        bool allow_delay, const JobSpec& spec, quota::Taken& taken) {
  const Attempt* alive = core.state.AliveAttempt(ref);
  if (alive == nullptr) return {};
  const Job& job = core.JobOf(ref);
  const bool raised =
      spec.time_limit_ms != job.spec->time_limit_ms && spec.time_limit_ms > alive->limit_ms;
  if (raised && named && IsEnding(*alive)) {
    return Started(ref, "time_limit_ms", "is ending: its limit cannot be raised any more");
  }
  const DurationMs limit = LimitOf(core, *alive, *job.spec, spec);
  if (limit <= alive->limit_ms) return {};
  if (auto valid = admission.Complete(spec); !valid) return OfUpdate(valid.error());
  const quota::Draw draw = DrawOfRaise(core, job, *alive, limit, taken);
  if (draw.stop.code != ReasonCode::kNone) return Admission::Stopped("time_limit_ms", draw.stop);
  for (const quota::BudgetHold& hold : draw.holds) taken[hold.budget] += hold.amount;
  if (allow_delay) return {};
  if (const auto at_ms = WindowAhead(core, *alive, job, limit)) return RunsInto(ref, *at_ms);
  if (const auto delayed = core.engine.DelayedBy(alive->ref, limit, core.now)) {
    return Delays(ref, *delayed);
  }
  return {};
}

// What of the rules an admin overrides by changing this field; null: nothing.
const char* OverriddenBy(std::string_view field) {
  if (field == "time_limit_ms" || field == "array_max_running") return kOverrideLimit;
  return field == "user_priority" || field == "job_class" ? kOverridePriority : nullptr;
}

// Whether anything of an array still waits to start.
bool SomeWait(const Core& core, const Job& row) {
  if (!row.pending.empty()) return true;
  const std::vector<const Job*> elements = core.state.Elements(row.ref.id);
  return std::ranges::any_of(
      elements, [](const Job* element) { return element->state == JobState::kQueued; });
}

// What would speak against submitting it today; or the spec, complete.
Result<JobSpec> Judge(const Core& core, const Admission& admission, const JobSpec& spec) {
  Result<JobSpec> complete = admission.Complete(spec);
  if (!complete) return complete;
  const auto held = admission.CheckBudgets(*complete, core.now, [&core](const BudgetRef& budget) {
    return core.engine.budgets().Of(budget).carried_in;
  });
  if (!held) return held.error();
  return complete;
}

// Of a job that waits. Settings may bar by now what was admitted once: that stands in the way of no
// change that makes it no worse.
Result<JobSpec> JudgeChange(const Core& core, const Admission& admission, const JobSpec& before,
                            const JobSpec& after) {
  Result<JobSpec> judged = Judge(core, admission, after);
  if (judged || after.job_class != before.job_class || after.time_limit_ms > before.time_limit_ms) {
    return judged;
  }
  const Result<JobSpec> as_it_was = Judge(core, admission, before);
  if (as_it_was) return judged;
  const std::vector<FieldError>& now = judged.error().details;
  const std::vector<FieldError>& then = as_it_was.error().details;
  const auto same = [](const FieldError& a, const FieldError& b) {
    return a.field == b.field && a.reason == b.reason;
  };
  if (std::equal(now.begin(), now.end(), then.begin(), then.end(), same)) return after;
  return judged;
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
    const bool overrides = update.by_admin || update.allow_delay;
    const char* overridden = overrides ? OverriddenBy(change.fields.at("field")) : nullptr;
    if (overridden != nullptr) change.fields[kOverrideField] = overridden;
  }
  if (known != nullptr &&
      (known->state != JobState::kQueued || (IsArrayRow(*known) && !SomeWait(core, *known)))) {
    const auto valid = CheckStarted(ref, *source->spec, edited.spec);
    if (!valid) return valid.error();
    return edited;
  }
  Result<JobSpec> complete = JudgeChange(core, admission, *source->spec, edited.spec);
  if (!complete) return OfUpdate(complete.error());
  edited.spec = std::move(*complete);
  return edited;
}

// An update as it concerns each job: of a whole array the elements, too, that have rows of their
// own and are not over. Those that have started keep their class and begin time.
class Concerned {
 public:
  explicit Concerned(const UpdateJobs& update)
      : named_(update.jobs.begin(), update.jobs.end()), fields_(update) {
    fields_.jobs.clear();
    of_element_ = fields_;
    of_element_.array_max_running.reset();
    of_started_ = of_element_;
    of_started_.job_class.reset();
    of_started_.begin_ms.reset();
  }

  struct Target {
    JobRef ref;
    const UpdateJobs* update = nullptr;
    bool spared = false;  // something of the update is not for it
  };
  // The job first, then its elements.
  std::vector<Target> Of(const Core& core, const JobRef& ref) const {
    std::vector<Target> targets = {{ref, &fields_}};
    const Job* row = core.state.FindJob(ref);
    if (row == nullptr || !IsArrayRow(*row)) return targets;
    for (const Job* element : core.state.Elements(ref.id)) {
      if (IsFinal(element->state) || named_.contains(element->ref)) continue;
      const bool waits = element->state == JobState::kQueued;
      targets.push_back(
          {element->ref, waits ? &of_element_ : &of_started_, !waits && Spares(*element->spec)});
    }
    return targets;
  }

 private:
  bool Spares(const JobSpec& spec) const {
    return (fields_.job_class && *fields_.job_class != spec.job_class) ||
           (fields_.begin_ms && *fields_.begin_ms != spec.begin_ms);
  }

  std::set<JobRef> named_;
  UpdateJobs fields_;
  UpdateJobs of_element_;
  UpdateJobs of_started_;
};

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
  // The cluster counts from the limit it has: until it has the shorter one the signal is ours.
  // Before a longer one it comes from whom it would have come before the old one, again if need be.
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

  Result<void> Check(const JobRef& ref, bool named, const UpdateJobs& update) {
    const Result<Edited> edited = Prepare(core, admission, ref, update);
    if (!edited) return edited.error();
    auto raise = CheckRaise(core, admission, ref, named, update.allow_delay, edited->spec, taken);
    if (!raise || !door) return raise;
    return door->Move(ref, edited->spec);
  }

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
  if (update.job_class && !parts_->door) parts_->door.emplace(core, parts_->admission);
  const Concerned concerned(update);
  for (const JobRef& named : update.jobs) {
    for (const Concerned::Target& target : concerned.Of(core, named)) {
      const bool is_named = target.ref == named;
      auto valid = parts_->Check(target.ref, is_named, *target.update);
      if (!valid) return valid;
    }
  }
  return {};
}

void Apply(Core& core, const UpdateJobs& update, const Command& command, CommandOutcome& outcome) {
  const Admission admission(core.config, core.state.directory(), core.state.nodes());
  const Concerned concerned(update);
  for (const JobRef& named : update.jobs) {
    for (const Concerned::Target& target : concerned.Of(core, named)) {
      Result<Edited> edited = Prepare(core, admission, target.ref, *target.update);
      const bool changes = edited && !edited->changes.empty();
      const bool is_named = target.ref == named;
      if (changes) Apply1(core, target.ref, std::move(*edited), command.actor_name);
      if (changes) outcome.jobs.push_back(target.ref);
      if (!changes && is_named) outcome.unchanged.push_back(target.ref);
      if (target.spared) outcome.spared.push_back(target.ref);
    }
  }
}

}  // namespace kezek::control

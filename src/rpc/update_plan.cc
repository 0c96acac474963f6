#include "rpc/update_plan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "rpc/field_checks.h"
#include "rpc/job_refs.h"
#include "rpc/spec_convert.h"

namespace kezek::rpc {
namespace {

Error Refused(Code code, const std::string& field, const std::string& reason, const Job& job,
              const std::string& message) {
  return FieldProblem(code, {field,
                             reason,
                             "job " + ToText(job.ref) + " " + message,
                             {{"job", ToText(job.ref)}, {"field", field}}});
}

bool ChangesSpec(const v1::UpdateRequest& request) {
  return request.has_time_limit_ms() || request.has_user_priority() || request.has_comment() ||
         request.has_name() || request.has_job_class() || request.has_begin_ms() ||
         request.has_deadline_ms() || request.has_array_max_running();
}

DurationMs WholeMinutes(DurationMs time_ms) {
  return (time_ms + kMinuteMs - 1) / kMinuteMs * kMinuteMs;
}

Result<void> CheckState(const Caller& caller, const v1::UpdateRequest& request,
                        const JobRecord& record) {
  const Job& job = record.job;
  if (IsFinal(job.state)) {
    return Refused(Code::kFailedPrecondition, "jobs", "JOB_FINAL", job,
                   "is over and cannot be changed");
  }
  if (ActsAsAdmin(caller, job) && request.reason().empty()) {
    return Invalid("reason", "say why, for the record: job " + ToText(job.ref) + " is another's");
  }
  const bool queued = job.state == JobState::kQueued;
  for (const auto& [given, field] : {std::pair(request.has_job_class(), "job_class"),
                                     std::pair(request.has_begin_ms(), "begin_ms")}) {
    if (given && !queued) {
      return Refused(Code::kFailedPrecondition, field, "JOB_STARTED", job,
                     "has started: this can be changed only while it is queued");
    }
  }
  const bool longer = request.has_time_limit_ms() &&
                      WholeMinutes(request.time_limit_ms()) > job.spec->time_limit_ms;
  if (longer && !queued && !ActsAsAdmin(caller, job) && !caller.everywhere) {
    return Refused(Code::kPermissionDenied, "time_limit_ms", "NEEDS_ADMIN", job,
                   "runs: only an admin may give it more time");
  }
  const bool release = request.has_hold() && !request.hold();
  if (release && job.hold == Hold::kAdmin && !ActsAsAdmin(caller, job) && !caller.everywhere) {
    return Refused(Code::kPermissionDenied, "hold", "HELD_BY_ADMIN", job,
                   "is held by an admin, and only an admin may release it");
  }
  if (request.has_array_max_running() && (!job.spec->array || job.ref.element != kNoElement)) {
    return Refused(Code::kInvalidArgument, "array_max_running", "FIELD_INVALID", job,
                   "is no array");
  }
  return {};
}

// What Submit would refuse of the changed spec, refuse here. That the queue is full is no reason:
// the job is in it.
Result<void> CheckChanged(const v1::UpdateRequest& request, const JobRecord& record,
                          const Desk& desk) {
  const Job& job = record.job;
  if (job.state != JobState::kQueued || !ChangesSpec(request)) return {};
  JobSpec spec = *job.spec;
  if (request.has_time_limit_ms()) spec.time_limit_ms = WholeMinutes(request.time_limit_ms());
  if (request.has_job_class()) spec.job_class = request.job_class();
  if (request.has_begin_ms()) spec.begin_ms = request.begin_ms();
  if (request.has_deadline_ms()) spec.deadline_ms = request.deadline_ms();
  const auto admitted = desk.Admit(job.user, std::move(spec));
  if (admitted || admitted.error().code == Code::kResourceExhausted) return {};
  Error error = admitted.error();
  for (auto& detail : error.details) {
    if (detail.field.starts_with("spec.")) detail.field = detail.field.substr(5);
  }
  return error;
}

UpdateJobs ChangeOf(const v1::UpdateRequest& request, const std::vector<JobRecord>& records) {
  UpdateJobs update;
  for (const auto& record : records) update.jobs.push_back(record.job.ref);
  if (request.has_time_limit_ms()) update.time_limit_ms = WholeMinutes(request.time_limit_ms());
  if (request.has_user_priority()) update.user_priority = request.user_priority();
  if (request.has_comment()) update.comment = request.comment();
  if (request.has_job_class()) update.job_class = request.job_class();
  if (request.has_name()) update.name = request.name();
  if (request.has_begin_ms()) update.begin_ms = request.begin_ms();
  if (request.has_deadline_ms()) update.deadline_ms = request.deadline_ms();
  if (request.has_array_max_running()) update.array_max_running = request.array_max_running();
  return update;
}

// Jobs the caller acts on as an admin apart from the others: the holds differ.
void AddHolds(const Caller& caller, const v1::UpdateRequest& request,
              const std::vector<JobRecord>& records, std::vector<JobChange>* changes) {
  for (const bool by_admin : {false, true}) {
    std::vector<JobRef> jobs;
    for (const auto& record : records) {
      const bool lifts_admins_hold = !request.hold() && record.job.hold == Hold::kAdmin;
      const bool admin =
          ActsAsAdmin(caller, record.job) || (lifts_admins_hold && caller.everywhere);
      if (admin == by_admin) jobs.push_back(record.job.ref);
    }
    if (jobs.empty()) continue;
    if (request.hold()) {
      changes->push_back(HoldJobs{std::move(jobs), by_admin, request.reason()});
    } else {
      changes->push_back(ReleaseJobs{std::move(jobs), by_admin});
    }
  }
}

}  // namespace

bool ActsAsAdmin(const Caller& caller, const Job& job) {
  if (job.user == caller.user) return false;
  const auto found = caller.directory().users.find(caller.user);
  if (found == caller.directory().users.end()) return true;
  const auto& roles = found->second.roles;
  return std::none_of(roles.begin(), roles.end(), [&](const RoleGrant& grant) {
    return grant.role == Role::kProjectLead && grant.account == job.spec->project;
  });
}

Result<ChangeJobs> PlanCancel(const Caller& caller, const v1::CancelRequest& request,
                              const std::vector<JobRecord>& records) {
  ChangeJobs command;
  const std::string signal = SignalName(request.signal());
  for (const bool by_admin : {false, true}) {
    std::vector<JobRef> jobs;
    for (const auto& record : records) {
      if (ActsAsAdmin(caller, record.job) != by_admin || IsFinal(record.job.state)) continue;
      if (by_admin && request.comment().empty()) {
        return Invalid("comment",
                       "say why, for the record: job " + ToText(record.job.ref) + " is another's");
      }
      jobs.push_back(record.job.ref);
    }
    if (jobs.empty()) continue;
    if (signal.empty()) {
      command.changes.push_back(CancelJobs{std::move(jobs), by_admin, request.comment()});
    } else {
      command.changes.push_back(SignalJobs{std::move(jobs), signal, by_admin, request.comment()});
    }
  }
  if (!signal.empty() && command.changes.empty() && !records.empty()) {
    return Refused(Code::kFailedPrecondition, "jobs", "NOT_RUNNING", records.front().job,
                   "is over: there is nothing to signal");
  }
  return command;
}

Result<void> CheckUpdate(const v1::UpdateRequest& request) {
  FieldChecks checks;
  checks.Missing(request.has_admin_priority(), "admin_priority", "lifting jobs by an admin");
  checks.Missing(request.has_project(), "project", "moving a job to another project");
  checks.Missing(request.has_shape(), "shape", "changing a job's size");
  checks.Missing(request.has_topology(), "topology", "changing a job's topology");
  checks.Missing(request.has_dependencies(), "dependencies", "changing dependencies");
  checks.Missing(request.has_requeue(), "requeue", "changing whether a job is tried again");
  checks.Missing(request.allow_delay(), "allow_delay", "delaying reservations");
  if (request.has_time_limit_ms()) {
    checks.Range("time_limit_ms", request.time_limit_ms(), 1, 10 * 366 * kDayMs);
  }
  if (request.has_user_priority()) {
    checks.Range("user_priority", request.user_priority(), -10'000, 10'000);
  }
  if (request.has_begin_ms()) checks.Range("begin_ms", request.begin_ms(), 0, kLatestMs);
  if (request.has_deadline_ms()) checks.Range("deadline_ms", request.deadline_ms(), 0, kLatestMs);
  if (request.has_array_max_running()) {
    checks.Range("array_max_running", request.array_max_running(), 0, kElementsMax);
  }
  if (request.has_name()) {
    checks.Line("name", request.name(), 200);
    checks.Require(!request.name().empty(), "name", "must not be empty");
  }
  if (request.has_job_class()) {
    checks.Line("job_class", request.job_class(), 63);
    checks.Require(!request.job_class().empty(), "job_class", "must not be empty");
  }
  checks.Text("comment", request.comment(), 4096);
  checks.Text("reason", request.reason(), 4096);
  checks.Require(request.has_hold() || ChangesSpec(request), "", "says nothing to change");
  return checks.result();
}

Result<ChangeJobs> PlanUpdate(const Caller& caller, const v1::UpdateRequest& request,
                              const std::vector<JobRecord>& records, const Desk& desk) {
  for (const auto& record : records) {
    const auto state = CheckState(caller, request, record);
    if (!state) return state.error();
    const auto changed = CheckChanged(request, record, desk);
    if (!changed) return changed.error();
  }
  ChangeJobs command;
  if (request.has_hold()) AddHolds(caller, request, records, &command.changes);
  if (ChangesSpec(request)) command.changes.push_back(ChangeOf(request, records));
  return command;
}

}  // namespace kezek::rpc

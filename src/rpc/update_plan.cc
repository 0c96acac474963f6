#include "rpc/update_plan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kezek/bounds.h"
#include "rpc/field_checks.h"
#include "rpc/job_refs.h"
#include "rpc/spec_convert.h"

namespace kezek::rpc {
namespace {

bool ChangesSpec(const v1::UpdateRequest& request) {
  return request.has_time_limit_ms() || request.has_user_priority() || request.has_comment() ||
         request.has_name() || request.has_job_class() || request.has_begin_ms() ||
         request.has_deadline_ms() || request.has_array_max_running();
}

UpdateJobs ChangeOf(const v1::UpdateRequest& request, std::vector<JobRef> jobs, bool by_admin) {
  UpdateJobs update;
  update.jobs = std::move(jobs);
  update.by_admin = by_admin;
  if (request.has_time_limit_ms()) update.time_limit_ms = request.time_limit_ms();
  if (request.has_user_priority()) update.user_priority = request.user_priority();
  if (request.has_comment()) update.comment = request.comment();
  if (request.has_job_class()) update.job_class = request.job_class();
  if (request.has_name()) update.name = request.name();
  if (request.has_begin_ms()) update.begin_ms = request.begin_ms();
  if (request.has_deadline_ms()) update.deadline_ms = request.deadline_ms();
  if (request.has_array_max_running()) update.array_max_running = request.array_max_running();
  update.allow_delay = request.allow_delay();
  update.text = request.reason();
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
      changes->push_back(ReleaseJobs{std::move(jobs), by_admin, request.reason()});
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
    const std::string job = ToText(records.front().job.ref);
    return FieldProblem(Code::kFailedPrecondition,
                        {"jobs",
                         "NOT_RUNNING",
                         "job " + job + " is over: there is nothing to signal",
                         {{"job", job}}});
  }
  return command;
}

Result<ChangeJobs> PlanRequeue(const Caller& caller, const v1::RequeueRequest& request,
                               const std::vector<JobRecord>& records) {
  ChangeJobs command;
  for (const bool by_admin : {false, true}) {
    std::vector<JobRef> jobs;
    for (const auto& record : records) {
      if (ActsAsAdmin(caller, record.job) != by_admin || IsFinal(record.job.state)) continue;
      const std::string job = ToText(record.job.ref);
      if (by_admin && request.comment().empty()) {
        return Invalid("comment", "say why, for the record: job " + job + " is another's");
      }
      if (record.job.user != caller.user && !record.job.spec->requeue) {
        return FieldProblem(
            Code::kPermissionDenied,
            {"jobs",
             "NOT_OWNER",
             "job " + job + " is not to run a second time (--no-requeue), unless its owner asks",
             {{"job", job}}});
      }
      jobs.push_back(record.job.ref);
    }
    if (jobs.empty()) continue;
    command.changes.push_back(
        RequeueJobs{std::move(jobs), request.hold(), by_admin, request.comment()});
  }
  if (!command.changes.empty() || records.empty()) return command;
  const std::string job = ToText(records.front().job.ref);
  return FieldProblem(
      Code::kFailedPrecondition,
      {"jobs", "NOT_RUNNING", "job " + job + " is over: submit it again", {{"job", job}}});
}

Result<void> CheckUpdate(const v1::UpdateRequest& request) {
  FieldChecks checks;
  checks.Missing(request.has_admin_priority(), "admin_priority", "lifting jobs by an admin");
  checks.Missing(request.has_project(), "project", "moving a job to another project");
  checks.Missing(request.has_shape(), "shape", "changing a job's size");
  checks.Missing(request.has_topology(), "topology", "changing a job's topology");
  checks.Missing(request.has_dependencies(), "dependencies", "changing dependencies");
  checks.Missing(request.has_requeue(), "requeue", "changing whether a job is tried again");
  checks.Require(!request.allow_delay() || request.has_time_limit_ms(), "allow_delay",
                 "goes with a longer time_limit_ms");
  if (request.has_time_limit_ms()) {
    checks.Range("time_limit_ms", request.time_limit_ms(), 1, kLongestJobMs);
  }
  if (request.has_user_priority()) {
    checks.Range("user_priority", request.user_priority(), -10'000, 10'000);
  }
  if (request.has_begin_ms()) checks.Range("begin_ms", request.begin_ms(), 0, kLatestMs);
  if (request.has_deadline_ms()) checks.Range("deadline_ms", request.deadline_ms(), 0, kLatestMs);
  if (request.has_array_max_running()) {
    checks.Range("array_max_running", request.array_max_running(), 0, kElementsMost);
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
                              const std::vector<JobRecord>& records) {
  if (request.allow_delay() && !caller.everywhere) {
    return FieldProblem(Code::kPermissionDenied,
                        {"allow_delay",
                         "ROLE_MISSING",
                         "only cluster admins let what is promised to others be delayed",
                         {}});
  }
  if (request.allow_delay() && request.reason().empty()) {
    return Invalid("reason", "say why, for the record: what is promised to others may be delayed");
  }
  for (const auto& record : records) {
    if (!ActsAsAdmin(caller, record.job) || !request.reason().empty()) continue;
    return Invalid("reason",
                   "say why, for the record: job " + ToText(record.job.ref) + " is another's");
  }
  ChangeJobs command;
  if (request.has_hold()) AddHolds(caller, request, records, &command.changes);
  for (const bool by_admin : {false, true}) {
    std::vector<JobRef> jobs;
    for (const auto& record : records) {
      if (ActsAsAdmin(caller, record.job) == by_admin) jobs.push_back(record.job.ref);
    }
    if (ChangesSpec(request) && !jobs.empty()) {
      command.changes.push_back(ChangeOf(request, std::move(jobs), by_admin));
    }
  }
  return command;
}

}  // namespace kezek::rpc

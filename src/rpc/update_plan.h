// What a change of jobs comes to: checked against the jobs as they are, then one command for the
// desk. Pure but for the desk's opinion of a changed spec.
#pragma once

#include <vector>

#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/v1/job_service.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// The caller acts on what is another's as an admin: neither the owner nor a lead of the project.
bool ActsAsAdmin(const Caller& caller, const Job& job);

// INVALID_ARGUMENT FIELD_INVALID: an admin's comment is missing. No changes where all are over;
// with a signal that is FAILED_PRECONDITION NOT_RUNNING.
Result<ChangeJobs> PlanCancel(const Caller& caller, const v1::CancelRequest& request,
                              const std::vector<JobRecord>& records);

// What is wrong with the request by itself: FIELD_INVALID, NOT_YET.
Result<void> CheckUpdate(const v1::UpdateRequest& request);

// FAILED_PRECONDITION JOB_FINAL, JOB_STARTED, and what the desk would refuse; PERMISSION_DENIED
// NEEDS_ADMIN, HELD_BY_ADMIN. The desk checks again: by then a job may have started or ended.
Result<ChangeJobs> PlanUpdate(const Caller& caller, const v1::UpdateRequest& request,
                              const std::vector<JobRecord>& records, const Desk& desk);

}  // namespace kezek::rpc

// What a change of jobs comes to: one command for the desk. Here is what depends on who asks and
// what is wrong with the request by itself; the desk says what jobs, as they are, cannot take.
// Pure.
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

// INVALID_ARGUMENT FIELD_INVALID: an admin's comment is missing. PERMISSION_DENIED NOT_OWNER:
// another's job is not to run a second time. FAILED_PRECONDITION NOT_RUNNING: all are over.
Result<ChangeJobs> PlanRequeue(const Caller& caller, const v1::RequeueRequest& request,
                               const std::vector<JobRecord>& records);

// What is wrong with the request by itself: FIELD_INVALID, NOT_YET.
Result<void> CheckUpdate(const v1::UpdateRequest& request);

// INVALID_ARGUMENT FIELD_INVALID: an admin's reason is missing. PERMISSION_DENIED ROLE_MISSING: who
// is no cluster admin lets others be delayed.
Result<ChangeJobs> PlanUpdate(const Caller& caller, const v1::UpdateRequest& request,
                              const std::vector<JobRecord>& records);

}  // namespace kezek::rpc

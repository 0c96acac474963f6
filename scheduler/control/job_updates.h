// Changes to what jobs ask for. Private to scheduler/control; see UpdateJobs in kezek/desk.h.
#pragma once

#include "kezek/desk.h"
#include "kezek/result.h"
#include "scheduler/control/core.h"

namespace kezek::control {

// What speaks against the change of any of its jobs, by the names and reasons of the API's Update:
// NOT_FOUND NO_SUCH_JOB; FAILED_PRECONDITION JOB_FINAL, JOB_STARTED; INVALID_ARGUMENT FIELD_INVALID
// (array_max_running of what is no array); and what Admission refuses of a queued job, with the
// class's limit on queued jobs of a user for those that change their class.
Result<void> Check(const Core& core, const UpdateJobs& update);

// Makes a checked change. Jobs that are as asked already, or over by now, are left as they are.
void Apply(Core& core, const UpdateJobs& update, const Command& command, CommandOutcome& outcome);

}  // namespace kezek::control

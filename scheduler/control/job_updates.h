// Changes to what jobs ask for. Private to scheduler/control; see UpdateJobs in kezek/desk.h.
#pragma once

#include "kezek/desk.h"
#include "kezek/result.h"
#include "scheduler/control/core.h"

namespace kezek::control {

// What speaks against the change of any of its jobs. NOT_FOUND; FAILED_PRECONDITION JOB_ENDED,
// NOT_QUEUED, NOT_AN_ARRAY; and what Admission refuses of a queued job.
Result<void> Check(const Core& core, const UpdateJobs& update);

// Makes a checked change. Jobs that are as asked already, or over by now, are left as they are.
void Apply(Core& core, const UpdateJobs& update, const Command& command, CommandOutcome& outcome);

}  // namespace kezek::control

// Changes to what jobs ask for. Private to scheduler/control; see UpdateJobs in kezek/desk.h.
#pragma once

#include <memory>

#include "kezek/desk.h"
#include "kezek/result.h"
#include "scheduler/control/core.h"

namespace kezek::control {

// Checks the updates of one command together: what one of them takes of budgets and of the room in
// a class's queue is not there for the next.
class UpdateCheck {
 public:
  explicit UpdateCheck(const Core& core);
  ~UpdateCheck();
  UpdateCheck(const UpdateCheck&) = delete;
  UpdateCheck& operator=(const UpdateCheck&) = delete;

  // What speaks against the change of any of its jobs, by the names and reasons of the API's
  // Update: NOT_FOUND NO_SUCH_JOB; FAILED_PRECONDITION JOB_FINAL, JOB_STARTED; INVALID_ARGUMENT
  // FIELD_INVALID (array_max_running of what is no array); what Admission refuses, with the class's
  // limit on queued jobs of a user for those that change their class; and for a running job's
  // longer limit BUDGET_EXHAUSTED, BUDGET_PERIOD_ENDS.
  Result<void> Check(const UpdateJobs& update);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Makes a checked change. Jobs that are as asked already, or over by now, are left as they are. An
// array stands for its elements, too, that are not over.
void Apply(Core& core, const UpdateJobs& update, const Command& command, CommandOutcome& outcome);

}  // namespace kezek::control

// Where the references of a command lead. Private to scheduler/control.
#pragma once

#include <cstdint>
#include <vector>

#include "kezek/job.h"
#include "kezek/result.h"
#include "scheduler/control/core.h"

namespace kezek::control {

enum class Place : std::uint8_t {
  kRow,      // a job, an array or an element with a row
  kPending,  // an element without one
  kGone,     // final, and no longer in memory
  kNone,     // the array has no such element
};

Place Find(const Core& core, const JobRef& ref);

// kGone, or a row in a final state.
bool IsOver(const Core& core, const JobRef& ref);

// NOT_FOUND NO_SUCH_JOB: one of them is kNone.
Result<void> CheckAll(const Core& core, const std::vector<JobRef>& jobs);

// The row; one is made for a pending element.
Job RowFor(Core& core, const JobRef& ref);

}  // namespace kezek::control

// The queue in figures, for metrics: how many jobs wait by class and reason, how many attempts hold
// resources by class and state. Pure; a walk over all jobs, so not for every round.
#pragma once

#include "kezek/desk.h"
#include "kezek/meter.h"
#include "scheduler/control/queue_state.h"

namespace kezek::control {

// `view` gives the reasons: a job that came after its tick has kNone. Sorted by class, then reason
// or state.
QueueTally TallyQueue(const QueueState& state, const View& view);

}  // namespace kezek::control

// What other than lack of room keeps a job from starting now.
#pragma once

#include <vector>

#include "kezek/reason.h"
#include "quota/limits.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// Of a job that settings do not bar: what quota::FirstLimit and quota::OutsideGuarantee say.
// `allocated`: of its type, by index, with what the plan has given;
// `guarantees` likewise, those that count now; empty: as they are set.
Reason StopOf(const World& world, const quota::RunningTable& running,
              const std::vector<MilliGpus>& allocated, const quota::JobCount& job,
              const std::vector<MilliGpus>& guarantees = {});

// The stop of a draw on budgets; one that is to start as a scavenger at the next tick waits for
// that.
Reason StopOf(const World& world, const quota::Draw& draw);

// What keeps a job from starting that more GPUs would not change.
bool IsStop(const Reason& reason);
// Of these, what a budget does not hold.
bool IsOfBudget(const Reason& reason);

void Take(const quota::Draw& draw, quota::Taken& taken);

}  // namespace kezek::engine

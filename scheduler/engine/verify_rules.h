// The rules of verify that look at more than one start at a time.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "scheduler/engine/engine.h"
#include "scheduler/engine/recount.h"
#include "scheduler/engine/verify.h"

namespace kezek::engine {

// GPUs free on shared nodes in service, counted node by node.
MilliGpus FreeMilli(const Basis& basis, const Recount& recount, const std::string& gpu_type);

// What is promised when the plan is carried out: the world's, or the plan's.
std::map<JobRef, const Reservation*> PromisedAfter(const World& world, const Plan& plan);

// The place of what became of a promise in the plan, if it says.
std::optional<std::size_t> ChangeOf(const Plan& plan, const JobRef& row);

// Why a job may not be on these nodes from one time until another, as admins have reserved them.
std::optional<std::string> BrokenWindow(const World& world, const Waiting& job,
                                        const Placement& placement, TimeMs from, TimeMs until);

// Starts keep every other rule: what they take is there.

// A reservation that moved as it may not, or one of these.
std::optional<Violation> BrokenReservation(const Basis& basis, const Plan& plan);
// One that cannot hold its job, or the first start that makes it so.
std::optional<Violation> BrokenPromise(const Basis& basis, const Plan& plan);

std::optional<Violation> BrokenPreempt(const Basis& basis, const Plan& plan);

// The last start of a later tier that took what a job of an earlier one could have started on. A
// start is of a later tier than a job that waits if it is a scavenger and the job is not, or if,
// below their lowest common ancestor, the start was outside its side's guarantee, while the job is
// inside the guarantees of all accounts down to its own side's.
std::optional<Violation> BrokenOrder(const Basis& basis, const Plan& plan);

}  // namespace kezek::engine

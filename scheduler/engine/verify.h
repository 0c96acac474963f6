// Verify: counts a plan anew from nodes, holdings and placements, not from the passes' totals.
//
// Rules, each of which drops the decision that breaks it, whereupon the rest is verified again:
//   starts        the job waits, is startable, and starts once; the whole gang, one grant a node;
//                 nodes known, in service, cleared for its data, allowed by labels and
//                 lists, within the domain; no GPU
//                 twice, CPUs and memory not exceeded, exclusive means alone; counted GPUs right;
//                 all in one pool that the job may start in
//                 of what admins have reserved, nothing that is not free for it until it ends
//   limits        no limit of an account, user or class and no borrow_max passed; classes that may
//                 not be preempted inside every guarantee; what others keep idle stays free
//   budgets       none holds less than the starts take of it
//   order         in shared pools no job that was looked at in an earlier tier is left that could
//   itself have
//                 started on what later tiers took
//   preempts      the victim may be preempted, is past min_run (scavengers need not be), no
//                 guarantee on its side covers it, and the job is inside its own side's guarantee
//   reservations  the nodes can hold the job at that time, whatever runs and starts
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kezek/time.h"
#include "quota/entitlement.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// What the plan was made for.
struct Basis {
  const World* world = nullptr;
  TimeMs now_ms = 0;
  // What accounts keep idle, by GPU type and index.
  const std::map<std::string, std::vector<quota::Entitlement>>* entitled = nullptr;
};

enum class Decision : std::uint8_t { kStart, kPreempt, kReservation };

struct Violation {
  Decision decision = Decision::kStart;
  std::size_t index = 0;  // in the plan's list of such decisions
  std::string rule;       // what is broken, for the operator
};

// The first rule that is broken, if any.
std::optional<Violation> FirstViolation(const Basis& basis, const Plan& plan);

// Drops what breaks a rule until nothing does. A dropped job waits with reason kSetAside and is
// listed in plan.dropped.
void Verify(const Basis& basis, Plan& plan);

}  // namespace kezek::engine

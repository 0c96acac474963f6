// Reclaim: which running attempts would end so that jobs inside a guarantee have room.
//
// For a job and a victim let L be their lowest common ancestor. The job is inside the guarantee of
// L's child on its own side, and no account's guarantee on the victim's side below L covers the
// victim; or the victim is a scavenger; or both are of one project, the job of a class that
// preempts lower ones (ClassRules) and the victim of such a one. Victims may be preempted and are
// past min_run (scavengers need not be). In each domain that can hold the job (node, leaf, block,
// machine) victims are taken in the order of their cost until it fits, then those that are not
// needed are dropped, the dearest first; the domain wins that loses the least GPU-time. No victim
// is taken that could then itself reclaim.
//
// All of it is about shared nodes: what is dedicated, or a lane, nobody has a right to.
//
// No pass of the tick preempts yet: this tells who asks what would be.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/time.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

struct Reclaimed {
  JobRef job;  // of an array: the element
  JobRef row;
  Placement placement;
  // By cost; none: those before it leave it room enough.
  std::vector<AttemptRef> victims;
  bool operator==(const Reclaimed&) const = default;
};

// Running attempts that the guarantee of an account covers, by account and GPU type: of what it
// runs, oldest start first, each that still fits in what is left of the guarantee that counts now.
using Covers = std::map<std::pair<quota::AccountIndex, std::string>, std::set<AttemptRef>>;
Covers CoveredBy(const World& world, TimeMs now);

// For the jobs that wait for room in `plan`, made of this world for `now`, in their order; what one
// takes is taken for those behind it. Of an array: for its first element. Of all that ask, equal
// ones counted once, the first 200.
std::vector<Reclaimed> Reclaim(const World& world, const Plan& plan, TimeMs now);

}  // namespace kezek::engine

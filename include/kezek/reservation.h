// What is promised to jobs that wait.
#pragma once

#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

// Nodes that are kept for a job that waits. One that has victims is a reclaim under way: they are
// being ended for it, and it counts as allocated.
struct Reservation {
  JobRef row;               // where it waits: for an array its row, and then of its next element
  TimeMs from_ms = 0;       // the nodes are its own from then on
  DurationMs limit_ms = 0;  // its time limit when it was given: who asks for more loses it
  Shape shape;              // likewise
  Placement placement;
  MilliGpus counted_milli = 0;
  bool inside = false;  // its job was inside its guarantee
  TimeMs given_ms = 0;
  std::vector<AttemptRef> victims;  // in the order of their cost
  bool operator==(const Reservation&) const = default;
};

}  // namespace kezek

// What one round of the controller did: for logs and metrics, decides nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/event.h"
#include "kezek/meter.h"
#include "kezek/time.h"

namespace kezek::control {

struct RoundReport {
  TimeMs now_ms = 0;
  bool ticked = false;        // the engine decided
  std::int64_t tick = 0;      // number of the last tick
  std::int64_t starts = 0;    // attempts planned
  std::int64_t waiting = 0;   // jobs and arrays in the queue
  std::int64_t keyed = 0;     // of these, put into their order anew, so often
  std::int64_t alive = 0;     // attempts that hold resources
  std::int64_t commands = 0;  // of people, answered
  std::vector<Event> events;  // committed in this round; without numbers
  std::vector<FirstRun> first_runs;
  std::vector<ChargedTime> charged;
  std::vector<PreemptedRun> preempted;
  PromiseMeasure promises;
  std::vector<std::string> notes;  // for the log: what was ignored and why
  // What must not happen: for an operator at once, dumps included.
  std::vector<std::string> alarms;
  // Not empty: nothing is started or cancelled until an admin decides.
  std::string stopped;
  // The store failed: all was read anew, and commands waiting were answered UNAVAILABLE.
  std::string reloaded;
};

}  // namespace kezek::control

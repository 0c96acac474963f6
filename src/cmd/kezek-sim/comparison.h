// What is written of a comparison: a table, JSON, plots.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/sim/replay/figures.h"
#include "scheduler/sim/replay/job_list.h"

namespace kezek::simcmd {

struct Comparison {
  std::string trace;
  std::string estimates;
  std::uint64_t seed = 0;
  replay::JobList list;
  std::vector<replay::Figures> policies;
};

// For people: all policies beside each other, then mean waits by size and by group.
std::string TableText(const Comparison& comparison);
// One object. Times in seconds, ticks in milliseconds, parts between 0 and 1.
std::string JsonText(const Comparison& comparison);
// Plots as SVG: how long jobs waited, and how much of the machine was held over time.
std::string WaitPlot(const Comparison& comparison);
std::string UtilisationPlot(const Comparison& comparison);

}  // namespace kezek::simcmd

// What is written of a comparison: a table, JSON, plots.
#pragma once

#include <cstdint>
#include <optional>
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

// How many groups wait less on average than under EASY, and how many more. None: EASY is not among
// the policies, or it is this one.
struct BesideEasy {
  std::int64_t less = 0;
  std::int64_t more = 0;
};
std::optional<BesideEasy> GroupsBesideEasy(const Comparison& comparison,
                                           const replay::Figures& figures);

// For people: all policies beside each other, then mean waits by size and by group.
std::string TableText(const Comparison& comparison);
// One object. Times in seconds, ticks in milliseconds, parts between 0 and 1.
std::string JsonText(const Comparison& comparison);
// Plots as SVG: how long jobs waited, and how much of the machine was held over time.
std::string WaitPlot(const Comparison& comparison);
std::string UtilisationPlot(const Comparison& comparison);

}  // namespace kezek::simcmd

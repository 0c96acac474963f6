// kezek-sim: runs the simulator from the command line: to soak it, to reproduce a seed, to see what
// shares come to over days, and to compare schedulers on traces of real clusters.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>

#include "cmd/kezek-sim/compare.h"
#include "scheduler/sim/long_run.h"
#include "scheduler/sim/simulator.h"

namespace {

using kezek::sim::SimOptions;
using kezek::sim::SimResult;
using kezek::sim::Simulate;

struct Totals {
  std::int64_t acknowledged = 0;
  std::int64_t attempts = 0;
  std::int64_t crashes = 0;
  std::int64_t preempted = 0;
  std::int64_t promises = 0;
  std::int64_t simulated_ms = 0;
  kezek::sim::WindowFigures windows;
  std::map<std::string, std::int64_t> happened;
};

void Say(std::uint64_t seed, const std::string& text) {
  std::cout << "seed " << seed << ": " << text << "\n";
}

// False: a breach, said with the line that reproduces it.
bool RunSeed(SimOptions options, std::uint64_t seed, bool trace, Totals& totals) {
  options.seed = seed;
  const SimResult first = Simulate(options);
  const SimResult second = Simulate(options);
  if (trace) std::cout << first.trace;
  totals.acknowledged += first.acknowledged;
  totals.attempts += first.attempts;
  totals.crashes += first.crashes;
  totals.preempted += first.preempted;
  totals.promises += first.promises;
  totals.simulated_ms += first.simulated_ms;
  totals.windows.put += first.windows.put;
  totals.windows.ended += first.windows.ended;
  totals.windows.inside += first.windows.inside;
  totals.windows.drained += first.windows.drained;
  totals.windows.over_running += first.windows.over_running;
  for (const auto& [what, times] : first.happened) totals.happened[what] += times;
  const bool equal = first.trace == second.trace;
  if (first.breaches.empty() && equal) return true;
  for (const std::string& breach : first.breaches) Say(seed, breach);
  if (!equal) Say(seed, "two runs gave different traces");
  std::cout << "reproduce: kezek-sim fuzz --seeds 1 --seed " << seed << " --jobs " << options.jobs
            << (options.restore ? " --restore" : "") << (options.promises ? " --promises" : "")
            << (options.skew ? " --skew" : "") << (options.windows ? " --windows" : "")
            << " --trace\n";
  return false;
}

constexpr double kGpu = 1000.0;

void PrintShare(const kezek::sim::ShareLine& line) {
  std::cout << std::left << std::setw(14) << line.path << std::right << std::fixed
            << std::setprecision(1) << std::setw(10)
            << static_cast<double>(line.entitled_milli) / kGpu << std::setw(10)
            << static_cast<double>(line.allocated_milli) / kGpu << std::setw(9)
            << static_cast<double>(line.allocated_milli - line.entitled_milli) / kGpu
            << std::setw(9) << static_cast<double>(line.allowed_milli) / kGpu
            << (line.within() ? "" : "  OUTSIDE") << "\n";
}

// A table of sectors and institutions (or of everything), the worst of each level; false: some
// account is further from its entitlement than is allowed.
bool RunShares(const kezek::sim::LongRunOptions& options, bool everything) {
  const kezek::sim::LongRunResult result = kezek::sim::RunLong(options);
  std::cout << std::left << std::setw(14) << "ACCOUNT" << std::right << std::setw(10) << "ENTITLED"
            << std::setw(10) << "HELD" << std::setw(9) << "MORE" << std::setw(9) << "ALLOWED"
            << "\n";
  const kezek::sim::ShareLine* worst[5] = {};
  std::int64_t outside = 0;
  const auto badness = [](const kezek::sim::ShareLine& line) {
    const auto difference = static_cast<double>(line.allocated_milli - line.entitled_milli);
    return (difference < 0 ? -difference : difference) / static_cast<double>(line.allowed_milli);
  };
  for (const kezek::sim::ShareLine& line : result.lines) {
    if (everything || line.level <= 2 || !line.within()) PrintShare(line);
    if (!line.within()) ++outside;
    const kezek::sim::ShareLine*& most = worst[line.level];
    if (most == nullptr || badness(line) > badness(*most)) most = &line;
  }
  for (const int level : {1, 2, 3, 4}) {
    static const char* const kLevels[] = {"", "sectors", "institutions", "projects", "users"};
    std::cout << "worst of the " << kLevels[level] << ", " << std::setprecision(0)
              << 100.0 * badness(*worst[level]) << " % of what is allowed:\n";
    PrintShare(*worst[level]);
  }
  std::cout << "seed " << options.seed << ": " << result.jobs << " jobs, on average "
            << std::setprecision(1) << static_cast<double>(result.allocated_milli) / kGpu << " of "
            << options.gpus << " GPUs held, " << result.samples << " samples, " << outside
            << " accounts and users outside\n";
  return outside == 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Runs Kezek without a cluster: its controller among faults, its engine on traces of real "
      "clusters beside other schedulers.");
  app.require_subcommand(1);
  CLI::App* fuzz = app.add_subcommand("fuzz", "runs seeds, each twice; ends with 1 at a breach");
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  bool trace = false;
  SimOptions options;
  fuzz->add_option("--seed", seed, "first seed");
  fuzz->add_option("--seeds", seeds, "how many, one after another");
  fuzz->add_option("--jobs", options.jobs, "submissions in each");
  fuzz->add_flag("--restore", options.restore, "lose the database too, and restore an older copy");
  fuzz->add_flag("--promises", options.promises, "with reservations and reclaim");
  fuzz->add_flag("--skew", options.skew, "slurmctld's clock is up to four minutes off");
  fuzz->add_flag("--windows", options.windows, "admins reserve nodes, and jobs ask for these");
  fuzz->add_flag("--trace", trace, "print every event");
  CLI::App* shares = app.add_subcommand(
      "shares", "a week of full queues: what accounts hold beside what they are entitled to");
  kezek::sim::LongRunOptions week;
  bool everything = false;
  shares->add_option("--seed", week.seed, "of weights, guarantees and jobs");
  shares->add_option("--gpus", week.gpus, "of the machine");
  shares->add_option("--gpus-per-node", week.gpus_per_node, "0: all in one node");
  shares->add_option("--days", week.days, "simulated; the first is left out")
      ->check(CLI::Range(2, 1000));
  shares->add_flag("--all", everything, "a line for each project and user, too");
  kezek::simcmd::CompareCommand compare(app);
  CLI11_PARSE(app, argc, argv);
  if (compare.parsed()) return compare.Run();
  if (shares->parsed()) return RunShares(week, everything) ? 0 : 1;
  Totals totals;
  std::uint64_t failed = 0;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    if (!RunSeed(options, seed + i, trace, totals)) ++failed;
  }
  std::cout << seeds << " seeds, " << failed << " with breaches; " << totals.acknowledged
            << " submissions, " << totals.attempts << " attempts, " << totals.crashes
            << " crashes, " << totals.preempted << " preempted, " << totals.promises
            << " events of reservations, " << totals.simulated_ms / 3'600'000 << " h simulated\n";
  if (options.windows) {
    std::cout << "admins' reservations: " << totals.windows.put << " made or changed, "
              << totals.windows.over_running << " of them over whatever runs, "
              << totals.windows.ended << " deleted, " << totals.windows.drained
              << " times begun on empty nodes, " << totals.windows.inside << " attempts inside\n";
  }
  std::string happened;
  for (const auto& [what, times] : totals.happened) {
    happened += (happened.empty() ? "" : ", ") + what + " " + std::to_string(times);
  }
  std::cout << "what went wrong: " << happened << "\n";
  return failed == 0 ? 0 : 1;
}

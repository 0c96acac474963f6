// kezek-sim: runs the simulator from the command line, to soak it and to reproduce a seed.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <string>

#include "scheduler/sim/simulator.h"

namespace {

using kezek::sim::SimOptions;
using kezek::sim::SimResult;
using kezek::sim::Simulate;

struct Totals {
  std::int64_t acknowledged = 0;
  std::int64_t attempts = 0;
  std::int64_t crashes = 0;
  std::int64_t simulated_ms = 0;
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
  totals.simulated_ms += first.simulated_ms;
  const bool equal = first.trace == second.trace;
  if (first.breaches.empty() && equal) return true;
  for (const std::string& breach : first.breaches) Say(seed, breach);
  if (!equal) Say(seed, "two runs gave different traces");
  std::cout << "reproduce: kezek-sim fuzz --seeds 1 --seed " << seed << " --jobs " << options.jobs
            << (options.restore ? " --restore" : "") << " --trace\n";
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Runs Kezek's controller on a fake cluster with faults; everything comes from a seed.");
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
  fuzz->add_flag("--trace", trace, "print every event");
  CLI11_PARSE(app, argc, argv);
  Totals totals;
  std::uint64_t failed = 0;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    if (!RunSeed(options, seed + i, trace, totals)) ++failed;
  }
  std::cout << seeds << " seeds, " << failed << " with breaches; " << totals.acknowledged
            << " submissions, " << totals.attempts << " attempts, " << totals.crashes
            << " crashes, " << totals.simulated_ms / 3'600'000 << " h simulated\n";
  return failed == 0 ? 0 : 1;
}

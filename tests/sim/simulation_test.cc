// Goal: whatever the network, the cluster, other hands on it, the store and the process do wrong,
// no acknowledged job is lost, no attempt runs twice or beside another of its job, no GPU is given
// twice, nobody is preempted unsaid or before his time, every attempt that ran is settled once, at
// the time that the accounting has, faults of the machine cost nothing, only legal changes happen,
// and when the faults stop nothing is stuck and everything finishes. Method: seeds; the very loop
// of the daemon on a store in memory and a fake cluster with faults, the controller killed at any
// call; rules checked from outside; each seed twice, to equal traces. KEZEK_SEEDS sets how many.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>

#include "scheduler/sim/simulator.h"

namespace kezek::sim {
namespace {

constexpr std::uint64_t kFirstSeed = 20'000;

std::uint64_t Seeds() {
  const char* text = std::getenv("KEZEK_SEEDS");
  return text == nullptr ? 60 : std::strtoull(text, nullptr, 10);
}

std::string Repro(const SimOptions& options) {
  return "reproduce: kezek-sim fuzz --seeds 1 --seed " + std::to_string(options.seed) + " --jobs " +
         std::to_string(options.jobs) + " --trace" + (options.promises ? " --promises" : "") +
         (options.restore ? " --restore" : "") + (options.skew ? " --skew" : "") +
         (options.windows ? " --windows" : "");
}

// Each of so many seeds twice, up to the first that breaks a rule or differs; `see` is told what
// came of it.
template <class See>
void ForSeeds(SimOptions options, std::uint64_t first_seed, std::uint64_t seeds, See see) {
  for (std::uint64_t i = 0; i < seeds; ++i) {
    options.seed = first_seed + i;
    const SimResult first = Simulate(options);
    for (const std::string& breach : first.breaches) ADD_FAILURE() << breach;
    ASSERT_TRUE(first.breaches.empty()) << Repro(options);
    ASSERT_TRUE(first.trace == Simulate(options).trace) << "traces differ; " << Repro(options);
    see(first);
  }
}

TEST(SimulationTest, NothingBreaksUnderFaults) {
  std::int64_t crashes = 0;
  std::int64_t attempts = 0;
  std::map<std::string, std::int64_t> happened;
  ForSeeds({}, kFirstSeed, Seeds(), [&](const SimResult& result) {
    crashes += result.crashes;
    attempts += result.attempts;
    for (const auto& [what, times] : result.happened) happened[what] += times;
  });
  // The faults did happen.
  EXPECT_GT(attempts, 0);
  if (Seeds() < 20) return;
  EXPECT_GT(crashes, 0);
  for (const char* what :
       {"answers late",         "answers lost",         "requests again",   "requests late",
        "submitted twice",      "times keys failed",    "times silent",     "jobs cancelled",
        "jobs comment changed", "jobs forgotten",       "jobs held",        "jobs limit changed",
        "jobs released",        "jobs renamed",         "jobs requeued",    "jobs requeued by hand",
        "nodes failed",         "slurmctld begun cold", "slurmctld killed", "slurmctld restarted",
        "slurmctld wiped",      "slurmdbd away"}) {
    EXPECT_GT(happened[what], 0) << what;
  }
}

// The checks are those of the first test. With the difference of the clocks left out half of the
// seeds break one.
TEST(SimulationTest, AClockThatIsMinutesOffChangesNothing) {
  SimOptions options;
  options.skew = true;
  const std::uint64_t kinds = std::max<std::uint64_t>(1, Seeds() / 3);
  ForSeeds(options, 6 * kFirstSeed, kinds, [](const SimResult&) {});
  options.restore = true;
  ForSeeds(options, 7 * kFirstSeed, kinds, [](const SimResult&) {});
}

// The checks are those of the first test; besides, who is preempted hears of it in the same commit,
// is told after it, and has its time; what is stored of promises is what the engine knows.
TEST(SimulationTest, PromisesAreKeptUnderFaults) {
  std::int64_t preempted = 0;
  std::int64_t promises = 0;
  SimOptions options;
  options.promises = true;
  ForSeeds(options, kFirstSeed, Seeds(), [&](const SimResult& result) {
    preempted += result.preempted;
    promises += result.promises;
  });
  if (Seeds() < 20) return;
  EXPECT_GT(preempted, 0);
  EXPECT_GT(promises, 0);
}

// The checks are those of the first test, and those of window_checker.h; a third of the seeds
// as it is, a third with promises, a third with a restore besides.
TEST(SimulationTest, AdminsReservationsAreKeptUnderFaults) {
  WindowFigures seen;
  const auto see = [&seen](const SimResult& result) {
    seen.put += result.windows.put;
    seen.ended += result.windows.ended;
    seen.inside += result.windows.inside;
    seen.drained += result.windows.drained;
    seen.over_running += result.windows.over_running;
  };
  SimOptions options;
  options.windows = true;
  const std::uint64_t kinds = std::max<std::uint64_t>(1, Seeds() / 3);
  ForSeeds(options, 3 * kFirstSeed, kinds, see);
  options.promises = true;
  ForSeeds(options, 4 * kFirstSeed, kinds, see);
  options.restore = true;
  ForSeeds(options, 5 * kFirstSeed, kinds, see);
  if (Seeds() < 20) return;
  EXPECT_GT(seen.put, 0);
  EXPECT_GT(seen.ended, 0);
  EXPECT_GT(seen.inside, 0);
  EXPECT_GT(seen.drained, 0);
  EXPECT_GT(seen.over_running, 0);
}

// The checks are those of the first test, and one more: while the cluster has jobs of attempts
// that the restored copy does not know, it is told nothing.
TEST(SimulationTest, NothingIsStartedOrCancelledAfterARestoreUntilAnAdminDecides) {
  std::int64_t stops = 0;
  SimOptions options;
  options.restore = true;
  ForSeeds(options, 2 * kFirstSeed, Seeds(),
           [&](const SimResult& result) { stops += result.stops; });
  if (Seeds() < 20) return;
  EXPECT_GT(stops, 0);
}

TEST(SimulationTest, WithoutFaultsEveryAttemptIsTheOnlyOneOrARequeue) {
  SimOptions options;
  options.faults_ms = 0;
  for (options.seed = 1; options.seed <= 5; ++options.seed) {
    const SimResult result = Simulate(options);
    for (const std::string& breach : result.breaches) ADD_FAILURE() << breach;
    EXPECT_TRUE(result.breaches.empty()) << Repro(options);
    EXPECT_EQ(result.crashes, 0);
    EXPECT_GT(result.acknowledged, 40);
  }
}

TEST(SimulationTest, DifferentSeedsDiffer) {
  SimOptions options;
  options.jobs = 10;
  const SimResult first = Simulate(options);
  options.seed = 2;
  EXPECT_NE(first.trace, Simulate(options).trace);
}

}  // namespace
}  // namespace kezek::sim

// Goal: whatever the policy, a replay gives no GPU twice, runs every job once, whole and as long as
// it takes, on nodes of its part, not before it was submitted; the first come starts first where
// that is the policy; and the same list gives the same replay. Method: random lists by seed, and
// the runs that were made, looked at from outside.

#include "scheduler/sim/replay/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/policies.h"
#include "tests/property/seeds.h"

namespace kezek::replay {
namespace {

struct Ran {
  JobIndex job = kNoJob;
  std::int64_t from_s = 0;
  std::int64_t to_s = 0;
  std::vector<std::int32_t> nodes;
  bool operator==(const Ran&) const = default;
};

JobList RandomList(std::uint64_t seed) {
  property::Dice dice(seed);
  constexpr std::int32_t kGpus[] = {1, 2, 4, 8};
  ListOptions options;
  options.gpus_per_node = kGpus[dice.Roll(0, 3)];
  const std::int64_t groups = dice.Roll(1, 4);
  const std::int64_t nodes = dice.Roll(groups, 12);
  options.capacity_gpus = nodes * options.gpus_per_node;
  options.split = dice.Chance(40);
  options.shares = dice.Chance(50) ? Shares::kEqual : Shares::kDemand;
  constexpr Estimates kEstimates[] = {Estimates::kOracle, Estimates::kNoisy, Estimates::kNone};
  options.estimates = kEstimates[dice.Roll(0, 2)];
  options.seed = seed;
  std::vector<TraceRow> rows(static_cast<std::size_t>(dice.Roll(1, 80)));
  std::int64_t now_s = 0;
  for (TraceRow& row : rows) {
    now_s += dice.Chance(30) ? 0 : dice.Roll(1, 400);
    row.submit_s = now_s;
    row.duration_s = dice.Chance(20) ? dice.Roll(1, 20'000) : dice.Roll(1, 1000);
    const std::int64_t most = dice.Chance(30) ? options.capacity_gpus : options.gpus_per_node;
    row.milli_gpus = dice.Roll(1, most) * 1000;
    row.group = "g" + std::to_string(dice.Roll(1, groups));
    row.user = "u" + std::to_string(dice.Roll(1, 3));
  }
  rows.front().milli_gpus = 1000;  // one at least can run
  return MakeJobList(rows, options).value();
}

std::vector<Ran> RunAll(const JobList& list, const std::string& name) {
  std::vector<Ran> all;
  ReplayOptions options;
  options.ran = [&all](JobIndex job, std::int64_t from_s, std::int64_t to_s,
                       std::span<const std::int32_t> nodes) {
    all.push_back({job, from_s, to_s, {nodes.begin(), nodes.end()}});
  };
  const auto policy = MakePolicy(name, list, {});
  const ReplayResult result = Replay(list, *policy, options);
  EXPECT_EQ(result.never, 0) << name;
  return all;
}

void CheckJobs(const JobList& list, const std::vector<Ran>& runs) {
  std::set<JobIndex> seen;
  for (const Ran& run : runs) {
    const Job& job = list.jobs[static_cast<std::size_t>(run.job)];
    EXPECT_TRUE(seen.insert(run.job).second) << "job " << run.job << " ran twice";
    EXPECT_GE(run.from_s, job.submit_s);
    EXPECT_EQ(run.to_s - run.from_s, job.duration_s);
    const std::set<std::int32_t> nodes(run.nodes.begin(), run.nodes.end());
    EXPECT_EQ(std::ssize(nodes), list.ShapeOf(run.job).nodes);
    const Part& part = list.parts[static_cast<std::size_t>(job.part)];
    EXPECT_GE(*nodes.begin(), part.first);
    EXPECT_LT(*nodes.rbegin(), part.first + part.nodes);
  }
  EXPECT_EQ(seen.size(), list.jobs.size());
}

void CheckNodes(const JobList& list, const std::vector<Ran>& runs) {
  std::map<std::int32_t, std::map<std::int64_t, std::int64_t>> changes;  // by node and time
  for (const Ran& run : runs) {
    for (const std::int32_t node : run.nodes) {
      changes[node][run.from_s] += list.ShapeOf(run.job).gpus;
      changes[node][run.to_s] -= list.ShapeOf(run.job).gpus;
    }
  }
  for (const auto& [node, times] : changes) {
    std::int64_t held = 0;
    for (const auto& [at_s, change] : times) {
      held += change;
      EXPECT_LE(held, list.gpus_per_node) << "node " << node << " at " << at_s;
    }
  }
}

// In each part.
void CheckFirstCome(const JobList& list, const std::vector<Ran>& runs) {
  std::map<JobIndex, std::int64_t> starts;
  for (const Ran& run : runs) starts[run.job] = run.from_s;
  std::map<std::int32_t, std::int64_t> last;
  for (const auto& [job, start_s] : starts) {
    std::int64_t& before = last[list.jobs[static_cast<std::size_t>(job)].part];
    EXPECT_GE(start_s, before) << "job " << job;
    before = start_s;
  }
}

TEST(ReplayProperty, EveryPolicyKeepsTheMachineWhole) {
  property::ForEachSeed([](std::uint64_t seed) {
    const JobList list = RandomList(seed);
    for (const NamedPolicy& named : Policies()) {
      const std::string name(named.name);
      SCOPED_TRACE(name + ", seed " + std::to_string(seed));
      const std::vector<Ran> runs = RunAll(list, name);
      CheckJobs(list, runs);
      CheckNodes(list, runs);
      if (name == "fifo") CheckFirstCome(list, runs);
      EXPECT_EQ(runs, RunAll(list, name)) << "twice the same";
    }
  });
}

}  // namespace
}  // namespace kezek::replay

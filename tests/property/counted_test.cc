// Goal: no set of jobs keeps GPUs from others without being counted, and no job counts as more on
// the nodes it gets than it waited with. Method: machines of nodes of one type with random sizes;
// jobs of one to four nodes, some exclusive, some with a classification that bars neighbours, as
// admission completes them; the engine starts them tick by tick. After each, GPUs of each node that
// a job with its part of everything cannot have any more, added up exactly, are at most what
// counts.

#include "quota/counted.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/control/admission.h"
#include "scheduler/engine/engine.h"
#include "tests/property/seeds.h"

namespace kezek::test {
namespace {

using property::Dice;

constexpr AccountId kProject{2};
constexpr TimeMs kNow = 1'800'000'000'000;

std::shared_ptr<const Directory> OneProject() {
  Directory directory;
  directory.accounts[kRootAccount] = {.id = kRootAccount, .name = "kz", .kind = "cluster"};
  directory.accounts[kProject] = {
      .id = kProject, .parent = kRootAccount, .name = "p", .kind = "project"};
  directory.classes["normal"] = {.name = "normal"};
  directory.default_gpu_type = "h200";
  return std::make_shared<const Directory>(std::move(directory));
}

control::ControlConfig Rules() {
  control::ControlConfig config;
  config.classes["normal"] = {.name = "normal"};
  config.default_class = "normal";
  config.classifications = {"open", "internal", "secret"};
  config.alone_from = "secret";
  return config;
}

std::map<std::string, Node> RandomNodes(Dice& dice) {
  std::map<std::string, Node> nodes;
  for (std::int64_t i = dice.Roll(1, 8); i > 0; --i) {
    Node node;
    node.name = "n" + std::to_string(i);
    node.gpu_type = "h200";
    node.gpus = static_cast<std::int32_t>(dice.Roll(1, 16));
    node.cpus = static_cast<std::int32_t>(dice.Roll(16, 256));
    node.memory_mib = dice.Roll(1000, 4'000'000);
    node.health = NodeHealth::kUp;
    if (dice.Chance(80)) node.cleared = {"open", "internal", "secret"};
    nodes[node.name] = node;
  }
  return nodes;
}

JobSpec RandomJob(Dice& dice) {
  JobSpec spec;
  spec.project = kProject;
  spec.shape.nodes = static_cast<std::int32_t>(dice.Chance(50) ? 1 : dice.Roll(1, 4));
  spec.shape.gpus_per_node = static_cast<std::int32_t>(dice.Roll(0, 8));
  spec.shape.gpu_type = "h200";
  spec.shape.cpus_per_node = static_cast<std::int32_t>(dice.Roll(1, dice.Chance(50) ? 32 : 256));
  spec.shape.memory_mib_per_node = dice.Roll(1, dice.Chance(50) ? 100'000 : 4'000'000);
  spec.shape.exclusive = dice.Chance(10);
  if (dice.Chance(30)) spec.classification = dice.Chance(50) ? "secret" : "internal";
  spec.time_limit_ms = kHourMs;
  return spec;
}

// A node with what is held of it.
struct Held {
  Node node;
  std::int64_t gpus = 0;
  std::int64_t cpus = 0;
  std::int64_t memory_mib = 0;
  bool alone = false;
  // That nobody else can have with its part of CPUs and memory, in thousandths, rounded up.
  MilliGpus Kept() const {
    const std::int64_t all = std::int64_t{1000} * node.gpus;
    const std::int64_t by_cpus = (cpus * all + node.cpus - 1) / node.cpus;
    const std::int64_t by_memory = (memory_mib * all + node.memory_mib - 1) / node.memory_mib;
    return alone ? all : std::max({1000 * gpus, by_cpus, by_memory});
  }
};

void NothingIsKeptUncounted(std::uint64_t seed, std::int64_t* starts) {
  Dice dice(seed);
  const std::map<std::string, Node> nodes = RandomNodes(dice);
  const control::Admission admission(Rules(), OneProject(), nodes);
  engine::Engine engine({}, OneProject());
  std::map<std::string, Held> held;
  for (const auto& [name, node] : nodes) {
    engine.SetNode(node);
    held[name].node = node;
  }
  std::map<JobRef, MilliGpus> waited;
  std::map<JobRef, JobSpec> specs;
  MilliGpus counted = 0;
  for (std::int64_t id = 1; id <= 30; ++id) {
    const Result<JobSpec> spec = admission.Complete(RandomJob(dice));
    if (!spec) continue;  // never fits
    const JobRef ref{JobId{id}};
    waited[ref] = admission.Counted(*spec);
    specs[ref] = *spec;
    engine.SetWaiting({.ref = ref, .user = UserId{1}, .spec = std::make_shared<JobSpec>(*spec)});
    if (dice.Chance(50)) continue;
    const engine::Plan plan = engine.Decide(kNow);
    ASSERT_TRUE(plan.dropped.empty());
    for (const engine::Start& start : plan.starts) {
      const JobSpec& job = specs.at(start.job);
      ++*starts;
      EXPECT_LE(start.counted_milli, waited.at(start.job)) << "more than it waited with";
      counted += start.counted_milli;
      for (const NodeGrant& grant : start.placement) {
        Held& node = held.at(grant.node);
        node.gpus += grant.gpus;
        node.cpus += job.shape.cpus_per_node;
        node.memory_mib += job.shape.memory_mib_per_node;
        node.alone |= job.shape.exclusive;
        EXPECT_TRUE(job.classification != "secret" || node.alone);
        EXPECT_TRUE(job.classification.empty() || !node.node.cleared.empty());
      }
      engine.RemoveWaiting(start.row);
      engine.SetHolding({.attempt = {start.job, 1},
                         .user = UserId{1},
                         .project = kProject,
                         .job_class = "normal",
                         .shape = job.shape,
                         .placement = start.placement,
                         .counted_milli = start.counted_milli,
                         .limit_ms = kHourMs});
    }
    MilliGpus kept = 0;
    for (const auto& [name, node] : held) kept += node.Kept();
    ASSERT_GE(counted, kept) << "kept from others, but not counted";
  }
}

TEST(CountedTest, NothingIsKeptUncounted) {
  std::int64_t starts = 0;
  std::int64_t seeds = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    ++seeds;
    NothingIsKeptUncounted(seed, &starts);
  });
  if (seeds < 20) return;
  EXPECT_GT(starts, 3 * seeds) << "histories in which hardly anything starts";
}

}  // namespace
}  // namespace kezek::test

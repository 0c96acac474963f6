// How long a tick decides: 1,250 nodes of 8 GPUs, 10,000 waiting jobs of 300 projects in 40
// institutions, three quarters of the machine taken. A full machine blocks every shape; a tick with
// room starts what it may. With a limit on every project none is even blocked: all are passed over.
// Of trying other settings on that queue: what the controller's thread copies, and what is worked
// out elsewhere.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "scheduler/engine/engine.h"
#include "scheduler/engine/what_if.h"
#include "tests/support/random_world.h"

namespace {

using kezek::AccountId;

constexpr kezek::TimeMs kNow = 1'790'000'000'000;
constexpr int kNodes = 1250;
constexpr int kJobs = 10'000;

kezek::Directory Tree() {
  kezek::Directory directory;
  const auto add = [&](std::int64_t id, std::int64_t parent, const std::string& kind,
                       std::int64_t guarantee) {
    kezek::Account account{.id = AccountId{id}, .parent = AccountId{parent}, .kind = kind};
    account.name = "a" + std::to_string(id);
    account.settings.shares["h200"].guarantee_milli = guarantee * 1000;
    if (id % 7 == 0) account.settings.account_limits.running_milli = 2'000'000;
    directory.accounts[account.id] = account;
  };
  add(1, 0, "cluster", 10'000);
  for (int sector = 0; sector < 5; ++sector) add(2 + sector, 1, "sector", 2000);
  for (int i = 0; i < 40; ++i) add(100 + i, 2 + i % 5, "institution", 200);
  for (int i = 0; i < 300; ++i) add(1000 + i, 100 + i % 40, "project", 20);
  directory.classes["normal"] = {.name = "normal", .rank = 2};
  directory.classes["debug"] = {.name = "debug", .rank = 0};
  directory.classes["realtime"] = {
      .name = "realtime", .rank = 1, .preemptible = false, .preempts_lower = true};
  directory.classes["scavenger"] = {.name = "scavenger", .rank = 3, .scavenger = true};
  directory.classifications = {"open", "internal", "secret"};
  directory.rate_milli["h200"] = 1000;
  return directory;
}

kezek::engine::Engine Filled(int nodes_taken, bool limited = false) {
  kezek::test::RandomWorld random(7);
  kezek::Directory directory = Tree();
  for (auto& [id, account] : directory.accounts) {
    if (limited && account.kind == "project") account.settings.account_limits.jobs_running = 10;
  }
  const std::vector<AccountId> projects = random.Projects(directory);
  kezek::engine::Engine engine({}, std::make_shared<const kezek::Directory>(directory));
  for (int i = 0; i < kNodes; ++i) {
    const std::string name = "n" + std::to_string(10'000 + i);
    engine.SetNode({.name = name,
                    .gpu_type = "h200",
                    .gpus = 8,
                    .cpus = 64,
                    .memory_mib = 1024 * 1024,
                    .leaf = "leaf" + std::to_string(i / 32),
                    .block = "block" + std::to_string(i / 256),
                    .cleared = {"open", "internal", "secret"},
                    .health = kezek::NodeHealth::kUp});
    for (int part = 0; i < nodes_taken && part < 4; ++part) {
      const kezek::Shape shape{
          .gpus_per_node = 2, .gpu_type = "h200", .cpus_per_node = 16, .memory_mib_per_node = 2048};
      engine.SetHolding({.attempt = {{kezek::JobId{1'000'000 + i * 4 + part}}, 1},
                         .user = kezek::UserId{1 + i % 900},
                         .project = projects[static_cast<std::size_t>(i) % projects.size()],
                         .job_class = "normal",
                         .shape = shape,
                         .placement = {{name, 2, {}}},
                         .counted_milli = 2000,
                         .start_ms = kNow - kezek::kHourMs,
                         .limit_ms = kezek::kDayMs});
    }
  }
  for (int i = 1; i <= kJobs; ++i) {
    kezek::JobSpec spec = random.Job(projects);
    spec.shape.gpu_type = "h200";
    spec.array.reset();
    spec.nodes.clear();  // names of other worlds
    spec.exclude_nodes.clear();
    spec.shape.gpus_per_node = std::min(spec.shape.gpus_per_node, 8);
    spec.shape.cpus_per_node = std::min(spec.shape.cpus_per_node, 64);
    if (spec.shape.memory_mib_per_node > 1024 * 1024) spec.shape.memory_mib_per_node = 1024 * 1024;
    spec.constraints.clear();
    engine.SetWaiting({.ref = {kezek::JobId{i}},
                       .user = kezek::UserId{random.Int(1, 900)},
                       .spec = std::make_shared<const kezek::JobSpec>(spec),
                       .submitted_ms = kNow - i,
                       .queued_since_ms = kNow - i});
  }
  return engine;
}

void DecideOnce(benchmark::State& state, int nodes_taken, bool limited = false) {
  const kezek::engine::Engine engine = Filled(nodes_taken, limited);
  std::size_t starts = 0;
  for (auto unused : state) starts = engine.Decide(kNow).starts.size();
  state.counters["starts"] = static_cast<double>(starts);
}

void FullMachine(benchmark::State& state) { DecideOnce(state, kNodes); }
void AllStopped(benchmark::State& state) { DecideOnce(state, kNodes, true); }
void QuarterFree(benchmark::State& state) { DecideOnce(state, kNodes * 3 / 4); }

void CopyForWhatIf(benchmark::State& state) {
  const kezek::engine::Engine engine = Filled(kNodes);
  for (auto unused : state) benchmark::DoNotOptimize(engine.CopyFacts());
}

void WhatIf(benchmark::State& state) {
  const kezek::engine::Engine engine = Filled(kNodes);
  const kezek::Directory directory = Tree();
  kezek::Directory changed = directory;
  changed.accounts.at(AccountId{100}).settings.shares["h200"].guarantee_milli = 300'000;
  const auto before = std::make_shared<const kezek::Directory>(directory);
  const auto after = std::make_shared<const kezek::Directory>(changed);
  std::size_t rows = 0;
  for (auto unused : state) {
    rows = kezek::engine::TryOut(engine.CopyFacts(), before, {after, {}}, kNow).rows.size();
  }
  state.counters["rows"] = static_cast<double>(rows);
}

BENCHMARK(FullMachine)->Unit(benchmark::kMillisecond);
BENCHMARK(AllStopped)->Unit(benchmark::kMillisecond);
BENCHMARK(QuarterFree)->Unit(benchmark::kMillisecond);
BENCHMARK(CopyForWhatIf)->Unit(benchmark::kMillisecond);
BENCHMARK(WhatIf)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();

// What placing costs by itself: machines of 1,250 and 10,000 nodes of 8 GPUs, 32 to a leaf and 8
// leaves to a block, about half and nearly all of them taken in pieces; gangs from one GPU to 128
// nodes, and such as find no room. And what a plan's own copy of the machine costs.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "scheduler/engine/machine.h"
#include "scheduler/engine/placement.h"

namespace {

using kezek::JobSpec;
using kezek::Node;
using kezek::engine::Machine;
using kezek::engine::NodeUse;
using kezek::engine::Pool;

constexpr kezek::TimeMs kNow = 1'790'000'000'000;
const kezek::engine::PoolKey kPool{"h200", {}, {}};

JobSpec Gang(std::int32_t nodes, std::int32_t gpus) {
  JobSpec spec;
  spec.shape = {.nodes = nodes,
                .gpus_per_node = gpus,
                .gpu_type = "h200",
                .cpus_per_node = 8 * gpus,
                .memory_mib_per_node = 1024 * gpus};
  return spec;
}

struct Site {
  // Of a hundred nodes `taken` are full, `part` have a piece taken.
  Site(int count, int taken, int part) {
    std::mt19937 random(7);
    for (int i = 0; i < count; ++i) {
      const std::string name = "n" + std::to_string(100'000 + i);
      nodes[name] = {.name = name,
                     .gpu_type = "h200",
                     .gpus = 8,
                     .cpus = 64,
                     .memory_mib = 1024 * 1024,
                     .leaf = "leaf" + std::to_string(1000 + i / 32),
                     .block = "block" + std::to_string(100 + i / 256),
                     .health = kezek::NodeHealth::kUp};
      const auto dice = static_cast<int>(random() % 100);
      const auto piece = static_cast<std::int32_t>(1 + random() % 7);
      const std::int32_t gpus = dice < taken ? 8 : dice < taken + part ? piece : 0;
      if (gpus > 0) AddUse(Gang(1, gpus).shape, {{name, gpus, {}}}, 1, used);
    }
    machine = Machine(nodes, used, kNow);
  }
  std::map<std::string, Node> nodes;
  std::map<std::string, NodeUse> used;
  Machine machine;
};

// Half: 35 % of the nodes full, 30 % in pieces. Nearly full: 90 % and 9 %.
const Site& SiteOf(std::int64_t count, bool full) {
  static std::map<std::pair<std::int64_t, bool>, std::unique_ptr<Site>> sites;
  auto& site = sites[{count, full}];
  if (site == nullptr) {
    site = full ? std::make_unique<Site>(count, 90, 9) : std::make_unique<Site>(count, 35, 30);
  }
  return *site;
}

void PlaceOne(benchmark::State& state, std::int32_t nodes, std::int32_t gpus) {
  const Site& site = SiteOf(state.range(0), state.range(1) != 0);
  const JobSpec spec = Gang(nodes, gpus);
  const Pool& pool = *site.machine.FindPool(kPool);
  bool placed = false;
  for (auto unused : state) {
    auto placement = Place(pool, {&spec, kezek::Domain::kAny, false});
    placed = placement.has_value();
    benchmark::DoNotOptimize(placement);
  }
  state.counters["placed"] = placed ? 1 : 0;
}

void Place1Gpu(benchmark::State& state) { PlaceOne(state, 1, 1); }
void Place1Node(benchmark::State& state) { PlaceOne(state, 1, 8); }
void Place16Nodes(benchmark::State& state) { PlaceOne(state, 16, 8); }
void Place128Nodes(benchmark::State& state) { PlaceOne(state, 128, 8); }
void Place16Halves(benchmark::State& state) { PlaceOne(state, 16, 4); }

// A job of one node takes what is best, ends, and the next one comes.
void PlaceAndTake(benchmark::State& state) {
  const Site& site = SiteOf(state.range(0), state.range(1) != 0);
  const JobSpec spec = Gang(1, 2);
  Machine machine = site.machine;
  std::int64_t left = 0;
  for (auto unused : state) {
    if (--left <= 0) {
      state.PauseTiming();
      machine = site.machine;
      left = 50;
      state.ResumeTiming();
    }
    const auto placement = Place(*machine.FindPool(kPool), {&spec, kezek::Domain::kAny, false});
    if (placement) machine.Take(kPool, spec.shape, *placement);
  }
}

void CopyMachine(benchmark::State& state) {
  const Site& site = SiteOf(state.range(0), false);
  for (auto unused : state) {
    Machine copy = site.machine;
    benchmark::DoNotOptimize(copy);
  }
}

void MakeMachine(benchmark::State& state) {
  const Site& site = SiteOf(state.range(0), false);
  for (auto unused : state) {
    Machine made(site.nodes, site.used, kNow);
    benchmark::DoNotOptimize(made);
  }
}

void Sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"nodes", "full"})->ArgsProduct({{1250, 10'000}, {0, 1}});
  bench->Unit(benchmark::kMicrosecond);
}

BENCHMARK(Place1Gpu)->Apply(Sizes);
BENCHMARK(Place1Node)->Apply(Sizes);
BENCHMARK(Place16Nodes)->Apply(Sizes);
BENCHMARK(Place16Halves)->Apply(Sizes);
BENCHMARK(Place128Nodes)->Apply(Sizes);
BENCHMARK(PlaceAndTake)->Apply(Sizes);
BENCHMARK(CopyMachine)->ArgName("nodes")->Arg(1250)->Arg(10'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(MakeMachine)->ArgName("nodes")->Arg(1250)->Arg(10'000)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();

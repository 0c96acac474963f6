// Goal: placement by indexes finds the very nodes that the rule names, and Fits says whether it
// will. Method: random machines of up to 70 nodes and four levels, in use at random, by seed;
// random jobs, with lists, labels, data and demands, against the naive twin: in the whole pool, in
// a zone, and on a single node.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/engine/machine.h"
#include "scheduler/engine/placement.h"
#include "tests/property/naive_placement.h"
#include "tests/property/seeds.h"
#include "tests/support/random_world.h"

namespace kezek::engine {
namespace {

using test::NaiveNode;
using test::NaiveNodes;
using test::NaivePlace;

constexpr TimeMs kNow = 1'790'000'000'000;

std::string Text(const std::optional<Placement>& placement) {
  if (!placement) return "none";
  std::string text;
  for (const NodeGrant& grant : *placement) {
    text += " " + grant.node + ":" + std::to_string(grant.gpus);
  }
  return text;
}

struct Site {
  explicit Site(test::RandomWorld& random) {
    const auto count =
        static_cast<std::int32_t>(random.Chance(30) ? random.Int(1, 8) : random.Int(8, 70));
    const int busy = static_cast<int>(random.Int(0, 100));
    for (Node& node : random.Nodes(count)) {
      if (random.Chance(10)) node = random.Changed(node, kNow);
      nodes[node.name] = node;
      if (!random.Chance(busy)) continue;
      const auto gpus = static_cast<std::int32_t>(random.Int(0, node.gpus));
      const Shape shape{.cpus_per_node = random.Chance(80) ? gpus * 8 : node.cpus,
                        .memory_mib_per_node = random.Chance(90) ? gpus * 1024 : node.memory_mib,
                        .exclusive = random.Chance(5)};
      AddUse(shape, {{node.name, gpus, {}}}, 1, used);
    }
    machine = Machine(nodes, used, kNow);
  }

  // Of one type, in the order of their place.
  NaiveNodes Naive(const Pool& pool, std::size_t begin, std::size_t end) const {
    NaiveNodes all;
    for (std::size_t i = begin; i < end; ++i) {
      const Node& node = nodes.at(pool.layout->spots[i].name);
      const auto found = used.find(node.name);
      const NodeUse use = found == used.end() ? NodeUse{} : found->second;
      const bool up = InService(node, kNow);
      const bool none = !up || use.exclusive > 0;
      const auto less = [none](std::int64_t has, std::int64_t foreign, std::int64_t taken) {
        return none ? 0 : std::max<std::int64_t>(0, has - foreign - taken);
      };
      all.push_back(
          {.node = node,
           .gpus = static_cast<std::int32_t>(less(node.gpus, node.foreign_gpus, use.gpus)),
           .cpus = static_cast<std::int32_t>(less(node.cpus, node.foreign_cpus, use.cpus)),
           .memory_mib = less(node.memory_mib, node.foreign_memory_mib, use.memory_mib),
           .in_service = up,
           .idle = !none && use.attempts == 0 && node.foreign_gpus == 0});
    }
    return all;
  }

  std::map<std::string, Node> nodes;
  std::map<std::string, NodeUse> used;
  Machine machine;
};

JobSpec RandomJob(test::RandomWorld& random, const Pool& pool) {
  JobSpec spec = random.Job({AccountId{1}});
  spec.shape.gpu_type = pool.key().gpu_type;
  spec.shape.nodes = static_cast<std::int32_t>(random.Chance(40) ? 1 : random.Int(2, 24));
  if (random.Chance(70)) spec.constraints.clear();
  if (random.Chance(60)) spec.classification.clear();
  return spec;
}

TEST(PlaceProperty, FindsTheNodesThatTheRuleNames) {
  int placed = 0;
  int wide = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    test::RandomWorld random(seed);
    const Site site(random);
    for (const Pool& pool : site.machine.pools()) {
      const NaiveNodes all = site.Naive(pool, 0, pool.nodes.size());
      for (int job = 0; job < 20; ++job) {
        const JobSpec spec = RandomJob(random, pool);
        const Request request{&spec, spec.within, false};
        const auto expected = NaivePlace(all, spec, spec.within);
        EXPECT_EQ(Text(Place(pool, request)), Text(expected)) << "seed " << seed;
        EXPECT_EQ(Fits(pool, request), expected.has_value()) << "seed " << seed;
        placed += expected ? 1 : 0;
        wide += expected && expected->size() > 6 ? 1 : 0;
        const auto size = static_cast<std::int64_t>(pool.layout->zones.size());
        const Zone& zone = pool.layout->zones[static_cast<std::size_t>(random.Int(0, size - 1))];
        EXPECT_EQ(Text(PlaceAmong(pool, request, zone.begin, zone.end)),
                  Text(NaivePlace(site.Naive(pool, zone.begin, zone.end), spec, spec.within)))
            << "seed " << seed << " among " << zone.begin << " to " << zone.end;
        EXPECT_EQ(Text(PlaceAmong(pool, request, zone.begin, zone.begin + 1)),
                  Text(NaivePlace(site.Naive(pool, zone.begin, zone.begin + 1), spec, spec.within)))
            << "seed " << seed << " on " << zone.begin;
      }
    }
  });
  if (property::FromEnvironment("KEZEK_SEED", -1) >= 0) return;
  EXPECT_GT(placed, 100);
  EXPECT_GT(wide, 10);
}

}  // namespace
}  // namespace kezek::engine

// Goal: where things lie, kept in step with events, is where their placements say, node by node;
// nodes of one cell are alike in it. Method: random histories by seed, of nodes and holdings told
// to a world, and of promises on random nodes that come, move and go.

#include "scheduler/engine/seats.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "scheduler/engine/engine.h"
#include "scheduler/engine/world.h"
#include "tests/property/engine_history.h"
#include "tests/property/seeds.h"
#include "tests/property/world_sink.h"

namespace kezek::engine {
namespace {

using property::Dice;

// What is known of a node, from names alone.
struct Known {
  std::map<AttemptRef, NodeUse> held;
  std::map<JobRef, std::int32_t> reserved;
  bool operator==(const Known&) const = default;
};

Known ByName(const World& world, const std::string& node) {
  Known known;
  for (const auto& [ref, attempt] : world.holdings()) {
    std::map<std::string, NodeUse> used;
    AddUse(attempt.shape, attempt.placement, 1, used);
    if (used.contains(node)) known.held[ref] = used.at(node);
  }
  for (const auto& [row, promise] : world.reservations()) {
    for (const NodeGrant& grant : promise.placement) {
      if (grant.node == node) known.reserved[row] = grant.gpus;
    }
  }
  return known;
}

Known ByCell(const Cell& cell) {
  Known known;
  for (const Cell::Held& held : cell.held) known.held[held.attempt->attempt] = held.use;
  for (const Cell::Kept& kept : cell.reserved) known.reserved[kept.promise->row] = kept.gpus;
  return known;
}

// Empty: all is as it should be.
std::string Wrong(const World& world, TimeMs now) {
  const Machine machine = world.MachineAt(now);
  for (std::size_t pool = 0; pool < machine.pools().size(); ++pool) {
    const std::vector<Spot>& spots = machine.pools()[pool].layout->spots;
    const Cells& cells = world.seats().cells(pool);
    if (cells.nodes() != spots.size()) return "a pool has other nodes";
    std::vector<int> seen(spots.size(), 0);
    for (Cells::Index i = 0; i < cells.all().size(); ++i) {
      std::set<std::tuple<bool, std::int32_t, std::int32_t, std::int64_t, std::int32_t>> kinds;
      cells.ForEach(i, [&](std::size_t spot) {
        ++seen.at(spot);
        if (cells.Of(spot) != i) seen.at(spot) = -1;
        const Node& node = world.nodes().at(spots[spot].name);
        kinds.insert({machine.pools()[pool].nodes[spot].in_service, node.gpus, node.cpus,
                      node.memory_mib, node.foreign_gpus});
      });
      if (kinds.size() > 1) return "nodes of a cell differ";
    }
    for (std::size_t spot = 0; spot < spots.size(); ++spot) {
      if (seen[spot] != 1) return spots[spot].name + " is not in one cell";
      if (ByCell(cells.at(cells.Of(spot))) != ByName(world, spots[spot].name)) {
        return "what is on " + spots[spot].name;
      }
    }
  }
  return "";
}

void Promise(World& world, Dice& dice) {
  const JobRef row{JobId{dice.Roll(1, 4)}, kNoElement};
  if (dice.Chance(30)) return world.RemoveReservation(row);
  Reservation promise{.row = row, .shape = {.gpus_per_node = 1}};
  for (const auto& [name, node] : world.nodes()) {
    if (dice.Chance(40)) {
      promise.placement.push_back({name, static_cast<std::int32_t>(dice.Roll(1, 2)), {}});
    }
  }
  world.SetReservation(promise);
}

TEST(SeatsProperty, AreWherePlacementsSay) {
  property::ForEachSeed([](std::uint64_t seed) {
    test::EngineHistory history(seed);
    Dice dice(seed);
    Engine engine(history.config(), history.directory());
    World world(history.config(), history.directory());
    history.Join(test::SinkOf(engine));
    history.Join(test::SinkOf(world));
    history.Begin();
    for (int step = 0; step < 25; ++step) {
      world.Refresh(history.now_ms());
      EXPECT_EQ(Wrong(world, world.now_ms()), "") << "seed " << seed << " step " << step;
      for (int some = 0; some < 3; ++some) Promise(world, dice);
      history.Commit(engine.Decide(history.now_ms()));
      history.Step();
    }
  });
}

TEST(CellsTest, SplitByWhatCoversThemInPart) {
  Cells cells(6);
  const Seating first{{0, 1}, {1, 1}, {2, 1}};
  EXPECT_EQ(cells.Cover(first).size(), 1U);
  EXPECT_EQ(cells.all().size(), 2U);
  EXPECT_EQ(cells.Cover(first).size(), 1U);
  EXPECT_EQ(cells.all().size(), 2U) << "whole cells stay";
  const Seating across{{2, 4}, {3, 8}, {4, 4}};
  EXPECT_EQ(cells.Cover(across).size(), 3U) << "two of other GPUs, and a part of another cell";
  EXPECT_EQ(cells.all().size(), 5U);
  EXPECT_EQ(cells.Of(0), cells.Of(1));
  const Seating two{{0, 1}, {3, 1}};
  EXPECT_EQ(cells.Touched(two).size(), 2U);
}

}  // namespace
}  // namespace kezek::engine

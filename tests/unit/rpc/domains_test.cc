// Goal: what is said of where jobs and nodes are knows all levels of the topology. Method: the
// nodes of the tests with levels above their block.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rpc/job_convert.h"
#include "rpc/node_convert.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

// n01…n04 under leaf1, n05…n08 under leaf2: block1 of row1; but the last two are in row2.
World Levels() {
  World world;
  for (auto& [name, node] : world.nodes) {
    node.above = {{"row", name >= "n07" ? "row2" : "row1"}, {"hall", "east"}};
  }
  return world;
}

std::string DomainOf(const World& world, const std::vector<std::string>& nodes) {
  Placement placement;
  for (const std::string& node : nodes) placement.push_back({node, 8, {}});
  v1::Placement wire;
  FillPlacement(world.nodes, placement, &wire);
  return wire.domain();
}

TEST(Domains, OfAPlacementIsTheSmallestThatHoldsIt) {
  World world = Levels();
  EXPECT_EQ(DomainOf(world, {"n01"}), "leaf1");
  EXPECT_EQ(DomainOf(world, {"n01", "n04"}), "leaf1");
  EXPECT_EQ(DomainOf(world, {"n01", "n05"}), "block1");
  EXPECT_EQ(DomainOf(world, {"n06", "n07"}), "east") << "leaf2 of one row is not that of the other";
  EXPECT_EQ(DomainOf(world, {"n01", "gone"}), "");
  for (auto& [name, node] : world.nodes) node.above.clear();
  world.nodes.at("n01").leaf.clear();
  EXPECT_EQ(DomainOf(world, {"n01"}), "block1");
  EXPECT_EQ(DomainOf(world, {"n01", "n08"}), "block1");
  world.nodes.at("n01").block.clear();
  EXPECT_EQ(DomainOf(world, {"n01", "n08"}), "");
}

TEST(Domains, AClusterNamesItsLevels) {
  const auto levels = [](const World& world) {
    std::string text;
    const v1::Cluster cluster = ToWire(*world.MakeView(), "test");
    for (const std::string& level : cluster.domains()) text += level + " ";
    return text;
  };
  EXPECT_EQ(levels(Levels()), "node leaf block row hall ");
  EXPECT_EQ(levels(World()), "node leaf block ");
}

}  // namespace
}  // namespace kezek::rpc

// Goal: gangs get the best-fitting nodes of the smallest domain, or none at all, and refusals say
// whether that can ever change. Method: machines of a few nodes with something on them.

#include "scheduler/engine/placement.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

class PlacementTest : public ::testing::Test {
 protected:
  // Leaves a (a1…a4) and b (b1…b4) of block x, c (c1…c4) of block y; 8 GPUs each.
  PlacementTest() {
    for (const char* leaf : {"a", "b", "c"}) {
      for (int i = 1; i <= 4; ++i) {
        const std::string name = leaf + std::to_string(i);
        nodes_[name] = H200(name, leaf, *leaf == 'c' ? "y" : "x");
      }
    }
  }

  void Use(const std::string& node, std::int32_t gpus) {
    AddUse(Gang(2, 1, gpus).shape, {{node, gpus, {}}}, 1, used_);
  }

  // "a1,a2", or "-".
  std::string Placed(const JobSpec& spec) {
    const Machine machine(nodes_, used_, kNoon);
    const Request request = RequestOf(spec, kNoon, kNoon, 0);
    const auto placement = Place(*machine.FindPool({"h200", {}, {}}), request);
    EXPECT_EQ(placement.has_value(), Fits(*machine.FindPool({"h200", {}, {}}), request));
    if (!placement) return "-";
    std::string text;
    for (const NodeGrant& grant : *placement) text += (text.empty() ? "" : ",") + grant.node;
    return text;
  }

  Reason NoRoom(const JobSpec& spec) {
    return WhyNoRoom(Machine(nodes_, used_, kNoon), Machine::Configured(nodes_),
                     RequestOf(spec, kNoon, kNoon, 0), {spec.shape.gpu_type, {}, {}});
  }

  std::map<std::string, Node> nodes_;
  std::map<std::string, NodeUse> used_;
};

TEST_F(PlacementTest, FullestNodeThatHoldsItGoesFirst) {
  Use("a2", 3);  // 5 left
  Use("b3", 6);  // 2 left
  EXPECT_EQ(Placed(Gang(2, 1, 2)), "b3");
  EXPECT_EQ(Placed(Gang(2, 1, 3)), "a2");
  EXPECT_EQ(Placed(Gang(2, 1, 6)), "b1");  // a whole one, of the fullest leaf
}

TEST_F(PlacementTest, WholeLeavesStayFree) {
  Use("b1", 8);
  EXPECT_EQ(Placed(Gang(2, 1, 8)), "b2");
  EXPECT_EQ(Placed(Gang(2, 3, 8)), "b2,b3,b4");
}

TEST_F(PlacementTest, SmallestDomainThatHoldsTheGang) {
  EXPECT_EQ(Placed(Gang(2, 4, 8)), "a1,a2,a3,a4");
  EXPECT_EQ(Placed(Gang(2, 5, 8)), "a1,a2,a3,a4,b1");
  Use("a1", 1);
  Use("b1", 1);
  EXPECT_EQ(Placed(Gang(2, 4, 8)), "c1,c2,c3,c4");
  Use("c1", 1);
  EXPECT_EQ(Placed(Gang(2, 4, 8)), "a2,a3,a4,b2");  // block x holds it
  EXPECT_EQ(Placed(Gang(2, 7, 8)), "a2,a3,a4,b2,b3,b4,c2");
  EXPECT_EQ(Placed(Gang(2, 10, 8)), "-");  // never a part of it
}

TEST_F(PlacementTest, FewestFragments) {
  Use("a1", 4);
  Use("a3", 4);
  EXPECT_EQ(Placed(Gang(2, 2, 4)), "a1,a3");
}

TEST_F(PlacementTest, DemandedDomains) {
  JobSpec spec = Gang(2, 5, 8);
  spec.within = Domain::kLeaf;
  EXPECT_EQ(NoRoom(spec).code, ReasonCode::kNeverFitsMachine);
  EXPECT_EQ(NoRoom(spec).fields.at("field"), "topology.within");
  EXPECT_EQ(NoRoom(spec).fields.at("largest"), "4");
  spec = Gang(2, 4, 8);
  spec.within = Domain::kLeaf;
  for (const char* node : {"a1", "b1", "c1"}) Use(node, 1);
  EXPECT_EQ(Placed(spec), "-");
  EXPECT_EQ(NoRoom(spec).code, ReasonCode::kWaitsForDomain);
  spec.within = Domain::kBlock;
  EXPECT_EQ(Placed(spec), "a2,a3,a4,b2");
}

TEST_F(PlacementTest, UnknownPlacesMeetNoDemand) {
  for (auto& [name, node] : nodes_) node.leaf = node.block = "";
  JobSpec spec = Gang(2, 2, 8);
  EXPECT_EQ(Placed(spec), "a1,a2");
  spec.within = Domain::kLeaf;
  EXPECT_EQ(Placed(spec), "-");
  spec.shape.nodes = 1;  // one node is under one leaf, whichever it is
  EXPECT_EQ(Placed(spec), "a1");
}

TEST_F(PlacementTest, NamedNodes) {
  JobSpec spec = Gang(2, 2, 8);
  spec.nodes = {"b2", "b3", "c1"};
  EXPECT_EQ(Placed(spec), "b2,b3");
  spec.nodes = {"c4"};  // this one and another
  EXPECT_EQ(Placed(spec), "c1,c4");
  spec.exclude_nodes = {"c1"};
  EXPECT_EQ(Placed(spec), "c2,c4");
  spec.exclude_nodes = {"c4"};
  EXPECT_EQ(Placed(spec), "-");
  EXPECT_EQ(NoRoom(spec).code, ReasonCode::kNeverFitsMachine);
}

TEST_F(PlacementTest, LabelsCpusAndMemory) {
  nodes_["b4"].labels = {"nvme"};
  JobSpec spec = Gang(2, 1, 1);
  spec.constraints = {"nvme"};
  EXPECT_EQ(Placed(spec), "b4");
  spec.shape.nodes = 2;
  EXPECT_EQ(NoRoom(spec).fields.at("field"), "constraints");
  spec = Gang(2, 1, 1);
  spec.shape.memory_mib_per_node = 1024 * 1024;
  Use("a1", 1);
  EXPECT_EQ(Placed(spec), "a2");
  spec.shape.cpus_per_node = 65;
  EXPECT_EQ(NoRoom(spec).fields.at("field"), "shape.cpus_per_node");
}

TEST_F(PlacementTest, ExclusiveNodesAreWholeAndEmpty) {
  JobSpec spec = Gang(2, 1, 1);
  spec.shape.exclusive = true;
  Use("a1", 1);
  const Machine machine(nodes_, used_, kNoon);
  const auto placement =
      Place(*machine.FindPool({"h200", {}, {}}), RequestOf(spec, kNoon, kNoon, 0));
  ASSERT_TRUE(placement);
  EXPECT_EQ(placement->at(0), (NodeGrant{"a2", 8, {}}));
  AddUse(spec.shape, *placement, 1, used_);
  JobSpec small = Gang(2, 1, 0);
  small.shape.cpus_per_node = 1;
  small.nodes = {"a2"};
  EXPECT_EQ(Placed(small), "-");
  EXPECT_EQ(NoRoom(small).code, ReasonCode::kWaitsForGpus);
}

TEST_F(PlacementTest, ReasonsSayWhatIsFree) {
  for (auto& [name, node] : nodes_) Use(name, name == "a1" ? 5 : 8);
  const Reason reason = NoRoom(Gang(2, 2, 4));
  EXPECT_EQ(reason.code, ReasonCode::kWaitsForGpus);
  EXPECT_EQ(reason.fields.at("free"), "3");
  EXPECT_EQ(reason.fields.at("largest_free"), "3");
  EXPECT_EQ(reason.fields.at("nodes_fit"), "0");
}

TEST_F(PlacementTest, TakingKeepsTheIndexes) {
  Machine machine(nodes_, used_, kNoon);
  const Shape shape = Gang(2, 2, 5).shape;
  machine.Take({"h200", {}, {}}, shape, {{"a1", 5, {}}, {"b1", 5, {}}});
  const Pool& pool = *machine.FindPool({"h200", {}, {}});
  EXPECT_EQ(pool.free_gpus, 86);
  const std::size_t leaf_a = pool.layout->spots.at(0).leaf;
  EXPECT_EQ(pool.free_in.at(leaf_a), 27);
  EXPECT_EQ(pool.free_in.at(pool.layout->zones.at(leaf_a).parent), 54);
  EXPECT_EQ(pool.AtLeast(leaf_a, 8), 3);
  EXPECT_EQ(pool.AtLeast(leaf_a, 3), 4);
  EXPECT_EQ(pool.Exactly(pool.layout->zones.size() - 1, 3), 2);
  EXPECT_DEATH(machine.Take({"h200", {}, {}}, shape, {{"a1", 5, {}}, {"b1", 5, {}}}),
               "more than is free");
}

TEST_F(PlacementTest, DomainsAboveBlocks) {
  for (auto& [name, node] : nodes_) {
    node.block = node.leaf;  // blocks a, b of row r, block c of row s
    node.leaf += name.back() <= '2' ? "1" : "2";
    node.above = {{"row", node.block == "c" ? "s" : "r"}, {"hall", "east"}};
  }
  EXPECT_EQ(Placed(Gang(2, 2, 8)), "a1,a2");
  EXPECT_EQ(Placed(Gang(2, 3, 8)), "a1,a2,a3");        // one block
  EXPECT_EQ(Placed(Gang(2, 5, 8)), "a1,a2,a3,a4,b1");  // one row
  Use("b4", 1);
  EXPECT_EQ(Placed(Gang(2, 6, 8)), "a1,a2,a3,a4,b1,b2");
  EXPECT_EQ(Placed(Gang(2, 8, 8)), "a1,a2,a3,a4,b1,b2,b3,c1");  // no row: the hall
  JobSpec spec = Gang(2, 4, 8);
  spec.within = Domain::kBlock;
  Use("a1", 1);
  Use("c1", 1);
  EXPECT_EQ(Placed(spec), "-");
  EXPECT_EQ(NoRoom(spec).code, ReasonCode::kWaitsForDomain);
  spec.within = Domain::kAny;
  EXPECT_EQ(Placed(spec), "a2,a3,a4,b3");  // all of a block, one of the fullest leaf of the next
}

TEST_F(PlacementTest, ADomainOfALevelIsNamedByAllAboveIt) {
  for (auto& [name, node] : nodes_) {
    node.block = "same";
    node.leaf = "leaf";
    node.above = {{"row", name.substr(0, 1)}};
  }
  JobSpec spec = Gang(2, 5, 8);
  spec.within = Domain::kBlock;
  EXPECT_EQ(NoRoom(spec).fields.at("largest"), "4");
  spec.within = Domain::kAny;
  EXPECT_EQ(Placed(spec), "a1,a2,a3,a4,b1");
}

TEST_F(PlacementTest, ClassifiedJobsRunOnClearedNodesOnly) {
  nodes_["b2"].cleared = {"open", "internal"};
  nodes_["c3"].cleared = {"open", "internal"};
  JobSpec spec = Gang(2, 2, 1);
  spec.classification = "internal";
  EXPECT_EQ(Placed(spec), "b2,c3");
  Use("c3", 8);
  EXPECT_EQ(Placed(spec), "-");
  EXPECT_EQ(NoRoom(spec).code, ReasonCode::kWaitsForGpus);
  spec.shape.nodes = 3;
  EXPECT_EQ(NoRoom(spec).fields.at("field"), "data_classification");
  EXPECT_EQ(NoRoom(spec).fields.at("largest"), "2");
  spec = Gang(2, 1, 1);
  spec.classification = "secret";
  EXPECT_EQ(NoRoom(spec).fields.at("largest"), "0");
}

TEST_F(PlacementTest, WhatLacksCpusIsNotTakenForRoom) {
  for (const char* node : {"a1", "a2", "a3"}) {  // GPUs free, and no CPUs
    Shape shape = Gang(2, 1, 0).shape;
    shape.cpus_per_node = 64;
    AddUse(shape, {{node, 0, {}}}, 1, used_);
  }
  Use("b1", 1);
  EXPECT_EQ(Placed(Gang(2, 2, 8)), "b2,b3");  // the fullest leaf that holds it
  EXPECT_EQ(Placed(Gang(2, 4, 8)), "c1,c2,c3,c4");
  EXPECT_EQ(Placed(Gang(2, 5, 8)), "a4,b2,b3,b4,c1");  // four in each block
  EXPECT_EQ(Placed(Gang(2, 9, 8)), "-");
}

TEST_F(PlacementTest, WhatIsGivenBackIsFreeAgain) {
  const Machine empty(nodes_, used_, kNoon);
  Machine machine = empty;
  JobSpec alone = Gang(2, 2, 3);
  alone.shape.exclusive = true;
  machine.Take({"h200", {}, {}}, alone.shape, {{"a1", 8, {}}, {"b1", 8, {}}});
  machine.Hold(Gang(2, 1, 4).shape, {{"a1", 4, {}}});  // more than there is
  EXPECT_EQ(machine.FreeOf("a1")->gpus, 0);
  machine.GiveBack(alone.shape, {{"a1", 8, {}}, {"b1", 8, {}}});
  EXPECT_EQ(machine.FreeOf("a1")->gpus, 4);
  EXPECT_FALSE(machine.FreeOf("a1")->idle);
  machine.GiveBack(Gang(2, 1, 4).shape, {{"a1", 4, {}}});
  EXPECT_TRUE(machine == empty);
  machine.GiveBack(Gang(2, 1, 4).shape, {{"elsewhere", 4, {}}});
  EXPECT_TRUE(machine == empty);
  EXPECT_DEATH(machine.GiveBack(Gang(2, 1, 4).shape, {{"a1", 4, {}}}), "more is given back");
}

TEST_F(PlacementTest, WhatIsPromisedIsNotFree) {
  Machine machine(nodes_, used_, kNoon);
  machine.Limit(*machine.Find("a1"),
                {.gpus = 5, .cpus = 64, .memory_mib = 4096, .in_service = true});
  EXPECT_EQ(machine.FreeOf("a1"),
            (FreeNode{.gpus = 5, .cpus = 64, .memory_mib = 4096, .in_service = true}));
  machine.Limit(*machine.Find("a1"),
                {.gpus = 6, .cpus = 20, .memory_mib = 8192, .in_service = true});
  machine.Take({"h200", {}, {}}, Gang(2, 1, 2).shape, {{"a1", 2, {}}});
  EXPECT_EQ(machine.FreeOf("a1"),
            (FreeNode{.gpus = 3, .cpus = 4, .memory_mib = 2048, .in_service = true}));
  EXPECT_EQ(machine.FindPool({"h200", {}, {}})->free_gpus, 91);
  JobSpec alone = Gang(2, 12, 1);
  alone.shape.exclusive = true;
  EXPECT_FALSE(Place(*machine.FindPool({"h200", {}, {}}), {&alone, Domain::kAny, false}));
}

TEST_F(PlacementTest, AmongSomeNodesOnly) {
  const Machine machine(nodes_, used_, kNoon);
  const Pool& pool = *machine.FindPool({"h200", {}, {}});
  const JobSpec spec = Gang(2, 2, 8);
  const Request request{&spec, Domain::kAny, false};
  const auto placement = PlaceAmong(pool, request, 4, 8);  // leaf b
  ASSERT_TRUE(placement);
  EXPECT_EQ(placement->at(0).node, "b1");
  EXPECT_FALSE(PlaceAmong(pool, request, 5, 6));
  EXPECT_TRUE(PlaceAmong(pool, request, 3, 5));
}

}  // namespace
}  // namespace kezek::engine

// Goal: a job counts as the largest of its parts of a node, rounded up to a milli-GPU.
// Method: shapes on a node of 8 GPUs, 128 CPUs, 2 TiB; the worked example of the rules among them;
// a machine whose nodes differ, for what a job may count as at most and counts as in a place.
#include "quota/counted.h"

#include <gtest/gtest.h>

namespace kezek::quota {
namespace {

constexpr NodeSize kNode{.gpus = 8, .cpus = 128, .memory_mib = 2'097'152};

Shape Of(std::int32_t gpus, std::int32_t cpus, std::int64_t memory_mib, std::int32_t nodes = 1) {
  Shape shape;
  shape.nodes = nodes;
  shape.gpus_per_node = gpus;
  shape.cpus_per_node = cpus;
  shape.memory_mib_per_node = memory_mib;
  return shape;
}

TEST(Counted, LargestPartDecides) {
  EXPECT_EQ(CountGpus(Of(2, 32, 524'288), kNode), 2000);
  EXPECT_EQ(CountGpus(Of(1, 48, 1024), kNode), 3000);
  // "1 GPU asked, counted as 4: 1 TB of memory".
  EXPECT_EQ(CountGpus(Of(1, 16, 1'048'576), kNode), 4000);
  EXPECT_EQ(CountGpus(Of(8, 128, 2'097'152, 4), kNode), 32000);
}

TEST(Counted, RoundsUpPerNode) {
  EXPECT_EQ(CountGpus(Of(0, 1, 0), kNode), 63);  // 62.5
  EXPECT_EQ(CountGpus(Of(0, 1, 0, 3), kNode), 189);
  EXPECT_EQ(CountGpus(Of(0, 0, 1), kNode), 1);
  EXPECT_EQ(CountGpus(Of(0, 0, 0), kNode), 0);
}

TEST(Counted, WholeNodes) {
  Shape shape = Of(1, 4, 0, 2);
  shape.exclusive = true;
  EXPECT_EQ(CountGpus(shape, kNode), 16000);
}

TEST(Counted, NodesWithoutPartsOrGpus) {
  EXPECT_EQ(CountGpus(Of(0, 4, 100), NodeSize{.cpus = 8, .memory_mib = 100}), 0);
  EXPECT_EQ(CountGpus(Of(0, 4, 0), NodeSize{.gpus = 8}), 8000);
}

TEST(Counted, GpuTypesOfTheMachine) {
  std::map<std::string, Node> nodes;
  const auto add = [&nodes](const std::string& name, std::int32_t gpus, std::int32_t cpus) {
    Node node;
    node.name = name;
    node.gpu_type = "h200";
    node.gpus = gpus;
    node.cpus = cpus;
    nodes[name] = node;
  };
  add("a", 8, 128);
  add("b", 8, 128);
  add("c", 4, 256);
  nodes["login"] = Node{};
  const std::map<std::string, GpuType> types = GpuTypes(nodes);
  ASSERT_EQ(types.size(), 1U);
  const GpuType& type = types.at("h200");
  EXPECT_EQ(type.size, (NodeSize{8, 128, 0}));
  EXPECT_EQ(type.largest, (NodeSize{8, 256, 0}));
  EXPECT_EQ(type.nodes, 3);
  EXPECT_EQ(type.configured_milli, 20'000);
}

// Two nodes with 128 CPUs, one labelled one with half of that, one with half the GPUs.
std::map<std::string, Node> Unequal() {
  std::map<std::string, Node> nodes;
  const auto add = [&nodes](const std::string& name, std::int32_t gpus, std::int32_t cpus) {
    nodes[name] = {.name = name, .gpu_type = "h200", .gpus = gpus, .cpus = cpus};
    nodes[name].memory_mib = 1024;
  };
  add("a", 8, 128);
  add("b", 8, 128);
  add("c", 8, 64);
  add("d", 4, 128);
  nodes["c"].labels = {"few"};
  return nodes;
}

MilliGpus Most(const JobSpec& spec) { return CountAtMost(spec, GpuTypes(Unequal()).at("h200")); }

TEST(Counted, InAPlaceByTheNodesThere) {
  const std::map<std::string, Node> nodes = Unequal();
  const Shape shape = Of(1, 48, 0, 3);
  EXPECT_EQ(CountPlaced(shape, {{"a", 1}, {"b", 1}, {"c", 1}}, nodes), 3000 + 3000 + 6000);
  Shape whole = Of(1, 1, 0, 2);
  whole.exclusive = true;
  EXPECT_EQ(CountPlaced(whole, {{"a", 8}, {"d", 4}}, nodes), 12'000);
}

TEST(Counted, AtMostWhereItCountsMost) {
  JobSpec spec;
  spec.shape = Of(1, 48, 0);
  EXPECT_EQ(Most(spec), 6000);  // on c
  spec.shape.nodes = 3;
  EXPECT_EQ(Most(spec), 6000 + 3000 + 3000);
  spec.shape = Of(1, 100, 0, 2);  // too much for c
  EXPECT_EQ(Most(spec), 6250 + 6250);
  spec.shape = Of(1, 1, 0, 4);
  spec.shape.exclusive = true;
  EXPECT_EQ(Most(spec), 28'000);
}

TEST(Counted, AtMostAmongTheNodesItMayGoTo) {
  JobSpec spec;
  spec.shape = Of(1, 48, 0);
  spec.exclude_nodes = {"c", "c", "elsewhere"};
  EXPECT_EQ(Most(spec), 3000);
  spec.exclude_nodes = {};
  spec.nodes = {"d"};
  EXPECT_EQ(Most(spec), 1500);
  spec.shape.nodes = 2;  // d and one more
  EXPECT_EQ(Most(spec), 6000 + 3000);
  spec.shape.nodes = 1;
  spec.nodes = {};
  spec.constraints = {"few"};
  EXPECT_EQ(Most(spec), 6000);
  spec.shape.nodes = 2;  // there is but one: as if there were another
  EXPECT_EQ(Most(spec), 12'000);
  spec.constraints = {"none has it"};
  EXPECT_EQ(Most(spec), 6000) << "by the commonest size";
}

}  // namespace
}  // namespace kezek::quota

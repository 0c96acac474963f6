// Goal: a host with GPUs of several types is several nodes to Kezek and one to the cluster: its
// CPUs and memory are divided, a start on one names the host, what the cluster grants is the node,
// and nobody gets the host for himself. Method: hosts as the cluster reports them, by hand.
#include "scheduler/control/host_parts.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "kezek/node_parts.h"
#include "scheduler/control/admission.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

constexpr const char* kSlice = "h200-1g.18gb";
constexpr const char* kPart = "n8/h200-1g.18gb";

Node Host() {
  Node host;
  host.name = "n8";
  host.gpu_type = "h200";
  host.gpus = 6;
  host.foreign_gpus = 1;
  host.cpus = 64;
  host.memory_mib = 1'024'000;
  host.health = NodeHealth::kUp;
  host.more_gpus = {{.gpu_type = kSlice, .gpus = 14, .foreign_gpus = 2, .foreign_cpus = 3}};
  return host;
}

std::vector<Node> Configured() {
  std::vector<Node> nodes = sim::SimNodes();
  Node& host = nodes.back();
  EXPECT_EQ(host.name, "n8");
  host.gpus = 6;
  host.cpus = 48;
  host.memory_mib = 768'000;
  Node part = host;
  part.name = kPart;
  part.gpu_type = kSlice;
  part.gpus = 14;
  part.cpus = 16;
  part.memory_mib = 256'000;
  nodes.push_back(part);
  return nodes;
}

TEST(HostParts, DividesAsConfiguredOrByGpus) {
  const std::vector<Node> plain = AsNodes(Host(), {});
  ASSERT_EQ(plain.size(), 2U);
  EXPECT_EQ(plain[0].name, "n8");
  EXPECT_EQ(plain[1].name, kPart);
  EXPECT_EQ(plain[1].gpu_type, kSlice);
  EXPECT_EQ(plain[0].cpus, 20) << "64 * 6 / 20, and what is left over";
  EXPECT_EQ(plain[1].cpus, 44);
  EXPECT_EQ(plain[0].foreign_gpus, 1);
  EXPECT_EQ(plain[1].foreign_gpus, 2);
  EXPECT_EQ(plain[1].foreign_cpus, 3);
  EXPECT_TRUE(plain[0].more_gpus.empty());

  const Shares shares = SharesOf(Configured());
  ASSERT_EQ(shares.size(), 1U);
  const std::vector<Node> divided = AsNodes(Host(), shares);
  ASSERT_EQ(divided.size(), 2U);
  EXPECT_EQ(divided[0].cpus, 48);
  EXPECT_EQ(divided[1].cpus, 16);
  EXPECT_EQ(divided[1].memory_mib, 256'000);
  EXPECT_EQ(divided[1].health, NodeHealth::kUp);

  Node less = Host();
  less.cpus = 33;
  less.more_gpus.clear();
  const std::vector<Node> small = AsNodes(less, shares);
  EXPECT_EQ(small[0].cpus + small[1].cpus, 33) << "never more than the host has";
  EXPECT_EQ(small[1].cpus, 8);
  EXPECT_EQ(small[1].gpus, 0) << "the type is gone";

  Node other = Host();
  other.name = "n7";
  other.more_gpus.clear();
  EXPECT_EQ(AsNodes(other, shares), std::vector<Node>{other});
}

class HostPartsTest : public ::testing::Test {
 protected:
  static ControlConfig Config() {
    ControlConfig config = sim::SimConfig();
    config.nodes = Configured();
    return config;
  }
  HostPartsTest() : desk(Config()) {
    desk.Offer(ClusterUp{"test", 0});
    NodesObserved nodes{sim::SimNodes()};
    for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
    nodes.nodes.back() = Host();
    desk.Offer(nodes);
    desk.Offer(Listing{});
    desk.Step();
  }
  JobId SubmitSlices(const std::function<void(JobSpec&)>& change = {}) {
    return desk.Submit([&](JobSpec& spec) {
      spec.shape = {1, 4, kSlice, 4, 64'000, false};
      if (change) change(spec);
    });
  }
  DeskOfOne desk;
};

TEST_F(HostPartsTest, AJobOfEitherTypeRunsOnItsPartOfTheHost) {
  const JobId slices = SubmitSlices();
  const JobId whole = desk.Submit([](JobSpec& spec) {
    spec.shape = {1, 5, "h200", 40, 640'000, false};
    spec.nodes = {"n8"};
  });
  const Ready planned = desk.Tick();
  const auto submits = DeskOfOne::All<SubmitAction>(planned);
  ASSERT_EQ(submits.size(), 2U);
  for (const SubmitAction& submit : submits) {
    ASSERT_EQ(submit.launch.placement.size(), 1U);
    EXPECT_EQ(submit.launch.placement[0].node, "n8") << "the cluster's name";
  }
  const AttemptRef ref{{slices}, 1};
  EXPECT_EQ(desk.Of(ref).placement.at(0).node, kPart);
  EXPECT_EQ(desk.Of({{whole}, 1}).placement.at(0).node, "n8");

  desk.Offer(LaunchAccepted{ref, 900});
  desk.Step();
  desk.Offer(ReleaseDone{ref, 900, true, ""});
  desk.Step();
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  seen.granted = {{"n8", 4, {0, 1, 2, 3}}};
  seen.cpus = 4;
  seen.memory_mib = 64'000;
  desk.Offer(Observed{seen});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kRunning);
  EXPECT_EQ(desk.Of(ref).placement.at(0).node, kPart);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kNone) << "that is what was planned";
}

TEST_F(HostPartsTest, TheOrderInWhichTypesAreToldDoesNotMatter) {
  Node host = Host();
  host.gpu_type = kSlice;
  host.gpus = 14;
  host.foreign_gpus = 2;
  host.more_gpus = {{.gpu_type = "h200", .gpus = 6, .foreign_gpus = 1}};
  Node plain = host;  // the topology knows no slices of it
  plain.name = "n7";
  Node lost = plain;
  lost.name = "n6";
  lost.more_gpus = {{.gpu_type = "other", .gpus = 1}};
  NodesObserved nodes{sim::SimNodes()};
  for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
  nodes.nodes[7] = host;
  nodes.nodes[6] = plain;
  nodes.nodes[5] = lost;
  desk.Offer(nodes);
  desk.Step();
  const auto& seen = desk.controller->view()->nodes;
  EXPECT_EQ(seen.at("n8").gpus, 6);
  EXPECT_EQ(seen.at("n8").foreign_gpus, 1);
  EXPECT_EQ(seen.at(kPart).gpus, 14);
  EXPECT_EQ(seen.at("n7").gpus, 6);
  EXPECT_EQ(seen.at("n7").gpu_type, "h200");
  EXPECT_EQ(seen.at("n6").gpus, 0) << "it has none of the type that it is known by";
}

TEST_F(HostPartsTest, NoMoreOfAPartThanItHas) {
  std::size_t started = 0;
  for (int i = 0; i < 4; ++i) SubmitSlices();
  for (const SubmitAction& submit : DeskOfOne::All<SubmitAction>(desk.Tick())) {
    if (submit.launch.placement.at(0).node == "n8") ++started;
  }
  EXPECT_EQ(started, 3U) << "14 slices, two of them in use by others, four for each";
}

TEST_F(HostPartsTest, DrainingTheHostDrainsItsParts) {
  ASSERT_TRUE(desk.Do(SetNodeService{.nodes = {"n8"}, .drain = true, .text = "fan"}).has_value());
  const auto& nodes = desk.controller->view()->nodes;
  EXPECT_EQ(nodes.at(kPart).health, NodeHealth::kDraining);
  EXPECT_EQ(nodes.at("n8").health, NodeHealth::kDraining);
  ASSERT_TRUE(desk.Do(SetNodeService{.nodes = {kPart}, .drain = false}).has_value());
  EXPECT_EQ(desk.controller->view()->nodes.at(kPart).health, NodeHealth::kUp);
  EXPECT_EQ(desk.controller->view()->nodes.at("n8").health, NodeHealth::kDraining);
}

TEST_F(HostPartsTest, NobodyHasTheHostForHimself) {
  const auto view = desk.controller->view();
  const Admission admission(Config(), view->directory, view->nodes);
  JobSpec spec;
  spec.project = DeskOfOne::kProject;
  spec.shape = {1, 1, kSlice, 0, 0, true};
  spec.time_limit_ms = kHourMs;
  const auto never = admission.Complete(spec);
  ASSERT_FALSE(never.has_value());
  EXPECT_EQ(never.error().code, Code::kFailedPrecondition);
  spec.shape.exclusive = false;
  spec.exclude_nodes = {"n7", "n8"};
  EXPECT_FALSE(admission.Complete(spec).has_value()) << "the host's name stands for its part";
  spec.exclude_nodes = {"n7"};
  EXPECT_TRUE(admission.Complete(spec).has_value());
  spec.nodes = {"n8"};
  const auto there = admission.Complete(spec);
  ASSERT_TRUE(there.has_value());
  EXPECT_EQ(there->nodes, std::vector<std::string>{kPart});
}

}  // namespace
}  // namespace kezek::control

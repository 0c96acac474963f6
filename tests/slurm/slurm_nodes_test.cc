// Goal: on a real Slurm of any release, what an admin's drain and resume come to takes nodes out
// and puts them back: by REST where the release can, else by running the very command that the
// answer has. Method: orders as the server gives them; what came of them is what Kezek then sees.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <variant>

#include "rpc/node_orders.h"
#include "slurm/node_switch.h"
#include "slurm/slurm_cluster.h"
#include "tests/support/slurm_server.h"

namespace kezek::slurm {
namespace {

class HostClock : public Clock {
 public:
  TimeMs Now() override {
    using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  }
};

class SlurmNodesTest : public testing::Test {
 protected:
  void SetUp() override { cluster_.Follow({}); }

  // Tells Slurm of it, or does what the answer says instead. How, for the log.
  std::string Carry(rpc::NodeOrder order) {
    v1::NodesChanged answer;
    if (!order.drain) {
      EXPECT_TRUE(rpc::KeepDrained(switch_, &order, &answer));
    }
    const bool by_rest = rpc::CanTell(&switch_, order, &answer);
    const std::atomic<bool> stopping = false;
    if (by_rest) {
      EXPECT_EQ(rpc::TellCluster(switch_, order, stopping, &answer), order.hosts);
    }
    EXPECT_EQ(answer.refused_size(), 0) << answer.refused(0);
    EXPECT_EQ(answer.commands_size(), by_rest ? 0 : 1);
    for (const std::string& command : answer.commands()) test::SlurmCommand("run", command);
    return by_rest ? "by REST" : "by the command";
  }

  // Within a minute.
  bool Seen(const std::string& name, NodeHealth health, const std::string& reason) {
    std::unique_lock lock(mutex_);
    return news_.wait_for(lock, std::chrono::seconds(60), [&] {
      const auto node = nodes_.find(name);
      return node != nodes_.end() && node->second.health == health &&
             (health == NodeHealth::kUp || node->second.health_reason == reason);
    });
  }

  void Take(const ClusterEvent& event) {
    const auto* seen = std::get_if<NodesObserved>(&event);
    if (seen == nullptr) return;
    {
      const std::scoped_lock lock(mutex_);
      for (const Node& node : seen->nodes) nodes_[node.name] = node;
    }
    news_.notify_all();
  }

  HostClock clock_;
  NodeSwitch switch_{{.url = test::SlurmVariable("SLURMRESTD_URL"),
                      .token_file = "",
                      .jwt_key_file = test::SlurmVariable("SLURM_JWT_KEY"),
                      .user = "slurm"},
                     clock_};
  std::mutex mutex_;
  std::condition_variable news_;
  std::map<std::string, Node> nodes_;
  SlurmCluster cluster_{{.url = test::SlurmVariable("SLURMRESTD_URL"),
                         .jwt_key_file = test::SlurmVariable("SLURM_JWT_KEY"),
                         .tag_prefix = "test:"},
                        clock_,
                        [this](const ClusterEvent& event) { Take(event); }};
};

TEST_F(SlurmNodesTest, AnAdminsDrainAndResumeAreDone) {
  const std::string reason = "bob's \"fan\" 3 fails, $HOME; see ticket #7";
  const rpc::NodeOrder drain{.hosts = {"n03", "n04"}, .drain = true, .reason = reason};
  ASSERT_TRUE(Seen("n03", NodeHealth::kUp, ""));
  RecordProperty("how", Carry(drain));
  for (const char* node : {"n03", "n04"}) {
    EXPECT_TRUE(Seen(node, NodeHealth::kDraining, reason)) << nodes_[node].health_reason;
  }
  Carry(drain);  // again is no error
  // At once, whatever Kezek has seen by then; what is not drained is not told.
  const rpc::NodeOrder resume{.hosts = {"n02", "n03", "n04"}, .drain = false, .reason = ""};
  Carry(resume);
  for (const char* node : {"n03", "n04"}) EXPECT_TRUE(Seen(node, NodeHealth::kUp, ""));
}

// Another hand drained it: its words are seen, and resume takes it back all the same.
TEST_F(SlurmNodesTest, WhatSlurmHasDrainedSaysWhyAndIsPutBack) {
  test::SlurmCommand("run", "scontrol update nodename=n04 state=drain reason='health check: ECC'");
  EXPECT_TRUE(Seen("n04", NodeHealth::kDraining, "health check: ECC"));
  Carry({.hosts = {"n04"}, .drain = false, .reason = ""});
  EXPECT_TRUE(Seen("n04", NodeHealth::kUp, ""));
}

// A node that there is not; a release that takes no orders refuses any.
TEST_F(SlurmNodesTest, ARefusalHasSlurmsWordsAndTheCommand) {
  const rpc::NodeOrder order{.hosts = {"n77"}, .drain = true, .reason = "x"};
  v1::NodesChanged answer;
  const std::atomic<bool> stopping = false;
  EXPECT_TRUE(rpc::TellCluster(switch_, order, stopping, &answer).empty());
  ASSERT_EQ(answer.refused_size(), 1);
  EXPECT_TRUE(answer.refused(0).starts_with("n77: Slurm refuses: ")) << answer.refused(0);
  EXPECT_EQ(answer.commands(0), "scontrol update NodeName=n77 State=DRAIN Reason=x");
}

}  // namespace
}  // namespace kezek::slurm

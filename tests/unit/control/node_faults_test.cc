// Goal: a node on which launches fail is set aside, tried again, and back after one that succeeds;
// what one job or all nodes are at fault for is not blamed on a node. Method: launches by hand.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class NodeFaultsTest : public ::testing::Test {
 protected:
  NodeFaultsTest() { desk.Up(); }

  // A job for this node, released, with no start in time.
  AttemptRef Fail(const std::string& node) {
    const AttemptRef ref = Started(node);
    desk.Step(desk.config.launch_timeout_ms);
    ClusterJob pending = desk.Seen(ref, id_, ClusterJobState::kPending);
    desk.Offer(Observed{pending});
    desk.Step();
    ClusterJob gone = desk.Seen(ref, id_, ClusterJobState::kCancelled);
    gone.end_ms = desk.now;
    desk.Offer(Observed{gone});
    desk.Step();
    EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kLaunchFailed);
    EXPECT_TRUE(desk.Do(CancelJobs{{ref.job}}).has_value());
    return ref;
  }
  AttemptRef Started(const std::string& node) {
    desk.submitter = UserId{1 + id_ % 2};
    const JobId job = desk.Submit([&node](JobSpec& spec) { spec.nodes = {node}; });
    return desk.Started(job, ++id_);
  }
  void Run(const std::string& node) {
    const AttemptRef ref = Started(node);
    ClusterJob seen = desk.Seen(ref, id_, ClusterJobState::kRunning);
    seen.start_ms = desk.now;
    desk.Offer(Observed{seen});
    desk.Step();
  }
  NodeHealth HealthOf(const std::string& node) {
    return desk.controller->view()->nodes.at(node).health;
  }

  DeskOfOne desk;
  std::int64_t id_ = 900;
};

TEST_F(NodeFaultsTest, ThreeInARowSetANodeAsideForATime) {
  Fail("n1");
  Fail("n1");
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kUp);
  Fail("n1");
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kDraining);
  const Node& node = desk.controller->view()->nodes.at("n1");
  EXPECT_EQ(node.set_aside_until_ms, desk.now + desk.config.set_aside_ms);
  EXPECT_EQ(node.health_reason, "3 launches in a row failed here");
  desk.Submit([](JobSpec& spec) { spec.nodes = {"n1"}; });
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(desk.Tick()).empty()) << "nothing starts there";

  desk.Begin();
  desk.Up();
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kDraining) << "a new process knows it";
  const Ready later = desk.Step(desk.config.set_aside_ms);
  EXPECT_EQ(DeskOfOne::All<SubmitAction>(later).size(), 1U) << "it is tried again";
  desk.Tick();
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kUp);
}

TEST_F(NodeFaultsTest, OneMoreFailureDoublesIt) {
  for (int i = 0; i < 3; ++i) Fail("n1");
  desk.Step(desk.config.set_aside_ms);
  Fail("n1");
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kDraining);
  EXPECT_GT(desk.controller->view()->nodes.at("n1").set_aside_until_ms,
            desk.now + desk.config.set_aside_ms);
}

TEST_F(NodeFaultsTest, ALaunchThatSucceedsBringsItBack) {
  for (int i = 0; i < 3; ++i) Fail("n1");
  desk.Step(desk.config.set_aside_ms);
  Run("n1");
  const Node& node = desk.controller->view()->nodes.at("n1");
  EXPECT_EQ(node.health, NodeHealth::kUp);
  EXPECT_EQ(node.set_aside_until_ms, 0);
  Fail("n1");
  Fail("n1");
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kUp) << "counted from there";
}

TEST_F(NodeFaultsTest, OneSuccessBetweenCountsAnew) {
  Fail("n1");
  Fail("n1");
  Run("n1");
  Fail("n1");
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kUp);
}

TEST_F(NodeFaultsTest, TooManyNodesAreNotAtFault) {
  for (int i = 0; i < 3; ++i) Fail("n1");
  for (int i = 0; i < 4; ++i) Fail("n2");
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kDraining);
  EXPECT_EQ(HealthOf("n2"), NodeHealth::kUp) << "a tenth of the machine, one node here, is aside";
  ASSERT_TRUE(desk.Do(SetNodeService{.nodes = {"n1"}, .drain = false}).has_value());
  EXPECT_EQ(HealthOf("n1"), NodeHealth::kUp) << "an admin knows better";
}

}  // namespace
}  // namespace kezek::control

// Goal: nodes that an admin takes out or puts back are so in Kezek first, then in the cluster, with
// an event before it is told; what it cannot be told, or refuses, is left as the exact command.
// Method: calls through gRPC; a switch in memory that can refuse, be away, or take no orders.

#include "rpc/node_orders.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kezek/v1/cluster.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

using Lines = std::vector<std::string>;

class FakeSwitch final : public ClusterNodes {
 public:
  Result<bool> TakesOrders() override {
    if (away) return Error{Code::kUnavailable, "connection refused", {}};
    return takes_orders;
  }
  Result<std::set<std::string>> Drained() override {
    if (away) return Error{Code::kUnavailable, "connection refused", {}};
    return drained;
  }
  Result<void> Drain(const std::string& host, const std::string& reason) override {
    return Do(host, "drain " + host + ": " + reason);
  }
  Result<void> Resume(const std::string& host) override {
    if (on_resume) on_resume(host);
    return Do(host, "resume " + host);
  }

  bool takes_orders = true;
  std::set<std::string> drained;
  bool away = false;
  std::map<std::string, Error> refuses;  // by host
  std::function<void(const std::string&)> on_resume;
  Lines done;

 private:
  Result<void> Do(const std::string& host, std::string what) {
    if (const auto refused = refuses.find(host); refused != refuses.end()) return refused->second;
    done.push_back(std::move(what));
    return {};
  }
};

class NodeOrdersTest : public Served {
 protected:
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->nodes = &switch_; }
  void SetUp() override {
    Served::SetUp();
    switch_.on_resume = [this](const std::string& host) { SetHealth(host, NodeHealth::kUp); };
    switch_.drained = {"n04"};  // that nobody asks about
  }
  // As Kezek has seen it, and as it is.
  void SetHealth(const std::string& node, NodeHealth health) {
    switch_.drained.erase(node);
    if (health == NodeHealth::kDraining) switch_.drained.insert(node);
    View view = *desk_.view();
    view.nodes.at(node).health = health;
    desk_.SetView(std::make_shared<const View>(std::move(view)));
  }
  std::string Drain(const Lines& nodes, const std::string& reason, bool kezek_only = false) {
    v1::DrainNodesRequest request;
    request.mutable_nodes()->Assign(nodes.begin(), nodes.end());
    request.set_reason(reason);
    request.set_kezek_only(kezek_only);
    answer_.Clear();
    return Reason(stub()->DrainNodes(As("root@kezek").get(), request, &answer_));
  }
  std::string Resume(const Lines& nodes, bool kezek_only = false) {
    v1::ResumeNodesRequest request;
    request.mutable_nodes()->Assign(nodes.begin(), nodes.end());
    request.set_kezek_only(kezek_only);
    answer_.Clear();
    return Reason(stub()->ResumeNodes(As("root@kezek").get(), request, &answer_));
  }
  std::unique_ptr<v1::ClusterService::Stub> stub() { return v1::ClusterService::NewStub(channel_); }
  Lines Commands() const { return {answer_.commands().begin(), answer_.commands().end()}; }
  Lines Refused() const { return {answer_.refused().begin(), answer_.refused().end()}; }
  // What the desk was told, in its order.
  Lines Told() const {
    Lines told;
    for (const Command& command : desk_.commands()) {
      if (const auto* set = std::get_if<SetNodeService>(&command.body)) {
        told.push_back(set->drain ? "drain" : "resume");
      } else if (const auto* act = std::get_if<NoteAct>(&command.body)) {
        told.push_back(act->what + ": " + act->done);
      }
    }
    return told;
  }

  FakeSwitch switch_;
  v1::NodesChanged answer_;
};

TEST_F(NodeOrdersTest, ADrainIsHereThenOnRecordThenInTheCluster) {
  ASSERT_EQ(Drain({"n0[1-2]"}, "fan 3 fails"), "OK");
  EXPECT_EQ(answer_.nodes_size(), 2);
  EXPECT_EQ(Told(), (Lines{"drain", "nodes in Slurm: n[01-02] to be drained: fan 3 fails"}));
  EXPECT_EQ(switch_.done, (Lines{"drain n01: fan 3 fails", "drain n02: fan 3 fails"}));
  EXPECT_EQ(Commands(), Lines{});
  EXPECT_EQ(Refused(), Lines{});
}

TEST_F(NodeOrdersTest, OnlyHereTellsTheClusterNothing) {
  ASSERT_EQ(Drain({"n01"}, "for sbatch", true), "OK");
  SetHealth("n01", NodeHealth::kDraining);
  ASSERT_EQ(Resume({"n01"}, true), "OK");
  EXPECT_EQ(Told(), (Lines{"drain", "resume"}));
  EXPECT_EQ(switch_.done, Lines{});
  EXPECT_EQ(Commands(), Lines{});
}

TEST_F(NodeOrdersTest, WhereItTakesNoOrdersTheCommandIsTheAnswer) {
  switch_.takes_orders = false;
  ASSERT_EQ(Drain({"n01", "n02", "n05"}, "bob's fan"), "OK");
  EXPECT_EQ(Commands(),
            Lines{R"(scontrol update NodeName='n[01-02,05]' State=DRAIN Reason='bob'\''s fan')"});
  EXPECT_EQ(Refused(), Lines{});
  EXPECT_EQ(Told(), Lines{"drain"}) << "nothing was done to Slurm";
  SetHealth("n01", NodeHealth::kDraining);
  ASSERT_EQ(Resume({"n01", "n02"}), "OK");
  EXPECT_EQ(Commands(), Lines{"scontrol update NodeName=n01 State=RESUME"});
  EXPECT_EQ(switch_.done, Lines{});
}

TEST_F(NodeOrdersTest, AResumeIsToldOfWhatIsStillOutThereAndAnsweredWhenItIsSeen) {
  SetHealth("n01", NodeHealth::kDraining);
  ASSERT_EQ(Resume({"n01", "n02"}), "OK");
  EXPECT_EQ(switch_.done, Lines{"resume n01"});
  ASSERT_EQ(answer_.nodes_size(), 2);
  EXPECT_EQ(answer_.nodes(0).health(), v1::NODE_HEALTH_UP);
  EXPECT_EQ(Told(), (Lines{"resume", "nodes in Slurm: n01 to be resumed"}));
  ASSERT_EQ(Resume({"n01"}), "OK");
  EXPECT_EQ(switch_.done.size(), 1U) << "it is up";
}

TEST_F(NodeOrdersTest, AResumeAsksTheClusterForItsDrainMayNotHaveBeenSeenYet) {
  switch_.drained.insert("n01");
  ASSERT_EQ(Resume({"n01", "n02"}), "OK");
  EXPECT_EQ(switch_.done, Lines{"resume n01"});
  switch_.away = true;
  ASSERT_EQ(Resume({"n02"}), "OK");
  EXPECT_EQ(Refused(), Lines{"n02: connection refused"});
  EXPECT_EQ(Commands(), Lines{"scontrol update NodeName=n02 State=RESUME"});
}

TEST_F(NodeOrdersTest, WhatIsRefusedIsNamedAndTheRestIsDone) {
  switch_.refuses["n02"] = {Code::kFailedPrecondition, "Slurm refuses: Invalid node name", {}};
  ASSERT_EQ(Drain({"n0[1-3]"}, "x"), "OK");
  EXPECT_EQ(switch_.done, (Lines{"drain n01: x", "drain n03: x"}));
  EXPECT_EQ(Refused(), Lines{"n02: Slurm refuses: Invalid node name"});
  EXPECT_EQ(Commands(), Lines{"scontrol update NodeName=n02 State=DRAIN Reason=x"});
}

TEST_F(NodeOrdersTest, WhatIsAwayIsAskedOnce) {
  switch_.away = true;
  ASSERT_EQ(Drain({"n0[1-2]"}, "x"), "OK");
  EXPECT_EQ(Refused(), Lines{"n[01-02]: connection refused"});
  EXPECT_EQ(Commands().size(), 1U);
  switch_.away = false;
  switch_.refuses["n01"] = {Code::kUnavailable, "timed out", {}};
  ASSERT_EQ(Drain({"n0[1-3]"}, "x"), "OK");
  EXPECT_EQ(Refused(), Lines{"n[01-03]: timed out"});
  EXPECT_EQ(switch_.done, Lines{}) << "no time-out for each that is left";
}

TEST_F(NodeOrdersTest, BadRequestsChangeNothing) {
  EXPECT_EQ(Drain({"n01"}, ""), "FIELD_INVALID");
  EXPECT_EQ(Drain({"n01"}, "two\nlines"), "FIELD_INVALID");
  EXPECT_EQ(Drain({"n99"}, "x"), "NODE_NOT_FOUND");
  SetHealth("n01", NodeHealth::kDown);
  EXPECT_EQ(Resume({"n01"}), "NODE_DOWN");
  EXPECT_EQ(Told(), Lines{});
}

TEST(NodeOrderTest, APartOfAHostIsNotTheClustersToDrain) {
  std::map<std::string, Node> now;
  for (const char* name : {"n09", "n09/h200-1g", "n10"}) {
    now[name] = {.name = name, .health = NodeHealth::kDraining};
  }
  v1::NodesChanged response;
  const NodeOrder part = OrderFor({"n09/h200-1g"}, true, "x", now, &response);
  EXPECT_TRUE(part.hosts.empty());
  ASSERT_EQ(response.refused_size(), 1);
  EXPECT_EQ(response.refused(0), "n09/h200-1g is a part of n09, and Slurm drains only all of it");
  response.Clear();
  const NodeOrder whole = OrderFor({"n09", "n09/h200-1g", "n10"}, true, "x", now, &response);
  EXPECT_EQ(whole.hosts, (Lines{"n09", "n10"}));
  EXPECT_EQ(response.refused_size(), 0);
}

}  // namespace
}  // namespace kezek::rpc

// Goal: the nodes' switch says whether this release has one, sends what slurmctld understands, and
// passes on its words. Method: a server of the test's own that answers as the real ones did.
#include "slurm/node_switch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/slurm/listener.h"

namespace kezek::slurm {
namespace {

class StillClock : public Clock {
 public:
  TimeMs Now() override { return 1'795'227'068'700; }
};

// As 24.11 answers whom it does not let.
constexpr const char* kNotLet = R"({"errors": [{"description": "Failure to update node n3",
  "error_number": 2010, "error": "Invalid user id", "source": "_update_node"}],
  "warnings": [], "meta": {}})";

class NodeSwitchTest : public testing::Test {
 protected:
  NodeSwitchTest() {
    std::string path = testing::TempDir() + "kezek-token-XXXXXX";
    ::close(::mkstemp(path.data()));
    std::ofstream(path) << "token";
    token_path_ = path;
    switch_ = std::make_unique<NodeSwitch>(NodeSwitchOptions{.url = listener_.url(),
                                                             .token_file = token_path_,
                                                             .jwt_key_file = "",
                                                             .user = "slurm",
                                                             .request_timeout_ms = 5000},
                                           clock_);
  }
  ~NodeSwitchTest() override { std::remove(token_path_.c_str()); }

  std::string version_ = "v0.0.42";
  std::pair<int, std::string> answer_{200, R"({"errors":[],"warnings":[],"meta":{}})"};
  std::vector<std::string> posted_;
  std::unique_ptr<NodeSwitch> switch_;

 private:
  std::string Reply(const std::string& request) {
    const std::scoped_lock lock(mutex_);
    const std::string line = request.substr(0, request.find(" HTTP/"));
    if (line == "GET /slurm/" + version_ + "/ping") return HttpReply(200, R"({"pings":[]})");
    if (!line.starts_with("POST ")) return HttpReply(404, "no such path");
    posted_.push_back(line + " " + request.substr(request.find("\r\n\r\n") + 4));
    return HttpReply(answer_.first, answer_.second);
  }

  std::mutex mutex_;
  std::string token_path_;
  StillClock clock_;
  Listener listener_{[this](const std::string& request) { return Reply(request); }};
};

TEST_F(NodeSwitchTest, DrainsAndResumes) {
  ASSERT_TRUE(*switch_->TakesOrders());
  EXPECT_TRUE(switch_->Drain("n3", "fan \"3\" fails"));
  EXPECT_TRUE(switch_->Resume("n3"));
  EXPECT_EQ(posted_,
            (std::vector<std::string>{
                R"(POST /slurm/v0.0.42/node/n3 {"reason":"fan \"3\" fails","state":["DRAIN"]})",
                R"(POST /slurm/v0.0.42/node/n3 {"state":["RESUME"]})"}));
}

TEST_F(NodeSwitchTest, The2205HasNone) {
  version_ = "v0.0.38";
  const auto takes = switch_->TakesOrders();
  ASSERT_TRUE(takes.has_value());
  EXPECT_FALSE(*takes);
}

TEST_F(NodeSwitchTest, ARefusalIsToldInSlurmsWords) {
  for (const int status : {200, 422, 500}) {
    answer_ = {status, kNotLet};
    const auto done = switch_->Drain("n3", "x");
    ASSERT_FALSE(done.has_value()) << status;
    EXPECT_EQ(done.error().code, Code::kFailedPrecondition);
    EXPECT_NE(done.error().message.find("Invalid user id"), std::string::npos)
        << done.error().message;
  }
}

TEST_F(NodeSwitchTest, WithoutAServerItIsUnavailable) {
  StillClock clock;
  std::ofstream(testing::TempDir() + "kezek-switch-token") << "token";
  NodeSwitch away({.url = "http://127.0.0.1:1",
                   .token_file = testing::TempDir() + "kezek-switch-token",
                   .jwt_key_file = "",
                   .user = "slurm",
                   .request_timeout_ms = 2000},
                  clock);
  EXPECT_EQ(away.TakesOrders().error().code, Code::kUnavailable);
  EXPECT_EQ(away.Drain("n3", "x").error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace kezek::slurm

// Goal: what of Slurm is not as Kezek takes it to be is named with a way to mend it, in the form of
// any release, and what cannot be seen is not called good. Method: a server of the test's own that
// answers from a table; nodes compared by hand.
#include "slurm/site_checks.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "slurm/credential.h"
#include "tests/unit/slurm/fixture.h"
#include "tests/unit/slurm/listener.h"

namespace kezek::slurm {
namespace {

constexpr TimeMs kLookedMs = 1'795'227'068'700;

class CheckClock : public Clock {
 public:
  TimeMs Now() override { return kLookedMs; }
};

class SlurmChecksTest : public testing::Test {
 protected:
  SlurmChecksTest() {
    std::string path = testing::TempDir() + "kezek-token-XXXXXX";
    ::close(::mkstemp(path.data()));
    options_.token_file = path;
    options_.url = listener_.url();
    options_.user = "slurm";
    options_.topology_file = "topology.yaml";
    SetToken(30 * kDayMs);
    Answer("ping", R"({"pings":[{"hostname":"c1","ping":"UP"}]})");
    AnswerDiag(kLookedMs / kSecondMs);
  }
  ~SlurmChecksTest() override { std::remove(options_.token_file.c_str()); }

  void SetToken(DurationMs lifetime) {
    std::ofstream(options_.token_file) << SignToken("key", "slurm", kLookedMs, lifetime);
  }
  void Answer(const std::string& tail, const std::string& body) {
    const std::scoped_lock lock(mutex_);
    answers_["/slurm/v0.0.38/" + tail] = body;
  }
  void AnswerDiag(std::int64_t seconds) {
    Answer("diag", R"({"statistics":{"dbd_agent_queue_size":0,"req_time":)" +
                       std::to_string(seconds) + "}}");
  }
  Finding Look(const std::string& name) {
    for (const SiteCheck& check : SlurmChecks(options_, clock_)) {
      if (check.name == name) return check.look(nullptr).at(0);
    }
    ADD_FAILURE() << "no check " << name;
    return {};
  }

  CheckOptions options_;
  // What slurmdbd tells in this user's name.
  void Books(const std::string& user, const std::string& tail, const std::string& body) {
    const std::scoped_lock lock(mutex_);
    books_[{user, "/slurmdb/v0.0.38/" + tail}] = body;
  }
  std::string refused_user_;  // may not be acted as

 private:
  std::string Reply(const std::string& request) {
    const auto begin = request.find(' ') + 1;
    const std::string target = request.substr(begin, request.find_first_of(" ?", begin) - begin);
    const std::scoped_lock lock(mutex_);
    if (!refused_user_.empty() && request.find(": " + refused_user_ + "\r") != std::string::npos) {
      return HttpReply(500, R"({"errors":[{"errno":5005,"error":"not allowed"}]})");
    }
    for (const auto& [key, body] : books_) {
      if (key.second == target && request.find(": " + key.first + "\r") != std::string::npos) {
        return HttpReply(200, body);
      }
    }
    const auto found = answers_.find(target);
    return found == answers_.end() ? HttpReply(404, "no such path") : HttpReply(200, found->second);
  }

  std::mutex mutex_;
  std::map<std::string, std::string> answers_;
  std::map<std::pair<std::string, std::string>, std::string> books_;  // by user and path
  CheckClock clock_;
  Listener listener_{[this](const std::string& request) { return Reply(request); }};
};

TEST_F(SlurmChecksTest, TheApiThatIsServedIsNamed) {
  EXPECT_EQ(Look("slurm-api").state, CheckState::kOk);
  EXPECT_NE(Look("slurm-api").found.find("v0.0.38"), std::string::npos);
  options_.url = "http://127.0.0.1:1";
  EXPECT_EQ(Look("slurm-api").state, CheckState::kProblem);
  EXPECT_NE(Look("slurm-api").mend.find("slurmrestd"), std::string::npos);
  EXPECT_EQ(Look("slurm-clock").state, CheckState::kNotLookedAt) << "named once, by slurm-api";
}

TEST_F(SlurmChecksTest, TokensThatEndAreNamedAndNeverShown) {
  EXPECT_EQ(Look("slurm-token").state, CheckState::kOk);
  SetToken(5 * kHourMs + kMinuteMs);
  EXPECT_EQ(Look("slurm-token").state, CheckState::kWarning);
  EXPECT_NE(Look("slurm-token").found.find("in 5 hours"), std::string::npos);
  SetToken(-kHourMs);
  const Finding expired = Look("slurm-token");
  EXPECT_EQ(expired.state, CheckState::kProblem);
  EXPECT_EQ((expired.found + expired.mend).find("eyJ"), std::string::npos);
  ::chmod(options_.token_file.c_str(), 0644);
  const Finding open = Look("slurm-token");
  EXPECT_EQ(open.state, CheckState::kProblem);
  EXPECT_NE(open.mend.find("chmod"), std::string::npos);
}

TEST_F(SlurmChecksTest, ATokenMustBeTakenAndActForOthers) {
  EXPECT_EQ(Look("slurm-acting").state, CheckState::kOk);
  refused_user_ = "nobody";
  EXPECT_EQ(Look("slurm-acting").state, CheckState::kProblem);
  refused_user_ = "slurm";
  EXPECT_EQ(Look("slurm-acting").state, CheckState::kNotLookedAt);
}

TEST_F(SlurmChecksTest, ASlurmctldThatIsDownIsNamed) {
  Answer("ping",
         R"({"pings":[{"hostname":"c1","pinged":"UP"},{"hostname":"c2","pinged":"DOWN"}]})");
  EXPECT_EQ(Look("slurm-controllers").state, CheckState::kWarning);
  EXPECT_NE(Look("slurm-controllers").found.find("c2"), std::string::npos);
  Answer("ping", R"({"pings":[{"hostname":"c1","ping":"DOWN"}]})");
  EXPECT_EQ(Look("slurm-controllers").state, CheckState::kProblem);
  Answer("ping", R"({"pings":[{"hostname":"c1","responding":true}]})");
  EXPECT_EQ(Look("slurm-controllers").state, CheckState::kOk) << "as v0.0.45 has it";
}

TEST_F(SlurmChecksTest, WhatSlurmdbdTellsOthersIsAskedInAUsersName) {
  options_.somebody = [](const auto&) { return std::string("alice"); };
  EXPECT_EQ(Look("slurm-privacy").state, CheckState::kNotLookedAt) << "it is not served";
  const std::string jobs = R"({"errors":[],"jobs":[{"user":"alice"},{"user":"bob"}]})";
  const std::string own = R"({"errors":[],"jobs":[{"user":"alice"}]})";
  const std::string alice = R"({"name":"alice","administrator_level":["None"]})";
  const std::string users = R"({"errors":[],"users":[)";
  Books("slurm", "jobs", jobs);
  Books("alice", "jobs", own);
  Books("alice", "users", users + alice + "]}");
  EXPECT_EQ(Look("slurm-privacy").state, CheckState::kOk);
  Books("alice", "jobs", jobs);
  const Finding told = Look("slurm-privacy");
  EXPECT_EQ(told.state, CheckState::kWarning);
  EXPECT_EQ(told.found, "slurmdbd tells alice of jobs of bob");
  EXPECT_NE(told.mend.find("PrivateData="), std::string::npos);
  Books("alice", "jobs", own);
  Books("alice", "users", users + alice + R"(,{"name":"root","administrator_level":"Admin"}]})");
  EXPECT_EQ(Look("slurm-privacy").found, "slurmdbd tells alice of the user root");
}

TEST_F(SlurmChecksTest, WhatProvesNothingOfPrivacyIsNotCalledGood) {
  options_.somebody = [](const auto&) { return std::string("alice"); };
  const std::string denied = R"({"errors":[{"error_number":2002,"error":"denied"}],"users":[]})";
  const std::string nothing = R"({"errors":[{"error_number":9003,"error":"nothing"}]})";
  const std::string own = R"({"errors":[],"jobs":[{"user":"alice"}]})";
  const std::string alice = R"({"errors":[],"users":[{"name":"alice","administrator_level":)";
  Books("slurm", "jobs", R"({"errors":[],"jobs":[{"user":"alice"},{"user":"bob"}]})");
  Books("alice", "jobs", own);
  Books("alice", "users", denied);
  EXPECT_EQ(Look("slurm-privacy").state, CheckState::kNotLookedAt) << "nobody to slurmdbd";
  Books("alice", "users", alice + R"("Administrator"}]})");
  EXPECT_NE(Look("slurm-privacy").found.find("administrator"), std::string::npos);
  Books("alice", "users", alice + R"("None"}]})");
  EXPECT_EQ(Look("slurm-privacy").state, CheckState::kOk);
  Books("alice", "users", "{}");
  EXPECT_EQ(Look("slurm-privacy").state, CheckState::kNotLookedAt);
  Books("alice", "users", alice + R"("None"}]})");
  Books("slurm", "jobs", nothing);
  EXPECT_EQ(Look("slurm-privacy").state, CheckState::kNotLookedAt) << "nobody else has jobs";
}

TEST_F(SlurmChecksTest, ClocksAreComparedInWholeSeconds) {
  EXPECT_EQ(Look("slurm-clock").state, CheckState::kOk);
  AnswerDiag(kLookedMs / kSecondMs + 10);
  EXPECT_EQ(Look("slurm-clock").state, CheckState::kWarning);
  EXPECT_NE(Look("slurm-clock").found.find("ahead"), std::string::npos);
  AnswerDiag(kLookedMs / kSecondMs - 200);
  EXPECT_EQ(Look("slurm-clock").state, CheckState::kProblem);
  Answer("diag", R"({"statistics":{"req_time":{"set":true,"number":1795227068}}})");
  EXPECT_EQ(Look("slurm-clock").state, CheckState::kOk) << "in the later form";
  Answer("diag", R"({"statistics":{}})");
  EXPECT_EQ(Look("slurm-clock").state, CheckState::kNotLookedAt);
}

TEST_F(SlurmChecksTest, ThePartitionMustBeUpAndHaveTheNodes) {
  options_.topology = {{.name = "n01", .gpus = 8}, {.name = "n02", .gpus = 8}};
  Answer("partitions",
         R"({"partitions":[{"name":"a","flags":["default"],"state":"UP","nodes":"n[01-02]"},
                           {"name":"b","flags":[],"state":"DOWN","nodes":"n01"}]})");
  EXPECT_EQ(Look("slurm-partition").state, CheckState::kOk);
  options_.partition = "b";
  EXPECT_NE(Look("slurm-partition").found.find("b is DOWN"), std::string::npos);
  options_.partition = "c";
  EXPECT_NE(Look("slurm-partition").found.find("no partition c"), std::string::npos);
  options_.partition = "d";
  Answer(
      "partitions",
      R"({"partitions":[{"name":"d","partition":{"state":["UP"]},"nodes":{"configured":"n01"}}]})");
  const Finding outside = Look("slurm-partition");
  EXPECT_EQ(outside.state, CheckState::kProblem);
  EXPECT_NE(outside.found.find("n02"), std::string::npos) << outside.found;
  options_.topology = {{.name = "n01"}, {.name = "n01/mig"}};
  EXPECT_EQ(Look("slurm-partition").state, CheckState::kOk) << "a part is where its host is";
}

TEST_F(SlurmChecksTest, NodesAreReadAsAllReleasesTellThem) {
  options_.topology = {{.name = "n01", .gpu_type = "h200", .gpus = 8, .cpus = 192}};
  const auto node = [](const std::string& gpus) {
    return R"({"nodes":[{"name":"n01","cpus":192,"real_memory":2000,"gres":"gpu:h200:)" + gpus +
           "(S:0-1)\",\"tres\":\"cpu=192,mem=2000M,gres/gpu=" + gpus + "\"}]}";
  };
  Answer("nodes", node("8"));
  EXPECT_EQ(Look("slurm-nodes").state, CheckState::kOk);
  Answer("nodes", node("4"));
  const Finding fewer = Look("slurm-nodes");
  EXPECT_EQ(fewer.state, CheckState::kProblem);
  EXPECT_NE(fewer.found.find("8 GPUs of h200 by topology.yaml, 4 GPUs of h200 by Slurm"),
            std::string::npos)
      << fewer.found;
}

TEST(CompareNodes, WhatEachSideLacksAndWhatIsLess) {
  const std::vector<Node> topology = {
      {.name = "n01", .gpu_type = "h200", .gpus = 8, .cpus = 192, .memory_mib = 1000},
      {.name = "n02", .gpu_type = "h200", .gpus = 8, .cpus = 192, .memory_mib = 1000},
      {.name = "n03", .gpu_type = "h200", .gpus = 8, .cpus = 192, .memory_mib = 1000}};
  std::vector<Node> slurm = topology;
  EXPECT_EQ(CompareNodes(topology, slurm, "f").at(0).state, CheckState::kOk);
  slurm[0].gpu_type = "a100";
  slurm[1].memory_mib = 999;
  slurm[2].name = "n04";
  slurm.push_back({.name = "login", .cpus = 4});
  const auto findings = CompareNodes(topology, slurm, "f");
  ASSERT_EQ(findings.size(), 4U);
  EXPECT_EQ(findings[0].found, "n03: unknown to Slurm");
  EXPECT_NE(findings[1].found.find("n02: 1000 MiB"), std::string::npos) << findings[1].found;
  EXPECT_NE(findings[2].found.find("n01: 8 GPUs of h200"), std::string::npos);
  EXPECT_EQ(findings[3].state, CheckState::kWarning) << "a node without GPUs is not missed";
  EXPECT_NE(findings[3].found.find("n04"), std::string::npos);
}

TEST(CompareNodes, AHostOfSeveralTypesIsOneToSlurm) {
  std::vector<Node> topology(2);
  topology[0] = {.name = "n01", .gpu_type = "h200", .gpus = 7, .cpus = 14, .memory_mib = 700};
  topology[1] = {.name = "n01/mig", .gpu_type = "mig", .gpus = 7, .cpus = 2, .memory_mib = 100};
  Node host{.name = "n01", .gpu_type = "h200", .gpus = 7, .cpus = 16, .memory_mib = 800};
  host.more_gpus = {{.gpu_type = "mig", .gpus = 7}};
  EXPECT_EQ(CompareNodes(topology, {host}, "f").at(0).state, CheckState::kOk);
  host.more_gpus[0].gpus = 6;
  host.cpus = 15;
  const auto findings = CompareNodes(topology, {host}, "f");
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].found, "n01: 16 CPUs by f, 15 by Slurm");
  EXPECT_EQ(
      findings[1].found,
      "n01: 7 GPUs of h200 and 7 GPUs of mig by f, 7 GPUs of h200 and 6 GPUs of mig by Slurm");
}

TEST(TokenEnd, OfATokenAndOfAnythingElse) {
  EXPECT_EQ(TokenEnd(SignToken("k", "u", kLookedMs, kHourMs)),
            (kLookedMs + kHourMs) / kSecondMs * kSecondMs);
  for (const char* text : {"", "token", "a.b", "a.b.c", "a.e30.c", "..", "a.!!.c"}) {
    EXPECT_EQ(TokenEnd(text), 0) << text;
  }
}

}  // namespace
}  // namespace kezek::slurm

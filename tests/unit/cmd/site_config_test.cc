// Goal: each setting of slurm.conf that Kezek depends on is judged, those that are not told are
// not, and secrets that others may read are named without being shown. Method: what scontrol
// writes, changed a line at a time; files made by the test. Leaf switches are compared as well.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "cmd/kezekd/file_checks.h"
#include "cmd/kezekd/slurm_config_check.h"
#include "cmd/kezekd/slurm_topology_check.h"

namespace kezek::kezekd {
namespace {

constexpr const char* kGood = R"(Configuration data as of 2026-11-23T09:00:00
AccountingStorageEnforce = associations,limits,qos
AccountingStorageTRES   = cpu,mem,energy,node,billing,gres/gpu,gres/gpu:h200
AccountingStorageType   = accounting_storage/slurmdbd
AccountingStoreFlags    = job_comment
AuthAltTypes            = auth/jwt
FirstJobId              = 1
GresTypes               = gpu,nic
JobRequeue              = 0
KillWait                = 30 sec
MaxJobCount             = 50000
MaxJobId                = 67043328
MessageTimeout          = 10 sec
MinJobAge               = 300 sec
PrivateData             = accounts,jobs,reservations,usage,users
SchedulerParameters     = batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType              = select/cons_tres
)";

std::vector<Finding> With(const std::string& key, const std::string& value) {
  auto config = ReadSlurmConfig(kGood);
  config[key] = value;
  return JudgeSlurmConfig(config, {});
}

TEST(SlurmConfigTest, WhatSuitsKezekIsOneGoodLine) {
  const auto findings = JudgeSlurmConfig(ReadSlurmConfig(kGood), {});
  ASSERT_EQ(findings.size(), 1U) << findings[0].found;
  EXPECT_EQ(findings[0].state, CheckState::kOk);
  EXPECT_EQ(JudgeSlurmConfig({}, {}).at(0).state, CheckState::kOk) << "what is not told";
}

TEST(SlurmConfigTest, EachSettingIsJudged) {
  const struct {
    const char* key;
    const char* value;
    CheckState state;
    const char* says;
  } cases[] = {
      {"AuthAltTypes", "(null)", CheckState::kProblem, "lacks auth/jwt"},
      {"SelectType", "select/linear", CheckState::kProblem, "select/linear"},
      {"GresTypes", "(null)", CheckState::kProblem, "lacks gpu"},
      {"AccountingStorageType", "accounting_storage/none", CheckState::kProblem, "ends are lost"},
      {"AccountingStorageTRES", "cpu,mem", CheckState::kProblem, "how many GPUs"},
      {"AccountingStoreFlags", "(null)", CheckState::kWarning, "which runs are Kezek's"},
      {"AccountingStorageEnforce", "none", CheckState::kWarning, "beside Kezek"},
      {"PrivateData", "jobs,users", CheckState::kWarning, "lacks accounts,reservations,usage"},
      {"JobRequeue", "1", CheckState::kWarning, "what runs again"},
      {"MessageTimeout", "30 sec", CheckState::kProblem, "lost request"},
      {"KillWait", "600 sec", CheckState::kProblem, "run on"},
      {"MinJobAge", "2 sec", CheckState::kWarning, "forgotten"},
      {"MinJobAge", "86400 sec", CheckState::kWarning, "listings"},
      {"MaxJobCount", "1000", CheckState::kWarning, "refused"},
      {"MaxJobId", "2000", CheckState::kWarning, "comes round after 1999 jobs"},
      {"SchedulerParameters", "(null)", CheckState::kWarning, "released job wait"},
      {"SchedulerParameters", "bf_interval=30", CheckState::kWarning, "released job wait"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(std::string(one.key) + "=" + one.value);
    const auto findings = With(one.key, one.value);
    ASSERT_EQ(findings.size(), 1U) << findings[0].found;
    EXPECT_EQ(findings[0].state, one.state);
    EXPECT_NE(findings[0].found.find(one.says), std::string::npos) << findings[0].found;
    EXPECT_EQ(findings[0].mend.find("slurm.conf: "), 0U) << findings[0].mend;
  }
}

TEST(SlurmConfigTest, OnesOwnMarginsCount) {
  auto config = ReadSlurmConfig(kGood);
  config["MessageTimeout"] = "30 sec";
  config["KillWait"] = "600 sec";
  const auto findings = JudgeSlurmConfig(config, {30 * kSecondMs, 10 * kMinuteMs});
  EXPECT_EQ(findings.at(0).state, CheckState::kOk);
}

class SecretFilesTest : public testing::Test {
 protected:
  SecretFilesTest() {
    path_ = testing::TempDir() + "kezek-secret-XXXXXX";
    ::close(::mkstemp(path_.data()));
    std::ofstream(path_) << "topsecret";
  }
  ~SecretFilesTest() override { std::remove(path_.c_str()); }
  std::vector<Finding> Look() {
    return SecretFilesCheck({{"tag_key_file", path_}, {"none", ""}}).look(nullptr);
  }
  std::string path_;
};

TEST_F(SecretFilesTest, WhatOthersMayReadIsNamedNotShown) {
  EXPECT_EQ(Look().at(0).state, CheckState::kOk);
  ::chmod(path_.c_str(), 0644);
  const auto open = Look();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].state, CheckState::kProblem);
  EXPECT_EQ(open[0].mend, "chmod 640 " + path_);
  EXPECT_EQ(open[0].found.find("topsecret"), std::string::npos);
  std::remove(path_.c_str());
  EXPECT_EQ(Look().at(0).state, CheckState::kProblem);
}

constexpr const char* kTree = R"(SwitchName=s1 Level=0 LinkSpeed=1 Nodes=n[01-02]
SwitchName=s2 Level=0 LinkSpeed=1 Nodes=n[03-04]
SwitchName=spine Level=1 LinkSpeed=1 Nodes=n[01-04] Switches=s[1-2]
)";

std::vector<Node> Leaves(const std::vector<std::string>& leaves) {
  std::vector<Node> nodes;
  for (const std::string& leaf : leaves) {
    Node& node = nodes.emplace_back();
    node.name = "n0" + std::to_string(nodes.size());
    node.leaf = leaf;
  }
  return nodes;
}

TEST(SlurmTopology, LeavesThatPartTheNodesAlikeAreWellWhateverTheirNames) {
  auto nodes = Leaves({"a", "a", "b", "b"});
  EXPECT_EQ(JudgeSlurmTopology(kTree, nodes, "f").at(0).state, CheckState::kOk);
  nodes.push_back({.name = "n01/mig", .leaf = "a"});
  EXPECT_EQ(JudgeSlurmTopology(kTree, nodes, "f").at(0).state, CheckState::kOk);
}

TEST(SlurmTopology, WhatIsPartedOtherwiseIsNamed) {
  const auto moved = JudgeSlurmTopology(kTree, Leaves({"a", "b", "b", "b"}), "f");
  ASSERT_EQ(moved.size(), 2U);
  EXPECT_EQ(moved[0].state, CheckState::kWarning);
  EXPECT_EQ(moved[0].found, "one leaf by f, several by Slurm: b (n02: s1; n[03-04]: s2)");
  EXPECT_EQ(moved[1].found, "one leaf by Slurm, several by f: s1 (n01: a; n02: b)");
  const auto joined = JudgeSlurmTopology(kTree, Leaves({"a", "a", "a", "a"}), "f");
  ASSERT_EQ(joined.size(), 1U);
  EXPECT_EQ(joined[0].found, "one leaf by f, several by Slurm: a (n[01-02]: s1; n[03-04]: s2)");
  const auto more = JudgeSlurmTopology(kTree, Leaves({"a", "a", "b", "b", "b"}), "f");
  ASSERT_EQ(more.size(), 1U);
  EXPECT_EQ(more[0].found, "n05: under no leaf switch of Slurm's");
}

TEST(SlurmTopology, ABlockMayHoldSeveralLeavesButNoLeafSeveralBlocks) {
  const char* blocks =
      "BlockName=b1 BlockIndex=0 Nodes=n[01-02] BlockSize=2\n"
      "BlockName=b2 BlockIndex=1 Nodes=n[03-04] BlockSize=2\n";
  EXPECT_EQ(JudgeSlurmTopology(blocks, Leaves({"a", "a", "b", "b"}), "f")[0].state,
            CheckState::kOk);
  EXPECT_EQ(JudgeSlurmTopology(blocks, Leaves({"a", "b", "c", "d"}), "f")[0].state,
            CheckState::kOk);
  EXPECT_EQ(JudgeSlurmTopology(blocks, Leaves({"a", "b", "b", "b"}), "f")[0].found,
            "one leaf by f, several by Slurm: b (n02: b1; n[03-04]: b2)");
}

TEST(SlurmTopology, OfManyOnlySomeAreNamed) {
  std::string tree;
  std::vector<std::string> leaves;
  for (int i = 1; i <= 9; ++i) {
    tree += "SwitchName=s" + std::to_string(i) + " Level=0 Nodes=n0" + std::to_string(i) + "\n";
    leaves.emplace_back("all");
  }
  const auto found = JudgeSlurmTopology(tree, Leaves(leaves), "f").at(0).found;
  EXPECT_NE(found.find("n04: s4; and 5 more"), std::string::npos) << found;
  EXPECT_EQ(found.find("n05"), std::string::npos) << found;
}

TEST(SlurmTopology, WhereThereIsNothingToCompareItSaysSo) {
  const auto nodes = Leaves({"a", "b"});
  const auto state = [&](const char* text) {
    return JudgeSlurmTopology(text, nodes, "f")[0].state;
  };
  EXPECT_EQ(state("No topology information available\n"), CheckState::kOk);
  EXPECT_EQ(state(""), CheckState::kOk);
  EXPECT_EQ(state("SwitchName=all Level=0 Nodes=n[01-02]\n"), CheckState::kOk);
  for (const char* text : {"something else\n", "SwitchName=spine Level=1 Nodes=n[01-02]\n",
                           "SwitchName=s Level=0 Nodes=n[01\n"}) {
    EXPECT_EQ(state(text), CheckState::kNotLookedAt) << text;
  }
}

}  // namespace
}  // namespace kezek::kezekd

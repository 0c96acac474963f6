// Goal: each setting of slurm.conf that Kezek depends on is judged, those that are not told are
// not, and secrets that others may read are named without being shown. Method: what scontrol
// writes, changed a line at a time; files made by the test.

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

}  // namespace
}  // namespace kezek::kezekd

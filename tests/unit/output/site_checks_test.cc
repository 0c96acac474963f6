// Goal: a root of outputs that users cannot use, or that others can, is named, and nothing is left
// behind by the look. Method: a real folder below a temporary one, its mode changed.

#include "output/site_checks.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace kezek::output {
namespace {

namespace fs = std::filesystem;

class OutputCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kezek-root-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    Mode(0711);
  }
  void TearDown() override { fs::remove_all(root_); }
  void Mode(mode_t mode) { ASSERT_EQ(::chmod(root_.c_str(), mode), 0); }
  // Without what is said of the room on the disk.
  std::vector<Finding> Look() {
    auto findings = OutputCheck(root_).look(nullptr);
    std::erase_if(findings, [](const Finding& one) {
      return one.mend.find("output_keep") != std::string::npos;
    });
    return findings;
  }
  std::string root_;
};

TEST_F(OutputCheckTest, AFolderThatKeepsAclsIsGoodAndStaysEmpty) {
  const auto findings = Look();
  if (!findings.empty()) {
    EXPECT_EQ(findings.at(0).state, CheckState::kOk) << findings.at(0).found;
  }
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(OutputCheckTest, ModesThatLetTooManyInOrTooFewAreNamed) {
  Mode(0700);
  EXPECT_NE(Look().at(0).found.find("cannot pass through"), std::string::npos);
  Mode(0755);
  EXPECT_EQ(Look().at(0).state, CheckState::kWarning);
  Mode(0777);
  EXPECT_EQ(Look().at(0).state, CheckState::kProblem);
  EXPECT_EQ(Look().at(0).mend, "chmod 711 " + root_);
}

TEST_F(OutputCheckTest, WhatIsNotThereOrNoFolderIsNamed) {
  EXPECT_EQ(OutputCheck(root_ + "/none").look(nullptr).at(0).state, CheckState::kProblem);
  std::ofstream(root_ + "/file") << "x";
  EXPECT_NE(OutputCheck(root_ + "/file").look(nullptr).at(0).found.find("no folder"),
            std::string::npos);
}

TEST_F(OutputCheckTest, WhereNoFolderCanBeMadeIsNamed) {
  const auto findings = OutputCheck("/proc/self").look(nullptr);
  bool named = false;
  for (const Finding& one : findings) {
    named = named || one.found.find("no folder can be made there") != std::string::npos;
  }
  EXPECT_TRUE(named);
}

}  // namespace
}  // namespace kezek::output

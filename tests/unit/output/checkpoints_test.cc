// Goal: the time of the newest checkpoint is told from regular files at a path and below it, within
// bounds, without following links, and what cannot be seen says so. Method: real files with set
// times in a temporary folder.
#include "output/checkpoints.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace kezek::output {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kThen = 1'700'000'000'000;

class CheckpointsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kezek-checkpoints-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    base_ = name;
  }
  void TearDown() override { fs::remove_all(base_); }

  std::string Write(const std::string& name, TimeMs time) {
    const std::string path = base_ + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << "weights";
    const timespec at{time / 1000, static_cast<long>(time % 1000) * 1'000'000};
    const timespec both[2] = {at, at};
    EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), both, 0), 0);
    return path;
  }
  std::string base_;
};

TEST_F(CheckpointsTest, TheNewestFileCountsAtThePathAndBelow) {
  EXPECT_EQ(*LastWritten(base_), 0) << "an empty folder";
  EXPECT_EQ(*LastWritten(base_ + "/none/yet"), 0);
  EXPECT_EQ(*LastWritten(Write("single", kThen + 7)), kThen + 7);
  Write("step9/model/shard0", kThen + 2000);
  Write("step8/model/shard0", kThen + 1000);
  EXPECT_EQ(*LastWritten(base_), kThen + 2000);
  fs::rename(base_ + "/step8", base_ + "/latest");
  EXPECT_EQ(*LastWritten(base_), kThen + 2000) << "what is renamed is no newer";
  EXPECT_EQ(*LastWritten(base_, {.deepest = 1}), kThen + 7);
}

TEST_F(CheckpointsTest, NoLinkIsFollowed) {
  const std::string elsewhere = Write("elsewhere/file", kThen);
  fs::create_directory(base_ + "/ckpt");
  fs::create_symlink(elsewhere, base_ + "/ckpt/file");
  fs::create_symlink(base_ + "/elsewhere", base_ + "/ckpt/folder");
  EXPECT_EQ(*LastWritten(base_ + "/ckpt"), 0);
  EXPECT_EQ(LastWritten(base_ + "/ckpt/folder").error().code, Code::kFailedPrecondition);
}

TEST_F(CheckpointsTest, WhatIsLookedAtIsBounded) {
  for (int i = 0; i < 20; ++i) Write("f" + std::to_string(i), kThen);
  EXPECT_EQ(*LastWritten(base_, {.entries_max = 0}), 0);
  EXPECT_EQ(*LastWritten(base_, {.entries_max = 5}), kThen);
}

TEST_F(CheckpointsTest, WhatIsNotOnThisHostOrNotReadableSaysSo) {
  const auto elsewhere = LastWritten("/no-such-file-system/job/ckpt");
  ASSERT_FALSE(elsewhere.has_value());
  EXPECT_NE(elsewhere.error().message.find("No such file"), std::string::npos);
  EXPECT_FALSE(LastWritten("/dev/null").has_value());
  if (::geteuid() == 0) return;  // may read everything
  Write("closed/file", kThen);
  ASSERT_EQ(::chmod((base_ + "/closed").c_str(), 0), 0);
  EXPECT_FALSE(LastWritten(base_ + "/closed").has_value());
  ASSERT_EQ(::chmod((base_ + "/closed").c_str(), 0700), 0);
}

}  // namespace
}  // namespace kezek::output

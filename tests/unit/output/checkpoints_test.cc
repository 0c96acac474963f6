// Goal: the time of the newest checkpoint is told from the job's own files at a path and below it,
// once they are quiet, within bounds, without following links; and nothing is told of what is
// another's. Method: real files with set times in a temporary folder.
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
  // As seen for this account, a while after all was written.
  static Result<TimeMs> Of(const std::string& path, CheckpointRules rules = {}) {
    rules.uid = ::geteuid();
    if (rules.before_ms == 0) rules.before_ms = kThen + kHourMs;
    return LastWritten(path, rules);
  }
  // What is told to another account.
  static std::string OthersOf(const std::string& path, CheckpointRules rules = {}) {
    rules.uid = ::geteuid() + 1;
    rules.before_ms = kThen + kHourMs;
    const auto seen = LastWritten(path, rules);
    return seen ? "seen" : seen.error().message;
  }
  std::string base_;
};

TEST_F(CheckpointsTest, TheNewestFileCountsAtThePathAndBelow) {
  EXPECT_EQ(*Of(base_), 0) << "an empty folder";
  EXPECT_EQ(*Of(base_ + "/none/yet/"), 0);
  EXPECT_EQ(*Of(Write("single", kThen + 7)), kThen + 7);
  Write("step9/model/shard0", kThen + 2000);
  Write("step8/model/shard0", kThen + 1000);
  EXPECT_EQ(*Of(base_), kThen + 2000);
  EXPECT_EQ(*Of(base_ + "//step9/./../"), kThen + 2000);
  fs::rename(base_ + "/step8", base_ + "/latest");
  EXPECT_EQ(*Of(base_), kThen + 2000) << "what is renamed is no newer";
  EXPECT_EQ(*Of(base_, {.deepest = 1}), kThen + 7);
}

TEST_F(CheckpointsTest, WhatIsBeingWrittenIsNoneYet) {
  Write("step1", kThen);
  Write("step2.part", kThen + 9000);
  EXPECT_EQ(*Of(base_, {.before_ms = kThen + 8999}), kThen);
  EXPECT_EQ(*Of(base_, {.before_ms = kThen + 9000}), kThen + 9000);
  EXPECT_EQ(*Of(base_ + "/step2.part", {.before_ms = kThen}), 0);
}

TEST_F(CheckpointsTest, NoLinkIsFollowed) {
  const std::string elsewhere = Write("elsewhere/file", kThen);
  fs::create_directory(base_ + "/ckpt");
  fs::create_symlink(elsewhere, base_ + "/ckpt/file");
  fs::create_symlink(base_ + "/elsewhere", base_ + "/ckpt/folder");
  EXPECT_EQ(*Of(base_ + "/ckpt"), 0);
  for (const char* path : {"/ckpt/file", "/ckpt/folder", "/ckpt/folder/file", "/ckpt/folder/no"}) {
    EXPECT_EQ(Of(base_ + path).error().message, kCheckpointsNotSeen) << path;
  }
}

TEST_F(CheckpointsTest, NothingIsToldOfWhatIsAnothers) {
  Write("ckpt/step1", kThen);
  Write("ckpt/step2/shard0", kThen);
  fs::create_symlink(base_ + "/ckpt", base_ + "/link");
  for (const char* path : {"/ckpt", "/ckpt/step1", "/ckpt/step2", "/ckpt/none", "/none/yet",
                           "/link", "/link/step1", "/ckpt/step1/none"}) {
    EXPECT_EQ(OthersOf(base_ + path), kCheckpointsNotSeen) << path;
  }
  EXPECT_EQ(OthersOf(base_ + "/ckpt", {.entries_max = 0}), kCheckpointsNotSeen);
  EXPECT_EQ(OthersOf("/no-such-file-system/job/ckpt"), kCheckpointsNotSeen);
  EXPECT_EQ(OthersOf("/dev/null"), kCheckpointsNotSeen);
}

TEST_F(CheckpointsTest, InAGroupsFolderTheJobsOwnFilesCount) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const std::string group = base_ + "/group";
  const auto mine = [&] { return LastWritten(group, {.uid = 4321, .before_ms = kThen + kHourMs}); };
  Write("group/other", kThen + 2000);
  Write("group/others/file", kThen + 2000);
  EXPECT_EQ(mine().error().message, kCheckpointsNotSeen);
  ASSERT_EQ(::chown(Write("group/others/mine", kThen + 1000).c_str(), 4321, 0), 0);
  EXPECT_EQ(mine().error().message, kCheckpointsNotSeen) << "below, the folder must be its own";
  ASSERT_EQ(::chown(Write("group/mine", kThen).c_str(), 4321, 0), 0);
  EXPECT_EQ(*mine(), kThen);
  ASSERT_EQ(::chown((group + "/others").c_str(), 4321, 0), 0);
  EXPECT_EQ(*mine(), kThen + 1000);
}

TEST_F(CheckpointsTest, MoreThanIsLookedAtSaysSo) {
  for (int i = 0; i < 20; ++i) Write("f" + std::to_string(i), kThen);
  EXPECT_EQ(*Of(base_, {.entries_max = 20}), kThen);
  const auto more = Of(base_, {.entries_max = 19});
  ASSERT_FALSE(more.has_value());
  EXPECT_EQ(more.error().code, Code::kResourceExhausted);
  EXPECT_NE(more.error().message.find("kezek checkpoint"), std::string::npos);
}

// Root may read everything: it looks as somebody else.
TEST_F(CheckpointsTest, WhatMayNotBeReadSaysNoMore) {
  constexpr ::uid_t kSomebody = 4321;
  Write("closed/file", kThen);
  const std::string closed = base_ + "/closed";
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::chown(closed.c_str(), kSomebody, 0), 0);
    ASSERT_EQ(::chmod(base_.c_str(), 0755), 0);
    ASSERT_EQ(::seteuid(kSomebody), 0);
  }
  for (const ::mode_t mode : {0U, 0400U, 0100U}) {
    EXPECT_EQ(::chmod(closed.c_str(), mode), 0);
    const auto seen = Of(closed);
    EXPECT_EQ(seen ? "" : seen.error().message, kCheckpointsNotSeen) << mode;
  }
  EXPECT_EQ(::chmod(closed.c_str(), 0700), 0);
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
}

}  // namespace
}  // namespace kezek::output

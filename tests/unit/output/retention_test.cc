// Goal: retention removes all output of jobs that ended long enough ago, and nothing else: not of
// others, not through links, not outside the root.
// Method: real folders below a temporary one, swept by small steps; jobs come from a list.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "output/output_root.h"
#include "output/sweeper.h"

namespace kezek::output {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kNow = 1'800'000'000'000;

class RetentionTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kezek-retention-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    base_ = name;
    root_ = base_ + "/output";
    ASSERT_TRUE(OutputRoot::Open(root_));
    Open({.keep_ms = kDayMs, .folders_max = 2, .entries_max = 3});
  }
  void TearDown() override { fs::remove_all(base_); }

  void Open(const SweepRules& rules) {
    auto opened = Sweeper::Open(root_, rules);
    ASSERT_TRUE(opened) << opened.error().message;
    sweeper_ = std::move(*opened);
  }

  void Write(const std::string& path) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << "four";
  }
  void Knows(const JobRef& ref, JobState state, TimeMs ended_ms) {
    JobRecord record;
    record.job.ref = ref;
    record.job.state = state;
    record.job.ended_ms = ended_ms;
    jobs_[ref] = record;
  }
  bool Exists(const std::string& path) const {
    return fs::exists(fs::symlink_status(root_ + "/" + path));
  }

  // Steps until every folder has been looked at; what was removed.
  std::map<std::string, Swept::Output> Round() {
    std::map<std::string, Swept::Output> removed;
    for (int step = 0; step < 10'000; ++step) {
      const auto swept = sweeper_->Step(
          [this](const JobQuery& query) -> Result<std::vector<JobRecord>> {
            EXPECT_LE(query.refs.size(), 2U);
            std::vector<JobRecord> records;
            for (const JobRef& ref : query.refs) {
              if (jobs_.contains(ref)) records.push_back(jobs_.at(ref));
            }
            return records;
          },
          kNow);
      if (!swept) {
        ADD_FAILURE() << swept.error().message;
        break;
      }
      for (const auto& one : swept->removed) removed[ToText(one.job)] = one;
      problems_.insert(problems_.end(), swept->problems.begin(), swept->problems.end());
      if (swept->round_over) return removed;
    }
    ADD_FAILURE() << "the round does not end";
    return removed;
  }

  std::string base_;
  std::string root_;
  std::map<JobRef, JobRecord> jobs_;
  std::vector<std::string> problems_;
  std::unique_ptr<Sweeper> sweeper_;
};

TEST_F(RetentionTest, OnlyWhatEndedLongEnoughAgoIsRemoved) {
  for (const char* job : {"1", "2", "3", "4", "5_7", "6"}) {
    Write(std::string(job) + "/1/stdout");
    Write(std::string(job) + "/2/stdout");
  }
  Knows({JobId{1}, kNoElement}, JobState::kFailed, kNow - kDayMs);
  Knows({JobId{2}, kNoElement}, JobState::kSucceeded, kNow - kDayMs + 1);
  Knows({JobId{3}, kNoElement}, JobState::kRunning, 0);
  Knows({JobId{4}, kNoElement}, JobState::kQueued, kNow - 9 * kDayMs);  // no end at all
  Knows({JobId{5}, 7}, JobState::kCancelled, kNow - 9 * kDayMs);
  const auto removed = Round();
  EXPECT_EQ(removed.size(), 2U);
  EXPECT_EQ(removed.at("1").entries, 5) << "two files, two attempts, the folder";
  EXPECT_EQ(removed.at("1").bytes, 8);
  EXPECT_EQ(removed.at("1").ended_ms, kNow - kDayMs);
  EXPECT_FALSE(Exists("1"));
  EXPECT_FALSE(Exists("5_7"));
  for (const char* kept : {"2", "3", "4", "6"}) {
    EXPECT_TRUE(Exists(std::string(kept) + "/2/stdout")) << kept;
  }
  EXPECT_TRUE(problems_.empty());
  EXPECT_TRUE(Round().empty()) << "the next round finds nothing to do";
}

TEST_F(RetentionTest, LinksAreRemovedAndNotFollowed) {
  fs::create_directories(base_ + "/home/data");
  std::ofstream(base_ + "/home/data/precious") << "x";
  Write("1/1/stdout");
  fs::create_directory_symlink(base_ + "/home", root_ + "/1/1/up");
  fs::create_symlink(base_ + "/home/data/precious", root_ + "/1/1/file");
  fs::create_symlink("/nowhere/at/all", root_ + "/1/1/dangling");
  fs::create_hard_link(base_ + "/home/data/precious", root_ + "/1/1/second-name");
  fs::create_directory_symlink(base_ + "/home", root_ + "/2");
  Knows({JobId{1}, kNoElement}, JobState::kSucceeded, 1);
  Knows({JobId{2}, kNoElement}, JobState::kSucceeded, 1);
  const auto removed = Round();
  EXPECT_TRUE(removed.contains("1"));
  EXPECT_FALSE(removed.contains("2"));
  EXPECT_FALSE(Exists("1"));
  EXPECT_TRUE(Exists("2")) << "a link in a job's place is nobody's output";
  EXPECT_TRUE(fs::exists(base_ + "/home/data/precious"));
}

TEST_F(RetentionTest, WhatIsNotNamedAsKezekNamesItIsLeft) {
  for (const char* name : {"01", "+1", "-1", "1x", "_1", "1_", "1_-1", "1_01", "0", "lost+found",
                           "99999999999999999999", ".1"}) {
    Write(std::string(name) + "/1/stdout");
  }
  Write("1");  // a file
  Knows({JobId{1}, kNoElement}, JobState::kSucceeded, 1);
  Knows({JobId{0}, kNoElement}, JobState::kSucceeded, 1);
  Knows({JobId{1}, 1}, JobState::kSucceeded, 1);
  EXPECT_TRUE(Round().empty());
  EXPECT_TRUE(Exists("1"));
  EXPECT_TRUE(Exists("01/1/stdout"));
  EXPECT_TRUE(Exists("1_01/1/stdout"));
}

TEST_F(RetentionTest, AStepIsSmallHoweverMuchThereIs) {
  for (int i = 0; i < 40; ++i)
    Write("1/1/deep/" + std::to_string(i % 5) + "/f" + std::to_string(i));
  Knows({JobId{1}, kNoElement}, JobState::kSucceeded, 1);
  const auto left = [this] {
    std::int64_t count = 0;
    if (!fs::exists(root_ + "/1")) return count;
    for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(root_ + "/1")) {
      ++count;
    }
    return count + 1;
  };
  const std::int64_t before = left();
  std::int64_t now = before;
  for (int steps = 0; now > 0 && steps < 100; ++steps) {
    const auto swept = sweeper_->Step(
        [this](const JobQuery&) -> Result<std::vector<JobRecord>> {
          return std::vector<JobRecord>{jobs_.begin()->second};
        },
        kNow);
    ASSERT_TRUE(swept);
    EXPECT_LE(now - left(), 3 + 4) << "and the folders that are empty then";
    now = left();
    if (!swept->removed.empty()) {
      EXPECT_EQ(swept->removed[0].entries, before);
      EXPECT_EQ(swept->removed[0].bytes, 160);
    }
  }
  EXPECT_EQ(now, 0);
}

TEST_F(RetentionTest, AStoreThatDoesNotAnswerIsAskedAgain) {
  Write("1/1/stdout");
  Knows({JobId{1}, kNoElement}, JobState::kSucceeded, 1);
  const auto away = [](const JobQuery&) -> Result<std::vector<JobRecord>> {
    return Error{Code::kUnavailable, "no database", {}};
  };
  bool asked = false;
  for (int step = 0; step < 5; ++step) asked = !sweeper_->Step(away, kNow) || asked;
  EXPECT_TRUE(asked);
  EXPECT_TRUE(Exists("1/1/stdout"));
  EXPECT_TRUE(Round().contains("1"));
}

TEST_F(RetentionTest, WhatCannotBeRemovedIsSaidAndKeepsNothingElse) {
  std::string deep = "1/1";
  for (int i = 0; i < 70; ++i) deep += "/d";
  Write(deep + "/file");
  Write("2/1/stdout");
  Knows({JobId{1}, kNoElement}, JobState::kSucceeded, 1);
  Knows({JobId{2}, kNoElement}, JobState::kSucceeded, 1);
  const auto removed = Round();
  EXPECT_TRUE(removed.contains("2"));
  EXPECT_TRUE(Exists("1"));
  ASSERT_EQ(problems_.size(), 1U);
  EXPECT_NE(problems_[0].find("nested too deep"), std::string::npos);
}

TEST_F(RetentionTest, NobodyGetsInWhileItGoes) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to let another user in first";
  auto output = OutputRoot::Open(root_);
  ASSERT_TRUE(output);
  ASSERT_TRUE((*output)->Prepare({{JobId{1}, kNoElement}, 1}, "nobody"));
  for (int i = 0; i < 10; ++i) Write("1/1/f" + std::to_string(i));
  Knows({JobId{1}, kNoElement}, JobState::kSucceeded, 1);
  struct stat status {};
  for (int step = 0; step < 5 && (status.st_mode & 0777U) != 0700U; ++step) {
    const auto swept = sweeper_->Step(
        [this](const JobQuery&) -> Result<std::vector<JobRecord>> {
          return std::vector<JobRecord>{jobs_.begin()->second};
        },
        kNow);
    ASSERT_TRUE(swept);
    ASSERT_EQ(::stat((root_ + "/1").c_str(), &status), 0) << "too much for these steps";
  }
  EXPECT_EQ(status.st_mode & 0777U, 0700U) << "the mask of the ACL lets the job's user in no more";
  EXPECT_TRUE(Round().contains("1"));
}

TEST_F(RetentionTest, TheReaderTellsAFolderThatIsGone) {
  auto output = OutputRoot::Open(root_);
  ASSERT_TRUE(output);
  Write("1/1/other");
  const auto none = (*output)->Read(root_ + "/1/1/stdout", 0, 10);
  EXPECT_EQ(none.error().details.at(0).reason, "LOG_NOT_YET");
  const auto gone = (*output)->Read(root_ + "/2/1/stdout", 0, 10);
  EXPECT_EQ(gone.error().code, Code::kNotFound);
  EXPECT_EQ(gone.error().details.at(0).reason, "LOG_NO_FOLDER");
}

}  // namespace
}  // namespace kezek::output

// Goal: who asks whether scripts have begun gets the answer at once from a file system that
// answers, and is never kept by one that hangs. Method: looks that block until the test lets them
// go.
#include "output/begun_looks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace kezek::output {
namespace {

constexpr AttemptRef kOne{{JobId{5}, kNoElement}, 1};
constexpr AttemptRef kTwo{{JobId{6}, kNoElement}, 1};

// A file system that hangs until it is put right; what hangs may outlive the test's body.
struct Files {
  std::mutex mutex;
  std::condition_variable changed;
  bool hangs = false;
  int looks = 0;

  bool Look(const AttemptRef& attempt, std::int64_t id) {
    std::unique_lock lock(mutex);
    ++looks;
    changed.wait(lock, [this] { return !hangs; });
    return attempt == kOne && id == 9;
  }
  void Hang(bool on) {
    const std::lock_guard lock(mutex);
    hangs = on;
    changed.notify_all();
  }
};

class BegunLooksTest : public testing::Test {
 protected:
  ~BegunLooksTest() override { files_->Hang(false); }
  BegunLooks::Look Looking() {
    return [files = files_](const AttemptRef& attempt, std::int64_t id) {
      return files->Look(attempt, id);
    };
  }
  static DurationMs Since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 begin)
        .count();
  }

  std::shared_ptr<Files> files_ = std::make_shared<Files>();
};

TEST_F(BegunLooksTest, AFileSystemThatAnswersIsWaitedFor) {
  BegunLooks looks(Looking(), 60'000);
  EXPECT_EQ(looks.HasBegun(kOne, 9), true);
  EXPECT_EQ(looks.HasBegun(kOne, 8), false);
  EXPECT_EQ(looks.HasBegun(kTwo, 9), false);
  EXPECT_EQ(looks.HasBegun(kOne, 9), true) << "each question is asked anew";
  EXPECT_EQ(files_->looks, 4);
}

TEST_F(BegunLooksTest, OneThatHangsKeepsNobody) {
  files_->Hang(true);
  BegunLooks looks(Looking(), 50);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(looks.HasBegun(kOne, 9).has_value());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(looks.HasBegun(kTwo, 100 + i).has_value());
    EXPECT_FALSE(looks.HasBegun(kOne, 9).has_value()) << "it is known to hang";
  }
  EXPECT_LT(Since(begin), 30'000) << "50 ms for each would be 100 s";
  EXPECT_EQ(files_->looks, 1) << "one look at a time, each question once";
  files_->Hang(false);
  std::optional<bool> begun;
  for (int i = 0; i < 3000 && !begun; ++i) {
    begun = looks.HasBegun(kOne, 9);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(begun, true);
}

TEST_F(BegunLooksTest, WhatCannotBeToldIsAskedAgain) {
  std::atomic<int> looks = 0;
  BegunLooks asked(
      [&looks](const AttemptRef&, std::int64_t) {
        return ++looks < 3 ? std::nullopt : std::optional(true);
      },
      60'000);
  EXPECT_EQ(asked.HasBegun(kOne, 9), std::nullopt);
  EXPECT_EQ(asked.HasBegun(kOne, 9), std::nullopt);
  EXPECT_EQ(asked.HasBegun(kOne, 9), true);
}

TEST_F(BegunLooksTest, ALookThatHangsIsLeftBehind) {
  files_->Hang(true);
  {
    BegunLooks looks(Looking(), 10);
    EXPECT_FALSE(looks.HasBegun(kOne, 9).has_value());
  }
  files_->Hang(false);
}

}  // namespace
}  // namespace kezek::output

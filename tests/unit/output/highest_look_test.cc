// Goal: who begins to lead gets the highest number of a job at once from a file system that
// answers, is kept by one that hangs for a bounded time only, and is never given an answer from
// before. Method: looks that block until the test lets them go.
#include "output/highest_look.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace kezek::output {
namespace {

// Answers how often it was looked; hangs while it is told to. May outlive the test's body.
struct HangingRoot {
  std::mutex mutex;
  std::condition_variable changed;
  bool hangs = false;
  int looks = 0;
  int ended = 0;

  Result<JobId> Look() {
    std::unique_lock lock(mutex);
    const int mine = ++looks;
    changed.wait(lock, [this] { return !hangs; });
    ++ended;
    changed.notify_all();
    return JobId{mine};
  }
  void Hang(bool on) {
    const std::lock_guard lock(mutex);
    hangs = on;
    changed.notify_all();
  }
  void WaitForEnds(int ends) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ended >= ends; });
  }
  int Looks() {
    const std::lock_guard lock(mutex);
    return looks;
  }
};

class HighestLookTest : public testing::Test {
 protected:
  ~HighestLookTest() override { root_->Hang(false); }
  HighestLook::Look Looking() {
    return [root = root_] { return root->Look(); };
  }

  std::shared_ptr<HangingRoot> root_ = std::make_shared<HangingRoot>();
};

TEST_F(HighestLookTest, EveryQuestionIsALookOfItsOwn) {
  HighestLook look(Looking(), 60'000);
  EXPECT_EQ(look.Ask()->value, 1);
  EXPECT_EQ(look.Ask()->value, 2);
}

TEST_F(HighestLookTest, AnErrorIsHandedOn) {
  HighestLook look([] { return Error{Code::kUnavailable, "no such folder", {}}; }, 60'000);
  EXPECT_EQ(look.Ask().error().message, "no such folder");
}

TEST_F(HighestLookTest, OneThatHangsKeepsNobodyAndIsNotAskedAgain) {
  root_->Hang(true);
  HighestLook look(Looking(), 1'000);
  const auto late = look.Ask();
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::kUnavailable);
  EXPECT_EQ(late.error().message,
            "output_root does not answer after 1 s: which numbers of jobs were handed over is not "
            "known");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(
        look.Ask().error().message,
        "output_root does not answer yet: which numbers of jobs were handed over is not known");
  }
  EXPECT_EQ(root_->Looks(), 1);
  root_->Hang(false);
  root_->WaitForEnds(1);
  auto fresh = look.Ask();
  for (int i = 0; i < 1000 && !fresh; ++i) {  // the thread that hung has still to say so
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    fresh = look.Ask();
  }
  ASSERT_TRUE(fresh.has_value());
  EXPECT_EQ(fresh->value, 2) << "what it found when it hung is of another time";
}

TEST_F(HighestLookTest, ALookThatHangsIsLeftBehind) {
  root_->Hang(true);
  {
    HighestLook look(Looking(), 10);
    EXPECT_FALSE(look.Ask().has_value());
  }
  root_->Hang(false);
  root_->WaitForEnds(1);
}

}  // namespace
}  // namespace kezek::output

// Goal: what is made once is the same for all threads that ask, and is made when somebody asks.
// Method: threads that begin together; under tsan, races show.
#include "kezek/made_once.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace kezek {
namespace {

TEST(MadeOnce, IsMadeWhenSomebodyAsks) {
  int made = 0;
  const MadeOnce<std::string> value([&made] { return std::to_string(++made); });
  EXPECT_EQ(made, 0);
  EXPECT_EQ(value.Get(), "1");
  EXPECT_EQ(&value.Get(), &value.Get());
  EXPECT_EQ(made, 1);
}

TEST(MadeOnce, IsTheSameForAllThreads) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> made = 0;
    const MadeOnce<std::vector<int>> value([&made] { return std::vector<int>(100, ++made > 0); });
    std::latch begin(kThreads);
    std::vector<const std::vector<int>*> seen(kThreads);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        begin.arrive_and_wait();
        seen[static_cast<std::size_t>(i)] = &value.Get();
      });
    }
    threads.clear();  // joins
    for (const auto* one : seen) {
      ASSERT_EQ(one, seen.front());
      ASSERT_EQ(one->size(), 100U);
    }
    ASSERT_GE(made, 1);
  }
}

}  // namespace
}  // namespace kezek

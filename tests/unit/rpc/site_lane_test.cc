// Goal: what waits for the site runs one after the other, no more of it waits than is of use, and
// all that was begun is answered when the server stops. Method: work that waits for the test.

#include "rpc/site_lane.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

namespace kezek::rpc {
namespace {

std::string ReasonOf(const Result<void>& result) {
  return result ? "" : result.error().details.at(0).reason;
}

TEST(SiteLaneTest, WorkRunsInOrderAndFewPiecesWait) {
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  std::promise<void> begun;
  std::vector<int> ran;
  std::size_t taken = 0;
  {
    SiteLane lane;
    ASSERT_TRUE(lane.Start([&](const auto&) {
      begun.set_value();
      gone.wait();
      ran.push_back(0);
    }));
    begun.get_future().wait();
    std::string refusal;
    for (int i = 1; refusal.empty(); ++i) {
      refusal = ReasonOf(lane.Start([&ran, i](const auto&) { ran.push_back(i); }));
      taken += refusal.empty() ? 1U : 0U;
      ASSERT_LT(i, 100);
    }
    EXPECT_EQ(refusal, "SITE_BUSY");
    go.set_value();
  }
  ASSERT_EQ(ran.size(), taken + 1);
  for (std::size_t i = 0; i < ran.size(); ++i) EXPECT_EQ(ran[i], static_cast<int>(i));
}

TEST(SiteLaneTest, WhatWaitsIsToldToEndAndNothingNewIsTaken) {
  std::promise<void> begun;
  std::promise<bool> second;
  SiteLane lane;
  ASSERT_TRUE(lane.Start([&](const std::atomic<bool>& stopping) {
    begun.set_value();
    while (!stopping) std::this_thread::yield();
  }));
  ASSERT_TRUE(lane.Start([&](const std::atomic<bool>& stopping) { second.set_value(stopping); }));
  begun.get_future().wait();
  lane.Stop();
  EXPECT_TRUE(second.get_future().get()) << "it is answered, too";
  EXPECT_EQ(ReasonOf(lane.Start([](const auto&) {})), "STOPPING");
}

}  // namespace
}  // namespace kezek::rpc

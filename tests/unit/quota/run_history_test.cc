// Goal: what is predicted is what has been seen lately, and a project's running time is counted
// once however many of its jobs run. Method: small histories in minutes.
#include "quota/run_history.h"

#include <gtest/gtest.h>

namespace kezek::quota {
namespace {

EndedRun Ran(const std::string& name, DurationMs minutes, std::int32_t gpus = 1) {
  EndedRun run{.project = AccountId{2}, .user = UserId{3}, .name = name, .shape = {}};
  run.shape.gpus_per_node = gpus;
  run.end_ms = minutes * kMinuteMs;
  run.typical = true;
  return run;
}

class LengthsTest : public ::testing::Test {
 protected:
  std::optional<DurationMs> Minutes(const std::string& name, std::int32_t gpus = 1,
                                    std::int64_t user = 3) const {
    const auto length = lengths.Predict(AccountId{2}, UserId{user}, name, Ran(name, 0, gpus).shape);
    if (!length) return std::nullopt;
    return *length / kMinuteMs;
  }
  RunLengths lengths;
};

TEST_F(LengthsTest, NothingIsKnownOfOthers) {
  lengths.Learn(Ran("train", 30));
  EXPECT_EQ(Minutes("train"), 30);
  EXPECT_EQ(Minutes("train", 1, 4), std::nullopt) << "another user's job";
  EXPECT_EQ(Minutes("eval", 8), std::nullopt) << "neither the name nor the shape";
}

TEST_F(LengthsTest, TheNameSaysMoreThanTheShape) {
  lengths.Learn(Ran("train", 60));
  lengths.Learn(Ran("eval", 20));
  EXPECT_EQ(Minutes("train", 8), 60) << "whatever it asks for";
  EXPECT_EQ(Minutes("new"), 40) << "by the shape: all of one GPU";
  EXPECT_EQ(Minutes(""), 40);
}

TEST_F(LengthsTest, TheLastRunsCount) {
  for (int i = 0; i < 8; ++i) lengths.Learn(Ran("train", 100));
  for (int i = 0; i < 4; ++i) lengths.Learn(Ran("train", 20));
  EXPECT_EQ(Minutes("train"), 60) << "four of each";
  for (int i = 0; i < 4; ++i) lengths.Learn(Ran("train", 20));
  EXPECT_EQ(Minutes("train"), 20);
}

TEST_F(LengthsTest, WhatWasCutShortTeachesNothing) {
  EndedRun failed = Ran("train", 1);
  failed.typical = false;
  lengths.Learn(failed);
  EXPECT_EQ(Minutes("train"), std::nullopt);
}

TEST_F(LengthsTest, IsBounded) {
  lengths.Learn(Ran("first", 5, 2));
  for (std::size_t i = 0; i < RunLengths::kKeys; ++i) {
    lengths.Learn(Ran("job" + std::to_string(i), 30));
    if (i % 1000 == 0) lengths.Learn(Ran("often", 10, 4));
  }
  EXPECT_EQ(lengths.size(), RunLengths::kKeys);
  EXPECT_EQ(Minutes("first", 3), std::nullopt) << "longest ago";
  EXPECT_EQ(Minutes("often", 3), 10);
}

// Hours.
std::optional<TimeMs> Since(const RunClock& clock, DurationMs length, TimeMs now,
                            std::optional<TimeMs> running = std::nullopt) {
  if (running) running = *running * kHourMs;
  const auto since = clock.RanSince(length * kHourMs, now * kHourMs, running);
  if (!since) return std::nullopt;
  return *since / kHourMs;
}

TEST(RunClock, CountsWhatRanOnce) {
  RunClock clock(24 * kHourMs);
  EXPECT_EQ(Since(clock, 4, 100), std::nullopt) << "it has never run";
  EXPECT_EQ(Since(clock, 4, 100, 97), std::nullopt);
  EXPECT_EQ(Since(clock, 4, 100, 95), 96);
  clock.Add(10 * kHourMs, 12 * kHourMs);
  clock.Add(11 * kHourMs, 14 * kHourMs);  // at the same time
  clock.Add(20 * kHourMs, 21 * kHourMs);
  EXPECT_EQ(Since(clock, 4, 30), 11) << "an hour, and three of the four before";
  EXPECT_EQ(Since(clock, 5, 30), 10);
  EXPECT_EQ(Since(clock, 6, 30), std::nullopt);
  EXPECT_EQ(Since(clock, 6, 30, 29), 10) << "with what still runs";
  clock.Add(13 * kHourMs, 21 * kHourMs);
  EXPECT_EQ(Since(clock, 6, 30), 15) << "the gap was none";
}

TEST(RunClock, KeepsWhatMatters) {
  RunClock clock(4 * kHourMs);
  for (int i = 0; i < 100; ++i) clock.Add(i * 2 * kHourMs, (i * 2 + 1) * kHourMs);
  EXPECT_EQ(clock.size(), 4U);
  EXPECT_EQ(Since(clock, 4, 300), 192);
  RunClock patient(1000 * kDayMs);
  for (TimeMs i = 0; i < 20'000; ++i) patient.Add(2 * i, 2 * i + 1);
  EXPECT_EQ(patient.size(), RunClock::kIntervals);
}

}  // namespace
}  // namespace kezek::quota

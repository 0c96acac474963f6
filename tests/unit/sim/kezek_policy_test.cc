// Goal: the engine is told what the controller would tell it, and its plans are carried out.
// Method: small traces whose starts follow from the rules of the order.

#include "scheduler/sim/replay/kezek_policy.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/unit/sim/replay_rows.h"

namespace kezek::replay {
namespace {

using Starts = std::vector<std::int64_t>;

TEST(KezekPolicyTest, ProjectsTakeTurnsByUsage) {
  const JobList list =
      ListOf({{0, 10, 1, "x"}, {1, 10, 1, "x"}, {2, 10, 1, "y"}, {3, 10, 1, "y"}}, 1, 1);
  EXPECT_EQ(StartsBy("kezek", list), (Starts{0, 20, 10, 30}));
}

TEST(KezekPolicyTest, RunsOfManyHoursAreBookedAsTheyGo) {
  // x has run for 5 h of which it was told 1; y for two runs of 2 h. Then y is owed: if only the
  // first hour of x's run had been booked, x would be next.
  const std::int64_t hour = 3600;
  const JobList list = ListOf({{0, 5 * hour, 1, "x", "", hour},
                               {1, hour, 1, "x", "", hour},
                               {2, 2 * hour, 1, "y", "", 2 * hour},
                               {3, 2 * hour, 1, "y", "", 2 * hour}},
                              1, 1, {.estimates = Estimates::kUser});
  EXPECT_EQ(StartsBy("kezek", list), (Starts{0, 9 * hour, 5 * hour, 7 * hour}));
}

TEST(KezekPolicyTest, GuaranteesComeFirst) {
  // Two GPUs, of which x has had both for long: y is next, twice. But with a GPU guaranteed to each
  // y's second job is outside, and x's inside.
  const JobList list =
      ListOf({{0, 5000, 2, "x"}, {1, 1000, 1, "y"}, {2, 10, 1, "y"}, {3, 10, 1, "x"}}, 2, 1);
  EXPECT_EQ(StartsBy("kezek", list), (Starts{0, 5000, 5000, 5010}));
  EXPECT_EQ(StartsBy("kezek", list, {.guarantee_percent = 100}), (Starts{0, 5000, 5010, 5000}));
}

TEST(KezekPolicyTest, ProjectsKeptApartHaveTheirOwnNodes) {
  const JobList list =
      ListOf({{0, 10, 1, "x"}, {1, 10, 1, "x"}, {2, 10, 1, "y"}}, 2, 1, {.split = true});
  EXPECT_EQ(StartsBy("kezek", list), (Starts{0, 10, 2}));
}

TEST(KezekPolicyTest, RulesOfProjects) {
  // One project; the first two tell how long ann's and bob's jobs take.
  const JobList list = ListOf({{0, 50, 1, "g", "ann"},
                               {1, 5, 1, "g", "bob"},
                               {2, 50, 1, "g", "ann"},
                               {60, 50, 1, "g", "ann"},
                               {61, 5, 1, "g", "bob"}},
                              1, 1);
  EXPECT_EQ(StartsBy("kezek", list, {.rule = ProjectRule::kFifo}), (Starts{0, 50, 55, 105, 155}));
  EXPECT_EQ(StartsBy("kezek", list, {.rule = ProjectRule::kShortest}),
            (Starts{0, 50, 55, 110, 105}));
}

TEST(KezekPolicyTest, EstimatesArePutToTheTest) {
  // The first runs for half of its limit: the second starts 50 s sooner than was thought, the third
  // as long as the second besides.
  const JobList list =
      ListOf({{0, 50, 1, "", "", 100}, {1, 20, 1, "", "", 60}, {2, 9, 1, "", "", 9}}, 1, 1,
             {.estimates = Estimates::kUser});
  const auto policy = MakePolicy("kezek", list, {.foresee_s = 1});
  EXPECT_EQ(StartsOf(Replay(list, *policy)), (Starts{0, 50, 70}));
  std::string told;
  for (const auto& [name, value] : policy->Parameters()) {
    if (name == "start less first estimate") told = value;
  }
  EXPECT_EQ(told, "of 2 p10 -110 s p25 -110 s p50 -110 s p75 -110 s p90 -110 s p99 -110 s");
}

TEST(KezekPolicyTest, GangsAreWhole) {
  const JobList list = ListOf({{0, 10, 1}, {1, 10, 16}, {2, 100, 1}}, 2, 8);
  const Starts starts = StartsBy("kezek", list);
  EXPECT_EQ(starts[0], 0);
  EXPECT_GE(starts[1], 10);
}

TEST(KezekPolicyTest, AsksAgainWhileAnythingWaits) {
  const JobList list = ListOf({{0, 100}, {1, 100}}, 1, 1);
  ReplayOptions options;
  std::int64_t ns = 0;
  options.stopwatch_ns = [&ns] { return ns += 5; };
  const auto ticks = [&](std::int64_t ask_s) {
    const auto policy = MakePolicy("kezek", list, {.ask_s = ask_s});
    return Replay(list, *policy, options).tick_ns.size();
  };
  EXPECT_EQ(ticks(0), 4U) << "two arrivals and two ends";
  EXPECT_EQ(ticks(10), 4U + 9U);
}

}  // namespace
}  // namespace kezek::replay

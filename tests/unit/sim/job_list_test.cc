// Goal: rows become jobs as the options say, and nothing is left out unsaid. Method: a few rows,
// one option at a time.

#include "scheduler/sim/replay/job_list.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/sim/replay_rows.h"

namespace kezek::replay {
namespace {

using LeftOut = std::vector<std::pair<std::string, std::int64_t>>;

TEST(JobListTest, ShapesAreTheFewestNodesWithEqualGpus) {
  EXPECT_EQ(ShapeFor(1, 8, 10), (GangShape{1, 1}));
  EXPECT_EQ(ShapeFor(8, 8, 10), (GangShape{1, 8}));
  EXPECT_EQ(ShapeFor(12, 8, 10), (GangShape{2, 6}));
  EXPECT_EQ(ShapeFor(16, 8, 10), (GangShape{2, 8}));
  EXPECT_EQ(ShapeFor(60, 8, 100), (GangShape{10, 6}));
  EXPECT_EQ(ShapeFor(13, 8, 12), std::nullopt) << "only one GPU on each of 13 would do";
  EXPECT_EQ(ShapeFor(5, 1, 5), (GangShape{5, 1}));
}

TEST(JobListTest, LeavesOutWhatCannotBeReplayedAndSaysHowMany) {
  std::vector<TraceRow> rows = RowsOf({{0, 10, 1, "a"},
                                       {1, 10, 1, "b"},
                                       {2, 10, 64, "a"},
                                       {3, 10, 1, "a"},
                                       {4, 10, 1, "a"},
                                       {5, 10, 1, "a"}});
  rows[3].duration_s.reset();
  rows[4].milli_gpus = 0;
  rows[5].milli_gpus = 460;
  const JobList list = MakeJobList(rows, {.capacity_gpus = 16, .group_nodes = {{"a", 2}}}).value();
  EXPECT_EQ(list.jobs.size(), 2U);
  EXPECT_EQ(list.left_out, (LeftOut{{"are of groups without nodes", 1},
                                    {"ask for more than their nodes", 1},
                                    {"ask for no GPU", 1},
                                    {"have no run time", 1}}));
  EXPECT_EQ(list.jobs[1].gpus, 1) << "parts of a GPU are whole ones";
  ASSERT_EQ(list.notes.size(), 1U);
}

TEST(JobListTest, TakesTheWindowAndSortsBySubmission) {
  const auto rows = RowsOf({{30, 1}, {10, 2}, {20, 3}, {5, 4}});
  const JobList list = MakeJobList(rows, {.capacity_gpus = 8, .from_s = 10, .until_s = 30}).value();
  ASSERT_EQ(list.jobs.size(), 2U);
  EXPECT_EQ(list.jobs[0].duration_s, 2);
  EXPECT_EQ(list.jobs[1].duration_s, 3);
}

TEST(JobListTest, NodesThatAreTheUnitHoldOneGpu) {
  std::vector<TraceRow> rows = RowsOf({{0, 1, 4}, {0, 1, 2}});
  rows[0].nodes = 4;
  rows[1].nodes = 2;
  EXPECT_EQ(MakeJobList(rows, {.capacity_gpus = 24}).value().nodes, 24);
  rows[1].nodes = 1;
  EXPECT_EQ(MakeJobList(rows, {.capacity_gpus = 24}).value().nodes, 3);
}

TEST(JobListTest, SplitsNodesInProportion) {
  const auto rows = RowsOf({{0, 1, 1, "a"}, {0, 1, 1, "b"}, {0, 1, 1, "c"}});
  const ListOptions options{
      .capacity_gpus = 80, .group_nodes = {{"a", 10}, {"b", 9}, {"c", 1}}, .split = true};
  const JobList list = MakeJobList(rows, options).value();
  ASSERT_EQ(list.parts.size(), 3U);
  EXPECT_EQ(list.parts[0].nodes, 5);
  EXPECT_EQ(list.parts[1].nodes, 4);
  EXPECT_EQ(list.parts[2].nodes, 1) << "everybody has one";
  EXPECT_EQ(list.parts[2].first, 9);
  EXPECT_EQ(list.groups[0].weight_milli, 500'000);
}

TEST(JobListTest, EstimatesAreWhatTheyAreCalled) {
  const std::vector<RowText> texts = {{0, 100, 1, "", "", 500}, {1, 50}};
  const auto limits = [&](Estimates estimates, std::uint64_t seed) {
    const JobList list = ListOf(texts, 1, 8, {.estimates = estimates, .seed = seed});
    return std::pair{list.jobs[0].limit_s, list.jobs[1].limit_s};
  };
  EXPECT_EQ(limits(Estimates::kOracle, 1), std::pair(std::int64_t{100}, std::int64_t{50}));
  EXPECT_EQ(limits(Estimates::kNone, 1), std::pair(std::int64_t{86'400}, std::int64_t{86'400}));
  EXPECT_EQ(limits(Estimates::kUser, 1), std::pair(std::int64_t{500}, std::int64_t{86'400}));
  EXPECT_EQ(limits(Estimates::kNoisy, 1), limits(Estimates::kNoisy, 1));
  EXPECT_NE(limits(Estimates::kNoisy, 1), limits(Estimates::kNoisy, 2));
}

TEST(JobListTest, NoiseIsLognormalWithSigma1Point2) {
  std::vector<RowText> texts(20'000, RowText{0, 1'000'000});
  const JobList list = ListOf(texts, 1, 8, {.estimates = Estimates::kNoisy});
  double sum = 0;
  double squares = 0;
  for (const Job& job : list.jobs) {
    const double z = std::log(static_cast<double>(job.limit_s) / 1e6);
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / 20'000, 0, 0.03);
  EXPECT_NEAR(std::sqrt(squares / 20'000), 1.2, 0.03);
}

TEST(JobListTest, ScalesTheLoad) {
  std::vector<RowText> texts;
  for (int i = 0; i <= 1000; ++i) texts.push_back({i * 100, 80});
  EXPECT_NEAR(ListOf(texts, 1, 1).load, 0.8, 0.01);
  EXPECT_NEAR(ListOf(texts, 1, 1, {.load = 2.0}).load, 2.0, 0.02);
  EXPECT_NEAR(ListOf(texts, 1, 1, {.load = 0.4}).load, 0.4, 0.01);
}

TEST(JobListTest, RefusesWhatCannotBe) {
  const auto rows = RowsOf({{0, 1, 1, "a"}, {0, 1, 1, "b"}});
  const auto error = [&](const ListOptions& options) {
    const Result<JobList> list = MakeJobList(rows, options);
    return list ? "" : list.error().message;
  };
  EXPECT_EQ(error({.capacity_gpus = 12}), "a capacity of 12 GPUs is no whole number of nodes of 8");
  EXPECT_EQ(error({.capacity_gpus = 8, .from_s = 5}), "no job is left to replay");
  EXPECT_EQ(error({.capacity_gpus = 8, .split = true}), "2 groups cannot be kept apart on 1 nodes");
  EXPECT_EQ(error({.capacity_gpus = 8, .estimates = Estimates::kUser}),
            "the trace has no limits that users asked for (req_walltime_s)");
  EXPECT_EQ(error({.capacity_gpus = 8, .group_nodes = {{"a", 0}}}), "group a has at least 1 node");
  EXPECT_EQ(error({.capacity_gpus = 8, .group_nodes = {{"a", 1}, {"a", 2}}}),
            "group a has its nodes twice");
  EXPECT_EQ(error({.capacity_gpus = 8, .load = 0.5}),
            "no spacing of these submissions makes that load");
}

}  // namespace
}  // namespace kezek::replay

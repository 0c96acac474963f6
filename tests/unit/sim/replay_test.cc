// Goal: the replay keeps time and counts right. Method: small traces with figures worked out by
// hand, and a policy made for the test where no real one preempts.

#include "scheduler/sim/replay/replay.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/entitled.h"
#include "scheduler/sim/replay/figures.h"
#include "tests/unit/sim/replay_rows.h"

namespace kezek::replay {
namespace {

Figures FiguresBy(const std::string& policy, const JobList& list) {
  return Summarise(policy, list, Replay(list, *MakePolicy(policy, list, {})));
}

TEST(ReplayTest, CountsWaitsAndCompletions) {
  // Waits 0, 9, 18, 27.
  const JobList list = ListOf({{0, 10}, {1, 10}, {2, 10}, {3, 10}}, 1, 1);
  const Figures figures = FiguresBy("fifo", list);
  EXPECT_EQ(figures.all.jobs, 4);
  EXPECT_DOUBLE_EQ(figures.all.mean_s, 13.5);
  EXPECT_DOUBLE_EQ(figures.all.p50_s, 9);
  EXPECT_DOUBLE_EQ(figures.all.p99_s, 27);
  EXPECT_DOUBLE_EQ(figures.all.longest_s, 27);
  EXPECT_DOUBLE_EQ(figures.all.mean_completion_s, 23.5);
  EXPECT_DOUBLE_EQ(figures.all.bounded_slowdown, 2.35);
  EXPECT_DOUBLE_EQ(figures.utilisation, 1);
  EXPECT_DOUBLE_EQ(figures.jain, 1);
  EXPECT_EQ(figures.never_started, 0);
}

TEST(ReplayTest, BoundsTheSlowdownOfShortJobs) {
  // 1 s that waits 9: (9 + 1) / 10, not / 1.
  const JobList list = ListOf({{0, 10}, {1, 1}}, 1, 1);
  EXPECT_DOUBLE_EQ(FiguresBy("fifo", list).all.bounded_slowdown, 1.0);
}

TEST(ReplayTest, CountsFragmentationAndUtilisation) {
  // Two nodes of 2. From 10 on one GPU of each is free, and the fourth needs two of one node: for
  // 10 s 2 GPUs are of no use. Then it runs, alone.
  const JobList list = ListOf({{0, 20, 1}, {0, 10, 1}, {0, 20, 1}, {10, 5, 2}}, 2, 2);
  const Figures figures = FiguresBy("fifo", list);
  EXPECT_DOUBLE_EQ(figures.fragmentation_gpu_hours * 3600, 20);
  EXPECT_DOUBLE_EQ(figures.fragmentation, 0.5);
  EXPECT_DOUBLE_EQ(figures.utilisation, (20 + 10 + 20 + 10) / (4.0 * 25));
  EXPECT_DOUBLE_EQ(figures.utilisation_waiting, 0.5);
}

TEST(ReplayTest, MeasuresSharesByMaxMin) {
  Yardstick yardstick({{"a", 1000}, {"b", 1000}, {"c", 2000}}, 80);
  EXPECT_EQ(yardstick.Entitled({100, 100, 100}), (std::vector<double>{20, 20, 40}));
  EXPECT_EQ(yardstick.Entitled({100, 8, 100}), (std::vector<double>{24, 8, 48}));
  EXPECT_EQ(yardstick.Entitled({1, 2, 3}), (std::vector<double>{1, 2, 3}));
}

TEST(ReplayTest, ShareErrorIsWhatGroupsLack) {
  // One GPU; x runs while y waits for 10 s, then y while x waits for 10 s: each time half is owed
  // and not had.
  const JobList list = ListOf({{0, 10, 1, "x"}, {0, 10, 1, "y"}, {0, 10, 1, "x"}}, 1, 1);
  const Figures figures = FiguresBy("fair+easy", list);
  EXPECT_DOUBLE_EQ(figures.share_error, 0.5);
}

TEST(ReplayTest, UsesEachSecondOfTheCurve) {
  const JobList list = ListOf({{0, 90, 1}, {60, 30, 1}}, 1, 2);
  const ReplayResult result = Replay(list, *MakePolicy("fifo", list, {}));
  EXPECT_EQ(result.slot_s, 60);
  EXPECT_EQ(result.busy_by_slot, (std::vector<double>{60, 60}));
}

// Starts on node 0 of one GPU whoever arrived last, preempting who runs; notes limits.
class Impatient : public Policy {
 public:
  void Arrived(JobIndex job, std::int64_t /*now_s*/) override { waiting_.insert(job); }
  void Ended(JobIndex /*job*/, std::int64_t now_s, bool preempted) override {
    running_.reset();
    ends.push_back({now_s, preempted});
  }
  void Overran(JobIndex /*job*/, std::int64_t now_s, std::int64_t limit_s) override {
    limits.push_back({now_s, limit_s});
  }
  Decision Decide(std::int64_t /*now_s*/) override {
    Decision decision;
    if (waiting_.empty()) return decision;
    const JobIndex last = *waiting_.rbegin();
    if (!running_) {
      waiting_.erase(last);
      running_ = last;
      decision.starts.push_back({last, {0}});
    } else if (*running_ < last) {
      decision.preempts.push_back(*running_);
    }
    return decision;
  }
  JobIndex FirstBlocked(std::int32_t /*part*/) const override { return kNoJob; }

  std::vector<std::pair<std::int64_t, bool>> ends;
  std::vector<std::pair<std::int64_t, std::int64_t>> limits;

 private:
  std::set<JobIndex> waiting_;
  std::optional<JobIndex> running_;
};

using Ends = std::vector<std::pair<std::int64_t, bool>>;

TEST(ReplayTest, PreemptedJobsBeginAnew) {
  // The first has run for 30 s and gets 10 more; then the second runs for 50, then the first again.
  const JobList list = ListOf({{0, 100}, {30, 50}}, 1, 1);
  Impatient policy;
  const ReplayResult result = Replay(list, policy, {.grace_s = 10, .ran = {}});
  EXPECT_EQ(policy.ends, (Ends{{40, true}, {90, false}, {190, false}}));
  EXPECT_EQ(result.preemptions, 1);
  EXPECT_DOUBLE_EQ(result.lost_gpu_s, 40);
  EXPECT_EQ(result.jobs[0].preemptions, 1);
  const Figures figures = Summarise("x", list, result);
  EXPECT_DOUBLE_EQ(figures.all.longest_s, 90) << "what is done again is no progress";
}

TEST(ReplayTest, CheckpointsKeepWhatWasDone) {
  const JobList list = ListOf({{0, 100}, {30, 50}}, 1, 1);
  Impatient policy;
  const ReplayResult result = Replay(list, policy, {.grace_s = 10, .checkpoint_s = 15, .ran = {}});
  EXPECT_EQ(policy.ends, (Ends{{40, true}, {90, false}, {160, false}}));
  EXPECT_DOUBLE_EQ(result.lost_gpu_s, 10);
}

TEST(ReplayTest, GraceThatOutlastsTheJobEndsNothing) {
  const JobList list = ListOf({{0, 100}, {95, 50}}, 1, 1);
  Impatient policy;
  const ReplayResult result = Replay(list, policy, {.grace_s = 10, .ran = {}});
  EXPECT_EQ(policy.ends, (Ends{{100, false}, {150, false}}));
  EXPECT_EQ(result.preemptions, 0);
}

TEST(ReplayTest, LimitsThatAreOutlivedDouble) {
  const JobList list = ListOf({{0, 100, 1, "", "", 20}}, 1, 1, {.estimates = Estimates::kUser});
  Impatient policy;
  Replay(list, policy);
  EXPECT_EQ(policy.limits,
            (std::vector<std::pair<std::int64_t, std::int64_t>>{{20, 40}, {40, 80}, {80, 160}}));
}

class Lazy : public Policy {
 public:
  void Arrived(JobIndex /*job*/, std::int64_t /*now_s*/) override {}
  void Ended(JobIndex /*job*/, std::int64_t /*now_s*/, bool /*preempted*/) override {}
  void Overran(JobIndex /*job*/, std::int64_t /*now_s*/, std::int64_t /*limit_s*/) override {}
  Decision Decide(std::int64_t now_s) override { return {{}, {}, now_s + 60}; }
  JobIndex FirstBlocked(std::int32_t /*part*/) const override { return kNoJob; }
};

TEST(ReplayTest, EndsThoughNothingEverStarts) {
  const JobList list = ListOf({{0, 100}, {5, 10}}, 1, 1);
  Lazy policy;
  const ReplayResult result = Replay(list, policy);
  EXPECT_EQ(result.never, 2);
  EXPECT_EQ(Summarise("lazy", list, result).all.jobs, 0);
}

}  // namespace
}  // namespace kezek::replay

// Goal: the jobs to which something has happened are known by the GPUs in use or the states, and
// read soon; without news a job is read ever more rarely; what a listing says is as old as its
// beginning. Method: hand-made jobs, step by step.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "slurm/watch.h"
#include "tests/unit/slurm/live_jobs.h"

namespace kezek::slurm {
namespace {

TEST(Watch, WithoutNewsAJobIsReadEverMoreRarely) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}});
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kPending)));
  std::vector<TimeMs> reads;
  for (TimeMs now = 0; now < 10'000; now += 10) {
    if (watch.Hot(now, 9).empty()) continue;
    EXPECT_LE(watch.NextHot(now).value_or(now + 1), now);
    reads.push_back(now);
    watch.WasRead(kFirst, now);
  }
  EXPECT_GE(reads.size(), 11U);
  EXPECT_LE(reads.size(), 16U);
  EXPECT_LE(reads[1] - reads[0], 300);
  EXPECT_GE(reads.back() - reads[reads.size() - 2], 1000);
  watch.Expect(10, 10'000, 40'000);
  EXPECT_EQ(watch.NextHot(10'000), 10'200);
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  EXPECT_FALSE(watch.NextHot(10'200)) << "what was expected has come";
}

TEST(Watch, WhoHasWaitedLongestForAReadingIsOverdueFirst) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}, {kSecond, 11, "a", false}});
  EXPECT_TRUE(watch.Overdue(100'000, 9).empty()) << "they are not released yet";
  watch.Expect(11, 10'000, 40'000);
  watch.Expect(10, 10'100, 40'100);
  EXPECT_TRUE(watch.Overdue(11'199, 9).empty());
  ASSERT_EQ(watch.Overdue(11'200, 9).size(), 1U);
  ASSERT_EQ(watch.Overdue(11'300, 9).size(), 2U);
  EXPECT_EQ(watch.Overdue(11'300, 9).front().attempt, kSecond);
  ASSERT_EQ(watch.Overdue(11'300, 1).size(), 1U);
  EXPECT_EQ(watch.Overdue(11'300, 1).front().attempt, kSecond);
  watch.WasRead(kSecond, 11'300);
  ASSERT_EQ(watch.Overdue(11'400, 9).size(), 1U);
  EXPECT_EQ(watch.Overdue(11'400, 9).front().attempt, kFirst);
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  EXPECT_TRUE(watch.Overdue(11'400, 9).empty()) << "what was expected has come";
}

TEST(Watch, AGpuThatIsNotInUseAnyMoreTellsWhoseEndIsDue) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}, {kSecond, 11, "a", false}});
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));  // GPUs 3 and 4 of n01
  LiveJob other = Live(11, kSecond, ClusterJobState::kRunning);
  other.job.granted = {{"n01", 1, {0}}, {"n02", 1, {0}}};
  ASSERT_TRUE(watch.Take(other));
  EXPECT_TRUE(watch.GpusTell());
  EXPECT_FALSE(watch.Hint({{"n01", {0, 3, 4}}, {"n02", {0}}}, {}, 0));
  EXPECT_TRUE(watch.Hot(0, 9).empty());
  EXPECT_FALSE(watch.Hint({{"n01", {0, 3}}, {"n02", {0}}}, {}, 0));
  EXPECT_TRUE(watch.Hot(0, 9).empty()) << "it completes";
  ASSERT_EQ(watch.Hot(250, 9).size(), 1U);
  EXPECT_TRUE(watch.Hot(250, 9).front().urgent);
  EXPECT_EQ(watch.Hot(250, 9).front().job.attempt, kFirst);
  watch.WasRead(kFirst, 250);
  EXPECT_FALSE(watch.Hint({{"n01", {0, 3}}, {"n02", {0}}}, {}, 260));
  EXPECT_FALSE(watch.NextHot(260)) << "it was suspended, say: not again at once";
  EXPECT_FALSE(watch.Hint({{"n01", {0, 3}}, {"n02", {0}}}, {}, 500));
  EXPECT_EQ(watch.NextHot(500), 750) << "but some time";
  // Of a node that does not tell, nothing is known.
  EXPECT_FALSE(watch.Hint({{"n01", {0, 3}}}, {}, 600));
  EXPECT_EQ(watch.Hot(2000, 9).size(), 1U);
}

// Slurm gives a GPU that is free again to the next job before anybody has looked.
TEST(Watch, OfTwoThatHaveAGpuTheFirstHasEnded) {
  for (const bool first_is_old : {true, false}) {
    Watch watch("inst");
    watch.Follow({{kFirst, 10, "a", false}, {kSecond, 11, "a", false}});
    LiveJob one = Live(10, kFirst, ClusterJobState::kRunning);
    LiveJob other = Live(11, kSecond, ClusterJobState::kRunning);
    one.job.start_ms = first_is_old ? 5000 : 6000;
    other.job.start_ms = first_is_old ? 6000 : 5000;
    ASSERT_TRUE(watch.Take(one) && watch.Take(other));
    EXPECT_FALSE(watch.Hint({{"n01", {3, 4}}}, {}, 0));
    const auto hot = watch.Hot(300, 9);
    ASSERT_EQ(hot.size(), 1U);
    EXPECT_EQ(hot.front().job.attempt, first_is_old ? kFirst : kSecond);
    EXPECT_TRUE(hot.front().urgent);
  }
}

TEST(Watch, AGpuThatNobodyIsKnownToHaveTellsOfAStart) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}, {kSecond, 11, "a", false}});
  LiveJob running = Live(10, kFirst, ClusterJobState::kRunning);
  ASSERT_TRUE(watch.Take(running));
  ASSERT_TRUE(watch.Take(Live(11, kSecond, ClusterJobState::kPending)));
  watch.WasRead(kSecond, 0);
  EXPECT_TRUE(watch.Hot(0, 9).empty());
  EXPECT_FALSE(watch.Hint({{"n01", {3, 4}}}, {}, 0));
  EXPECT_TRUE(watch.Hot(0, 9).empty());
  EXPECT_FALSE(watch.Hint({{"n01", {3, 4, 6}}}, {}, 0));
  ASSERT_EQ(watch.Hot(0, 9).size(), 1U);
  EXPECT_EQ(watch.Hot(0, 9).front().job.attempt, kSecond);
  ASSERT_TRUE(watch.TakeListing({running, Live(11, kSecond, ClusterJobState::kRunning)}, 0)
                  .observed.size() == 1U);
  EXPECT_TRUE(watch.Hot(0, 9).empty()) << "the listing was sooner";
  LiveJob pending = Live(11, kSecond, ClusterJobState::kPending);
  pending.job.restarts = 1;
  ASSERT_TRUE(watch.Take(pending));
  // A stranger's, as the listing says; and, where nobody of ours waits, as only a listing could.
  watch.WasRead(kSecond, 0);
  LiveJob stranger = Live(20, {}, ClusterJobState::kRunning);
  stranger.job.granted = {{"n01", 1, {6}}};
  EXPECT_FALSE(watch.Hint({{"n01", {3, 4, 6}}}, {stranger}, 0));
  EXPECT_TRUE(watch.Hot(0, 9).empty());
  EXPECT_TRUE(watch.Hint({{"n01", {3, 4}}}, {stranger}, 0)) << "it has ended";
  watch.Follow({{kFirst, 10, "a", true}});
  EXPECT_TRUE(watch.Hint({{"n01", {3, 4, 7}}}, {}, 0));
}

TEST(Watch, AStartIsLookedForWhereItIsExpected) {
  Watch watch("inst");
  watch.Expect(10, 0, 30'000, "n01");  // told before it is followed
  watch.Follow({{kFirst, 10, "a", false}, {kSecond, 11, "a", false}});
  watch.Expect(11, 0, 30'000, "n02");
  EXPECT_TRUE(watch.Hot(0, 9).empty());
  EXPECT_FALSE(watch.Hint({{"n01", {}}, {"n02", {5}}}, {}, 10));
  ASSERT_EQ(watch.Hot(10, 9).size(), 1U);
  EXPECT_EQ(watch.Hot(10, 9).front().job.attempt, kSecond);
  watch.WasRead(kSecond, 10);
  EXPECT_FALSE(watch.Hint({{"n01", {1}}, {"n02", {5}}}, {}, 20));
  ASSERT_EQ(watch.Hot(20, 9).size(), 1U);
  EXPECT_EQ(watch.Hot(20, 9).front().job.attempt, kFirst);
}

TEST(Watch, JobsWithoutGpusAreLeftToTheListings) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}});
  LiveJob running = Live(10, kFirst, ClusterJobState::kRunning);
  running.job.granted = {{"n01", 0, {}}};
  ASSERT_TRUE(watch.Take(running));
  EXPECT_FALSE(watch.GpusTell());
  EXPECT_FALSE(watch.Hint({{"n01", {}}}, {}, 0));
  EXPECT_TRUE(watch.Hot(0, 9).empty());
}

TEST(Watch, AStateThatIsNotTheReportedTellsOfNews) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}, {kSecond, 11, "a", false}});
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  ASSERT_TRUE(watch.Take(Live(11, kSecond, ClusterJobState::kPending)));
  watch.WasRead(kSecond, 0);
  using enum ClusterJobState;
  EXPECT_FALSE(watch.Hint({{"10", kRunning}, {"11", kPending}}, 0));
  EXPECT_TRUE(watch.Hot(0, 9).empty());
  EXPECT_FALSE(watch.Hint({{"10", kCompleting}, {"11", kPending}, {"12", kPending}}, 0));
  EXPECT_TRUE(watch.Hot(0, 9).empty()) << "its end is near";
  EXPECT_FALSE(watch.Hint({{"10", kCompleted}, {"11", kPending}, {"12", kPending}}, 0));
  ASSERT_EQ(watch.Hot(0, 9).size(), 1U);
  EXPECT_EQ(watch.Hot(0, 9).front().job.attempt, kFirst);
  watch.WasRead(kFirst, 0);
  EXPECT_TRUE(watch.Hint({{"10", kCompleted}, {"98_0", kRunning}}, 0)) << "a stranger's start";
  ASSERT_EQ(watch.Hot(0, 9).size(), 1U) << "11 is gone; 10 was just read";
  EXPECT_EQ(watch.Hot(0, 9).front().job.attempt, kSecond);
  EXPECT_FALSE(watch.Hint({{"10", kCompleted}, {"98_0", kRunning}}, 0));
  EXPECT_TRUE(watch.Hint({{"10", kCompleted}, {"98_0", kCompleted}}, 0)) << "and its end";
}

// What the listing says of a job is as old as its beginning.
TEST(Watch, WhatWasReadWhileAListingWasUnderWayIsNewer) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}});
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  watch.BeginListing();
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kCompleted)));
  watch.Follow({{kSecond, 11, "a", false}});  // submitted meanwhile
  const std::vector<LiveJob> listing{Live(10, kFirst, ClusterJobState::kRunning)};
  const auto changes = watch.TakeListing(listing, 0);
  EXPECT_TRUE(changes.observed.empty());
  EXPECT_TRUE(changes.missing.empty());
  EXPECT_TRUE(watch.OurJobs(listing).empty()) << "it is over";
  EXPECT_EQ(watch.WithForeignUse({{.name = "n01"}}, listing).front().foreign_gpus, 0);
  watch.BeginListing();
  const auto next = watch.TakeListing({}, 0);
  ASSERT_EQ(next.missing.size(), 1U);
  EXPECT_EQ(next.missing.front().attempt, kSecond);
  // One that failed has no say in the next one.
  watch.BeginListing();
  ASSERT_TRUE(watch.Take(Live(11, kSecond, ClusterJobState::kPending)));
  watch.EndListing();
  watch.BeginListing();
  EXPECT_EQ(watch.TakeListing({Live(11, kSecond, ClusterJobState::kRunning)}, 0).observed.size(),
            1U);
}

}  // namespace
}  // namespace kezek::slurm

// Goal: a job whose script or environment the store cannot read is held with the reason, and keeps
// no other job from its start; a store that is away holds nobody. Method: the loop on a store in
// memory that refuses what one job belongs to, and a cluster that keeps what it is given.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "scheduler/control/loop.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

// A store that cannot read what belongs to one job, as PostgreSQL says it of all that are asked
// for.
class OneUnreadable : public StateStore {
 public:
  OneUnreadable(StateStore* store, Error error) : store_(store), error_(std::move(error)) {}
  Result<Snapshot> Lead() override { return store_->Lead(); }
  Result<void> Commit(const Changes& changes) override { return store_->Commit(changes); }
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override {
    asked.push_back(jobs);
    if (std::find(jobs.begin(), jobs.end(), unreadable) != jobs.end()) return error_;
    return store_->LoadPayloads(jobs);
  }
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override {
    return store_->LoadJobs(jobs);
  }
  JobId unreadable;
  std::vector<std::vector<JobId>> asked;

 private:
  StateStore* store_;
  const Error error_;
};

class KeepingCluster : public Cluster {
 public:
  void Submit(Launch launch) override { submitted.push_back(launch.attempt.job.id); }
  void Release(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Cancel(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Signal(const AttemptRef&, std::int64_t, const std::string&, const std::string&,
              bool) override {}
  void SetLimit(const Followed&, DurationMs) override {}
  void FindByName(const AttemptRef&) override {}
  void Look(const Followed&) override {}
  void Reconcile() override {}
  void Follow(std::vector<Followed>) override {}
  std::vector<JobId> submitted;
};

class UnreadableTest : public ::testing::Test {
 protected:
  // Three jobs that could start in the same step, the second of them unreadable.
  void Run(Error error) {
    store.emplace(&desk.store, std::move(error));
    for (JobId& job : jobs) job = desk.Submit();
    store->unreadable = jobs[1];
    Loop loop(desk.config, &*store, &cluster, {});
    ASSERT_TRUE(loop.Begin(desk.now).has_value());
    loop.Offer(ClusterEvent{ClusterUp{"test", 0}});
    NodesObserved nodes{sim::SimNodes()};
    for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
    loop.Offer(ClusterEvent{nodes});
    loop.Offer(ClusterEvent{Listing{}});
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(loop.RunOnce(desk.now).has_value());
      desk.now += desk.config.gather_ms;
    }
  }

  DeskOfOne desk;
  std::optional<OneUnreadable> store;
  KeepingCluster cluster;
  JobId jobs[3];
};

TEST_F(UnreadableTest, AnEnvironmentThatDoesNotOpenHoldsItsJobAndNoOther) {
  Run({Code::kDataLoss, "environment of job 2 cannot be opened with key 'k1'", {}});
  ASSERT_FALSE(store->asked.empty());
  EXPECT_EQ(store->asked[0].size(), 3U) << "they are of one step";
  EXPECT_EQ(cluster.submitted, (std::vector<JobId>{jobs[0], jobs[2]}));
  EXPECT_EQ(desk.Row(jobs[1]).hold, Hold::kCluster) << "it would be refused for ever";
  EXPECT_EQ(desk.Row(jobs[0]).hold, Hold::kNone);
}

TEST_F(UnreadableTest, ADatabaseThatIsAwayHoldsNobody) {
  Run({Code::kUnavailable, "no database", {}});
  ASSERT_FALSE(store->asked.empty());
  EXPECT_EQ(store->asked[0].size(), 3U);
  EXPECT_EQ(cluster.submitted, std::vector<JobId>{}) << "nobody is asked for by itself";
  for (const JobId job : jobs) EXPECT_EQ(desk.Row(job).hold, Hold::kNone);
}

}  // namespace
}  // namespace kezek::control

// Goal: failures that are known of other schedulers do not happen to what jobs are charged and
// budgets hold: a requeue that erases spend, a lost end record that accrues for ever, a database
// that is down at the start and leaves budgets off, GPU-time that is never charged. Method: one
// controller, or its loop, on a store in memory, by hand; jobs of two GPUs against a budget. That
// admission does not overshoot between refreshes is told in tests/sim/quota_stories_test.cc and
// tests/unit/quota/budget_test.cc, that small shares are not rounded away in the former.

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "kezek/reason_text.h"
#include "scheduler/control/loop.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

const BudgetRef kBudget{DeskOfOne::kProject, "q4"};

class PeersFailures : public ::testing::Test {
 protected:
  PeersFailures() {
    desk.Up();
    Grant(100);
  }
  void Grant(std::int64_t hours) {
    PutAccounts put;
    put.reason = "a quarter";
    Account account = desk.controller->view()->directory->accounts.at(DeskOfOne::kProject);
    account.settings.budgets = {{.name = "q4",
                                 .milli_gpu_hours = hours * 1000,
                                 .start_ms = desk.now - kHourMs,
                                 .end_ms = desk.now + 90 * kDayMs}};
    put.accounts.push_back({std::move(account), ""});
    EXPECT_TRUE(desk.Do(std::move(put)).has_value());
  }
  BudgetBalance Balance() const { return desk.store.Budgets().Of(kBudget); }
  // Ends half an hour after its start.
  ClusterJob EndOf(const AttemptRef& ref, std::int64_t id, ClusterJobState state) {
    ClusterJob ended = desk.Seen(ref, id, state);
    ended.end_ms = ended.start_ms + 30 * kMinuteMs;
    return ended;
  }
  void End(const ClusterJob& ended) {
    desk.now = std::max(desk.now, ended.end_ms);
    desk.Offer(Observed{ended});
    desk.Step();
  }

  DeskOfOne desk;
};

TEST_F(PeersFailures, ARequeueErasesNoSpend) {
  const JobId job = desk.Submit([](JobSpec& spec) {
    spec.requeue = true;
    spec.max_attempts = 3;
  });
  const AttemptRef first = desk.Running(job, 7);
  ClusterJob failed = EndOf(first, 7, ClusterJobState::kFailed);
  failed.exit_code = 1;
  End(failed);
  ASSERT_EQ(desk.Row(job).attempts, 2) << "it is planned again at once";
  EXPECT_EQ(Balance().spent, kGpuHour) << "what the first run took stays spent";
  const AttemptRef second{{job}, 2};
  desk.Offer(LaunchAccepted{second, 8});
  desk.Step();
  desk.Offer(ReleaseDone{second, 8, true, ""});
  desk.Step();
  ClusterJob seen = desk.Seen(second, 8, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step();
  End(EndOf(second, 8, ClusterJobState::kCompleted));
  EXPECT_EQ(desk.Row(job).state, JobState::kSucceeded);
  EXPECT_EQ(Balance().spent, 2 * kGpuHour);
  EXPECT_EQ(Balance().held, 0);
}

TEST_F(PeersFailures, ALostEndRecordAccruesNothing) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 7);
  const TimeMs start = desk.Of(ref).start_ms;
  ClusterJob seen = desk.Seen(ref, 7, ClusterJobState::kRunning);
  desk.now = start + 30 * kMinuteMs;  // the last time that it is seen
  desk.Offer(Observed{seen});
  desk.Step();
  desk.now += 10 * kHourMs;  // nobody knows how it ended
  desk.Offer(Unknown{7, ref});
  desk.Step();
  EXPECT_EQ(desk.Of(ref).state, AttemptState::kEnded);
  EXPECT_EQ(Balance().spent, kGpuHour);
  EXPECT_EQ(Balance().refunded, 0) << "nobody saw a node fail";
  const BudgetBalance then = Balance();
  desk.Begin();
  desk.Up();
  desk.Step(10 * kDayMs);
  const BudgetBalance later = Balance();
  EXPECT_EQ(later.spent, then.spent) << "its end is when it was last seen, however late that is";
}

TEST_F(PeersFailures, GpuTimeIsChargedWhateverTheAccountingCounts) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 7);
  ClusterJob ended = EndOf(ref, 7, ClusterJobState::kCompleted);
  ended.granted.clear();  // its record names no GPUs
  ended.cpus = 0;
  End(ended);
  EXPECT_EQ(Balance().spent, kGpuHour) << "two GPUs for half an hour, by the plan";
}

// A store whose database is down for a while.
class DownAtFirst : public StateStore {
 public:
  explicit DownAtFirst(StateStore* store) : store_(store) {}
  void Return() { down_ = false; }
  Result<Snapshot> Lead() override {
    if (down_) return Error{Code::kUnavailable, "no database", {}};
    return store_->Lead();
  }
  Result<void> Commit(const Changes& changes) override { return store_->Commit(changes); }
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override {
    return store_->LoadPayloads(jobs);
  }
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override {
    return store_->LoadJobs(jobs);
  }

 private:
  StateStore* store_;
  bool down_ = true;
};

// Counts what is submitted to it.
class Counting : public Cluster {
 public:
  void Submit(Launch) override { ++submitted; }
  void Release(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Cancel(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Signal(const AttemptRef&, std::int64_t, const std::string&, const std::string&,
              bool) override {}
  void SetLimit(const Followed&, DurationMs) override {}
  void FindByName(const AttemptRef&) override {}
  void Look(const Followed&) override {}
  void Reconcile() override {}
  void Follow(std::vector<Followed>) override {}
  int submitted = 0;
};

TEST_F(PeersFailures, ADatabaseDownAtTheStartLeavesNoBudgetOff) {
  Grant(1);
  const JobId job = desk.Submit();  // its hour needs two GPU-hours and more
  DownAtFirst store(&desk.store);
  Counting cluster;
  Loop loop(desk.config, &store, &cluster, {});
  EXPECT_FALSE(loop.Begin(desk.now).has_value());
  loop.Offer(ClusterEvent{ClusterUp{"test", 0}});
  for (int i = 0; i < 5; ++i) {
    desk.now += kMinuteMs;
    EXPECT_TRUE(loop.RunOnce(desk.now).has_value());
    EXPECT_EQ(loop.controller(), nullptr) << "without its budgets nothing decides";
  }
  store.Return();
  NodesObserved nodes{sim::SimNodes()};
  for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
  for (int i = 0; i < 5; ++i) {
    desk.now += kMinuteMs;
    EXPECT_TRUE(loop.RunOnce(desk.now).has_value());
    loop.Offer(ClusterEvent{nodes});
    loop.Offer(ClusterEvent{Listing{}});
  }
  ASSERT_NE(loop.controller(), nullptr);
  EXPECT_EQ(cluster.submitted, 0);
  const auto waits = loop.controller()->view()->FindWaiting({job, kNoElement}, *desk.Row(job).spec);
  ASSERT_TRUE(waits.has_value());
  EXPECT_EQ(waits->reason.code, ReasonCode::kBudgetExhausted) << WireName(waits->reason.code);
}

}  // namespace
}  // namespace kezek::control

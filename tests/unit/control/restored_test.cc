// Goal: a database that is an older copy, restored, is known as such by what the cluster runs, also
// when the copy was made under the leader that planned it; then nothing is started or cancelled
// before an admin has decided, and what was lost is never taken for what follows under the same
// numbers. Method: a controller driven by hand on a store that is put back to an earlier moment.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "scheduler/control/loop.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class RestoredTest : public ::testing::Test {
 protected:
  RestoredTest() {
    desk.Up();
    desk.store.SetTime(desk.now);
  }

  void BackUp() { copy.emplace(desk.store); }
  void Restore() {
    desk.store = *copy;
    desk.store.SetTime(desk.now);
    desk.Begin();
    desk.Offer(ClusterUp{"test", 0});
    desk.OfferNodes();
  }
  // What it is told to start and to end over the next rounds.
  std::size_t Told() {
    std::size_t told = 0;
    for (int round = 0; round < 4; ++round) {
      last = desk.Tick();
      told += DeskOfOne::All<SubmitAction>(last).size() +
              DeskOfOne::All<ReleaseAction>(last).size() +
              DeskOfOne::All<CancelAction>(last).size();
    }
    return told;
  }

  DeskOfOne desk;
  std::optional<sim::MemoryStore> copy;
  Ready last;
};

TEST_F(RestoredTest, AnAttemptThatAQueuedJobDoesNotHaveStopsEverything) {
  const JobId job = desk.Submit();
  BackUp();
  const AttemptRef ref = desk.Running(job, 900);
  const ClusterJob runs = desk.Seen(ref, 900, ClusterJobState::kRunning);
  Restore();
  desk.Offer(Listing{{runs}});
  EXPECT_EQ(Told(), 0U) << "it would run twice";
  EXPECT_NE(last.report.stopped.find(ClusterName(ref)), std::string::npos) << last.report.stopped;
  EXPECT_EQ(desk.WaitsFor(job).code, ReasonCode::kSchedulingStopped);

  // Accepted, it is left alone, though the job that was planned again has the same numbers.
  EXPECT_EQ(desk.Do(ResumeScheduling{"?", false}).error().details.at(0).reason,
            "RESTORE_NOT_ACCEPTED");
  ASSERT_TRUE(desk.Do(ResumeScheduling{"ok", true}));
  desk.Tick();
  ASSERT_EQ(desk.Row(job).state, JobState::kStarting);
  desk.Offer(FoundByName{ref, true, {runs}});
  desk.Step();
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued) << "none of them is what was submitted";
  for (int process = 0; process < 2; ++process) {
    desk.Offer(Listing{{runs}});
    for (int round = 0; round < 3; ++round) {
      last = desk.Tick();
      EXPECT_TRUE(last.report.stopped.empty()) << "accepted once and for all";
      EXPECT_TRUE(DeskOfOne::All<CancelAction>(last).empty());
    }
    desk.Begin();
    desk.Up();
  }
}

TEST_F(RestoredTest, AJobThatTheCopyDoesNotHaveStopsEverythingBeforeTheFirstTick) {
  const JobId waits = desk.Submit([&](JobSpec& spec) { spec.begin_ms = desk.now + 5000; });
  BackUp();
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  const ClusterJob runs = desk.Seen(ref, 900, ClusterJobState::kRunning);
  desk.Step(5000);
  Restore();
  desk.Offer(Listing{{runs}});
  EXPECT_EQ(Told(), 0U);
  EXPECT_FALSE(last.report.stopped.empty());
  EXPECT_EQ(desk.WaitsFor(waits).code, ReasonCode::kSchedulingStopped);
}

// Its request was on its way when the database was lost, and slurmctld took it after the listing.
TEST_F(RestoredTest, WhatArrivesLateIsSeenByAnotherListing) {
  const JobId job = desk.Submit();
  BackUp();
  desk.Running(job, 900);
  Restore();
  desk.Offer(Listing{});
  desk.Step();
  std::size_t listings = 0;
  for (TimeMs waited = 0; waited < desk.config.lost_answer_ms; waited += kSecondMs) {
    listings = DeskOfOne::All<ReconcileAction>(desk.Step(kSecondMs)).size();
  }
  EXPECT_EQ(listings, 1U) << "when nothing that was sent can arrive any more";
}

// By the time that another leads the cluster has forgotten what shows it.
TEST_F(RestoredTest, WhoLeadsNextHasStoppedToo) {
  const JobId job = desk.Submit();
  BackUp();
  const AttemptRef ref = desk.Running(job, 900);
  const ClusterJob runs = desk.Seen(ref, 900, ClusterJobState::kRunning);
  Restore();
  desk.Offer(Listing{{runs}});
  EXPECT_EQ(Told(), 0U);
  desk.Begin();
  desk.Up();
  EXPECT_EQ(Told(), 0U) << "it would run again";
  EXPECT_FALSE(last.report.stopped.empty());
  EXPECT_EQ(desk.Do(ResumeScheduling{"?", false}).error().details.at(0).reason,
            "RESTORE_NOT_ACCEPTED");
  ASSERT_TRUE(desk.Do(ResumeScheduling{"ok", true}));
  EXPECT_NE(Told(), 0U);
}

TEST_F(RestoredTest, AStoreThatCannotBeAskedHoldsTheFirstTick) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob ended = desk.Seen(ref, 900, ClusterJobState::kCompleted);
  ended.end_ms = desk.now;
  desk.Offer(Observed{ended});
  desk.Step(1000);
  const JobId waits = desk.Submit();
  desk.Begin();
  desk.Offer(ClusterUp{"test", 0});
  desk.OfferNodes();
  desk.Offer(Listing{{desk.Seen(ref, 950, ClusterJobState::kRunning)}});
  desk.now += desk.config.heartbeat_ms;
  const Ready asks = desk.controller->Step(desk.now);
  desk.controller->CommitDone();
  EXPECT_EQ(asks.load_jobs, std::vector<JobRef>{ref.job});
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(asks).empty());
  desk.controller->Offer(LoadedJobs{asks.load_jobs, {}, true});
  EXPECT_TRUE(DeskOfOne::All<SubmitAction>(desk.Tick()).empty()) << "asks again";
  const Ready knows = desk.Tick();
  EXPECT_EQ(DeskOfOne::All<CancelAction>(knows).size(), 1U) << "its attempt has ended";
  EXPECT_EQ(desk.Row(waits).state, JobState::kStarting);
}

TEST_F(RestoredTest, ATagOfAnotherEpochThanItsAttemptsIsOfALostOne) {
  const JobId job = desk.Submit();
  BackUp();
  const AttemptRef ref = desk.Running(job, 900);
  const ClusterJob runs = desk.Seen(ref, 900, ClusterJobState::kRunning);
  Restore();
  desk.Offer(Listing{});  // the cluster had lost it for a while
  desk.Tick();
  ASSERT_EQ(desk.Row(job).state, JobState::kStarting);
  desk.Offer(Listing{{runs}});
  EXPECT_EQ(Told(), 0U);
  EXPECT_FALSE(last.report.stopped.empty());
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 0) << "it is not what was submitted";
}

TEST_F(RestoredTest, OfSeveralOnlyWhatIsHeldIsCancelled) {
  const AttemptRef ref = desk.Running(desk.Submit(), 900);
  ClusterJob other = desk.Seen(ref, 901, ClusterJobState::kRunning);
  desk.Offer(Observed{other});
  Ready ready = desk.Step();
  EXPECT_TRUE(DeskOfOne::All<CancelAction>(ready).empty());
  ASSERT_EQ(ready.changes.events.size(), 1U) << "reported";
  EXPECT_EQ(ready.changes.events[0].subject, Subject::kCluster);
  other.state = ClusterJobState::kPending;
  other.held = true;
  desk.Offer(Observed{other});
  ready = desk.Step();
  ASSERT_EQ(DeskOfOne::All<CancelAction>(ready).size(), 1U);
  EXPECT_EQ(DeskOfOne::All<CancelAction>(ready)[0].job.cluster_job_id, 901);
}

// Finds out by submissions alone that it has to lead again: its database was put back.
class PutBackStore : public StateStore {
 public:
  explicit PutBackStore(StateStore* store) : store_(store) {}
  Result<Snapshot> Lead() override {
    put_back = false;
    ++led;
    return store_->Lead();
  }
  Result<void> Commit(const Changes& changes) override {
    if (put_back) return Error{Code::kUnavailable, "an older copy", {}};
    return store_->Commit(changes);
  }
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override {
    return store_->LoadPayloads(jobs);
  }
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override {
    return store_->LoadJobs(jobs);
  }
  bool put_back = false;
  int led = 0;

 private:
  StateStore* store_;
};

class IdleCluster : public Cluster {
 public:
  void Submit(Launch) override {}
  void Release(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Cancel(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Signal(const AttemptRef&, std::int64_t, const std::string&, const std::string&,
              bool) override {}
  void SetLimit(const Followed&, DurationMs) override {}
  void FindByName(const AttemptRef&) override {}
  void Look(const Followed&) override {}
  void Reconcile() override {}
  void Follow(std::vector<Followed>) override {}
};

TEST_F(RestoredTest, AnIdleLoopHearsThatItHasToLeadAgain) {
  PutBackStore store(&desk.store);
  IdleCluster cluster;
  Loop loop(desk.config, &store, &cluster, {});
  ASSERT_TRUE(loop.Begin(desk.now).has_value());
  for (int i = 0; i < 5; ++i) {
    desk.now += kMinuteMs;
    ASSERT_TRUE(loop.RunOnce(desk.now).has_value());
  }
  ASSERT_EQ(store.led, 1);
  store.put_back = true;
  desk.now = loop.NextWakeMs();
  const auto report = loop.RunOnce(desk.now);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->reloaded, "an older copy") << "nothing had changed, and yet it is told";
  EXPECT_EQ(store.led, 2);
}

}  // namespace
}  // namespace kezek::control

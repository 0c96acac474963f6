// Goal: the thread around the controller takes messages from any thread, publishes views before it
// answers, answers everybody once, and ends when told or when another leads. Method: the real
// thread on a store in memory and a cluster that only counts; futures instead of waiting times.

#include "cmd/kezekd/controller_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "scheduler/sim/memory_store.h"
#include "scheduler/sim/workload.h"
#include "tests/support/recording_meter.h"

namespace kezek::kezekd {
namespace {

class SystemTime final : public Clock {
 public:
  TimeMs Now() override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

class CountingCluster final : public Cluster {
 public:
  void Submit(Launch launch) override {
    submitted_.set_value(std::move(launch));
    submitted_ = {};
  }
  void Release(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Cancel(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Signal(const AttemptRef&, std::int64_t, const std::string&, const std::string&,
              bool) override {}
  void SetLimit(const Followed&, DurationMs) override {}
  void FindByName(const AttemptRef&) override {}
  void Look(const Followed&) override {}
  void Reconcile() override {}
  void Follow(std::vector<Followed>) override {}
  std::future<Launch> NextSubmit() { return submitted_.get_future(); }

 private:
  std::promise<Launch> submitted_;
};

// Commits succeed until another leads.
class LosingStore final : public StateStore {
 public:
  explicit LosingStore(sim::MemoryStore* store) : store_(store) {}
  Result<Snapshot> Lead() override { return store_->Lead(); }
  Result<void> Commit(const Changes& changes) override {
    if (lost) return Error{Code::kAborted, "another leads", {}};
    return store_->Commit(changes);
  }
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override {
    return store_->LoadPayloads(jobs);
  }
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override {
    return store_->LoadJobs(jobs);
  }
  std::atomic<bool> lost = false;

 private:
  sim::MemoryStore* store_;
};

class ControllerThreadTest : public ::testing::Test {
 protected:
  ControllerThreadTest() {
    memory.Seed(sim::SimAccounts(), sim::SimUsers());
    memory.SetObserver(&controller);
    memory.SetTime(clock.Now());
  }
  ~ControllerThreadTest() override { controller.Stop(); }

  Result<void> Start() {
    return controller.Start({.state = &store,
                             .cluster = &cluster,
                             .on_fatal = [this](const Error& error) { fatal.set_value(error); },
                             .on_round = [this](const control::RoundReport& report,
                                                const RoundTimes& times) { Keep(report, times); },
                             .on_tally = [this](const QueueTally&) { ++tallies; },
                             .meter = &meter});
  }
  Result<CommandOutcome> Ask(CommandBody body) {
    std::promise<Result<CommandOutcome>> answer;
    controller.Do({UserId{1}, "somebody", std::move(body)},
                  [&answer](Result<CommandOutcome> outcome) { answer.set_value(outcome); });
    return answer.get_future().get();
  }
  // On the controller's thread.
  void Keep(const control::RoundReport& report, const RoundTimes& times) {
    const std::lock_guard lock(rounds_mutex);
    rounds.emplace_back(report.ticked, times);
  }
  static UserChange NewUser(int number) { return {.name = "u" + std::to_string(number) + "@test"}; }

  SystemTime clock;
  sim::MemoryStore memory{"inst"};
  LosingStore store{&memory};
  CountingCluster cluster;
  std::mutex rounds_mutex;
  std::vector<std::pair<bool, RoundTimes>> rounds;  // whether it ticked
  std::atomic<int> tallies = 0;
  test::RecordingMeter meter;
  ControllerThread controller{sim::SimConfig(), clock};
  std::promise<Error> fatal;
};

TEST_F(ControllerThreadTest, BeforeStartNothingIsKnown) {
  EXPECT_EQ(controller.view(), nullptr);
  EXPECT_EQ(controller.Admit({}).error().code, Code::kUnavailable);
  EXPECT_EQ(controller.Counted({}), 0);
}

TEST_F(ControllerThreadTest, TheViewIsThereBeforeTheAnswer) {
  ASSERT_TRUE(Start().has_value());
  ASSERT_NE(controller.view(), nullptr);
  const auto outcome = Ask(PutUsers{{NewUser(1)}, "hired"});
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_TRUE(controller.view()->directory->user_by_name.contains("u1@test"));
  EXPECT_FALSE(Ask(PutUsers{{NewUser(1)}, "again"}).has_value());
}

TEST_F(ControllerThreadTest, TellsHowLongEachPhaseOfARoundTook) {
  ASSERT_TRUE(Start().has_value());
  ASSERT_TRUE(Ask(PutUsers{{NewUser(1)}, "hired"}).has_value());
  controller.Stop();
  EXPECT_EQ(tallies, 1) << "once in five seconds";
  bool ticked = false;
  for (const auto& [tick, times] : rounds) {
    DurationUs sum = 0;
    std::string names;
    for (const auto& [phase, took] : times.phases) {
      sum += took;
      names += std::string(phase) + " ";
    }
    EXPECT_LE(sum, times.took_us);
    const bool engine = names.starts_with("take_in prepare apart entitle walk verify stand plan ");
    EXPECT_EQ(engine, tick) << names;
    EXPECT_TRUE(names.ends_with("act ")) << names;
    ticked = ticked || tick;
  }
  EXPECT_TRUE(ticked);
  EXPECT_FALSE(meter.works().empty());
  EXPECT_GE(meter.rests().size(), meter.works().size()) << "it rests in commits, too";
}

TEST_F(ControllerThreadTest, ManyThreadsAreEachAnswered) {
  ASSERT_TRUE(Start().has_value());
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t, &done] {
      for (int i = 0; i < 20; ++i) {
        if (Ask(PutUsers{{NewUser(t * 100 + i)}, ""}).has_value()) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 80);
}

TEST_F(ControllerThreadTest, ASubmissionIsAdmittedPlannedAndHandedOver) {
  std::future<Launch> launch = cluster.NextSubmit();
  ASSERT_TRUE(Start().has_value());
  controller.sink()(ClusterUp{"test", 0});
  NodesObserved nodes{sim::SimNodes()};
  for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
  controller.sink()(nodes);
  controller.sink()(Listing{});
  JobSpec spec;
  spec.project = AccountId{5};
  spec.shape.gpus_per_node = 2;
  Result<JobSpec> admitted = controller.Admit(spec);
  ASSERT_TRUE(admitted.has_value()) << admitted.error().message;
  EXPECT_EQ(controller.Counted(*admitted), 2000);
  Submission submission;
  submission.user = UserId{1};
  submission.spec = std::make_shared<const JobSpec>(*admitted);
  submission.script = "#!/bin/sh\ntrue\n";
  submission.environment = {{"A", "1"}};
  submission.idempotency_key = "k";
  // The store in memory has one thread: it is asked between rounds, before anything is planned.
  std::promise<void> asked;
  controller.Do({UserId{1}, "somebody", PutUsers{{NewUser(9)}, ""}},
                [&](const Result<CommandOutcome>&) {
                  memory.Submit({submission}, [](const Result<std::vector<Submitted>>&) {});
                  asked.set_value();
                });
  asked.get_future().get();
  const Launch got = launch.get();
  EXPECT_EQ(got.script, submission.script);
  EXPECT_EQ(got.environment.at("A"), "1");
  EXPECT_EQ(got.environment.at("KEZEK_ATTEMPT"), "1");
}

TEST_F(ControllerThreadTest, AfterStopEverybodyIsTold) {
  ASSERT_TRUE(Start().has_value());
  controller.Stop();
  const auto outcome = Ask(PutUsers{{NewUser(1)}, ""});
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, Code::kUnavailable);
}

TEST_F(ControllerThreadTest, WhenAnotherLeadsTheThreadEnds) {
  ASSERT_TRUE(Start().has_value());
  store.lost = true;
  EXPECT_EQ(Ask(PutUsers{{NewUser(1)}, ""}).error().code, Code::kUnavailable);
  EXPECT_EQ(fatal.get_future().get().code, Code::kAborted);
}

}  // namespace
}  // namespace kezek::kezekd

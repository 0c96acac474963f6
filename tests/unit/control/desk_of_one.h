// A controller on a store in memory, driven by hand: time, events and commands come from the test,
// and what it would do to the cluster is kept for the test to look at.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/control/controller.h"
#include "scheduler/control/tag.h"
#include "scheduler/sim/memory_store.h"
#include "scheduler/sim/workload.h"

namespace kezek::control {

class DeskOfOne : public CommitObserver {
 public:
  static constexpr AccountId kProject{5};
  static constexpr UserId kUser{1};

  explicit DeskOfOne(ControlConfig config_in = sim::SimConfig())
      : config(std::move(config_in)), store("inst") {
    store.Seed(sim::SimAccounts(), sim::SimUsers());
    store.SetObserver(this);
    Begin();
  }

  // A new process: everything but the store is forgotten.
  void Begin() {
    Result<Snapshot> snapshot = store.Lead();
    controller = std::make_unique<Controller>(config, *snapshot, now);
  }

  // The cluster answers and all nodes are up.
  void Up() {
    Offer(ClusterUp{"test", 0});
    OfferNodes();
    Offer(Listing{});
    Step();
  }
  void OfferNodes() {
    NodesObserved nodes{sim::SimNodes()};
    for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
    Offer(nodes);
  }

  void OnCommitted(const Committed& committed) override {
    if (controller != nullptr && !committed.submitted.empty()) controller->Offer(committed);
  }

  void Offer(ClusterEvent event) { controller->Offer(std::move(event)); }

  JobId Submit(const std::function<void(JobSpec&)>& change = {}) {
    JobSpec spec;
    spec.project = kProject;
    spec.shape = {1, 2, "h200", 16, 256'000, false};
    spec.time_limit_ms = kHourMs;
    if (change) change(spec);
    Submission submission;
    submission.user = submitter;
    submission.spec = std::make_shared<const JobSpec>(std::move(spec));
    submission.script = "#!/bin/sh\n";
    submission.idempotency_key = "k" + std::to_string(++keys);
    JobId id;
    store.SetTime(now);
    store.Submit({submission}, [&id](Result<std::vector<Submitted>> done) {
      ASSERT_TRUE(done.has_value());
      id = done->at(0).id;
    });
    return id;
  }

  // One round, committed.
  Ready Step(DurationMs later = 0) {
    now += later;
    Ready ready = controller->Step(now);
    if (!ready.changes.empty()) {
      EXPECT_TRUE(store.Commit(ready.changes).has_value());
    }
    controller->CommitDone();
    if (!ready.load_jobs.empty()) {
      controller->Offer(LoadedJobs{ready.load_jobs, *store.LoadJobs(ready.load_jobs), false});
    }
    return ready;
  }
  // A round in which a tick is due.
  Ready Tick() { return Step(config.heartbeat_ms); }

  // What makes the user, as last seen, this one.
  UserChange Becomes(const User& user) const {
    return ChangeBetween(controller->view()->directory->users.at(user.id), user);
  }
  Result<CommandOutcome> Do(JobChange change) { return Do(ChangeJobs{{std::move(change)}}); }
  Result<CommandOutcome> Do(CommandBody body) {
    controller->Offer(CommandInput{77, {kUser, "somebody", std::move(body)}});
    Ready ready = Step();
    EXPECT_EQ(ready.replies.size(), 1U);
    EXPECT_EQ(ready.replies.at(0).token, 77);
    return ready.replies.at(0).outcome;
  }

  // The actions of one kind.
  template <class T>
  static std::vector<T> All(const Ready& ready) {
    std::vector<T> result;
    for (const ClusterAction& action : ready.actions) {
      if (const T* found = std::get_if<T>(&action)) result.push_back(*found);
    }
    return result;
  }

  // Submitted, planned, accepted with this id, released.
  AttemptRef Started(JobId job, std::int64_t id) {
    const AttemptRef ref{{job}, 1};
    Tick();
    Offer(LaunchAccepted{ref, id});
    Step();
    Offer(ReleaseDone{ref, id, true, ""});
    Step();
    return ref;
  }
  AttemptRef Running(JobId job, std::int64_t id) {
    const AttemptRef ref = Started(job, id);
    ClusterJob seen = Seen(ref, id, ClusterJobState::kRunning);
    seen.start_ms = now;
    Offer(Observed{seen});
    Step();
    return ref;
  }

  // As the cluster would report it, with our tag.
  ClusterJob Seen(const AttemptRef& ref, std::int64_t id, ClusterJobState state) const {
    ClusterJob job;
    job.id = id;
    job.attempt = ref;
    job.unix_account = "kz-user" + std::to_string(submitter.value - 1);
    const auto stored = store.attempts().find(ref);
    const std::int64_t epoch =
        stored == store.attempts().end() ? store.epoch() : stored->second.epoch;
    job.tag = MakeTag(config.keyed_hash, "inst", epoch, ref, job.unix_account);
    job.state = state;
    if (stored != store.attempts().end()) {
      job.start_ms = stored->second.start_ms;
      job.granted = stored->second.placement;
    }
    return job;
  }

  const Job& Row(JobId id, std::int32_t element = kNoElement) const {
    return store.jobs().at({id, element});
  }
  const Attempt& Of(const AttemptRef& ref) const { return store.attempts().at(ref); }
  Reason WaitsFor(JobId id, std::int32_t element = kNoElement) const {
    const auto row = store.jobs().find({id, element});
    const Job& job = row != store.jobs().end() ? row->second : Row(id);
    const auto found = controller->view()->FindWaiting({id, element}, *job.spec);
    return found ? found->reason : Reason{};
  }

  ControlConfig config;
  sim::MemoryStore store;
  std::unique_ptr<Controller> controller;
  TimeMs now = 1'800'000'000'000;
  UserId submitter = kUser;
  int keys = 0;
};

}  // namespace kezek::control

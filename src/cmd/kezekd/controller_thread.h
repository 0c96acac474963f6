// The thread that runs the controller: an inbox, a condition variable, and control::Loop.
//
//   ControllerThread controller(config, clock);
//   auto store = ...(&controller as CommitObserver);
//   auto cluster = ...(controller.sink());
//   controller.Start({.state = store, .cluster = cluster, ...});
//   ... controller is the Desk of rpc and http ...
//   controller.Stop();   // before the cluster and the store go
//
// Desk, CommitObserver and the sink may be used from any thread, before Start too: what comes in
// then waits in the inbox, of the cluster's events the last of each kind.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/desk.h"
#include "kezek/meter.h"
#include "kezek/resources.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "scheduler/control/config.h"
#include "scheduler/control/report.h"

namespace kezek::kezekd {

// How long a round of the controller took, and of that each phase: "take_in", what the engine tells
// of a tick ("prepare", "apart", "entitle", "walk", "verify", "stand", and where something is
// promised, or may be, "keep_apart", "keep", "improve", "clear"), "plan", "commit", "publish",
// "act". A round without a tick has no phases of the engine.
struct RoundTimes {
  DurationUs took_us = 0;
  std::vector<std::pair<std::string_view, DurationUs>> phases;  // in order
};

class ControllerThread final : public Desk, public CommitObserver {
 public:
  struct Outside {
    StateStore* state = nullptr;
    Cluster* cluster = nullptr;
    // Another leads now, or a restart is needed: called once on the controller's thread, after its
    // last round. The process should end.
    std::function<void(const Error&)> on_fatal;
    // After every round, on the controller's thread: for the log and metrics. May be empty.
    std::function<void(const control::RoundReport&, const RoundTimes&)> on_round;
    // The queue in figures, on the same thread: after a tick, but not within five seconds of the
    // last time. May be empty.
    std::function<void(QueueTally)> on_tally;
    Meter* meter =
        nullptr;  // told when the thread works, waits for the store excepted; may be null
  };

  ControllerThread(control::ControlConfig config, Clock& clock);
  ~ControllerThread() override;  // Stop()
  ControllerThread(const ControllerThread&) = delete;
  ControllerThread& operator=(const ControllerThread&) = delete;

  // Takes the leadership and reads the snapshot on the caller's thread, publishes the first View,
  // then starts the thread. On an error nothing runs and Start may be called again; once it has
  // succeeded, it may not.
  Result<void> Start(Outside outside);
  // While Start has not succeeded: what the Desk shows meanwhile.
  void ShowStandby(View view);
  // Ends the thread after the round it is in; what waits for an answer gets UNAVAILABLE.
  // Idempotent.
  void Stop();

  // For the cluster shell. Stays valid as long as this object.
  ClusterSink sink();

  // Desk. view() is null before Start or ShowStandby, and Admit and TakePlaces then
  // UNAVAILABLE.
  Result<JobSpec> Admit(JobSpec spec) const override;
  Result<void> TakePlaces(UserId owner, const JobSpec& spec) override;
  void GiveBackPlaces(UserId owner, const JobSpec& spec) override;
  MilliGpus Counted(const JobSpec& spec) const override;  // 0 before Start
  MilliGpuMs ChargeSoFar(const Attempt& attempt, TimeMs now_ms) const override;
  void Do(Command command, std::function<void(Result<CommandOutcome>)> done) override;
  std::shared_ptr<const View> view() const override;

  // CommitObserver
  void OnCommitted(const Committed& committed) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kezek::kezekd

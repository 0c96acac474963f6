// The controller: takes in what happened, decides, and says what to do about it. Pure: no I/O, no
// clock, no thread. In the manner of a replicated log's state machine, one round is
//
//   controller.Offer(input) ...;            // any number
//   Ready ready = controller.Step(now);
//   1. store.Commit(ready.changes)          // nothing below happens before this has succeeded
//   2. publish controller.view()
//   3. do ready.actions in order            // the cluster; LoadPayloads for submissions
//   4. give ready.replies
//   5. load ready.load_jobs, Offer(LoadedJobs)
//   controller.CommitDone();
//
// Step changes what the controller knows at once, so after a failed commit the controller is
// thrown away and a new one made from a new snapshot: there is no undo. What step 3 did not get
// done in a crash is repaired by the new one: attempts without an id are looked up by name,
// unreleased ones released, running ones looked at.
//
// Hand-off (who may run): an attempt is committed as starting before it is submitted, held; its id
// is committed before it is released. So nothing runs that the database does not know.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "scheduler/control/config.h"
#include "scheduler/control/queue_state.h"
#include "scheduler/control/report.h"

namespace kezek::control {

// --- In. ---
struct CommandInput {
  std::int64_t token = 0;  // comes back with the reply
  Command command;
};
struct LoadedJobs {  // answer to Ready::load_jobs
  std::vector<JobRef> asked;
  std::vector<Job> found;
  bool failed = false;  // nothing is known: those still waited for are asked for again by a tick
};
using Input = std::variant<Committed, CommandInput, ClusterEvent, LoadedJobs>;

// --- Out. ---
struct SubmitAction {
  Launch launch;  // without the payload's script and environment: see CompleteLaunch
  JobId payload;
};
struct ReleaseAction {
  Followed job;
};
struct CancelAction {
  Followed job;
};
struct SignalAction {
  Followed job;
  std::string signal;
  bool batch_shell_only = false;
};
struct LimitAction {
  Followed job;
  DurationMs limit_ms = 0;
};
struct FindAction {
  AttemptRef attempt;
};
struct LookAction {
  Followed job;
};
struct ReconcileAction {};
struct FollowAction {
  std::vector<Followed> jobs;
};
using ClusterAction =
    std::variant<SubmitAction, ReleaseAction, CancelAction, SignalAction, LimitAction, FindAction,
                 LookAction, ReconcileAction, FollowAction>;

struct Reply {
  std::int64_t token = 0;
  Result<CommandOutcome> outcome;
};

struct Ready {
  TimeMs now_ms = 0;  // max(clock, last committed)
  Changes changes;    // may be empty: nothing to commit
  std::vector<ClusterAction> actions;
  std::vector<Reply> replies;
  std::vector<JobRef> load_jobs;
  RoundReport report;
};

struct Core;

class Controller {
 public:
  Controller(const ControlConfig& config, const Snapshot& snapshot, TimeMs now);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // Queues it for the next Step.
  void Offer(Input input);
  // One round; a tick of the engine is part of it if one is due.
  Ready Step(TimeMs now);
  // The changes of the last Step are durable. Step may not be called again before.
  void CommitDone();

  // When to call Step: at once if something waits in the inbox; a tick is due at once for the first
  // event, `gather_ms` after the last tick for those that follow it, and at every heartbeat.
  TimeMs NextWakeMs() const;

  // As of the last Step. Immutable.
  const std::shared_ptr<const View>& view() const;
  const QueueState& state() const;

 private:
  std::unique_ptr<Core> core_;
  std::vector<Input> inbox_;
  bool waits_for_commit_ = false;
};

}  // namespace kezek::control

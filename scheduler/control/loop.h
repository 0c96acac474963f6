// Runs the controller against a store and a cluster, one round at a time. The simulator and the
// daemon run this very loop; the daemon adds only the waiting.
//
// Order of effects in a round: commit, publish the view, act on the cluster, answer. One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "scheduler/control/config.h"
#include "scheduler/control/controller.h"
#include "scheduler/control/report.h"

namespace kezek::control {

class Loop {
 public:
  using Done = std::function<void(Result<CommandOutcome>)>;
  using Publish = std::function<void(const std::shared_ptr<const View>&)>;

  // `publish` gets every new view, before anybody is answered.
  Loop(ControlConfig config, StateStore* store, Cluster* cluster, Publish publish);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Takes the leadership and begins from the store's snapshot. Its error otherwise; may be tried
  // again.
  Result<void> Begin(TimeMs now);

  void Offer(Committed committed);
  void Offer(ClusterEvent event);
  void Offer(Command command, Done done);

  // When to call RunOnce next.
  TimeMs NextWakeMs() const;

  // One round. ABORTED: another leads now; the process must end, nothing was done. Any other
  // failure of the store makes the loop begin anew from a snapshot, at once or at the next round:
  // commands in between are answered UNAVAILABLE, and the report says so.
  Result<RoundReport> RunOnce(TimeMs now);

  // Answers what waits with UNAVAILABLE.
  void Abandon();

  // Null before Begin has succeeded.
  const Controller* controller() const { return controller_.get(); }

 private:
  Result<RoundReport> Restart(TimeMs now, const Error& error);
  void Act(std::vector<ClusterAction> actions);
  using Payloads = std::map<JobId, Result<JobPayload>>;
  Payloads LoadPayloads(const std::set<JobId>& jobs);
  void Launch1(SubmitAction action, const Payloads& payloads);
  void Answer(std::vector<Reply> replies);
  void LoadJobs(const std::vector<JobRef>& jobs);

  const ControlConfig config_;
  StateStore* store_;
  Cluster* cluster_;
  Publish publish_;
  std::unique_ptr<Controller> controller_;
  std::shared_ptr<const View> published_;
  std::vector<Input> inputs_;
  std::map<std::int64_t, Done> waiting_;  // by token
  std::int64_t next_token_ = 1;
  std::optional<ClusterEvent> status_;  // the last ClusterUp or ClusterSilent
  TimeMs retry_at_ms_ = 0;              // of Begin, while there is no controller
};

}  // namespace kezek::control

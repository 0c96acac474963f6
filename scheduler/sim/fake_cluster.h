// A fake cluster: not Slurm, but it behaves as Slurm does where the hand-off depends on it, and
// worse where Slurm or the network may. Held submissions, releases, start latency, runs, ends with
// a time of clean-up, an accounting; time-driven, and driven by a seed.
//
// What it can do wrong (Faults): lose an answer after or without having done what was asked, take a
// submission twice, refuse, leave a job pending for good, forget a job altogether, lose nodes,
// requeue a job by itself, give GPUs to strangers, fall silent.
//
// It keeps its own books, by which the simulator judges: what ran when on which GPUs. A script
// says what its run is like: "ms=60000 exit=3"; of two jobs one ends soon after SIGTERM.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/node.h"
#include "scheduler/sim/random.h"

namespace kezek::sim {

// Probabilities in thousandths for each occasion; all 0: a cluster without faults.
struct Faults {
  std::int32_t answer_lost_done = 0;    // submitted, the answer is lost
  std::int32_t answer_lost_undone = 0;  // neither
  std::int32_t taken_twice = 0;         // answer lost, and two jobs are there
  std::int32_t refused = 0;
  std::int32_t refused_for_good = 0;
  std::int32_t release_lost = 0;  // signals and limits too; half of them have taken effect
  std::int32_t never_starts = 0;  // released, and pending for ever
  std::int32_t forgotten = 0;     // vanishes at its start
  std::int32_t requeued = 0;      // restarts once in the middle of its run
  std::int32_t node_fails = 0;    // each minute, any one node
  std::int32_t silent = 0;        // each minute: no answers for up to two minutes
  std::int32_t strangers = 0;     // each minute: a stranger takes GPUs on a node for a while
};

class FakeCluster final : public Cluster {
 public:
  // A job as the books have it.
  struct Entry {
    ClusterJob job;
    std::string nodes_text;
    DurationMs run_ms = 0;
    std::int32_t exit_code = 0;
    bool never_starts = false;
    bool will_vanish = false;
    bool forgotten = false;  // neither the list nor the accounting knows it
    bool will_requeue = false;
    TimeMs eligible_ms = 0;
    TimeMs event_ms = 0;  // when the next thing happens to it; 0: nothing by itself
    bool cancelled = false;
    std::int32_t signals = 0;  // taken
    ClusterJobState after_completing = ClusterJobState::kCompleted;
    std::vector<std::pair<TimeMs, TimeMs>> runs;  // start and end of each
  };

  FakeCluster(std::vector<Node> nodes, std::uint64_t seed, TimeMs now);

  void SetFaults(const Faults& faults) { faults_ = faults; }
  // Ends strangers, silence and node failures.
  void Heal(TimeMs now);
  // Where events go; a null sink drops them (the controller is gone), and what was asked for before
  // is not answered any more.
  void SetSink(ClusterSink sink);
  // Told when a job starts, before anything else happens.
  void SetOnStart(std::function<void(const Entry&)> on_start) { on_start_ = std::move(on_start); }
  // Likewise when it is told to signal or to cancel (the signal is empty) a job that it has,
  // whatever comes of that.
  using OnEnding = std::function<void(const Entry&, const std::string& signal)>;
  void SetOnEnding(OnEnding on_ending) { on_ending_ = std::move(on_ending); }
  // Lets time pass: everything due by `now` happens, in order.
  void Advance(TimeMs now);
  // When something is due next.
  TimeMs NextMs() const;

  // Cluster
  void Submit(Launch launch) override;
  void Release(const AttemptRef& attempt, std::int64_t id,
               const std::string& unix_account) override;
  void Cancel(const AttemptRef& attempt, std::int64_t id, const std::string& unix_account) override;
  void Signal(const AttemptRef& attempt, std::int64_t id, const std::string& unix_account,
              const std::string& signal, bool batch_shell_only) override;
  void SetLimit(const Followed& job, DurationMs limit_ms) override;
  void FindByName(const AttemptRef& attempt) override;
  void Look(const Followed& job) override;
  void Reconcile() override;
  void Follow(std::vector<Followed> jobs) override;

  const std::map<std::int64_t, Entry>& jobs() const { return jobs_; }
  // Breaches that the books show: GPUs promised twice by who releases.
  const std::vector<std::string>& breaches() const { return breaches_; }
  // GPUs of our jobs on each node that are in use, clean-up included.
  std::map<std::string, std::int32_t> InUse() const;

 private:
  void Answer(DurationMs after, ClusterEvent event);
  bool Silent() const { return now_ < silent_until_; }
  std::int64_t Take(const Launch& launch, bool held);
  void Happen(Entry& entry);
  void TryStart(Entry& entry);
  void SetEnd(Entry& entry);
  void Deliver(Entry& entry, const std::string& signal);
  void Start(Entry& entry);
  void End(Entry& entry, ClusterJobState state);
  void Requeue(Entry& entry);
  void EachMinute();
  void Poll();
  void ReportNodes();
  std::int32_t FreeGpus(const std::string& node) const;
  bool NodesUp(const Entry& entry) const;

  std::map<std::string, Node> nodes_;
  std::map<std::string, TimeMs> down_until_;
  std::map<std::string, std::pair<TimeMs, std::int32_t>> strangers_;  // until, GPUs
  Random random_;
  Faults faults_;
  ClusterSink sink_;
  std::function<void(const Entry&)> on_start_;
  OnEnding on_ending_;
  TimeMs now_ = 0;
  TimeMs silent_until_ = 0;
  bool said_silent_ = false;
  TimeMs next_minute_ = 0;
  TimeMs next_poll_ = 0;
  std::int64_t last_id_ = 1000;
  std::int64_t sequence_ = 0;
  std::map<std::int64_t, Entry> jobs_;
  std::map<std::pair<TimeMs, std::int64_t>, ClusterEvent> answers_;
  std::map<std::int64_t, Followed> followed_;
  std::map<std::int64_t, ClusterJob> reported_;
  std::set<std::int64_t> reported_unknown_;
  std::vector<std::string> breaches_;
};

}  // namespace kezek::sim

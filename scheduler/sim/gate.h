// One life of a controller's process: passes its calls to the store and the cluster on, and dies at
// a chosen call. The dead do nothing any more: their calls have no effect.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/store.h"
#include "scheduler/sim/random.h"

namespace kezek::sim {

class Gate final : public StateStore, public Cluster {
 public:
  struct Plan {
    std::int64_t calls = -1;         // dies at the call after so many; -1: does not
    bool last_commit_lasts = false;  // if that call is a commit, whether it takes effect
    std::int32_t commit_fails = 0;   // in thousandths: UNAVAILABLE; half of them took effect
  };

  Gate(StateStore* store, Cluster* cluster, const Plan& plan, std::uint64_t seed)
      : store_(store), cluster_(cluster), plan_(plan), random_(seed) {}

  bool dead() const { return dead_; }
  // Told before anything is started, ended or signalled in the cluster. May be empty.
  void SetOnAct(std::function<void()> on_act) { on_act_ = std::move(on_act); }
  // No faults from now on.
  void Heal() { plan_ = Plan{}; }

  Result<Snapshot> Lead() override;
  Result<void> Commit(const Changes& changes) override;
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override;
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override;

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

 private:
  bool Alive();  // counts the call
  bool Acts();   // so, of a call that changes the cluster

  StateStore* store_;
  Cluster* cluster_;
  Plan plan_;
  Random random_;
  std::function<void()> on_act_;
  bool dead_ = false;
};

}  // namespace kezek::sim

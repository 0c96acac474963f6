// What must hold at every moment of a simulation, judged from outside: by what is committed and by
// the cluster's own books, with rules written down a second time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/store.h"
#include "scheduler/control/queue_state.h"
#include "scheduler/sim/fake_slurm.h"
#include "scheduler/sim/memory_store.h"

namespace kezek::sim {

class Checker {
 public:
  // Before the changes are stored: legal changes of state, each with its event; attempts end once;
  // one attempt of a job at a time; one settlement for each attempt; who is preempted hears of it,
  // and there is a reclaim for it; what is promised waits; no pot of a budget below zero, and all
  // of a budget's pots together nothing.
  void OnCommit(const MemoryStore& store, const Changes& changes);
  // A job starts in the cluster: the database knows its id, this attempt has not run before, and
  // nothing of an earlier one runs any more. Unless other hands have released it.
  void OnStart(const MemoryStore& store, const FakeSlurm& slurm, const FakeJob& starts);
  // The cluster is told to signal or (the signal is empty) to cancel a job: SIGTERM, and the end of
  // what has its grace, only after a commit that says so, and the end not before its time is over.
  void OnEnding(const MemoryStore& store, const FakeJob& told, const std::string& signal,
                TimeMs now);
  // Some time after the faults have stopped: what was planned before `since` runs in the cluster,
  // within its limit, or has ended; and what the cluster has from before then is known.
  void CheckStuck(const MemoryStore& store, const FakeSlurm& slurm, TimeMs since, TimeMs now);
  // What the controller has in memory is what the store would load.
  void CompareFold(const MemoryStore& store, const control::QueueState& state);
  // Everything has ended, every attempt is settled, nothing is held, usage is what was charged
  // (scavengers have none) and so is what budgets have spent, faults of the machine cost nothing,
  // times and outcomes are the cluster's, and who counts as signalled was.
  void AtEnd(const MemoryStore& store, const FakeSlurm& slurm, const std::set<JobId>& acknowledged);

  // A copy of the database leads: what was started in epochs up to this one, the lost database may
  // have ended, too.
  void Restored(std::int64_t last_shared_epoch) { shared_epochs_ = last_shared_epoch; }

  const std::vector<std::string>& breaches() const { return breaches_; }

 private:
  void Breach(std::string text) { breaches_.push_back(std::move(text)); }
  void CheckBudgets(const std::vector<LedgerEntry>& entries);
  void CheckJob(const MemoryStore& store, const Job& job, const std::vector<Event>& events);
  void CheckPromises(const MemoryStore& store, const Changes& changes);
  void CheckMoney(const MemoryStore& store, const Attempt& attempt);
  void CheckTimes(const Attempt& attempt, const FakeSlurm& slurm);
  void CheckOutcome(const Attempt& attempt, const FakeSlurm& slurm);
  void CheckSuccesses(const MemoryStore& store, const Job& job);

  std::vector<std::string> breaches_;
  std::map<AttemptRef, std::int64_t> settlements_;
  std::map<AttemptRef, MilliGpuMs> charged_;
  // Of budgets: by pot; and by attempt and account, what it has spent there.
  std::map<BudgetRef, std::map<std::string, MilliGpuMs>> pots_;
  std::map<AttemptRef, std::map<AccountId, MilliGpuMs>> spent_;
  std::map<AttemptRef, MilliGpuMs> usage_;     // booked, over all dates
  std::map<AttemptRef, std::int64_t> ran_as_;  // the cluster's job, by serial
  std::set<AttemptRef> preempted_;             // an event said so
  std::int64_t shared_epochs_ = 0;
};

}  // namespace kezek::sim

// The engine's simple model: it keeps events as they came and works everything out from scratch at
// each Decide. Budgets and entitlement are worked out here anew, too; what else quota/ decides
// (limits, order, usage) has twins of its own and is used as it is, but made anew each time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kezek/event.h"
#include "quota/account_tree.h"
#include "quota/budget.h"
#include "quota/entitlement.h"
#include "quota/limits.h"
#include "quota/order.h"
#include "quota/usage.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/pools.h"
#include "tests/property/naive_placement.h"

namespace kezek::test {

struct NaiveCrossed;

// How many of it may start now: of an array's row its elements.
int Startable(const engine::Waiting& job);

class NaiveEngine {
 public:
  NaiveEngine(engine::EngineConfig config, std::shared_ptr<const Directory> directory);

  void SetDirectory(std::shared_ptr<const Directory> directory);
  void SetNode(const Node& node) {
    nodes_[node.name] = node;
    FindPools();
  }
  void SetWaiting(const engine::Waiting& job) { waiting_[job.ref] = job; }
  void RemoveWaiting(const JobRef& job) { waiting_.erase(job); }
  void SetHolding(const engine::Holding& attempt) { holdings_[attempt.attempt] = attempt; }
  void RemoveHolding(const AttemptRef& attempt) { holdings_.erase(attempt); }
  void Ended(const EndedRun& run) {
    if (IsShortest(run.project)) ended_.push_back(run);
  }
  void Book(const engine::UsageBooking& booking) { bookings_.push_back({booking, tree_}); }
  void BookBudget(const LedgerEntry& entry) { entries_.push_back(entry); }

  engine::Plan Decide(TimeMs now) const;

 private:
  using Entitled = std::vector<quota::Entitlement>;
  using Holds = std::map<BudgetRef, MilliGpuMs>;
  // What a start would hold; or why it does not, or the budget that makes it a scavenger.
  struct Drawn {
    Holds holds;
    Reason stop;
    BudgetRef scavenges;
  };
  struct Tick;
  ClassRules ClassOf(const std::string& name) const;
  MilliGpus CountedOn(const Shape& shape, const std::string& node) const;
  MilliGpus Counted(const JobSpec& spec) const;
  MilliGpuMs ExpectedCharge(const JobSpec& spec, MilliGpus counted) const;
  quota::JobCount CountOf(const engine::Waiting& job, TimeMs now) const;
  MilliGpuMs Left(const BudgetRef& budget) const;
  void DrawOnChain(Drawn& drawn, quota::AccountIndex account, const BudgetSpec& first,
                   const quota::Cost& cost, TimeMs now, const Holds& taken) const;
  Drawn DrawAtCost(const quota::Cost& cost, TimeMs now, const Holds& taken) const;
  Drawn DrawOf(const engine::Waiting& job, MilliGpus counted, TimeMs now, const Holds& taken) const;
  BudgetRef Scavenges(const engine::Waiting& job, TimeMs now) const;
  bool IsShortest(AccountId project) const;
  DurationMs Length(const engine::Waiting& job) const;
  DurationMs RanSince(AccountId project, TimeMs since, TimeMs now) const;
  quota::OrderJob OrderOf(const engine::Waiting& job, TimeMs now) const;
  void FindPools();
  engine::PoolKey PoolOf(const Node& node) const { return pools_.at(node.name); }
  // Pools that the job may start in, in that order.
  std::vector<engine::PoolKey> PoolsFor(const JobSpec& spec) const;
  NaiveNodes Of(const NaiveNodes& nodes, const engine::PoolKey& pool) const;
  bool IsApart(const Placement& placement) const;
  NaiveNodes Free(TimeMs now) const;
  NaiveNodes Configured() const;
  quota::RunningTable Running() const;
  quota::UsageBook Usage(const std::string& type) const;
  std::map<std::string, Entitled> EntitleAll(Tick& tick) const;
  bool IsForShared(const engine::Waiting& job) const;
  void WalkApart(Tick& tick) const;
  void Walk(Tick& tick, const engine::PoolKey& pool) const;
  // Of the pool of the walk: of one that is not shared, nothing.
  Entitled EntitledIn(const Tick& tick, const engine::PoolKey& pool) const;
  std::vector<MilliGpus> Guarantees(const Tick& tick, const engine::PoolKey& pool) const;
  Reason NoRoom(const NaiveNodes& free, const engine::PoolKey& pool, const JobSpec& spec,
                Domain within, bool preference) const;
  void Explain(const Tick& tick, const engine::Waiting& job, const quota::Candidate& candidate,
               Reason& reason) const;
  Reason Barred(const engine::Waiting& job) const;
  Reason Stopped(const quota::RunningTable& running, const quota::JobCount& count,
                 const std::vector<MilliGpus>& guarantees) const;
  Reason Unpaid(const Tick& tick, const engine::Waiting& job, MilliGpus counted) const;
  MilliGpus Start(Tick& tick, const engine::Waiting& job, int nth,
                  const Placement& placement) const;
  MilliGpus Kept(const Tick& tick, quota::AccountIndex project) const;
  bool WalkOne(Tick& tick, quota::OrderTree& order, const quota::Candidate& candidate) const;
  void Leave(Tick& tick, const quota::OrderTree& order, AccountId project,
             const bool* scavengers) const;
  static void PlaceInOwnOrders(const std::vector<std::vector<JobRef>>& own_orders,
                               std::map<JobRef, JobStanding>& waits);
  void Stand(Tick& tick, const std::string& type) const;
  // --- naive_windows.cc: what admins have reserved. ---
  bool IsClosed(const std::string& node, TimeMs now) const;
  TimeMs EndOf(const engine::Waiting& job, TimeMs now) const;
  bool MayUse(const AdminReservation& reservation, const engine::Waiting& job) const;
  bool IsOpen(const std::string& node, const engine::Waiting& job, TimeMs now) const;
  NaiveNodes OpenTo(const Tick& tick, const engine::Waiting& job) const;
  NaiveCrossed Crossed(const Tick& tick, const engine::Waiting& job) const;
  Reason Reserved(const Tick& tick, const engine::Waiting& job, Domain within,
                  Reason otherwise) const;

  engine::EngineConfig config_;
  std::shared_ptr<const Directory> directory_;
  std::shared_ptr<const quota::AccountTree> tree_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, engine::PoolKey> pools_;  // by node
  std::map<JobRef, engine::Waiting> waiting_;
  std::map<AttemptRef, engine::Holding> holdings_;
  std::vector<EndedRun> ended_;
  std::vector<LedgerEntry> entries_;  // of budgets
  // With the tree at the time: usage goes to the accounts above the project then.
  std::vector<std::pair<engine::UsageBooking, std::shared_ptr<const quota::AccountTree>>> bookings_;
};

}  // namespace kezek::test

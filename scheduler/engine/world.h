// All the engine knows, and the totals kept with it so that a tick need not count anew.
//
// Each event replaces what was known under its key. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/ids.h"
#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/snapshot_map.h"
#include "kezek/time.h"
#include "quota/account_tree.h"
#include "quota/budget.h"
#include "quota/counted.h"
#include "quota/entitlement.h"
#include "quota/limits.h"
#include "quota/order.h"
#include "quota/run_history.h"
#include "quota/usage.h"
#include "scheduler/engine/demand.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/kept_blocks.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/pools.h"
#include "scheduler/engine/seats.h"

namespace kezek::engine {

// How many of it may start now: 1, or of an array's row its elements.
std::int32_t StartableCount(const Waiting& job);
// The nth of them.
JobRef StartableRef(const Waiting& job, std::int32_t nth);

class World {
 public:
  World(EngineConfig config, std::shared_ptr<const Directory> directory);
  // As if all of these had been told one by one.
  World(const Facts& facts, std::shared_ptr<const Directory> directory);
  World(World&&) = default;
  World(const World&) = delete;  // its lists point into it
  World& operator=(const World&) = delete;

  void SetDirectory(std::shared_ptr<const Directory> directory);
  void SetNode(const Node& node);
  void SetWaiting(const Waiting& job);
  void RemoveWaiting(const JobRef& job);
  void SetHolding(const Holding& attempt);
  void RemoveHolding(const AttemptRef& attempt);
  void SetReservation(const Reservation& reservation);
  void RemoveReservation(const JobRef& row);
  // What stands at each date; `whose` says only whose it is.
  void Book(const UsageBooking& whose, std::span<const std::pair<TimeMs, MilliGpuMs>> dated);
  void Ended(const EndedRun& run);
  quota::Budgets& mutable_budgets() { return budgets_; }

  // Brings what depends on several events, or on the time, up to date. Before a tick.
  void Refresh(TimeMs now);
  TimeMs now_ms() const { return now_ms_; }  // of the last Refresh
  // Reservations are looked at for earlier times in this tick: not in each.
  bool improves() const { return improves_; }

  const EngineConfig& config() const { return config_; }
  // From now on plans reclaim, for so many jobs.
  void AskReclaim(std::int32_t asks) {
    config_.reclaim = true;
    config_.reclaim_asks = asks;
  }
  const Directory& directory() const { return *directory_; }
  const quota::AccountTree& tree() const { return tree_; }
  // Guarantees as they are set, by index.
  const std::vector<MilliGpus>& GuaranteesSet(const std::string& gpu_type) const;
  // What is known of the levels of entitlement. Like all that ticks keep here it changes no plan.
  quota::FilledLevels& levels(const std::string& gpu_type) const { return levels_[gpu_type]; }
  // How accounts stood in their order. Likewise.
  quota::OrderTree::Kept& order_kept(const std::string& gpu_type) const {
    return order_kept_[gpu_type];
  }
  // What is free has not changed while this has not.
  std::int64_t free_version() const { return free_version_; }
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  const std::map<AttemptRef, Holding>& holdings() const { return holdings_; }
  const std::map<JobRef, Waiting>& waiting() const { return waiting_; }
  // Rows of arrays that run as many as they may.
  const std::set<JobRef>& resting() const { return resting_; }
  const std::map<JobRef, Reservation>& reservations() const { return reservations_; }
  // Waiting rows that ask for the same of nodes, by the spec of one of them: what does not fit for
  // one fits for none.
  struct Alike {
    std::map<AccountId, std::int64_t> projects;  // how many rows each has; none is 0
    std::optional<bool> shared;  // whether the shared nodes could hold one, all of them empty
    std::int64_t id = 0;         // never another's
    std::map<std::pair<DurationMs, JobRef>, const Waiting*> by_limit;  // the shortest first
  };
  struct SameNodes {
    bool operator()(const std::shared_ptr<const JobSpec>& a,
                    const std::shared_ptr<const JobSpec>& b) const;
  };
  using Asked = std::map<std::shared_ptr<const JobSpec>, Alike, SameNodes>;
  static bool IsAmong(const Alike& alike, const Waiting& row) {
    return alike.by_limit.contains({row.spec->time_limit_ms, row.ref});
  }
  // Of a GPU type.
  const Asked& asked(const std::string& gpu_type) const;
  // Of a project, by the time since which they wait.
  using Since = std::set<std::pair<TimeMs, JobRef>>;
  const Since& rows_of(AccountId project) const;
  // How many rows are of a class.
  std::int64_t WaitingOf(const std::string& job_class) const;
  // What they ask for on shared nodes. Up to date after Refresh.
  const Demand& demand() const { return demand_; }
  // Whether a budget of an account on its path may have a say.
  bool DrawsOnBudgets(AccountId project) const;

  // How long something with this limit may hold its nodes: as long as it can be charged.
  DurationMs Occupies(DurationMs limit_ms) const;
  // When its limit, or whoever ends it, will have freed what it holds; not before `now`.
  TimeMs EndOf(const Holding& attempt, TimeMs now) const;
  // Likewise, if it is told now to end: after its grace, or by itself before.
  TimeMs EndIfTold(const Holding& attempt, TimeMs now) const;
  // When it is gone if others need its nodes: where there is reclaim a scavenger is after its
  // grace.
  TimeMs GoneBy(const Holding& attempt, TimeMs now) const;
  // The same of a job that starts now; `late_ms` are for its launch.
  Stay StayOf(const Waiting& job, TimeMs now) const;
  // For how long at most: `late_ms`, and what it occupies.
  DurationMs StaysFor(DurationMs limit_ms) const { return Occupies(limit_ms) + config_.late_ms; }
  // What admins have reserved is not all over.
  bool HasWindows() const;
  // What lies ahead matters: what is promised, or may be, or is reserved.
  bool LooksAhead() const;
  // The admin's reservation it asks to run in, null: none; of no node if there is no such one.
  const AdminReservation* Named(const JobSpec& spec) const;
  // Of no node either if it may not use it.
  const AdminReservation* WithinOf(const Waiting& job) const;
  // Of shared nodes in service, what is under maintenance now.
  MilliGpus ClosedMilli(const std::string& gpu_type) const;
  // Between the signal and the end, should it be preempted: what it asks for, at most its class's.
  DurationMs GraceOf(const JobSpec& spec) const;
  // What is running, by GPU type and the end that its limit, or whoever ends it, gives it.
  using Ends = std::set<std::pair<TimeMs, AttemptRef>>;
  const Ends& ends(const std::string& gpu_type) const;
  // What holds something of a node.
  const std::set<AttemptRef>& on(const std::string& node) const;
  // Where on the machine of the last Refresh all that lies that is held and promised: kept in step
  // from the first time that it is asked for.
  const Seats& seats() const;
  bool KeepsSeats() const { return seats_.known() && !types_stale_; }
  // All that is held, one by one, with what of it is looked at most often: of a project and GPU
  // type, of a user. Lists, no totals.
  struct Run {
    const Holding* attempt = nullptr;
    MilliGpus counted_milli = 0;
    bool counts = false;
    bool scavenger = false;
    bool apart = false;  // on nodes that are not everybody's
    // Guarantees and borrowing are about it.
    bool shared() const { return !scavenger && !apart; }
  };
  using Runs = std::map<std::pair<AccountId, std::string>, std::vector<Run>>;
  const Runs& runs() const { return runs_; }
  const std::vector<const Holding*>& of_user(UserId user) const;

  // Totals. Of nodes: with what has ended but is not released; of shares: without.
  const std::map<std::string, NodeUse>& used() const { return used_; }
  const quota::RunningTable& running() const { return running_; }
  // What is free. As of the last Refresh a copy of what is kept in step; else made anew.
  Machine MachineAt(TimeMs now) const;
  // All nodes, in service and empty. Up to date after Refresh.
  const Machine& configured() const { return configured_; }
  const quota::UsageBook& usage(const std::string& gpu_type) const;
  // Its sums of accounts, by index; never null. Until the next event.
  const std::vector<const quota::UsageSum*>& UsageSums(const std::string& gpu_type) const;
  const std::map<std::string, quota::UsageBook>& usage() const { return usage_; }
  const std::map<std::string, quota::GpuType>& types() const { return types_; }
  const quota::Budgets& budgets() const { return budgets_; }
  const quota::RunLengths& lengths() const { return lengths_; }
  std::map<AccountId, quota::RunClock> clocks() const;
  // Waiting jobs that today's settings bar for good (quota::NeverFits), and why: they are in no
  // order and no demand until settings change. Up to date after Refresh.
  bool IsBarred(const JobRef& row) const { return barred_.Find(row) != nullptr; }
  SnapshotMap<JobRef, Reason>::Snapshot barred() const { return barred_.Take(); }
  // How many rows wait that are not barred: by GPU type and project; none is 0.
  using Queued = std::map<std::string, std::map<AccountId, std::int64_t>>;
  const Queued& queued() const { return queued_; }
  // Waiting jobs in order, by GPU type. Up to date after Refresh.
  const std::map<std::string, quota::WaitingJobs>& order() const { return order_; }
  // As it stands in an order, and back.
  quota::OrderJob OrderOf(const Waiting& job) const;
  static const Waiting& RowOf(const quota::OrderJob& job) {
    return *static_cast<const Waiting*>(job.waits);
  }
  // Of rows in their order, as ticks found them. What a tick keeps there changes no plan.
  KeptBlocks& blocks() const { return blocks_; }
  // How many times a row was put into its order anew.
  std::int64_t keyed() const { return keyed_; }
  // Whose nodes are, and the pools that has made, as of Refresh: none is the usual.
  const NodeOwners& owners() const { return owners_; }
  const std::set<PoolKey>& apart() const { return apart_; }
  // Likewise of these pools. Jobs that may start on dedicated nodes are in both.
  const std::map<PoolKey, quota::WaitingJobs>& apart_order() const { return apart_order_; }
  // Every GPU type of a node, a waiting job or a holding.
  std::set<std::string> AllTypes() const;

  // A class that configuration no longer knows has the rules of a plain one.
  const ClassRules& ClassOf(const std::string& name) const;
  // The most it may count as while it waits; what it counts as where a plan puts it.
  MilliGpus CountedOf(const JobSpec& spec) const;
  MilliGpus CountedOn(const Shape& shape, const Placement& placement) const;
  MilliGpuMs ExpectedChargeOf(const JobSpec& spec, MilliGpus counted_milli) const;
  // Whether any limit or rule could stop a job of this project and class. Most have none.
  bool MayBeStopped(quota::AccountIndex project, const std::string& job_class) const;
  bool MayBeStoppedByClass(const std::string& job_class) const;
  // Whether any account or class limits what a user runs.
  bool LimitsUsers() const { return limits_users_; }
  // Whether limits or budgets of accounts on its path could.
  bool HasLimits(quota::AccountIndex project) const {
    return bool{limited_by_[static_cast<std::size_t>(project)]};
  }
  // What a start now draws on budgets, beside what is taken already. Nothing for scavengers, those
  // that a budget makes one included.
  quota::Draw DrawOf(const Waiting& job, const quota::Taken& taken) const;
  // As its start draws, with what that counts as.
  quota::Draw DrawOf(const Start& start, const quota::Taken& taken) const;
  // The budget that makes it a scavenger, by the last Refresh; or none.
  BudgetRef ScavengesOf(const JobRef& waiting) const;
  // Whether one does. If it asked for something else than it waits with, its budgets might hold it.
  bool Scavenges(const Waiting& job) const;
  quota::JobCount CountOf(const Waiting& job) const;
  static quota::JobCount CountOf(const quota::OrderJob& job, const std::string& gpu_type);
  quota::JobCount CountOf(const Start& start) const;
  quota::JobCount CountOf(const Holding& attempt) const;

 private:
  TimeMs KnownEnd(const Holding& attempt) const;
  void Unask(const Waiting& job);
  void Ask(const Waiting& job);
  void AskAll();
  void AskWhereLimitsMoved(const quota::AccountTree& before,
                           const std::vector<AccountId>& limited_by);
  bool IsForShared(const JobSpec& spec);
  void CountQueued(const JobSpec& spec, std::int64_t rows);
  void TouchDemand(AccountId project);
  void TouchBlocks(const Holding& attempt);
  void List(const Holding& attempt);
  void Unlist(const Holding& attempt);
  void CountHoldings();
  Seats::Source SeatsSource() const { return {machine_, nodes_, now_ms_}; }
  void Order(const Waiting& job);
  void Unorder(const Waiting& job);
  bool FitsApart(const JobSpec& spec) const;
  bool Judge(const Waiting& job);
  void JudgeProject(AccountId project);
  void OrderProject(AccountId project);
  void RefreshPools();
  void RefreshMachine(TimeMs now);
  void OrderAll();
  quota::Draw FullDrawOf(const Waiting& job, MilliGpus counted_milli,
                         const quota::Taken& taken) const;
  void FindScavengers();
  void RefreshScavengers();
  bool IsShortest(AccountId project) const;
  void RefreshShortest(AccountId project);

  EngineConfig config_;
  std::shared_ptr<const Directory> directory_;
  quota::AccountTree tree_;
  mutable std::map<std::string, std::vector<MilliGpus>> guarantees_;  // when first asked for
  mutable std::map<std::string, quota::FilledLevels> levels_;
  mutable std::map<std::string, quota::OrderTree::Kept> order_kept_;
  std::int64_t free_version_ = 0;
  std::map<std::string, Node> nodes_;
  std::map<AttemptRef, Holding> holdings_;
  std::map<JobRef, Waiting> waiting_;
  std::map<JobRef, Reservation> reservations_;
  std::set<JobRef> resting_;
  std::map<std::string, Asked> asked_;
  std::int64_t last_asked_ = 0;
  std::map<UserId, std::map<AccountId, std::int64_t>> waits_of_;  // rows; none is 0
  std::map<std::string, std::int64_t> waits_in_;                  // likewise, by class
  const Asked nothing_asked_;
  Demand demand_;
  bool asks_stale_ = true;  // all of it
  std::map<std::string, Ends> ends_;
  std::map<std::string, std::set<AttemptRef>> on_;         // none is empty
  Runs runs_;                                              // none is empty
  std::map<UserId, std::vector<const Holding*>> of_user_;  // none is empty
  const Since nothing_waits_;
  const Ends no_ends_;
  const std::vector<const Holding*> no_runs_;
  const std::set<AttemptRef> nobody_;
  std::map<std::string, quota::UsageBook> usage_;
  quota::UsageBook no_usage_;
  struct SumsByIndex {
    std::size_t accounts = 0;  // of so many in the book
    std::vector<const quota::UsageSum*> sums;
  };
  mutable std::map<std::string, SumsByIndex> sums_;
  ClassRules plain_class_;

  quota::Budgets budgets_;

  // By index: the highest account from it up that has a limit, borrow_max or budget, or none; it or
  // one above has a budget.
  std::vector<AccountId> limited_by_;
  std::vector<char> budgeted_;
  bool limits_users_ = false;  // an account or class does
  std::map<std::string, NodeUse> used_;
  quota::RunningTable running_;
  std::map<std::string, quota::GpuType> types_;
  mutable SnapshotMap<JobRef, Reason> barred_;  // taking a snapshot changes nothing
  Queued queued_;
  std::map<std::string, quota::WaitingJobs> order_;
  mutable KeptBlocks blocks_;
  std::int64_t keyed_ = 0;
  NodeOwners owners_;
  std::set<PoolKey> apart_;
  Machine machine_;              // what is free; stale where types are
  Machine configured_;           // all nodes, empty
  mutable Seats seats_;          // stale where types are
  std::set<std::string> aside_;  // nodes that are set aside until some time
  std::map<PoolKey, quota::WaitingJobs> apart_order_;
  bool types_stale_ = true;
  bool order_stale_ = true;  // all of it: sizes, rates or classes changed
  bool rules_stale_ = true;  // of projects, which their orders heed
  TimeMs now_ms_ = 0;
  TimeMs improved_ms_ = 0;
  bool improves_ = false;
  std::map<JobRef, BudgetRef> scavenges_;  // waiting jobs that budgets make scavengers
  std::set<JobRef> may_scavenge_;          // waiting jobs below budgets that may

  // Of projects with rule shortest.
  static constexpr TimeMs kNobody = -1;
  struct Pace {
    quota::RunClock clock;
    TimeMs aged_until = kNobody;  // jobs that wait since then or longer go first
    bool stale = true;            // the rule is new
    std::set<UserId> learned;     // something about their jobs since the last Refresh
  };
  std::map<AccountId, Pace> paces_;  // ever since they had that rule
  quota::RunLengths lengths_;
  // Of all projects.
  std::map<AccountId, Since> waits_since_;
  std::map<AccountId, std::multiset<TimeMs>> runs_since_;  // what has nodes
  std::set<std::string> classes_;                          // all names that a row ever had
};

}  // namespace kezek::engine

// The scheduling engine: a deterministic state machine. Events in, a plan out; no I/O, no clock.
//
// Simple model: at every Decide, forget everything, sort accounts by the rules of quota/order.h,
// walk the waiting jobs in that order, and give each the best-fitting nodes if limits allow. The
// engine keeps indexes between calls so that this costs less; tests hold it equal to that model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kezek/account.h"
#include "kezek/admin_reservation.h"
#include "kezek/desk.h"
#include "kezek/event.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/reason.h"
#include "kezek/reservation.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "kezek/waiting_standings.h"
#include "quota/budget.h"
#include "quota/run_history.h"
#include "quota/usage.h"
#include "scheduler/engine/demand.h"

namespace kezek::engine {

class World;

struct EngineConfig {
  std::int32_t look = 2000;                // blocked jobs passed over per GPU type and tick
  std::int32_t look_project = 200;         // of one project
  std::int32_t exact_ranks = 1000;         // per GPU type
  std::int32_t starts_max = 512;           // per tick, so that a commit stays small
  std::int32_t reservations = 0;           // alive in a pool; 0: none are given
  DurationMs reserve_after_ms = 0;         // who has waited for less gets none
  std::int32_t reserve_width_percent = 0;  // of a pool's nodes: who asks for fewer gets none
  bool reclaim = false;            // running attempts are ended for what is inside guarantees
  std::int32_t reclaim_asks = 50;  // jobs per pool and tick for which victims are looked for
  DurationMs improve_ms = 5 * kSecondMs;  // how often reservations are looked at for earlier times
  DurationMs late_ms = 30 * kSecondMs;    // by so much a reservation may start late and delay none
  DurationMs topology_wait_ms = 10 * kMinuteMs;
  // For so long the places of a project's rows may stay as they were found while nothing happens to
  // it: in that time usage decays, and users may change places by it.
  DurationMs places_keep_ms = 10 * kMinuteMs;
  DurationMs half_life_ms = 7 * kDayMs;
  DurationMs age_max_ms = kDayMs;  // of ProjectRule::kShortest; more than 0
  quota::ChargeRules charge;       // what a start holds of budgets
  // Told of every phase of a tick when it ends, by name ("walk"); for measuring only. May be empty.
  std::function<void(std::string_view phase)> phase_ended;
};

// A job that waits, as far as its order and placement are concerned. For an array: the row of what
// is pending.
struct Waiting {
  JobRef ref;
  UserId user;
  std::shared_ptr<const JobSpec> spec;
  TimeMs submitted_ms = 0;
  TimeMs queued_since_ms = 0;
  std::vector<std::int32_t> elements;  // arrays: those that may start now, in order; else empty
  std::int64_t more =
      0;  // arrays: how many besides could start if there were room; 0 without elements
};

// An attempt that holds resources: starting, running, or ended but not yet released by the cluster.
struct Holding {
  AttemptRef attempt;
  UserId user;
  AccountId project;
  std::string job_class;
  Shape shape;
  Placement placement;
  MilliGpus counted_milli = 0;
  TimeMs start_ms = 0;  // 0: not running yet
  DurationMs limit_ms = 0;
  DurationMs grace_ms = 0;     // between the signal and the end, should it be preempted
  TimeMs checkpointed_ms = 0;  // of its last checkpoint; 0: none
  TimeMs ends_by_ms = 0;       // it is being ended, and gone by then; 0: it is not
  bool as_scavenger = false;   // by a budget
  std::string reservation;     // an admin's, that it runs in
  bool counts = true;          // false: has ended; keeps its nodes, but is in no limit or share
};

// Usage that has been booked (or corrected): what order is computed from.
struct UsageBooking {
  AccountId project;
  UserId user;
  std::string gpu_type;
  TimeMs date_ms = 0;
  MilliGpuMs amount = 0;         // signed
  std::vector<AccountId> above;  // accounts it counts for besides; none: those above it now
};

struct Start {
  JobRef job;  // of an array: the element
  JobRef row;  // where it waits: for an array the row of the array, else the same as `job`
  Placement placement;
  MilliGpus counted_milli = 0;
  BudgetRef scavenges;  // the budget that does not hold it: it starts as a scavenger; or none
  bool operator==(const Start&) const = default;
};

struct Preempt {
  AttemptRef victim;
  JobRef for_row;
  std::size_t starts_before = 0;  // of the plan's: how many were decided before it
  bool operator==(const Preempt&) const = default;
};

// What became of a reservation.
enum class ReservationNews : std::uint8_t {
  kGiven,
  kEarlier,
  kLater,  // it had to be moved: `reason` says why
  kEnded,  // `reason` says why; none: its job starts
};

struct ReservationChange {
  Reservation reservation;  // as it is now; of one that has ended: as it was
  ReservationNews news = ReservationNews::kGiven;
  Reason reason;
  bool operator==(const ReservationChange&) const = default;
};

struct Plan {
  std::vector<Start> starts;  // in order of decision
  std::vector<Preempt> preempts;
  // Told as they were decided: of one row at most one.
  std::vector<ReservationChange> reservations;
  // Every waiting job that does not start has one; the array's row for its pending elements.
  WaitingStandings waiting;
  Standings standings;
  std::map<std::pair<AccountId, std::string>, StoppedDemand>
      stopped;                                      // of projects; not scavengers
  std::map<std::string, MilliGpus> capacity_milli;  // of nodes in service, by GPU type
  // `starts_max` was reached, or promises were pushed aside for a start, so that who waits behind
  // them is to be looked at anew: decide again as soon as this one is committed. Never without
  // starts.
  bool more = false;
  // Decisions that verify dropped: the job is set aside by the controller, with an alarm.
  std::vector<std::pair<JobRef, std::string>> dropped;
  std::vector<Start> dropped_starts;  // the starts among them
  std::vector<ReservationChange> dropped_reservations;
  std::vector<Preempt> dropped_preempts;
};

// All that plans are made from, settings excepted: what SetDirectory has told.
struct Facts {
  EngineConfig config;  // its `phase_ended` is empty
  std::map<std::string, Node> nodes;
  std::map<JobRef, Waiting> waiting;
  std::map<AttemptRef, Holding> holdings;
  std::map<JobRef, Reservation> reservations;
  std::map<std::string, quota::UsageBook> usage;  // by GPU type
  quota::Budgets budgets;
  // Of rule kShortest: what was learned, and how long projects that ever had it have run.
  quota::RunLengths lengths;
  std::map<AccountId, quota::RunClock> clocks;
  std::size_t left_out = 0;  // rows that wait, too
};

class Engine {
 public:
  Engine(EngineConfig config, std::shared_ptr<const Directory> directory);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Events. Each replaces what was known under the same key.
  void SetDirectory(std::shared_ptr<const Directory> directory);
  void SetNode(const Node& node);
  // Only jobs that could start if there were room: not held, begun, dependencies met, not backing
  // off. The controller takes a job out (RemoveWaiting) while something else stops it.
  void SetWaiting(const Waiting& job);
  void RemoveWaiting(const JobRef& job);
  void SetHolding(const Holding& attempt);
  void RemoveHolding(const AttemptRef& attempt);
  void SetReservation(const Reservation& reservation);
  void RemoveReservation(const JobRef& row);
  void Book(const UsageBooking& booking);
  // The same at each of these dates and amounts; `whose` says only whose they are.
  void Book(const UsageBooking& whose, std::span<const std::pair<TimeMs, MilliGpuMs>> dated);
  // A run that has ended: looked at only if its project's rule is kShortest now.
  void Ended(const EndedRun& run);
  // As stored, at the beginning; then every entry of Book::kBudget, and warnings.
  void SetBudget(const BudgetRef& ref, const BudgetBalance& balance);
  void BookBudget(const LedgerEntry& entry);
  void WarnedOf(const BudgetWarning& warning);
  const quota::Budgets& budgets() const;

  // Decides on what is known. Does not change what is known: the controller commits the plan and
  // then says what came of it by events. Same history, same plan.
  Plan Decide(TimeMs now) const;

  // Of an attempt whose limit is to become this: what is promised to others and would be kept
  // no more.
  std::optional<Reservation> DelayedBy(const AttemptRef& attempt, DurationMs limit_ms,
                                       TimeMs now) const;

  // What a reservation of admins as this would come to.
  struct WindowEffect {
    std::vector<Reservation> promises;  // that would move, by row
    std::optional<AttemptRef> runs_on;  // by its limit, into the next occurrence
    std::string overlaps;               // another one's name: both would have a node at a time
  };
  WindowEffect EffectOf(const AdminReservation& reservation, TimeMs now) const;
  // The nodes for one that asks for a number of a type: of those in service that no other one has
  // meanwhile, such as push aside no promise, then such as what runs leaves soonest; whole leaves
  // where there are any. Fewer than asked for: there are no more.
  std::vector<std::string> NodesFor(const AdminReservation& reservation, TimeMs now) const;

  // Counts one of `parts` of the nodes and accounts anew, from single holdings, and says where the
  // totals that are kept, or what is kept as free, differ, or more GPUs are held than there are.
  // Nothing, unless there is a bug, or a node lost GPUs that are in use.
  std::vector<std::string> Audit(std::int32_t part, std::int32_t parts) const;
  // What SetHolding has told.
  const std::map<AttemptRef, Holding>& holdings() const;
  // What SetReservation has told.
  const std::map<JobRef, Reservation>& reservations() const;
  // How many rows SetWaiting has told.
  std::size_t waiting() const;
  // How many times a row was put into its order, for measuring: a change of settings puts only
  // those anew that it bars or lets in; where nodes have owners, a move those of what is moved, and
  // other owners all.
  std::int64_t keyed() const;
  // How many blocks of places stood for another tick, likewise.
  std::int64_t places_kept() const;
  // Whether it is on dedicated nodes or a lane, as they are now: in no guarantee.
  bool IsApart(const Holding& attempt) const;
  // A copy, for plans that are made elsewhere. With `rows`: of what waits only these, and what
  // something is promised to.
  Facts CopyFacts() const;
  Facts CopyFacts(const std::vector<JobRef>& rows) const;

  // Books of usage, by GPU type.
  const std::map<std::string, quota::UsageBook>& usage() const;

  // Free GPUs by node as of the last Decide's time, for display; 0 of a node out of service.
  std::map<std::string, std::int32_t> FreeGpus() const;

 private:
  std::unique_ptr<World> world_;
};

}  // namespace kezek::engine

// What the parts of the controller share: the state, the engine, what is followed up, and the
// draft of the step that is being made. Private to scheduler/control; see controller.h.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/snapshot_map.h"
#include "quota/budget.h"
#include "quota/charge.h"
#include "quota/history.h"
#include "scheduler/control/config.h"
#include "scheduler/control/controller.h"
#include "scheduler/control/life.h"
#include "scheduler/control/places.h"
#include "scheduler/control/queue_state.h"
#include "scheduler/control/timers.h"
#include "scheduler/engine/engine.h"

namespace kezek::control {

// How the reason to stop ends that is an older copy of the database.
inline constexpr std::string_view kRestored = ": an older copy was restored";
inline constexpr const char* kNotListed = "the cluster does not list it";  // a node's health

// What is to be done for an attempt that has not ended, apart from what its row says. Lost in a
// crash, and made anew from the row.
struct FollowUp {
  quota::Booked booked;
  std::string tag;                // that it was submitted with; empty: not made yet
  TimeMs find_at_ms = 0;          // look by name then; 0: no need to
  TimeMs release_at_ms = 0;       // next time the release is sent
  TimeMs release_sent_ms = 0;     // when it first was
  TimeMs cancel_at_ms = 0;        // next time the cancel is sent
  TimeMs signal_at_ms = 0;        // next time the signal before the limit is sent
  TimeMs warn_at_ms = 0;          // next time the signal of its preemption is; 0: never was
  bool perhaps_warned = false;    // by the process before
  TimeMs limit_at_ms = 0;         // next time a changed limit is sent
  TimeMs limit_sent_ms = 0;       // when it first was
  std::int32_t limit_tries = 0;   // how often it was, in vain
  DurationMs limit_tried_ms = 0;  // the limit that was sent
  int limit_refused = 0;          // how often that was refused
  DurationMs limit_seen_ms = 0;   // as last seen there; 0: none, or not seen
  TimeMs checkpoint_said_ms = 0;  // of the last checkpoint an event tells of; 0: of none
  TimeMs look_at_ms = 0;          // look then; 0: no need to
  TimeMs lost_at_ms = 0;          // said to be lost with the cluster's state: believed from then on
  TimeMs waited_at_ms = 0;        // it was last seen waiting
  TimeMs seen_stored_ms = 0;      // the last sign of life that was stored
  TimeMs check_at_ms = 0;         // too late to start: looked at again then, before it is given up
  std::set<std::string> signals;  // sent on request, not answered yet
  std::string waits_for;          // why the cluster does not start it, in its words
};

// Launches that failed on a node since one succeeded there, in this process.
struct NodeFault {
  std::int32_t failed = 0;
  std::set<UserId> users;  // whose
  std::int32_t times = 0;  // it was set aside since then
};

struct Core {
  Core(const ControlConfig& config_in, const Snapshot& snapshot, TimeMs now_in);

  const ControlConfig config;
  const ClassRules unknown_class;  // of jobs whose class has left the configuration
  QueueState state;
  engine::Engine engine;
  Places places;
  Timers timers;
  std::map<AttemptRef, FollowUp> follow;     // same keys as state.attempts()
  SnapshotMap<JobRef, JobStanding> stopped;  // queued jobs that more than GPUs keep from starting
  std::set<JobRef> set_aside;                // by verify
  // Attempts that ended in this process: the cluster's jobs of these may be cancelled. The oldest
  // are forgotten.
  struct Ended {
    std::string unix_account;
    std::int64_t epoch = 0;
  };
  std::map<AttemptRef, Ended> ended;
  std::deque<AttemptRef> ended_order;
  std::map<JobRef, std::vector<ClusterJob>> strays;  // of jobs that the store is asked for
  std::set<JobRef> asked;                            // of the store, not answered yet
  std::set<JobRef> ask_again;                        // the store failed: at the next tick
  std::set<std::string> reported;                    // strays and oddities already said
  std::map<std::string, NodeFault> node_faults;      // of nodes whose last launch failed
  TimeMs aside_over_ms = 1;                          // of the next node set aside; 0: none is

  // The cluster.
  bool cluster_answers = false;
  bool nodes_seen = false;             // reported since it answers: what others use is known
  std::set<std::string> listed_nodes;  // when they were last reported
  DurationMs clock_skew_ms = 0;        // how far its clock is ahead of ours
  TimeMs asked_ms = 0;                 // by its clock: when what it tells just now was asked for
  TimeMs cluster_since_ms = 0;         // answers or is silent since then; 0: nothing is heard yet
  std::string cluster_version;
  TimeMs reconcile_at_ms = 0;
  bool listed = false;                    // the cluster's jobs have been compared with ours
  TimeMs late_until_ms = 0;               // what the process before has sent may arrive
  std::string stop;                       // not empty: nothing is started or cancelled, and why
  std::set<std::int64_t> unknown_epochs;  // of attempts that this database lacks: the stop's

  // Budgets; their balances are the engine's.
  std::set<BudgetRef> budgets_touched;             // in this step
  std::optional<TimeMs> budget_end_ms;             // of the first period that is not closed
  bool budget_end_known = false;                   // false: settings have changed
  std::map<std::int64_t, Correction> corrections;  // not decided
  std::int64_t last_correction = 0;                // highest id given
  std::shared_ptr<const std::vector<BudgetStanding>> budgets_shown;  // null: make it anew

  // What ran beside Kezek and is charged, with its end; see Snapshot.
  std::map<ForeignKey, TimeMs> foreign;
  ForeignRead foreign_read;

  std::map<JobRef, TimeMs> reclaims_since;  // under way, by row

  // How accounts stand over time.
  struct Due {
    std::shared_ptr<const Directory> directory;  // that it was worked out of
    MilliGpus capacity_milli = 0;
    std::vector<MilliGpus> milli;  // by index
  };
  quota::History history;
  std::map<std::string, Due> due;  // by GPU type
  TimeMs days_before_ms = 0;       // hours before have been put together

  // Time and ticks.
  TimeMs now = 0;
  TimeMs ClusterNow() const { return now + clock_skew_ms; }
  TimeMs last_tick_ms = 0;
  std::int64_t tick = 0;
  std::int64_t keyed = 0;  // by the engine, when last reported
  bool tick_wanted = true;
  std::int32_t bad_plans = 0;     // in a row, with decisions that verify dropped
  TimeMs recount_at_ms = 0;       // when the next part of everything is counted anew
  std::int32_t recount_part = 0;  // which
  std::map<BudgetRef, std::int64_t> waiting_for_budget;  // rows of the last plan
  std::map<BudgetRef, MilliGpuMs> waited_for;  // said of budgets: that jobs wait, and their grant
  std::map<std::string, TimeMs> scaled;  // GPU types whose guarantees are scaled: last seen so

  // The draft.
  Ready ready;
  std::map<JobRef, Job> changed_jobs;
  std::map<AttemptRef, Attempt> changed_attempts;
  std::map<std::string, Node> changed_nodes;
  std::map<JobRef, std::optional<Reservation>> changed_reservations;  // none: it has ended
  // Of admins, by name; none: it has been deleted.
  std::map<std::string, std::optional<AdminReservation>> changed_windows;
  std::map<UserId, User> changed_users;
  std::map<TokenId, Token> changed_tokens;
  std::set<JobRef> refresh;     // jobs whose place in the queue must be looked at
  std::set<AttemptRef> attend;  // attempts that must be looked at
  bool follow_changed = true;
  bool directory_changed = true;  // or nodes, or the cluster
  std::shared_ptr<const View> view;
  engine::Plan plan;              // the last one, its `waiting` moved into the view
  std::int64_t plan_version = 0;  // of the settings it was made with
  TimeMs users_shown_ms = 0;      // when the view's usage of users was worked out

  // Applied to `state` at once and noted for the commit.
  void Put(const Job& job);
  void Put(const Attempt& attempt);
  void Put(const Node& node);
  void Put(const Reservation& reservation);  // the engine is told
  void EraseReservation(const JobRef& row);  // likewise
  // Applied, not committed: what may be lost in a crash.
  void PutQuietly(const Attempt& attempt) { state.PutAttempt(attempt); }
  void Say(Event event) { ready.changes.events.push_back(std::move(event)); }
  void Do(ClusterAction action) { ready.actions.push_back(std::move(action)); }
  void Log(std::string text) { ready.report.notes.push_back(std::move(text)); }

  // Whether the cluster may be told to start or to end anything: not before it is known to show
  // nothing that a later copy of the database had committed.
  bool MayAct() const { return listed && stop.empty() && strays.empty(); }
  // What was withheld while it might not act is looked at again.
  void ActAgain();

  const Job& JobOf(const JobRef& job) const;  // must be in memory
  std::string UnixAccountOf(UserId user) const;
  Followed FollowedOf(const Attempt& attempt);
  const ClassRules& ClassOf(const std::string& name) const;
  std::string PathOf(AccountId account) const;
  // Accounts that what was planned under a version of the settings counts for, besides its project;
  // none: those above it now.
  std::vector<AccountId> AboveAt(AccountId project, std::int64_t version) const {
    return places.Above(*state.directory(), project, version);
  }
};

// An event about the cluster as a whole.
Event ClusterNote(const Core& core, Reason reason);

// --- attempts.cc: the life of attempts. ---
void StartAttempt(Core& core, Attempt attempt, const ClusterJob& job);
// A running job may be made smaller in the cluster: the nodes it left are free, an event says so.
// What it is charged stays as it was at the start.
void FollowPlacement(Core& core, Attempt attempt, const ClusterJob& job);
void EndAttempt(Core& core, Attempt attempt, const End& end);
// Decides to end it; `reason` says why. Nothing if it is being ended already, but a person's cancel
// replaces every other ending.
void SetEnding(Core& core, const AttemptRef& attempt, Ending ending, Reason reason);
// What is due for it now: releases, cancels, signals, looks, limits, bookings; sets its timer.
// While the cluster is silent, bookings only.
void Attend(Core& core, const AttemptRef& attempt);

// --- budgets.cc ---
// Into the draft and the engine.
void BookEntry(Core& core, LedgerEntry entry);
// With where it goes if its budget's period is over.
void BookCompleted(Core& core, const LedgerEntry& entry);
quota::Payer PayerOf(const Core& core, const Job& job, const Attempt& attempt);
// What the attempt, planned now, draws on budgets.
quota::Draw DrawOf(const Core& core, const Job& job, const Attempt& attempt);
// What it draws besides if its limit is raised to `limit_ms`, beside what others draw.
quota::Draw DrawOfRaise(const Core& core, const Job& job, const Attempt& attempt,
                        DurationMs limit_ms, const quota::Taken& taken);
void BookHolds(Core& core, const Job& job, const Attempt& attempt, const quota::Draw& draw);
// Books the ends of periods that are over.
void EndBudgets(Core& core);
// After all of a step has been booked.
void WarnOfBudgets(Core& core);
// Of budgets that jobs of the plan wait for: once for each grant, and again after a restart.
void WarnOfWaiting(Core& core);
std::shared_ptr<const std::vector<BudgetStanding>> ShowBudgets(Core& core);

// --- cluster_events.cc ---
void OnClusterEvent(Core& core, const ClusterEvent& event);

// --- spoilt.cc: what was made otherwise than planned. ---
void HoldForCluster(Core& core, const JobRef& job, std::int32_t attempt, const std::string& text);
// Its array too, the elements of which would be made alike.
void HoldWithArray(Core& core, const AttemptRef& attempt, const std::string& text);
// Its job in the cluster, which is recorded, must not be released: it ends, and what it is of is
// held then. In the row with the id, so that who takes over does not release it either.
void SetSpoilt(Core& core, const AttemptRef& attempt, const std::string& text);
bool IsSpoilt(const Attempt& attempt);
// What a waiting job was made for, if that is not what was planned: the answer to its submission,
// which says so, may have been lost with the process that waited for it.
std::optional<std::string> MadeOtherwise(const Core& core, const Attempt& attempt,
                                         const ClusterJob& job);

// --- strays.cc ---
// Whether a report is about an attempt of this database. An end from the accounting may lack the
// tag, and a job's owner may have changed it: then it must still be the job that is recorded for
// the attempt. What a lost copy of the database planned stops everything, or is reported.
bool IsOurs(Core& core, const ClusterJob& job);
// What was given up, or never meant. Nothing if it has ended, or while nothing may be cancelled.
void CancelInCluster(Core& core, const ClusterJob& job, const std::string& why);
// Once for each text.
void ReportStray(Core& core, const ClusterJob& job, const std::string& why);
// What came of asking the store about jobs.
void OnLoaded(Core& core, const LoadedJobs& loaded);

// --- alarms.cc ---
// What verify dropped of the plan: sets the jobs aside, with an alarm, an event and a dump. After
// three such plans in a row stops: nothing is started or cancelled until an admin has looked.
void JudgePlan(Core& core);
// Every ten seconds a sixtieth of all totals and holdings, counted anew; what differs is an alarm.
void RecountPart(Core& core);

// --- guarantees.cc ---
// An event when the last plan's guarantees in demand exceed what serves, and when they no longer
// do.
void SayWhatIsScaled(Core& core);

// --- nodes.cc ---
void OnNodes(Core& core, const NodesObserved& observed);
// As people see it: drained by Kezek is draining, as long as it is.
Node Effective(const Node& node, TimeMs now);

// --- node_faults.cc ---
// The attempt did not run on its nodes, or does.
void LaunchFailed(Core& core, const Attempt& attempt);
void LaunchSucceeded(Core& core, const Attempt& attempt);
// Nodes that were set aside are tried again: people are told, when it is time.
void EndAsides(Core& core);

// --- queueing.cc: jobs that wait. ---
// Tells the engine, or notes why the job may not start; cancels what can no longer start.
void Refresh(Core& core, const JobRef& job);
// Cancels a job that is queued, an array's row with all its elements, or (by SetEnding) one that is
// under way.
void CancelJob(Core& core, const JobRef& job, const Reason& reason, std::string_view actor);
// A row of its own for a pending element.
Job MakeElement(Core& core, const JobRef& element);
// After a change to a final state: counters of the array, environments.
void AfterFinal(Core& core, const Job& job);
// Refreshes and attends until nothing is left to do.
void Settle(Core& core);

// --- commands.cc, admin_commands.cc ---
Result<CommandOutcome> Execute(Core& core, const Command& command);
Result<CommandOutcome> ExecuteAccounts(Core& core, const PutAccounts& put, const Command& command);
Result<CommandOutcome> ExecuteUsers(Core& core, const PutUsers& put, const Command& command);
Result<CommandOutcome> ExecuteToken(Core& core, const PutToken& put, const Command& command);
Result<CommandOutcome> ExecuteService(Core& core, const SetNodeService& set,
                                      const Command& command);
// windows.cc: what admins reserve.
Result<CommandOutcome> ExecutePutReservation(Core& core, const PutReservation& put,
                                             const Command& command);
Result<CommandOutcome> ExecuteDeleteReservation(Core& core, const DeleteReservation& end,
                                                const Command& command);
// When what admins have reserved begins, or its own reservation ends, before the attempt would with
// this limit. None: it would be gone in time.
std::optional<TimeMs> WindowAhead(const Core& core, const Attempt& attempt, const Job& job,
                                  DurationMs limit_ms);
Result<CommandOutcome> ExecuteNote(Core& core, const NoteAct& act, const Command& command);
Result<CommandOutcome> ExecuteResume(Core& core, const ResumeScheduling& resume,
                                     const Command& command);
Result<CommandOutcome> ExecuteProposal(Core& core, const ProposeCorrection& propose,
                                       const Command& command);
Result<CommandOutcome> ExecuteDecision(Core& core, const DecideCorrection& decide,
                                       const Command& command);

// --- foreign.cc: what runs beside Kezek. ---
void BeginForeign(Core& core, const Snapshot& snapshot);
// Nobody is configured who pays for it: what was read of it so far is forgotten.
void EndForeign(Core& core);
Result<CommandOutcome> ExecuteForeign(Core& core, const BookForeign& book);

// --- look_ahead.cc ---
Result<CommandOutcome> ExecuteLookAhead(const Core& core, const LookAhead& look);

// --- promises.cc: reservations, attempts that are ended for them, and the grace of these. ---
// As they were stored.
void BeginPromises(Core& core);
// What the plan says of them. Its starts have been launched.
void KeepPromises(Core& core);
// The row no longer waits, or `why` keeps it from starting (none: it has started or is final, and
// what is said of that is enough). What was not signalled for it yet goes on.
void DropPromise(Core& core, const JobRef& row, const Reason& why);
// The job has been changed: who asks for more than was promised loses it.
void DropIfMore(Core& core, const Job& job);
// On request: the attempt is told, has its grace, and is queued again. One that is ended already
// stays so.
void PutBack(Core& core, const AttemptRef& attempt, Reason reason, std::string_view actor);
// Whether it has time before it is ended, if it runs.
bool HasGrace(const Attempt& attempt);
// Of one that has: the signal, until it is confirmed, and its time after that. False: that is over,
// or it has none left.
bool AttendGrace(Core& core, const AttemptRef& attempt, FollowUp& follow);
// The cluster has answered a signal: perhaps that one.
void OnWarned(Core& core, const Attempt& attempt, const SignalDone& event);
// What its class allows it between signal and end.
DurationMs GraceOf(const Core& core, const JobSpec& spec);
// When the engine may take it to be gone that is being ended; 0: it is not.
TimeMs EndsBy(const Attempt& attempt);

// --- history.cc ---
// After a tick, its plan carried out.
void KeepHistory(Core& core);

// --- tick.cc ---
bool TickDue(const Core& core);
void Tick(Core& core);

// --- view.cc ---
void MakeView(Core& core);

}  // namespace kezek::control

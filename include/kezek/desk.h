// Ports between the shell that people talk to and the controller.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kezek/account.h"
#include "kezek/admin_reservation.h"
#include "kezek/budget.h"
#include "kezek/cluster_books.h"
#include "kezek/event.h"
#include "kezek/flat_map.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/outlook.h"
#include "kezek/result.h"
#include "kezek/snapshot_map.h"
#include "kezek/user.h"
#include "kezek/waiting_standings.h"
#include "kezek/what_if.h"

namespace kezek {

// What is known about accounts, users and tokens: one immutable value, replaced when it changes.
struct Directory {
  std::map<AccountId, Account> accounts;
  std::map<UserId, User> users;
  std::map<std::string, UserId> user_by_name;
  std::map<Sha256, Token> tokens;                    // by hash
  std::map<std::string, AccountId> account_by_path;  // "universities/kaznu/nlp"; "" is the root
  std::map<std::string, ClassRules> classes;
  NodeOwners owners;                                     // by these accounts and classes: OwnersOf
  std::map<std::string, AdminReservation> reservations;  // admins', by name; past ones too
  std::vector<std::string> classifications;              // of data, lowest first
  std::map<std::string, std::int64_t> rate_milli;        // by GPU type
  std::string default_gpu_type;
  std::int64_t settings_version = 0;
};

// How an account stands, for one GPU type.
struct Standing {
  MilliGpus guarantee_milli = 0;  // as set; 0 of what is closed
  MilliGpus entitled_milli = 0;
  MilliGpus allocated_milli = 0;
  MilliGpus demand_milli = 0;  // running and queued that only GPUs keep from starting
  double usage_gpu_hours = 0;  // decayed; for people, decides nothing
  std::int64_t place = 0;      // among its siblings, 1 is next; 0: has nothing to start
  std::int64_t siblings = 0;
  // The guarantee that counts now: less than what is set while guarantees are scaled.
  MilliGpus guarantee_now_milli = 0;
  std::int64_t entitled_gpus = 0;  // whole
  MilliGpus lent_milli = 0;        // of its guarantee, what others run
  MilliGpus idle_milli = 0;        // of its guarantee, what it keeps free (lend_max)
  EntitledBy entitled_by = EntitledBy::kDemand;
  // Runs besides on dedicated nodes and lanes of classes: in no guarantee, and in no figure above.
  MilliGpus apart_milli = 0;

  // Of what it runs: inside its guarantee, and above it.
  MilliGpus Inside() const { return std::min(allocated_milli, guarantee_now_milli); }
  MilliGpus Borrowed() const { return allocated_milli - Inside(); }
  // Entitled to, and not run.
  MilliGpus Owed() const { return std::max<MilliGpus>(0, entitled_milli - allocated_milli); }
};
// By account and GPU type.
using Standings = FlatMap<std::pair<AccountId, std::string>, Standing>;

// An attempt that holds resources.
struct Alive {
  AttemptRef attempt;
  UserId user;
  AccountId project;
  Placement placement;
  Shape shape;
  MilliGpus counted_milli = 0;
  TimeMs start_ms = 0;  // 0: not running yet
  DurationMs limit_ms = 0;
  bool operator==(const Alive&) const = default;
};

// What is promised to a job that waits: it starts then at the latest, on these nodes.
struct Promised {
  UserId user;
  AccountId project;
  TimeMs from_ms = 0;
  Placement placement;
  MilliGpus counted_milli = 0;
  bool operator==(const Promised&) const = default;
};

// A user in a project, in one GPU type.
struct UserInProject {
  AccountId project;
  UserId user;
  std::string gpu_type;
  auto operator<=>(const UserInProject&) const = default;
};
using UserUsage = std::map<UserInProject, double>;  // GPU-hours, for people

// What the controller knew after its last tick. Immutable; cheap to hold.
struct View {
  TimeMs now_ms = 0;
  std::int64_t tick = 0;
  std::int64_t epoch = 0;
  // This daemon leads. If not, it knows what is stored, a little late: directory, nodes, what is
  // alive, free and queued; nobody's reasons, standings, or how the cluster is.
  bool leads = true;
  std::string leader_address;  // of a standby's leader; empty: not known
  std::string stop_reason;     // not empty: nothing is started or cancelled, and why
  std::shared_ptr<const Directory> directory;
  std::map<std::string, Node> nodes;
  // Waiting jobs, those that the engine looked at and those that more than GPUs stop; none is in
  // both. For arrays: the row of what is pending.
  std::shared_ptr<const WaitingStandings> waiting;  // null: none
  SnapshotMap<JobRef, JobStanding>::Snapshot stopped;
  std::map<JobRef, Promised> promised;              // by row: of an array to its next element
  std::shared_ptr<const std::vector<Alive>> alive;  // by attempt; null: none
  Standings standings;
  std::int64_t settings_version = 0;  // that the tick behind the standings used; 0: there was none
  // Of users that have any; a few seconds old. For people, decides nothing.
  std::shared_ptr<const UserUsage> user_usage;                 // null: none
  std::shared_ptr<const std::vector<BudgetStanding>> budgets;  // by account, then by start
  // Rows of the queue that wait for more than is left of a budget; an array's counts once.
  std::map<BudgetRef, std::int64_t> waiting_for_budget;
  std::map<std::string, std::int32_t> free_gpus;  // by node
  // Queued jobs of an account and of a (project, user), for limits at submission.
  std::map<AccountId, std::int64_t> queued_in_account;
  std::map<std::pair<AccountId, UserId>, std::int64_t> queued_of_user;
  std::map<std::pair<std::string, UserId>, std::int64_t> queued_of_class_user;  // of one class
  bool cluster_answers = false;
  TimeMs cluster_silent_since_ms = 0;  // 0: it answers, or nothing is heard yet
  std::string cluster_version;

  // How a job that waits stands, an element without a row of its own by its array's. None: it does
  // not wait, or came after the tick.
  std::optional<JobStanding> FindWaiting(const JobRef& job, const JobSpec& spec) const {
    for (const JobRef& ref : {job, JobRef{job.id, kNoElement}}) {
      if (const JobStanding* found = stopped.Find(ref)) return *found;
      if (waiting == nullptr) continue;
      if (auto found = waiting->Find(ref, spec)) return found;
    }
    return std::nullopt;
  }
  std::int64_t CountWaiting() const {
    return static_cast<std::int64_t>(stopped.size() + (waiting == nullptr ? 0 : waiting->size()));
  }
};

// --- Commands: what a person asks to change. Answered after the commit. ---

struct CancelJobs {
  std::vector<JobRef> jobs;  // an array's row cancels all of it
  bool by_admin = false;     // of what is another's, who is told why
  std::string text;
};
// Sends those that run a signal and ends nothing; what does not run is left alone, unless nothing
// of it runs: that is an error, as is a cluster that does not answer. Sent once: an event says so
// if the cluster did not confirm it.
struct SignalJobs {
  std::vector<JobRef> jobs;  // an array's row: those of its elements that run
  std::string signal;        // "USR1", without SIG
  bool by_admin = false;
  std::string text;
};
// Jobs that do not wait stay as they are, unless none of them waits: that is an error. So for
// ReleaseJobs.
struct HoldJobs {
  std::vector<JobRef> jobs;
  bool by_admin = false;
  std::string text;
};
struct ReleaseJobs {
  std::vector<JobRef> jobs;
  bool by_admin = false;
  std::string text;
};
// Ends the running attempts, after their signal and grace, and queues their jobs again. What does
// not run, or is being ended already, is left alone, unless that is all: FAILED_PRECONDITION
// NOT_RUNNING.
struct RequeueJobs {
  std::vector<JobRef> jobs;  // an array's row: those of its elements that run
  bool hold = false;         // what is put back is held then
  bool by_admin = false;
  std::string text;
};
// Absent fields stay as they are.
struct UpdateJobs {
  std::vector<JobRef> jobs;  // an array's row: what of it is not over, too
  std::optional<DurationMs> time_limit_ms;
  std::optional<std::int32_t> user_priority;
  std::optional<std::string> comment;
  std::optional<std::string> job_class;
  std::optional<std::string> name;
  std::optional<TimeMs> begin_ms;
  std::optional<TimeMs> deadline_ms;
  std::optional<std::int32_t> array_max_running;
  bool by_admin = false;     // of what is another's
  bool allow_delay = false;  // a cluster admin lets a longer limit delay what is reserved
  std::string text;          // why
};
// The running attempt of a job has a checkpoint. FAILED_PRECONDITION NOT_RUNNING; ATTEMPT_ENDED: it
// is about an earlier attempt; PERMISSION_DENIED NOT_OWNER: a path by anybody but the job's owner,
// for it goes into the owner's environment. With a time, one no later than the last, or than
// the attempt's start, changes nothing.
struct NoteCheckpoint {
  JobRef job;                // no array's row
  std::int32_t attempt = 0;  // 0: the running one
  std::string path;          // told to the next attempt; may be empty
  TimeMs at_ms = 0;          // when it was made; 0: now
  // Not empty: why new files at its checkpoint path are not seen. An event says so, and nothing is
  // noted.
  std::string unseen;
};
using JobChange =
    std::variant<CancelJobs, SignalJobs, HoldJobs, ReleaseJobs, RequeueJobs, UpdateJobs>;
// All or nothing: each change is checked for each of its jobs, as they are before the command,
// before any is made; then they are made in order and committed together.
struct ChangeJobs {
  std::vector<JobChange> changes;
};
// Creates (id 0), changes, moves and renames accounts, all or nothing, in this order, as one
// version of the settings. Parents by id, or by the path that one has by then. ABORTED
// VERSION_CHANGED: a row's version is not the stored one; RESOURCE_EXHAUSTED QUEUE_TOO_LONG, of
// `what_if`.
struct PutAccounts {
  struct Item {
    Account account;
    std::string parent_path;
  };
  std::vector<Item> accounts;
  std::string reason;
  bool plan_only = false;  // everything is checked, and nothing changes
  bool what_if = false;    // with plan_only: the outcome can say what would come of it
};
// All or nothing, in this order, each on top of the user as it is by then. FAILED_PRECONDITION
// LAST_ADMIN: nobody would be left who administers the cluster.
struct PutUsers {
  std::vector<UserChange> users;
  std::string reason;
};
struct PutToken {  // id 0: creates
  Token token;
  std::string text;  // why
};
struct SetNodeService {
  std::vector<std::string> nodes;
  bool drain = true;  // false: resume
  std::string text;
};
// Makes (version 0) or changes the admin's reservation of this name. Nodes are named, or chosen if
// a number of a GPU type is asked for. NOT_FOUND NODE_NOT_FOUND, RESERVATION_NOT_FOUND;
// ALREADY_EXISTS NAME_TAKEN; ABORTED VERSION_CHANGED; INVALID_ARGUMENT; FAILED_PRECONDITION
// NODES_RESERVED, TOO_FEW_NODES, RUNNING_BEYOND (`job`). The outcome has it as it is, and the jobs
// whose promises it moves.
struct PutReservation {
  AdminReservation reservation;
  bool delay_jobs = false;     // what is promised to jobs may move
  bool allow_running = false;  // what runs beyond its begin runs on into it
};
// NOT_FOUND RESERVATION_NOT_FOUND.
struct DeleteReservation {
  std::string name;
  std::string reason;
};
// Lets a scheduler that has stopped itself go on. FAILED_PRECONDITION NOT_STOPPED, or
// RESTORE_NOT_ACCEPTED: it stopped because of attempts that this database lacks.
struct ResumeScheduling {
  std::string text;
  bool accept_restore = false;
};
// Of `draft` what is proposed; the id is in the outcome. NOT_FOUND BUDGET_NOT_FOUND.
struct ProposeCorrection {
  Correction draft;
};
// NOT_FOUND CORRECTION_NOT_FOUND; FAILED_PRECONDITION CORRECTION_DECIDED, BUDGET_BELOW_SPENT;
// PERMISSION_DENIED SECOND_PERSON_NEEDED: who proposed it does not decide.
struct DecideCorrection {
  std::int64_t id = 0;
  bool approve = false;
  std::string text;
};

// Changes nothing here: an event of the cluster tells what an admin has had done outside.
struct NoteAct {
  std::string what;  // "associations in Slurm"
  std::string done;  // "account nlp, user aizhan in account nlp"
};

// Charges runs that have ended and are not Kezek's, each once, to the account that the
// configuration names; of those that took nothing of a node with GPUs, nothing. Asked by who reads
// the cluster's books, not by people. The outcome has up to when all is charged.
// FAILED_PRECONDITION FOREIGN_ACCOUNT.
struct BookForeign {
  std::vector<BookedRun> runs;
  TimeMs until_ms = 0;  // no others ended before, as far as the books know; 0: not known
};

// Changes nothing: copies what a foresight is made from, the waiting rows excepted that are not
// named here. In the order of the last plan, the first of each GPU type: those not known are left
// out.
struct LookAhead {
  std::vector<JobRef> rows;
};

using CommandBody =
    std::variant<ChangeJobs, NoteCheckpoint, PutAccounts, PutUsers, PutToken, SetNodeService,
                 PutReservation, DeleteReservation, ResumeScheduling, NoteAct, ProposeCorrection,
                 DecideCorrection, BookForeign, LookAhead>;

struct Command {
  UserId actor;
  std::string actor_name;
  CommandBody body;
};

// Ids of what was changed or created, in the order of the command; jobs that were already as asked
// are in `unchanged`.
struct CommandOutcome {
  std::vector<JobRef> jobs;
  std::vector<JobRef> unchanged;
  // Of UpdateJobs: an array's elements that keep their class or begin time, for they have started.
  std::vector<JobRef> spared;
  std::vector<std::int64_t> ids;
  TimeMs recorded_ms = 0;        // of NoteCheckpoint
  TimeMs foreign_until_ms = 0;   // of BookForeign
  AdminReservation reservation;  // of PutReservation
  // Of PutAccounts with `what_if`: to be called once, and takes as long as some ticks. Empty
  // otherwise.
  std::function<WhatIf()> what_if;
  // Of LookAhead: to be called once, and takes as long as a tick. Empty otherwise.
  std::function<std::shared_ptr<const Foresight>()> foresight;
};

// Port. The controller's front desk. Thread-safe; never blocks.
class Desk {
 public:
  virtual ~Desk() = default;
  // Completes a spec with defaults and refuses what could never run on the empty machine with
  // today's limits: INVALID_ARGUMENT or FAILED_PRECONDITION, with the path of the field below the
  // API's JobSpec. Does not check who asks: the caller has. Left open, and completed here: an empty
  // job_class or gpu_type; cpus_per_node, memory_mib_per_node, time_limit_ms, ntasks,
  // ntasks_per_node, cpus_per_task 0. A memory_mib_per_node of -1 is all that the node has.
  virtual Result<JobSpec> Admit(JobSpec spec) const = 0;
  // Takes places in the queue for the jobs of an admitted spec, just before it is submitted.
  // RESOURCE_EXHAUSTED with the field, as Admit: with what waits and what has places it would pass
  // a limit.
  virtual Result<void> TakePlaces(UserId owner, const JobSpec& spec) = 0;
  // Of what was not stored after all.
  virtual void GiveBackPlaces(UserId owner, const JobSpec& spec) = 0;
  // Counted GPUs of an admitted spec over all nodes, by the machine as it is now.
  virtual MilliGpus Counted(const JobSpec& spec) const = 0;
  // What an attempt that has not ended would be charged if it ended at `now_ms`.
  virtual MilliGpuMs ChargeSoFar(const Attempt& attempt, TimeMs now_ms) const = 0;
  // `done` is called once, on another thread, after the commit or the refusal.
  virtual void Do(Command command, std::function<void(Result<CommandOutcome>)> done) = 0;
  virtual std::shared_ptr<const View> view() const = 0;
};

}  // namespace kezek

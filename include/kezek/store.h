// Ports to what lasts: jobs, attempts, events, ledger, accounts, users, nodes.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/account.h"
#include "kezek/admin_reservation.h"
#include "kezek/budget.h"
#include "kezek/event.h"
#include "kezek/foreign.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/report.h"
#include "kezek/reservation.h"
#include "kezek/result.h"
#include "kezek/user.h"

namespace kezek {

// One job as a user hands it in, admitted.
struct Submission {
  UserId user;
  std::string user_name;
  std::shared_ptr<const JobSpec> spec;
  Hold hold = Hold::kNone;
  std::string script;
  std::map<std::string, std::string> environment;
  std::string idempotency_key;   // unique per user; never empty
  Sha256 request_hash{};         // of the canonical request
  std::vector<Reason> warnings;  // each becomes an event of its own behind the one of submitting
};

struct Submitted {
  JobId id;
  TimeMs submitted_ms = 0;  // of the row, which is what the key's first submission made
  bool existed = false;     // the same key had been submitted before
};

// A submission of the past, by its key.
struct KnownKey {
  JobId id;
  Sha256 request_hash{};
};

// Everything one step of the controller changes. All or nothing. No row is in it twice.
struct Changes {
  // Whole rows: inserted or replaced. On the row of an array `attempts` counts the elements that
  // got a row of their own, `failed_runs` those of them that failed or timed out, `launch_failures`
  // those that were cancelled. Elements that are neither pending nor have a row were cancelled
  // before they got one.
  std::vector<Job> jobs;
  std::vector<Attempt> attempts;         // whole rows: inserted or replaced
  std::vector<Event> events;             // appended; seq is given by the store
  std::vector<LedgerEntry> ledger;       // appended; seq is given by the store
  std::vector<AccountVersion> accounts;  // new versions; of one account in their order
  std::vector<BudgetWarning> budget_warnings;
  std::vector<Correction> corrections;  // whole rows: inserted or replaced
  std::vector<User> users;
  std::vector<Token> tokens;
  std::vector<Node> nodes;
  std::vector<Reservation> reservations;              // whole rows: given, or moved
  std::vector<JobRef> reservations_ended;             // by row; none of these is among the others
  std::vector<AdminReservation> admin_reservations;   // whole rows: made, or changed
  std::vector<std::string> admin_reservations_ended;  // by name; none of these is among the others
  std::vector<JobId> final_jobs;                      // their environments are deleted
  std::optional<std::string> stop;         // why nothing may be started; empty: it goes on
  std::set<std::int64_t> accepted_epochs;  // of attempts that this database lacks
  HistoryChange history;
  std::vector<ForeignCharge> foreign;  // new rows; a run on a GPU type is there once
  std::optional<ForeignRead> foreign_read;
  bool empty() const {
    return jobs.empty() && attempts.empty() && events.empty() && ledger.empty() &&
           accounts.empty() && budget_warnings.empty() && corrections.empty() && users.empty() &&
           tokens.empty() && nodes.empty() && reservations.empty() && reservations_ended.empty() &&
           admin_reservations.empty() && admin_reservations_ended.empty() && final_jobs.empty() &&
           !stop && accepted_epochs.empty() && history == HistoryChange{} && foreign.empty() &&
           !foreign_read;
  }
};

// What has been committed, in commit order: either a controller's changes or new submissions.
struct Committed {
  std::vector<Job> submitted;  // new rows
  std::vector<Event> events;   // with their numbers
  TimeMs time_ms = 0;
};

// Whose usage: what entries of Book::kUsage have in common that count for the same accounts.
struct UsageOwner {
  AccountId project;
  UserId user;
  std::string gpu_type;
  std::int64_t settings_version = 0;
  auto operator<=>(const UsageOwner&) const = default;
};
// What stands at each date, none of 0, in any order: sums of entries, since usage is a sum that
// knows dates and amounts alone.
using DatedUsage = std::vector<std::pair<TimeMs, MilliGpuMs>>;

// Everything a controller needs to begin. Jobs that are final are left out, save those a waiting
// job depends on; attempts that have ended are left out, save those whose charge is not settled.
struct Snapshot {
  // Leader's. Later than every epoch before; an epoch issued by another copy of this database is
  // not issued again, as long as clocks differ by less than the copy's age.
  std::int64_t epoch = 0;
  std::set<std::int64_t> issued_epochs;    // by this database, `epoch` among them
  std::set<std::int64_t> accepted_epochs;  // of a lost copy of it; an admin decided to go on
  std::string installation;                // id of this database, part of every tag
  std::string stop;                        // as the last Changes::stop said
  TimeMs last_time_ms = 0;
  std::vector<Job> jobs;
  std::vector<Attempt> attempts;
  std::vector<Account> accounts;
  std::vector<User> users;
  std::vector<Token> tokens;
  std::vector<Node> nodes;
  std::vector<Reservation> reservations;             // by row
  std::vector<AdminReservation> admin_reservations;  // by name
  std::vector<LedgerEntry> usage;                    // Book::kUsage, of the attempts above
  std::map<UsageOwner, DatedUsage> settled_usage;    // of all others, as far as it still counts
  std::vector<LedgerEntry> holds;                    // Book::kBudget, of the attempts above
  std::vector<std::pair<BudgetRef, BudgetBalance>> budgets;
  std::vector<Correction> corrections;  // not decided yet
  std::int64_t last_correction = 0;     // highest id given
  std::vector<AccountPlace> places;     // of accounts that have been moved, by version
  // The last ones of projects with ProjectRule::kShortest, by end, then by attempt.
  std::vector<EndedRun> ended_runs;
  TimeMs history_until_ms = 0;  // all before is in the history already
  ForeignRead foreign_read;     // as the last Changes::foreign_read said
  // What of that is charged and did not end long before: kForeignLateMs. With its end.
  std::map<ForeignKey, TimeMs> foreign;
};

// Port. The controller's side. One thread at a time.
class StateStore {
 public:
  virtual ~StateStore() = default;
  // Takes the leadership (a new epoch) and reads all. UNAVAILABLE: another leads, or no database.
  virtual Result<Snapshot> Lead() = 0;
  // Durable when it returns. ABORTED: another leads now; the process must end. Any other error:
  // nothing is known; call Lead() again and begin from the snapshot.
  virtual Result<void> Commit(const Changes& changes) = 0;
  virtual Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) = 0;
  // The rows of these jobs, arrays and elements, final ones too; those without a row are left out.
  virtual Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) = 0;
};

// Port. Submissions of users go straight to the store's group commit. Thread-safe, never blocks.
class SubmitStore {
 public:
  virtual ~SubmitStore() = default;
  using Done = std::function<void(Result<std::vector<Submitted>>)>;
  // All or nothing. `done` is called once on a thread of the store, after the commit and after the
  // controller and the watchers have been told. ALREADY_EXISTS (IDEMPOTENCY_MISMATCH): the key was
  // used with other content. RESOURCE_EXHAUSTED: the queue of writes is full, try again.
  virtual void Submit(std::vector<Submission> submissions, Done done) = 0;
};

// Which jobs a listing wants. Empty or absent: all.
struct JobQuery {
  std::vector<JobRef> refs;  // an array's row brings its elements too
  bool elements = true;      // false: only whole submissions, no elements' own rows
  std::set<JobState> states;
  std::vector<UserId> users;
  std::vector<AccountId> projects;
  std::vector<std::string> classes;
  TimeMs submitted_since_ms = 0;
  TimeMs submitted_until_ms = 0;
  enum class Order : std::uint8_t { kIdAscending, kIdDescending };
  Order order = Order::kIdAscending;
  std::optional<JobRef> after;  // continue behind this one, in that order
  std::int32_t limit = 100;
  bool all_attempts = false;  // false: of each job only the last one
};

struct JobRecord {
  Job job;
  std::vector<Attempt> attempts;  // by number; of a listing only the last, unless it wants all
  // By number of an attempt that has ended: what its entries in the charge book come to, but for
  // holds and releases. An array's row has none of its own.
  std::map<std::int32_t, MilliGpuMs> charged;
  std::map<std::int32_t, MilliGpuMs> refunded;  // by number: given back, off charged already
  std::int64_t last_seq = 0;                    // of the last event about it; 0: not known
  // Of an array's row: elements by state; made of pending and of the elements' own rows.
  std::map<JobState, std::int64_t> elements;
};

// What a user was charged in a project, refunds taken off. User 0: corrections that name no job.
struct ChargeTotal {
  AccountId project;
  UserId user;
  std::string gpu_type;
  MilliGpuMs charged = 0;
  bool operator==(const ChargeTotal&) const = default;
};

// Which entries a listing of the ledger wants. Empty or absent: all.
struct LedgerQuery {
  std::vector<AccountId> accounts;  // of the project, or of the budget
  std::optional<JobRef> job;        // an array's row: all its elements
  std::vector<UserId> users;
  std::vector<EntryKind> kinds;
  std::vector<Book> books;
  TimeMs since_ms = 0;
  TimeMs until_ms = 0;
  std::int64_t before_seq = 0;  // continue with lower numbers
  std::int32_t limit = 100;
};

// Which events a listing wants. Empty or absent: all.
struct EventQuery {
  std::set<Subject> subjects;
  // What they are about, any of these; none given: anything.
  std::string name;                 // of no job and no account
  std::optional<JobRef> job;        // an array's row: its elements too
  std::vector<AccountId> accounts;  // the accounts themselves, not their jobs
  // Whose: of these accounts and their jobs. Absent: everybody's.
  std::optional<std::vector<AccountId>> within;
  std::string actor;
  std::set<ReasonCode> reasons;
  TimeMs since_ms = 0;
  TimeMs until_ms = 0;
  bool oldest_first = false;
  std::int64_t after_seq = 0;  // continue behind this one, in that order; 0: at its begin
  std::int32_t limit = 100;

  bool AboutAnything() const { return name.empty() && !job && accounts.empty(); }
};

struct CorrectionQuery {
  bool decided = false;        // those that have been, too
  std::int64_t before_id = 0;  // continue with lower numbers
  std::int32_t limit = 100;
};

struct LedgerRow {
  LedgerEntry entry;
  std::int64_t rate_milli = 0;  // of the attempt; 0: it is about none
  std::int64_t factor_milli = 0;
  std::string foreign_unix_account;  // of EntryKind::kForeign: who ran it
};

// Reads for people. Each call runs on the caller's thread with a connection of the pool.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual Result<std::vector<JobRecord>> ListJobs(const JobQuery& query) = 0;
  virtual Result<JobRecord> GetJob(const JobRef& job) = 0;  // NOT_FOUND
  virtual Result<std::string> GetScript(JobId job) = 0;
  virtual Result<std::vector<Event>> Events(std::int64_t after_seq, std::int32_t limit) = 0;
  virtual Result<std::vector<Event>> ListEvents(const EventQuery& query) = 0;
  // By number.
  virtual Result<std::vector<Event>> JobEvents(const std::vector<JobRef>& jobs) = 0;
  // Number of the last event committed; 0: there is none.
  virtual Result<std::int64_t> LastEventSeq() = 0;
  // What a user's idempotency key has made; none: the key is not known.
  virtual Result<std::optional<KnownKey>> FindKey(UserId user, const std::string& key) = 0;
  // Of all time, by project, user and GPU type. Kept as totals: cheap however long the ledger is.
  virtual Result<std::vector<ChargeTotal>> ChargeTotals(const std::vector<AccountId>& projects) = 0;
  virtual Result<std::vector<LedgerEntry>> Ledger(const JobRef& job) = 0;
  // Latest first.
  virtual Result<std::vector<LedgerRow>> ListLedger(const LedgerQuery& query) = 0;
  // What these budgets have spent in bookings since then, less what was refunded; without those of
  // 0. Reads no entry of another budget.
  virtual Result<std::map<BudgetRef, MilliGpuMs>> SpentSince(const std::vector<BudgetRef>& budgets,
                                                             TimeMs since_ms) = 0;
  virtual Result<Correction> GetCorrection(std::int64_t id) = 0;  // NOT_FOUND
  // Latest first.
  virtual Result<std::vector<Correction>> ListCorrections(const CorrectionQuery& query) = 0;
  // Every version there has been of every account, by version, then by account.
  virtual Result<std::vector<AccountVersion>> AccountHistory() = 0;
  // Events of users whose roles changed, from `since_ms` on, before `until_ms` (0: no end), by
  // number.
  virtual Result<std::vector<Event>> RoleChanges(TimeMs since_ms, TimeMs until_ms) = 0;
  virtual Result<ReportFigures> Report(const ReportQuery& query) = 0;
  virtual Result<HistoryKept> Kept() = 0;
  // By account, GPU type and period.
  virtual Result<std::vector<HistoryRow>> History(const HistoryQuery& query) = 0;
  // From `since_ms` on, before `until_ms` (0: no end), by project and kind.
  virtual Result<std::vector<OverrideCount>> Overrides(TimeMs since_ms, TimeMs until_ms) = 0;
};

// Port. Runs reads on a small pool of threads. Thread-safe, never blocks.
class ReadStore {
 public:
  virtual ~ReadStore() = default;
  virtual void Read(std::function<void(Reader&)> work) = 0;
};

// Port. Told of everything committed, in commit order, on the store's thread: the controller's
// inbox and the ring that watch streams read. Must be quick.
class CommitObserver {
 public:
  virtual ~CommitObserver() = default;
  virtual void OnCommitted(const Committed& committed) = 0;
};

}  // namespace kezek

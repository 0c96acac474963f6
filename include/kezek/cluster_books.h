// Ports to the books that the cluster below keeps itself: its accounts, who may use them, and what
// has run under them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/foreign.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/resources.h"
#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek {

// Whether somebody may use an account, by (account, Unix account); the account's own row has no
// Unix account. With the qualities of service that are allowed; empty: not told.
using BookedMembers = std::map<std::pair<std::string, std::string>, std::set<std::string>>;

// Accounts and their members. Names of accounts and of qualities of service are in small letters.
struct ClusterAccounts {
  std::string cluster;             // as the books name it
  std::set<std::string> accounts;  // of any cluster
  std::set<std::string> users;     // of any cluster
  std::set<std::string> qos;
  BookedMembers members;  // of this cluster
};

// A run as the books have it.
struct BookedRun {
  std::int64_t cluster_job_id = 0;
  AttemptRef attempt;  // from its name; number 0: not named like one
  std::string tag;     // what its comment holds; may be empty though it was set
  std::string unix_account;
  std::string account;
  std::string qos;      // of the run, or that it was to have
  TimeMs start_ms = 0;  // 0: it has not run
  TimeMs end_ms = 0;    // 0: it has not ended
  Placement granted;    // GPUs spread evenly; empty: it has not run
  std::int64_t gpus = 0;
  std::int64_t cpus = 0;  // over all nodes, as is memory
  std::int64_t memory_mib = 0;
  bool operator==(const BookedRun&) const = default;
};

// Port. Blocking, each call for at most some request time-outs; thread-safe. UNAVAILABLE:
// no usable answer; FAILED_PRECONDITION (NO_BOOKS): the cluster keeps none, or they cannot be told
// from another cluster's.
class ClusterBooks {
 public:
  virtual ~ClusterBooks() = default;
  virtual Result<ClusterAccounts> ReadAccounts() = 0;
  // Makes what is not there, and changes nothing that is. Any error: it was not made.
  virtual Result<void> AddAccount(const std::string& account, const std::string& description) = 0;
  virtual Result<void> AddUser(const std::string& unix_account, const std::string& account) = 0;
  virtual Result<void> AddMember(const std::string& unix_account, const std::string& account) = 0;
  // Runs of any name in this cluster that have ended from `since_ms` on, before `until_ms`, by end.
  virtual Result<std::vector<BookedRun>> EndedRuns(TimeMs since_ms, TimeMs until_ms) = 0;
  // All that the books have under this id that is named like attempts.
  virtual Result<std::vector<BookedRun>> RunsOf(std::int64_t cluster_job_id) = 0;
};

// An attempt that has ended, and what it was charged.
struct ChargedAttempt {
  Attempt attempt;
  std::string unix_account;  // of its user, as it is now
  AccountId project;
  MilliGpuMs settled = 0;  // before refunds
  std::int32_t settlements = 0;
};

// Whether this is the attempt's run. Its owner may have renamed it, ids come round, and what was to
// be given up may have run: then the time tells.
inline bool IsRunOf(const ChargedAttempt& known, const BookedRun& run) {
  const Attempt& attempt = known.attempt;
  if (run.cluster_job_id == 0 || run.cluster_job_id != attempt.cluster_job_id) return false;
  const TimeMs start = attempt.start_ms / kSecondMs * kSecondMs;
  if (start != 0 && start == run.start_ms) return true;
  if (run.unix_account != known.unix_account) return false;
  if (run.attempt == attempt.ref) return true;
  constexpr DurationMs kClocks = kMinuteMs;  // so far apart at most
  const bool over = attempt.state == AttemptState::kEnded;
  return run.start_ms >= attempt.planned_ms - kClocks &&
         (!over || run.start_ms <= attempt.end_ms + kClocks);
}

// Of what is not Kezek's, what has been charged.
struct ForeignCharged {
  ForeignRead read;
  std::set<ForeignKey> runs;
};

// Port. Attempts in the order of their ends, as they were when the reading began. Not thread-safe.
class AttemptReading {
 public:
  virtual ~AttemptReading() = default;
  // The next ones, at most `limit`; none: that was all.
  virtual Result<std::vector<ChargedAttempt>> Next(std::int32_t limit) = 0;
  // One of any state. NOT_FOUND.
  virtual Result<ChargedAttempt> Find(const AttemptRef& attempt) = 0;
  // Of any state, all that the cluster ever had under these ids.
  virtual Result<std::vector<ChargedAttempt>> RunAs(const std::vector<std::int64_t>& ids) = 0;
  // Runs that ended from `since_ms` on, before `until_ms`.
  virtual Result<ForeignCharged> Foreign(TimeMs since_ms, TimeMs until_ms) = 0;
};

// Port. Thread-safe; blocking.
class AttemptArchive {
 public:
  virtual ~AttemptArchive() = default;
  // Of those that ended from `since_ms` on, before `until_ms`. UNAVAILABLE: no database.
  virtual Result<std::unique_ptr<AttemptReading>> Open(TimeMs since_ms, TimeMs until_ms) = 0;
  // As a reading's. UNAVAILABLE as above.
  virtual Result<std::vector<ChargedAttempt>> RunAs(const std::vector<std::int64_t>& ids) = 0;
  // Those of them that there are, of any state. UNAVAILABLE as above.
  virtual Result<std::vector<ChargedAttempt>> Named(const std::vector<AttemptRef>& attempts) = 0;
};

}  // namespace kezek

// What the controller knows: a fold over a snapshot and over what has been committed since. Jobs
// that are not final (and final ones that a waiting job depends on), attempts that have not ended,
// the directory and the nodes; with the indexes that the rules need. Values only, no decisions.
// One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/reservation.h"
#include "kezek/store.h"
#include "quota/account_tree.h"
#include "quota/limits.h"
#include "scheduler/control/config.h"

namespace kezek::control {

// Whether what a job waits for has happened.
enum class Met : std::uint8_t {
  kYes,
  kNotYet,
  kNever,    // and it no longer can
  kUnknown,  // the other job is not in memory: ask the store, then PutJob or SetMissing
};

class QueueState {
 public:
  QueueState(const ControlConfig& config, const Snapshot& snapshot);

  // --- The fold. ---
  // New rows of users; one that is known already is left alone.
  void AddSubmitted(const Job& job);
  // Replaces the row. Final rows stay only as long as a waiting job depends on them.
  void PutJob(const Job& job);
  // Replaces the attempt; one that has ended is forgotten.
  void PutAttempt(const Attempt& attempt);
  void PutNode(const Node& node);
  void PutReservation(const Reservation& reservation);
  void EraseReservation(const JobRef& row);
  void SetDirectory(Directory directory);
  // The store has no row of this job: an element cancelled before it got one, or no job at all.
  void SetMissing(const JobRef& job);
  void AcceptEpochs(const std::set<std::int64_t>& epochs);

  // --- Reads. Pointers stay valid until the next write. ---
  const Job* FindJob(const JobRef& job) const;
  const Attempt* FindAttempt(const AttemptRef& attempt) const;
  // The attempt of this job that has not ended.
  const Attempt* AliveAttempt(const JobRef& job) const;
  // What is promised to the row.
  const Reservation* FindReservation(const JobRef& row) const;
  // Rows of an array's elements that are in memory, by index.
  std::vector<const Job*> Elements(JobId array) const;
  // Jobs that wait for this one; of an element for its whole array too, of an array for any of its
  // elements too.
  std::vector<JobRef> DependentsOf(const JobRef& job) const;
  Met DependencyMet(const Dependency& dependency) const;
  // From when the delay of a dependency that is met counts: the first start of the other job (the
  // last such of an array's elements), its end if it never ran. 0: so long ago that nobody knows.
  TimeMs DelayFrom(const Dependency& dependency) const;

  const std::map<JobRef, Job>& jobs() const { return jobs_; }
  const std::map<AttemptRef, Attempt>& attempts() const { return attempts_; }
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  const std::map<JobRef, Reservation>& reservations() const { return reservations_; }
  const std::shared_ptr<const Directory>& directory() const { return directory_; }
  const quota::AccountTree& tree() const { return tree_; }
  const quota::QueuedJobs& queued() const { return queued_; }
  std::int64_t epoch() const { return epoch_; }
  const std::set<std::int64_t>& issued_epochs() const { return issued_epochs_; }
  const std::set<std::int64_t>& accepted_epochs() const { return accepted_epochs_; }
  const std::string& installation() const { return installation_; }

 private:
  void Index(const Job& job, std::int64_t sign);
  void CountQueued(const Job& job, std::int64_t sign);
  // Forgets it if it is final and nobody waits for it.
  void Prune(const JobRef& job);
  Met ElementMet(const Dependency& dependency) const;

  std::map<JobRef, Job> jobs_;
  std::map<AttemptRef, Attempt> attempts_;
  std::map<std::string, Node> nodes_;
  std::map<JobRef, Reservation> reservations_;
  std::shared_ptr<const Directory> directory_;
  quota::AccountTree tree_;
  std::map<JobRef, std::set<JobRef>> dependents_;  // by what is waited for
  std::set<JobRef> missing_;
  quota::QueuedJobs queued_;
  std::int64_t epoch_ = 0;
  std::set<std::int64_t> issued_epochs_;
  std::set<std::int64_t> accepted_epochs_;
  std::string installation_;
};

}  // namespace kezek::control

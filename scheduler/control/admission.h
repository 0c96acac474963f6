// Admission: completes what a user left open and refuses what could never run. Pure.
//
// What it is measured against: the empty machine with all configured nodes, and today's settings.
// Refusals name the field, by its path below the API's JobSpec, and the way out: INVALID_ARGUMENT
// for what makes no sense, FAILED_PRECONDITION for what machine or settings bar, RESOURCE_EXHAUSTED
// for full queues.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/result.h"
#include "quota/account_tree.h"
#include "quota/budget.h"
#include "quota/charge.h"
#include "quota/counted.h"
#include "quota/limits.h"
#include "scheduler/control/config.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/pools.h"

namespace kezek::control {

using quota::QueuedJobs;

// In whole minutes, as Slurm counts time limits; at least one.
DurationMs WholeMinutes(DurationMs time_ms);

// Made once for a directory and a set of nodes; const calls from any thread.
class Admission {
 public:
  Admission(const ControlConfig& config, std::shared_ptr<const Directory> directory,
            std::map<std::string, Node> nodes);

  // Defaults (desk.h says which), and what could never run.
  Result<JobSpec> Complete(JobSpec spec) const;
  // FAILED_PRECONDITION NEVER_FITS_BUDGET: of a complete spec, what its budgets could not hold even
  // if nothing else drew on them, from `now` or its own begin time on.
  Result<void> CheckBudgets(const JobSpec& spec, TimeMs now,
                            const quota::CarriedIn& carried_in) const;
  // FAILED_PRECONDITION with the reason's code: what the field asks for is stopped for now.
  static Result<void> Stopped(const char* field, const Reason& reason);
  // Whether the queue has room for the spec's jobs beside these.
  Result<void> CheckQueue(const QueuedJobs& queued, UserId owner, const JobSpec& spec) const;
  // Whether the spec's class has room for so many more of the owner's jobs. RESOURCE_EXHAUSTED.
  Result<void> CheckClassQueue(const QueuedJobs& queued, UserId owner, const JobSpec& spec,
                               std::int64_t jobs) const;
  // The most that it may count as, over all nodes; 0 for a type the machine does not have.
  MilliGpus Counted(const JobSpec& spec) const;

  const std::shared_ptr<const Directory>& directory() const { return directory_; }
  const std::map<std::string, Node>& nodes() const { return nodes_; }

 private:
  void NamePools(const JobSpec& spec, Reason& never) const;
  // Whether data of this classification bars neighbours.
  bool IsAlone(const std::string& classification) const;
  Result<void> ChooseType(JobSpec& spec) const;
  Result<void> CompleteParts(JobSpec& spec) const;
  Result<void> CompleteNodes(JobSpec& spec) const;
  Result<void> CompleteLimit(JobSpec& spec) const;
  Result<void> CheckReservation(const JobSpec& spec) const;
  Result<void> CheckRest(const JobSpec& spec) const;

  std::map<std::string, ClassRules> classes_;
  std::string default_class_;
  std::vector<std::string> classifications_;
  std::string alone_from_;
  quota::ChargeRules charge_;
  DurationMs late_ms_ = 0;  // a start may be so late
  std::shared_ptr<const Directory> directory_;
  std::map<std::string, Node> nodes_;
  quota::AccountTree tree_;
  std::map<std::string, quota::GpuType> types_;
  std::set<engine::PoolKey> apart_;
  engine::Machine configured_;
};

}  // namespace kezek::control

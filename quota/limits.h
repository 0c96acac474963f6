// Limits: what stops a job now although there may be room, and what it can never pass.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "quota/account_tree.h"

namespace kezek::quota {

// What limits look at in a job that runs or would.
struct JobCount {
  AccountId project;
  UserId user;
  std::string job_class;
  std::string gpu_type;
  MilliGpus counted_milli = 0;
  bool scavenger = false;
  bool apart = false;  // on dedicated nodes or a lane
  // Whether guarantees and borrowing are about it.
  bool IsShared() const { return !scavenger && !apart; }
};

// What runs (starting included), by account, user and class. Accounts above a project are those of
// the tree at the time: after accounts have moved, make a new table.
class RunningTable {
 public:
  struct Count {
    MilliGpus counted_milli = 0;
    std::int64_t jobs = 0;
    bool operator==(const Count&) const = default;
    Count& operator+=(const Count& other) {
      counted_milli += other.counted_milli;
      jobs += other.jobs;
      return *this;
    }
  };
  // So many like it; fewer than 0 are taken out.
  void Add(const AccountTree& tree, const JobCount& job, std::int64_t jobs = 1) {
    Change(tree, job, jobs);
  }
  void Remove(const AccountTree& tree, const JobCount& job) { Change(tree, job, -1); }

  // With everything below it, over all GPU types, scavengers included.
  Count OfAccount(AccountId account) const;
  Count OfUser(AccountId account, UserId user) const;
  Count OfClassUser(const std::string& job_class, UserId user) const;
  // Of one type, scavengers and what runs apart left out: what guarantees and borrowing are
  // measured by.
  MilliGpus Allocated(AccountId account, const std::string& gpu_type) const;
  // Of one type, scavengers included: on dedicated nodes and lanes.
  MilliGpus Apart(AccountId account, const std::string& gpu_type) const;
  // The same for every account of the tree, by index: input of OrderTree.
  std::vector<MilliGpus> AllocatedByIndex(const AccountTree& tree,
                                          const std::string& gpu_type) const;
  // Lets a table on top of another one say the latter at once from now on.
  void KeepByIndex(const AccountTree& tree, const std::string& gpu_type);
  // An empty table on top of this one, which must outlive it unchanged: says the same, and costs
  // only what is added to it.
  RunningTable Over() const;
  bool operator==(const RunningTable&) const = default;

 private:
  void Change(const AccountTree& tree, const JobCount& job, std::int64_t jobs);
  std::map<AccountId, Count> accounts_;
  std::map<std::pair<AccountId, UserId>, Count> users_;
  std::map<std::pair<std::string, UserId>, Count> class_users_;
  std::map<std::pair<AccountId, std::string>, MilliGpus> allocated_;
  std::map<std::pair<AccountId, std::string>, MilliGpus> apart_;
  const RunningTable* under_ = nullptr;
  std::map<std::string, std::vector<MilliGpus>> by_index_;  // of `under_`
};

// The first limit that stops the job now, or kNone. From the project up to the root; at each
// account its GPUs, its jobs, the user's GPUs and jobs in it, then borrow_max (not for scavengers,
// nor apart); last the class's limits per user. Codes kLimitAccountGpus, kLimitAccountJobs,
// kLimitUserGpus, kLimitUserJobs, kLimitBorrow; fields account (path) or class, limit, running,
// asked: GPUs as "2.5", jobs as numbers; for GPUs `fits`: what the job could have by all these
// limits, if anything. Of kLimitBorrow the limit is guarantee and borrow_max together.
Reason FirstLimit(const AccountTree& tree, const RunningTable& running, const ClassRules& job_class,
                  const JobCount& job);

// Whether it stops the job; costs less.
bool IsLimited(const AccountTree& tree, const RunningTable& running, const ClassRules& job_class,
               const JobCount& job);

// kClassNotPreemptible with the first account (from the project up) whose guarantee the job would
// pass, for a class that may not be preempted; else kNone. Fields account, asked, and `fits`: what
// it could have inside all of them, if anything. `allocated` by index, with what the
// plan has given; `guarantees` that count now, by index, or empty: as they are set. Scavengers are
// always preemptible; what runs apart is in nobody's way.
Reason OutsideGuarantee(const AccountTree& tree, const ClassRules& job_class, const JobCount& job,
                        const std::vector<MilliGpus>& allocated,
                        const std::vector<MilliGpus>& guarantees = {});

// What of a submission can never start with today's settings: the reason, and `field`, a path below
// the API's JobSpec.
struct Refusal {
  std::string field;
  Reason reason;
};

// Refusal with kNone: nothing stands against it. Checks that the project takes jobs and is open,
// the class is allowed, the classification is not above the highest (`classifications` lowest
// first; "" is the lowest; an unknown one is refused), the time limit, GPUs per job, running
// limits, and unless it may run `apart`, on dedicated nodes or a lane, borrow_max, and for classes
// that may not be preempted the guarantees. Not the machine: whether nodes can hold the shape is
// the placement's question.
Refusal NeverFits(const AccountTree& tree, const ClassRules& job_class, const JobSpec& spec,
                  MilliGpus counted_milli, const std::vector<std::string>& classifications,
                  bool apart = false);

// Whether it is one of the codes of NeverFits: only other settings can let the job start.
bool IsBar(ReasonCode code);

// Whether NeverFits of any job of the project is the same in both trees, by the settings that it
// looks at: no weight, budget or rule is among them.
bool SameBars(const AccountTree& before, const AccountTree& after, AccountId project);

// Queued jobs, as a View counts them.
struct QueuedJobs {
  std::map<AccountId, std::int64_t> in_account;  // with all below it
  std::map<std::pair<AccountId, UserId>, std::int64_t> of_user;
  std::map<std::pair<std::string, UserId>, std::int64_t> of_class_user;  // of a user in a class
};

// Whether `jobs` more may be queued: kLimitAccountJobs or kLimitUserJobs with account (or class),
// limit, queued, or kNone.
Reason QueueLimit(const AccountTree& tree, const ClassRules& job_class, AccountId project,
                  UserId user, std::int64_t jobs, const QueuedJobs& queued);
// Its last part: what the class allows one user.
Reason ClassQueueLimit(const ClassRules& job_class, UserId user, std::int64_t jobs,
                       const QueuedJobs& queued);

}  // namespace kezek::quota

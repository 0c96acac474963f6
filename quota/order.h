// Order: who is next, for one GPU type.
//
// Simple model: every account has an order of the jobs below it. A project's is by class rank, then
// by its rule. Any other account's is made from its children's: a child that has a job inside its
// guarantee (running + given by this plan + the job <= guarantee) comes first, with the first such
// job of its own order; then children with any job, with their first one; within a tier the child
// with the least usage per weight, ties by id. After a job is taken the expected charge is on all
// its accounts and its user, and the next is asked for. When nothing else is left, scavenger jobs
// follow in the same way, without the first tier.
//
// Departure: whether a job is "inside" is a matter of its counted GPUs alone, so "the first such
// job" is found by descending with the least slack on the way, and each project keeps its jobs in
// runs of one class, user and counted GPUs, of which only the heads need to be compared. A pick
// costs depth x children + runs of one project.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "quota/account_tree.h"
#include "quota/usage.h"

namespace kezek::quota {

// A waiting job as its order sees it. For an array: its row, with `count` elements that may start
// now; the figures are of one element.
struct OrderJob {
  JobRef ref;
  AccountId project;
  UserId user;
  std::int32_t class_rank = 0;
  bool scavenger = false;
  MilliGpus counted_milli = 0;
  MilliGpuMs expected_charge = 0;  // its first piece (ExpectedCharge)
  MilliGpuMs predicted = 0;        // GPU-time, for rule shortest: learned, or limit x counted
  bool aged = false;               // rule shortest: was passed too long, goes first
  TimeMs submitted_ms = 0;
  std::int32_t user_priority = 0;  // higher first, among the places of the user's own jobs
  std::int32_t count = 1;
  bool operator==(const OrderJob&) const = default;
};

// The waiting jobs of one GPU type, kept between ticks. A change costs O(log n); Arrange sorts
// anew the projects that have changed.
class WaitingJobs {
 public:
  WaitingJobs() = default;
  WaitingJobs(WaitingJobs&&) = default;  // not copied: runs point to their jobs
  WaitingJobs& operator=(WaitingJobs&&) = default;

  void Set(const OrderJob& job);  // replaces the one with the same ref
  void Remove(const JobRef& ref);
  const OrderJob* Find(const JobRef& ref) const;  // null: not waiting
  std::size_t size() const { return project_of_.size(); }

  // Must be called after changes, and when a project's rule may have changed, before an OrderTree
  // is made. Projects that the tree does not know keep their jobs but are in no order.
  void Arrange(const AccountTree& tree);

  // One run: jobs of one class, user and counted GPUs, in their order.
  struct Run {
    std::int32_t class_rank = 0;
    UserId user;
    MilliGpus counted_milli = 0;
    bool scavenger = false;
    struct Slot {
      std::int64_t place = 0;  // in the project; with rule fair only among jobs of one user
      const OrderJob* job = nullptr;
    };
    std::vector<Slot> slots;
  };
  struct Project {
    ProjectRule rule = ProjectRule::kFair;
    std::map<JobRef, OrderJob> jobs;
    std::vector<Run> runs;
  };
  const std::map<AccountId, Project>& projects() const { return projects_; }
  bool arranged() const { return changed_.empty(); }

 private:
  std::map<AccountId, Project> projects_;
  std::map<JobRef, AccountId> project_of_;
  std::set<AccountId> changed_;
};

struct OrderInput {
  const AccountTree* tree = nullptr;
  std::string gpu_type;
  const WaitingJobs* waiting = nullptr;  // arranged
  std::vector<MilliGpus> running_milli;  // by index, scavengers left out (AllocatedByIndex)
  const UsageBook* usage = nullptr;      // of this type
  TimeMs now_ms = 0;
};

struct Candidate {
  const OrderJob* job = nullptr;
  std::int32_t nth = 0;  // of an array's startable elements
  AccountIndex project = kNoAccount;
  bool inside = false;  // the guarantee of every account on its path below the root
};

// One walk through the order, for one tick. What `input` points to must outlive it unchanged.
// Every Next that yields a candidate is answered by Take or PassOver before the next one.
class OrderTree {
 public:
  explicit OrderTree(OrderInput input);

  // None: nothing is left.
  std::optional<Candidate> Next();
  // The job starts, or is blocked by lack of GPUs: its expected charge counts for the rest of the
  // walk; if it starts, so do its GPUs.
  void Take(bool starts);
  // A limit, budget or hold stops it: adds nothing.
  void PassOver();
  // After either: the remaining elements of that candidate's array leave the walk.
  void DropRest();
  // Everything left of a project leaves the walk (it has been looked at often enough); what it has
  // in scavenger classes stays until those are walked, and then needs its own call.
  void CloseProject(AccountIndex project);

  // guarantee - running - given; negative if it borrows.
  MilliGpus Slack(AccountIndex account) const;
  // Place of each account among its siblings with jobs left, by index: 1 is next; 0: has none.
  std::vector<std::int64_t> Places() const;
  // What is left of a project, in the order it would come if all of it were taken; an array is
  // there once, with its next element.
  std::vector<Candidate> Remaining(AccountIndex project) const;

 private:
  struct Cursor {  // into a run
    std::size_t slot = 0;
    std::int32_t used = 0;  // elements of the slot's job
  };
  struct ProjectWalk {
    const WaitingJobs::Project* project = nullptr;
    std::vector<Cursor> cursors;  // by run
    std::map<UserId, UsageValue> users;
  };
  struct AccountWalk {
    std::int64_t weight_milli = 1000;
    MilliGpus slack_milli = 0;
    UsageValue usage;
    MilliGpus least_milli = 0;  // least counted GPUs of a job left below; kNothing: none
  };

  AccountWalk& At(AccountIndex i) { return accounts_[static_cast<std::size_t>(i)]; }
  const AccountWalk& At(AccountIndex i) const { return accounts_[static_cast<std::size_t>(i)]; }
  void BeginPhase(bool scavengers);
  MilliGpus Least(const ProjectWalk& walk) const;
  void Refresh(AccountIndex project);
  bool Before(AccountIndex a, AccountIndex b) const;
  bool HasInside(AccountIndex i, MilliGpus most_milli) const;
  AccountIndex PickChild(AccountIndex parent, MilliGpus* most_milli) const;
  std::size_t PickRun(const ProjectWalk& walk, MilliGpus most_milli, bool scavengers) const;
  Candidate Head(AccountIndex project, const ProjectWalk& walk, std::size_t run) const;
  static void Step(ProjectWalk* walk, std::size_t run);

  OrderInput input_;
  bool scavengers_ = false;
  std::vector<AccountWalk> accounts_;
  std::map<AccountIndex, ProjectWalk> projects_;
  std::optional<Candidate> current_;
  AccountIndex last_project_ = kNoAccount;
  std::size_t last_run_ = 0;
};

}  // namespace kezek::quota

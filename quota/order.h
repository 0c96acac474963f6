// Order: who is next, for one GPU type.
//
// Simple model: every account has an order of the jobs below it. A project's is by class rank, then
// by its rule. Any other account's is made from its children's: a child that has a job inside its
// guarantee (running + given by this plan + the job <= guarantee) comes first, with the first such
// job of its own order; then children with any job, with their first one; within a tier the child
// with the least usage per weight, ties by id. After a job is taken the expected charge is on all
// its accounts and its user, and the next is asked for. When nothing else is left, scavenger jobs
// follow in the same way, without the first tier, and from what has started by then: jobs that are
// blocked keep nobody's scavengers back.
//
// Departure: whether a job is "inside" is a matter of its counted GPUs alone, so "the first such
// job" is found by descending with the least slack on the way: at each level the first child, in
// the order (tier, usage per weight, id), whose smallest job is no larger than that. The same is
// done in the project, over groups (those of one class and, with rule fair, one user; ties by their
// first jobs) and in the group over its runs. All stand in SizedOrders, so a pick costs the depth
// of the tree times a logarithm, and after it only the accounts on its path and the groups of its
// user are moved. Projects and groups are looked into when they are first come to.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "quota/account_tree.h"
#include "quota/own_order.h"
#include "quota/sized_order.h"
#include "quota/usage.h"
#include "quota/waiting_jobs.h"

namespace kezek::quota {

struct OrderInput {
  const AccountTree* tree = nullptr;
  std::string gpu_type;
  const WaitingJobs* waiting = nullptr;  // arranged
  std::vector<MilliGpus> running_milli;  // by index, scavengers left out (AllocatedByIndex)
  // The guarantees that count now (GuaranteesNow), by index; empty: all as they are set.
  std::vector<MilliGpus> guarantee_milli = {};
  const UsageBook* usage = nullptr;  // of this type
  // Its sums of accounts, by index, if they are known; else empty.
  std::span<const UsageSum* const> sums = {};
  TimeMs now_ms = 0;
  // Expected charges of what this tick has started in other orders of this type.
  std::map<std::pair<AccountId, UserId>, MilliGpuMs> started = {};
  // Own orders of projects, as OwnOrderOf would make them now, where they are known; else null.
  // Empty: none are.
  std::function<std::shared_ptr<const OwnOrder>(AccountIndex)> own_orders = {};
};

struct Candidate {
  const OrderJob* job = nullptr;          // of a tree that is on its own: not to be looked at
  const WaitingJobs::Row* row = nullptr;  // what it says of the job
  std::int32_t nth = 0;                   // of an array's startable elements
  AccountIndex project = kNoAccount;
  bool inside = false;  // the guarantee of every account on its path below the root
};

// One walk through the order, for one tick. What `input` points to must outlive it unchanged.
// Every Next that yields a candidate is answered by Take or PassOver before the next one.
class OrderTree {
 public:
  // How accounts stood when a walk of the same tree and GPU type began: where it is given to the
  // next one, only those are put in order that stand otherwise. Whoever keeps it drops it when the
  // tree changes.
  class Kept;
  explicit OrderTree(OrderInput input, Kept* kept = nullptr);

  // None: nothing is left.
  std::optional<Candidate> Next();
  // The job starts, or is blocked by lack of GPUs: its expected charge counts for the rest of the
  // walk; if it starts, so do its GPUs.
  void Take(bool starts);
  // It starts, and counts as what its nodes make of it: no more than it waited with.
  struct Given {
    MilliGpus counted_milli = 0;
    MilliGpuMs expected_charge = 0;
  };
  void Start(const Given& given);
  // A limit, budget or hold stops it: adds nothing.
  void PassOver();
  // After either: the remaining elements of that candidate's array leave the walk.
  void DropRest();
  // What is left leaves the walk, but scavenger jobs.
  void SkipToScavengers();
  bool IsAtScavengers() const { return scavengers_; }
  // Everything left of a project leaves the walk (it has been looked at often enough); what it has
  // in scavenger classes stays until those are walked, and then needs its own call.
  void CloseProject(AccountIndex project);

  // guarantee - running - given; negative if it borrows.
  MilliGpus Slack(AccountIndex account) const;
  // The least counted GPUs of what is left below it, scavengers left out unless nothing else is;
  // kNothing of SizedOrders: nothing is.
  MilliGpus LeastLeft(AccountIndex account) const { return At(account).least_milli; }
  // Place of each account among its siblings with jobs left, by index: 1 is next; 0: has none.
  std::vector<std::int64_t> Places() const;
  // What is left of a project, in the order it would come if all of it were taken; an array is
  // there once, with its next element.
  std::vector<Candidate> Remaining(AccountIndex project) const;
  // The project's own order, of all that waited when the walk began.
  std::shared_ptr<const OwnOrder> OwnOrderOf(AccountIndex project) const;
  // From now on the tree is on its own: it looks at nothing of its input any more, and of projects
  // that it has not come to at what these say, which OwnOrderOf would have said, and never null. So
  // what is left of the walk can be made later, of a copy, when the input is no more what it was.
  void Detach(decltype(OrderInput::own_orders) own_orders);

 private:
  using Item = SizedOrders::Item;
  struct RunWalk {
    const WaitingJobs::Rows* rows = nullptr;
    const WaitingJobs::Rows::Sized* run = nullptr;
    std::size_t head = 0;      // in `run`
    WaitingJobs::Place place;  // the head's: comparing need not look at far away jobs
    std::int32_t used = 0;     // elements of the head's job

    const WaitingJobs::Row& Head() const { return rows->rows[run->at[head]]; }
  };
  struct GroupWalk {
    bool scavenger = false;
    std::int32_t class_rank = 0;
    Item user = SizedOrders::kNone;  // in `users`; none: of all users
    Item next = SizedOrders::kNone;  // group of the same user
    std::size_t begin = 0;           // groups of the own order [begin, end)
    std::size_t end = 0;
    MilliGpus least_milli = SizedOrders::kNothing;  // of the jobs left; kNothing: none
    WaitingJobs::Place first;                       // of these
    bool open = false;                              // what follows is made
    std::vector<RunWalk> runs;
    SizedOrders order;  // of runs that are not used up
    Item top = SizedOrders::kNone;
  };
  struct UserWalk {
    UsageValue usage;
    UsageValue started;                // the same without what is blocked
    Item groups = SizedOrders::kNone;  // the first
  };
  struct ProjectWalk {
    const WaitingJobs::Project* project = nullptr;  // null: on its own
    MilliGpus least_of_others = SizedOrders::kNothing;
    MilliGpus least_of_scavengers = SizedOrders::kNothing;
    std::shared_ptr<const OwnOrder> own;  // null: what follows is not made
    std::vector<GroupWalk> groups;
    std::vector<UserWalk> users;
    SizedOrders order;                 // of groups with jobs left
    Item others = SizedOrders::kNone;  // top of those that are no scavengers'
    Item scavengers = SizedOrders::kNone;
  };
  struct AccountWalk {
    std::int64_t weight_milli = 1000;
    MilliGpus slack_milli = 0;
    UsageValue usage;
    UsageValue started;                  // the same without what is blocked
    MilliGpus least_milli = 0;           // least counted GPUs of a job left below; kNothing: none
    Item children = SizedOrders::kNone;  // top of those with jobs
    std::int32_t project = -1;           // in projects_
  };

  AccountWalk& At(AccountIndex i) { return accounts_[static_cast<std::size_t>(i)]; }
  const AccountWalk& At(AccountIndex i) const { return accounts_[static_cast<std::size_t>(i)]; }
  ProjectWalk& ProjectAt(AccountIndex i) {
    return projects_[static_cast<std::size_t>(At(i).project)];
  }
  static GroupWalk& GroupAt(ProjectWalk* walk, Item group) {
    return walk->groups[static_cast<std::size_t>(group)];
  }
  AccountIndex Parent(AccountIndex i) const { return parents_[static_cast<std::size_t>(i)]; }
  static RunWalk& RunAt(GroupWalk* group, Item run) {
    return group->runs[static_cast<std::size_t>(run)];
  }
  static bool RunBefore(GroupWalk* group, Item a, Item b) {
    return RunAt(group, a).place < RunAt(group, b).place;
  }
  const UsageSum& SumOf(AccountIndex i) const;
  void FindProjects();
  std::vector<UsageValue> UsageNow() const;
  void PutAccounts();
  void BeginPhase(bool scavengers);
  static void BeginScavengers(ProjectWalk* walk);
  UsageValue ChargeOf(MilliGpuMs expected_charge) const;
  UsageValue UsageOfUser(AccountId project, UserId user, const WaitingJobs::Group& group) const;
  void Open(ProjectWalk* walk, AccountIndex project) const;
  MilliGpus Least(const ProjectWalk& walk) const;
  bool Inside(AccountIndex i) const {
    return !scavengers_ && At(i).least_milli <= At(i).slack_milli;
  }
  bool Before(AccountIndex a, AccountIndex b) const;
  static bool GroupBefore(const ProjectWalk& walk, Item a, Item b);
  void Take(bool starts, const Given& given);
  void Leave(AccountIndex account);
  void Join(AccountIndex account);
  void Refresh(AccountIndex project);
  Candidate Head(AccountIndex project, const GroupWalk& group, const RunWalk& run) const;
  static void OpenGroup(const ProjectWalk& walk, GroupWalk* group);
  static void PutRun(GroupWalk* group, Item run);
  static void StepRun(GroupWalk* group, Item run, bool whole);
  static void TakeOut(ProjectWalk* walk, Item group);
  static void PutIn(ProjectWalk* walk, Item group);
  static void Step(ProjectWalk* walk, Item group, Item run, bool whole, const UsageValue& charge);

  OrderInput input_;
  std::int64_t period_;
  UsageValue unit_;  // what one milli-GPU-millisecond booked now adds
  bool scavengers_ = false;
  std::vector<AccountWalk> accounts_;
  std::vector<AccountIndex> parents_;  // the tree's, close together
  SizedOrders siblings_;
  std::vector<ProjectWalk> projects_;
  std::optional<Candidate> current_;
  AccountIndex last_project_ = kNoAccount;
  Item last_group_ = SizedOrders::kNone;
  Item last_run_ = SizedOrders::kNone;
};

class OrderTree::Kept {
 private:
  friend class OrderTree;
  std::vector<AccountWalk> accounts_;  // empty: nothing is known
  SizedOrders siblings_;
};

}  // namespace kezek::quota

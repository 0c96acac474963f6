// The waiting jobs of one GPU type, kept between ticks in the order of their projects.
//
// Simple model: the jobs of a project and class, sorted by the project's rule, have places 0…n-1;
// then each user's jobs change places among themselves as the user's own priorities say.
//
// Departure: a place is the rule's key of the job that stood there first, so that a job that comes
// or goes moves nobody else's. Each project keeps its jobs in runs of one class, user and counted
// GPUs; a change costs O(log n). Only jobs of a user who uses own priorities are placed anew, all
// those of that class and project, when one of them comes or goes.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
  // For whoever asks for the order; it does not look at them. The name of its class, one for all of
  // it; the same of jobs that ask for the same of nodes; until when it also asks for what it
  // prefers, or 0.
  const std::string* job_class = nullptr;
  std::int64_t asks = 0;
  bool class_stops = false;     // what its class allows may stop it
  const void* waits = nullptr;  // what is behind it
  TimeMs prefers_until_ms = 0;
  bool operator==(const OrderJob&) const = default;
};

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
  // The same where no project's rule has changed since it was last arranged; costs what changed.
  void ArrangeChanged(const AccountTree& tree);
  bool arranged() const { return arranged_; }

  // Where a job stands among those of its class and project.
  struct Place {
    bool by_length = false;
    MilliGpuMs predicted = 0;
    TimeMs submitted_ms = 0;
    JobRef ref;
    auto operator<=>(const Place&) const = default;
  };
  using Run = std::map<Place, const OrderJob*>;
  // What an order says of a job, and the job itself, which stays only until it is told again.
  struct Row {
    const OrderJob* job = nullptr;
    JobRef ref;
    Place place;
    MilliGpus counted_milli = 0;
    MilliGpuMs expected_charge = 0;
    std::int64_t asks = 0;
    TimeMs prefers_until_ms = 0;
    std::int32_t count = 1;
  };
  // The jobs of a group: a copy that does not change.
  struct Rows {
    std::vector<Row> rows;  // by place
    // Those of one size, by place: where they are in `rows`.
    struct Sized {
      MilliGpus counted_milli = 0;
      std::vector<std::uint32_t> at;
      const OrderJob* alike = nullptr;  // one of them, if all are of its class
    };
    std::vector<Sized> sizes;  // by size
  };
  // The jobs of one class and user, by counted GPUs.
  struct Group {
    std::map<MilliGpus, Run> runs;
    std::map<std::int32_t, std::int64_t> priorities;  // own ones: how many jobs have each
    std::set<JobRef> unplaced;                        // until Arrange
    bool stale = false;                               // all are to be placed anew
    Place first;                                      // of those that are placed
    bool mixed() const { return priorities.size() > 1; }
    // Made when it is first asked for after a change.
    std::shared_ptr<const Rows> rows() const;
    // What the user has used in the project, by a book of which it is looked up once: one that
    // stays where it is, and is not assigned to.
    const UsageSum& UsageIn(const UsageBook& book, AccountId project, UserId user) const;

   private:
    friend class WaitingJobs;
    mutable std::shared_ptr<const Rows> rows_;
    mutable const UsageBook* book_ = nullptr;
    mutable std::size_t users_ = 0;  // of so many in the book
    mutable const UsageSum* usage_ = nullptr;
  };
  struct GroupKey {
    bool scavenger = false;
    std::int32_t class_rank = 0;
    UserId user;
    auto operator<=>(const GroupKey&) const = default;
  };
  struct Entry {
    OrderJob job;
    Place place;
  };
  struct Project {
    ProjectRule rule = ProjectRule::kFair;
    std::map<JobRef, Entry> jobs;
    std::map<GroupKey, Group> groups;
    // How many jobs of each size: of scavengers, of the others.
    std::map<MilliGpus, std::int64_t> scavenger_sizes;
    std::map<MilliGpus, std::int64_t> sizes;
    std::int64_t stopped_by_class = 0;  // that its class may stop

   private:
    friend class WaitingJobs;
    bool changed_ = false;  // since it was last arranged
  };
  const std::map<AccountId, Project>& projects() const { return projects_; }
  // What an order sees of a project before it looks into it: the least sizes, if it has such jobs.
  struct Head {
    AccountId id;
    const Project* project = nullptr;
    std::optional<MilliGpus> least_of_scavengers;
    std::optional<MilliGpus> least_of_others;
  };
  // Of all projects, by id. Only while arranged.
  const std::vector<Head>& heads() const { return heads_; }

 private:
  static GroupKey KeyOf(const OrderJob& job);
  static void FindFirst(Group* group);
  void Settle(AccountId id, const AccountTree& tree);
  void Change(AccountId id, Project* project);
  void FindHeads();
  void PlaceAll(Project* project, Group* group);
  void MarkStale(AccountId project, const GroupKey& key, Group* group);

  std::map<AccountId, Project> projects_;
  std::map<JobRef, AccountId> project_of_;
  std::set<std::pair<AccountId, GroupKey>> stale_;
  std::set<AccountId> unsettled_;   // projects that are new, or have no job any more
  std::vector<AccountId> changed_;  // projects, of which the heads are to be found anew
  bool heads_known_ = true;         // they are of these projects
  std::vector<Head> heads_;
  bool arranged_ = true;
};

}  // namespace kezek::quota

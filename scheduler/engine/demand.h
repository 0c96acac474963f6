// What waiting jobs ask for, kept with each event.
//
// Of most jobs nothing but a lack of GPUs can keep them from starting: what a project's ask for is
// one figure. Those that a limit, a budget or a guarantee may stop are listed, to be counted one
// after the other; groups of them with no limit in common know nothing of each other, so that what
// was counted of a group holds until something of it changes; a row behind all others of it changes
// nothing of what was counted before.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/desk.h"
#include "kezek/ids.h"
#include "kezek/resources.h"
#include "quota/limits.h"

namespace kezek::engine {

// Of jobs of a project besides, GPUs that more than the lack of GPUs stops.
struct StoppedDemand {
  MilliGpus by_limits = 0;
  MilliGpus by_budgets = 0;
  bool operator==(const StoppedDemand&) const = default;
};

struct Waiting;

class Demand {
 public:
  // What a row of the queue asks for on shared nodes.
  struct Ask {
    quota::JobCount count;  // of one of its jobs
    std::int64_t jobs = 0;
    bool may_be_stopped = false;
    // Then: the highest account on its path whose limits or budgets could, or none where its class
    // could, which is everybody's.
    AccountId group;
    const Waiting* row = nullptr;  // what asks
  };
  // By project and GPU type.
  using OfProjects = std::map<std::pair<AccountId, std::string>, MilliGpus>;
  struct Counted {
    OfProjects asked;
    std::map<std::pair<AccountId, std::string>, StoppedDemand> stopped;
    std::vector<std::pair<quota::JobCount, std::int64_t>> passed;  // how many like it: what asks
  };
  struct Group {
    std::map<JobRef, const Ask*> rows;
    bool known = false;  // what was counted of it holds
    JobRef until;        // up to this row
    bool more = false;   // rows have come behind it
    Counted counted;
  };

  // Replaces what was known of the row.
  void Set(const JobRef& row, const Ask& ask);
  void Remove(const JobRef& row);
  void Clear();
  // What runs below this account is no longer what it was; none: everywhere.
  void Touch(AccountId group);

  static std::pair<AccountId, std::string> KeyOf(const Ask& ask) {
    return {ask.count.project, ask.count.gpu_type};
  }
  const std::map<JobRef, Ask>& asks() const { return asks_; }
  // Of all that nothing else can stop.
  const OfProjects& plain() const { return plain_; }
  // What may be stopped.
  const std::map<AccountId, Group>& groups() const { return groups_; }
  // What all of a group was found to come to, while no start of the plan is among it.
  void Keep(AccountId group, Counted counted) const;

 private:
  std::map<JobRef, Ask> asks_;
  OfProjects plain_;  // none is 0
  mutable std::map<AccountId, Group> groups_;
};

}  // namespace kezek::engine

// What guarantees come to once a job is in the queue.
#include <algorithm>
#include <utility>

#include "scheduler/engine/lookahead.h"

namespace kezek::engine {
namespace {

// Whether a limit lets an account run less than it keeps idle: what it asks for beyond the limit
// then takes from what is kept, and less may be scaled the more is asked for.
bool KeepsBeyondLimit(const quota::AccountTree& tree, const std::string& gpu_type) {
  for (quota::AccountIndex i = 0; i < tree.size(); ++i) {
    const auto& lend_max = tree.share(i, gpu_type).lend_max_milli;
    const auto& limit = tree.account(i).settings.account_limits.running_milli;
    if (lend_max && limit && *limit < tree.Guarantee(i, gpu_type) - *lend_max) return true;
  }
  return false;
}

}  // namespace

// Those that count once the job is in the queue as it is here: what it asks for may be what scales
// them, or what keeps more of its own account's.
std::vector<MilliGpus> Lookahead::GuaranteesWith(const Waiting& job, const quota::JobCount& count,
                                                 const std::string& type) const {
  const std::vector<quota::Entitlement>& entitled = draft_.entitled.at(type);
  const auto waits = world_.waiting().find(job.ref);
  const bool as_it_waits = waits != world_.waiting().end() && waits->second.spec == job.spec;
  if (count.scavenger || as_it_waits) {
    return quota::GuaranteesNow(entitled);
  }
  const quota::AccountTree& tree = world_.tree();
  const MilliGpus capacity = draft_.plan.capacity_milli.at(type);
  std::vector<MilliGpus> demand;
  demand.reserve(entitled.size());
  for (const quota::Entitlement& account : entitled) demand.push_back(account.demand_milli);
  // With no less than would be asked for: what nothing scales then is whole.
  std::vector<MilliGpus> most = demand;
  const quota::AccountIndex project = tree.IndexOf(count.project);
  most[static_cast<std::size_t>(project)] += count.counted_milli * (StartableCount(job) + job.more);
  std::vector<MilliGpus> guarantees =
      quota::GuaranteesNow(quota::Entitle(tree, type, capacity, most));
  if (guarantees == world_.GuaranteesSet(type) && !KeepsBeyondLimit(tree, type)) return guarantees;
  const std::vector<MilliGpus>& known = demand_.at(type);
  const std::vector<MilliGpus> with = DemandWith(world_, basis_, job);
  for (std::size_t i = 0; i < demand.size(); ++i) {
    if (!tree.children(static_cast<quota::AccountIndex>(i)).empty()) continue;
    demand[i] = std::max<MilliGpus>(0, demand[i] + with[i] - known[i]);
  }
  return quota::GuaranteesNow(quota::Entitle(tree, type, capacity, demand));
}

}  // namespace kezek::engine

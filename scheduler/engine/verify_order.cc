#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "scheduler/engine/placement.h"
#include "scheduler/engine/recount.h"
#include "scheduler/engine/verify_rules.h"

namespace kezek::engine {
namespace {

using quota::AccountIndex;

// Accounts from below the root down to the project.
std::vector<AccountIndex> PathOf(const quota::AccountTree& tree, AccountId project) {
  std::vector<AccountIndex> path;
  for (auto i = tree.IndexOf(project); i > quota::kRootIndex; i = tree.parent(i)) {
    path.push_back(i);
  }
  std::reverse(path.begin(), path.end());
  return path;
}

// A start with the tiers it was in when it was decided.
struct Tiered {
  std::size_t index = 0;
  quota::JobCount job;
  std::vector<AccountIndex> path;
  std::vector<char> inside;  // the guarantee of each account of the path
};

class OrderCheck {
 public:
  OrderCheck(const Basis& basis, const Plan& plan)
      : basis_(basis), plan_(plan), after_(*basis.world) {
    const Machine before(basis.world->nodes(), after_.used(), basis.now_ms);
    for (const auto& [type, pool] : before.pools()) free_milli_[type] = pool.free_gpus * 1000;
    for (std::size_t i = 0; i < plan.starts.size(); ++i) {
      const Start& start = plan.starts[i];
      Tiered tiered{i, basis.world->CountOf(basis.world->waiting().at(start.row)), {}, {}};
      tiered.path = PathOf(basis.world->tree(), tiered.job.project);
      for (const AccountIndex account : tiered.path) {
        const bool inside = !tiered.job.scavenger && after_.Inside(account, tiered.job);
        tiered.inside.push_back(inside ? 1 : 0);
      }
      borrowed_ |= tiered.job.scavenger ||
                   std::find(tiered.inside.begin(), tiered.inside.end(), 0) != tiered.inside.end();
      starts_.push_back(std::move(tiered));
      after_.Add(start);
    }
  }

  std::optional<Violation> Run();

 private:
  bool WasLookedAt(const JobRef& row) const;
  std::vector<std::size_t> LaterThan(const quota::JobCount& job) const;
  bool CouldStart(const Waiting& job, const quota::JobCount& count,
                  const std::vector<std::size_t>& later) const;
  bool KeepsIdle(const quota::JobCount& count, const std::vector<std::size_t>& later) const;

  const Basis& basis_;
  const Plan& plan_;
  Recount after_;  // all starts included
  std::vector<Tiered> starts_;
  std::map<std::string, MilliGpus> free_milli_;  // before the plan, by GPU type
  bool borrowed_ = false;                        // some start is not of the first tier everywhere
};

bool OrderCheck::WasLookedAt(const JobRef& row) const {
  const auto found = plan_.waiting.find(row);
  if (found == plan_.waiting.end()) return false;
  const ReasonCode code = found->second.reason.code;
  return code != ReasonCode::kNotLookedAt && code != ReasonCode::kSetAside &&
         code != ReasonCode::kArrayLimit && code != ReasonCode::kProjectClosed;
}

std::vector<std::size_t> OrderCheck::LaterThan(const quota::JobCount& job) const {
  const std::vector<AccountIndex> path = PathOf(basis_.world->tree(), job.project);
  std::vector<std::size_t> later;
  for (const Tiered& start : starts_) {
    if (start.job.gpu_type != job.gpu_type) continue;
    if (start.job.scavenger) {
      later.push_back(start.index);
      continue;
    }
    for (std::size_t depth = 0; depth < std::min(path.size(), start.path.size()); ++depth) {
      if (!after_.Inside(path[depth], job)) break;
      if (path[depth] == start.path[depth]) continue;
      if (start.inside[depth] == 0) later.push_back(start.index);
      break;
    }
  }
  return later;
}

bool OrderCheck::KeepsIdle(const quota::JobCount& count,
                           const std::vector<std::size_t>& later) const {
  const quota::AccountTree& tree = basis_.world->tree();
  const AccountIndex project = tree.IndexOf(count.project);
  const auto entitled = basis_.entitled->find(count.gpu_type);
  if (entitled == basis_.entitled->end()) return true;
  MilliGpus kept = 0;
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    if (!tree.IsAncestor(i, project)) {
      kept += entitled->second[static_cast<std::size_t>(i)].idle_milli;
    }
  }
  MilliGpus free = free_milli_.at(count.gpu_type);  // less what the others of the plan took
  for (const Tiered& start : starts_) {
    const bool took = !std::binary_search(later.begin(), later.end(), start.index);
    if (took && start.job.gpu_type == count.gpu_type) free -= start.job.counted_milli;
  }
  return kept == 0 || free - count.counted_milli >= kept;
}

// With its own limits, on what is left plus what these starts took.
bool OrderCheck::CouldStart(const Waiting& job, const quota::JobCount& count,
                            const std::vector<std::size_t>& later) const {
  Recount without = after_;
  for (const std::size_t index : later) without.Remove(plan_.starts[index]);
  if (without.Forbids(count)) return false;
  const Machine machine(basis_.world->nodes(), without.used(), basis_.now_ms);
  const Pool* pool = machine.FindPool(count.gpu_type);
  if (pool == nullptr || !KeepsIdle(count, later)) return false;
  return Place(*pool, RequestOf(*job.spec, job.queued_since_ms, basis_.now_ms,
                                basis_.world->config().topology_wait_ms))
      .has_value();
}

std::optional<Violation> OrderCheck::Run() {
  if (!borrowed_) return std::nullopt;
  // Jobs of one kind have one answer.
  std::set<std::tuple<AccountId, UserId, std::string, Request>> seen;
  for (const auto& [row, job] : basis_.world->waiting()) {
    const quota::JobCount count = basis_.world->CountOf(job);
    if (count.scavenger || !WasLookedAt(row)) continue;
    const Request request = RequestOf(*job.spec, job.queued_since_ms, basis_.now_ms,
                                      basis_.world->config().topology_wait_ms);
    if (!seen.insert({count.project, count.user, count.job_class, request}).second) continue;
    const std::vector<std::size_t> later = LaterThan(count);
    if (later.empty() || !CouldStart(job, count, later)) continue;
    return Violation{Decision::kStart, later.back(),
                     "job " + ToText(row) + " of an earlier tier could start on it"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Violation> BrokenOrder(const Basis& basis, const Plan& plan) {
  return OrderCheck(basis, plan).Run();
}

}  // namespace kezek::engine

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "scheduler/engine/agenda.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/recount.h"
#include "scheduler/engine/stops.h"
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
      : basis_(basis),
        plan_(plan),
        promised_(PromisedAfter(*basis.world, plan)),
        after_(*basis.world, basis.entitled) {
    const World& world = *basis.world;
    const Machine before = world.configured().Anew(world.nodes(), after_.used(), basis.now_ms);
    for (const Pool& pool : before.pools()) {
      if (pool.key().shared()) free_milli_[pool.key().gpu_type] = pool.free_gpus * 1000;
    }
    Claim(true);
    for (std::size_t i = 0; i < plan.starts.size(); ++i) {
      const Start& start = plan.starts[i];
      Tiered tiered{i, world.CountOf(start), {}, {}};
      tiered.path = PathOf(world.tree(), tiered.job.project);
      for (const AccountIndex account : tiered.path) {
        const bool inside = !tiered.job.scavenger && after_.Inside(account, tiered.job);
        tiered.inside.push_back(inside ? 1 : 0);
      }
      const bool outside =
          std::find(tiered.inside.begin(), tiered.inside.end(), 0) != tiered.inside.end();
      // What was promised is kept, whatever its tier.
      const auto promise = world.reservations().find(start.row);
      const bool due =
          promise != world.reservations().end() &&
          (promise->second.from_ms <= basis.now_ms || !promise->second.victims.empty());
      const bool borrows = !tiered.job.apart && !due && (tiered.job.scavenger || outside);
      if (borrows) borrowers_[tiered.job.gpu_type].push_back(i);
      starts_.push_back(std::move(tiered));
      after_.Add(start);
    }
    Claim(false);
  }

  std::optional<Violation> Run();

 private:
  // Reclaims under way count as allocated: those from before the plan, or those of the plan.
  void Claim(bool before) {
    const World& world = *basis_.world;
    for (const auto& [row, promise] : promised_) {
      const auto known = world.reservations().find(row);
      const bool was = known != world.reservations().end() && !known->second.victims.empty();
      const auto job = world.waiting().find(row);
      if (promise.victims.empty() || was != before || job == world.waiting().end()) continue;
      after_.Add(world.CountOf(job->second));
    }
  }
  bool WasLookedAt(const JobRef& row) const;
  bool IsForShared(const Waiting& job) const;
  std::vector<std::size_t> LaterThan(const quota::JobCount& job) const;
  // What there would be without some starts.
  struct Without {
    Recount recount;
    Machine machine;
    quota::Taken taken;
    std::optional<Agenda> agenda;  // with what is promised; none: nothing is
  };
  const Without& WithoutThese(const std::vector<std::size_t>& starts) const;
  bool HasRoom(const Waiting& job, const std::string& type,
               const std::vector<std::size_t>& later) const;
  bool CouldStart(const Waiting& job, const quota::JobCount& count,
                  const std::vector<std::size_t>& later) const;
  bool KeepsIdle(const quota::JobCount& count, const std::vector<std::size_t>& later) const;

  const Basis& basis_;
  const Plan& plan_;
  const std::map<JobRef, Reservation> promised_;
  Recount after_;  // all starts included
  std::vector<Tiered> starts_;
  std::map<std::string, MilliGpus> free_milli_;  // before the plan, by GPU type
  // Starts that are not of the first tier everywhere, by GPU type.
  std::map<std::string, std::vector<std::size_t>> borrowers_;
  mutable std::map<std::vector<std::size_t>, std::unique_ptr<Without>> without_;
};

bool OrderCheck::IsForShared(const Waiting& job) const {
  const World& world = *basis_.world;
  return PoolsFor(world.apart(), world.tree(), *job.spec).back().shared();
}

bool OrderCheck::WasLookedAt(const JobRef& row) const {
  const auto found = plan_.waiting.find(row);
  if (found == plan_.waiting.end()) return false;
  const ReasonCode code = found->second.reason.code;
  return code != ReasonCode::kNotLookedAt && code != ReasonCode::kSetAside &&
         code != ReasonCode::kArrayLimit && code != ReasonCode::kReclaimUnderWay &&
         !quota::IsBar(code);
}

std::vector<std::size_t> OrderCheck::LaterThan(const quota::JobCount& job) const {
  const auto borrowers = borrowers_.find(job.gpu_type);
  if (borrowers == borrowers_.end()) return {};
  const std::vector<AccountIndex> path = PathOf(basis_.world->tree(), job.project);
  std::size_t inside = 0;  // accounts of the path, from the top, whose guarantee it is inside
  while (inside < path.size() && after_.Inside(path[inside], job)) ++inside;
  std::vector<std::size_t> later;
  for (const std::size_t index : borrowers->second) {
    const Tiered& start = starts_[index];
    std::size_t fork = 0;
    while (fork < inside && fork < start.path.size() && path[fork] == start.path[fork]) ++fork;
    const bool outside = fork < inside && fork < start.path.size() && start.inside[fork] == 0;
    if (start.job.scavenger || outside) later.push_back(index);
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
    if (took && !start.job.apart && start.job.gpu_type == count.gpu_type)
      free -= start.job.counted_milli;
  }
  return kept == 0 || free - count.counted_milli >= kept;
}

const OrderCheck::Without& OrderCheck::WithoutThese(const std::vector<std::size_t>& starts) const {
  std::unique_ptr<Without>& known = without_[starts];
  if (known != nullptr) return *known;
  Recount recount = after_;
  for (const std::size_t index : starts) recount.Remove(plan_.starts[index]);
  const World& world = *basis_.world;
  Machine machine = world.configured().Anew(world.nodes(), recount.used(), basis_.now_ms);
  quota::Taken taken;
  for (const Tiered& start : starts_) {
    if (std::binary_search(starts.begin(), starts.end(), start.index)) continue;
    Take(basis_.world->DrawOf(plan_.starts[start.index], {}), taken);
  }
  known = std::make_unique<Without>(
      Without{std::move(recount), std::move(machine), std::move(taken), {}});
  return *known;
}

// Whether it fits beside what is promised to others.
bool OrderCheck::HasRoom(const Waiting& job, const std::string& type,
                         const std::vector<std::size_t>& later) const {
  const World& world = *basis_.world;
  Without& without = *without_.at(later);
  const PoolKey key{type, {}, {}};
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, basis_.now_ms, world.config().topology_wait_ms);
  if (promised_.empty()) return Fits(*without.machine.FindPool(key), request);
  if (!without.agenda) {
    Agenda& agenda = without.agenda.emplace(world, key, without.machine, basis_.now_ms);
    for (const Preempt& preempt : plan_.preempts) {
      const Holding& victim = world.holdings().at(preempt.victim);
      agenda.End(preempt.victim, basis_.now_ms + victim.grace_ms);
    }
    for (const Tiered& start : starts_) {
      const bool gone = std::binary_search(later.begin(), later.end(), start.index);
      if (start.job.apart || start.job.gpu_type != type) continue;
      const auto kept = world.reservations().find(plan_.starts[start.index].row);
      if (gone && kept != world.reservations().end()) agenda.Promise(kept->second);
      if (gone) continue;
      const Waiting& row = world.waiting().at(plan_.starts[start.index].row);
      agenda.Start(row.spec->shape, plan_.starts[start.index].placement,
                   world.StayOf(row, basis_.now_ms));
    }
    for (const auto& [row, promise] : promised_) agenda.Promise(promise);
    // What the tick moved or started stood in the way of those that were looked at before.
    for (const ReservationChange& change : plan_.reservations) {
      const auto before = world.reservations().find(change.reservation.row);
      if (before == world.reservations().end()) continue;
      Reservation moved = before->second;
      moved.row.id.value = -moved.row.id.value;  // beside where it is now
      agenda.Promise(moved);
    }
  }
  return Fits(without.agenda->RoomNow(world.StayOf(job, basis_.now_ms), job.ref), request);
}

// With its own limits, on what is left plus what these starts took.
bool OrderCheck::CouldStart(const Waiting& job, const quota::JobCount& count,
                            const std::vector<std::size_t>& later) const {
  const Without& without = WithoutThese(later);
  const Pool* pool = without.machine.FindPool({count.gpu_type, {}, {}});
  if (pool == nullptr || without.recount.Forbids(count) || !KeepsIdle(count, later)) return false;
  if (StopOf(*basis_.world, basis_.world->DrawOf(job, without.taken)).code != ReasonCode::kNone) {
    return false;
  }
  return HasRoom(job, count.gpu_type, later);
}

std::optional<Violation> OrderCheck::Run() {
  if (borrowers_.empty()) return std::nullopt;
  // Jobs of one kind have one answer.
  std::set<std::tuple<AccountId, UserId, std::string, DurationMs, Request>> seen;
  for (const auto& [row, job] : basis_.world->waiting()) {
    const quota::JobCount count = basis_.world->CountOf(job);
    if (count.scavenger || !WasLookedAt(row) || !IsForShared(job)) continue;
    const std::vector<std::size_t> later = LaterThan(count);
    if (later.empty()) continue;
    const Request request = RequestOf(*job.spec, job.queued_since_ms, basis_.now_ms,
                                      basis_.world->config().topology_wait_ms);
    // Of how long it may run only budgets speak.
    const bool budgeted = !basis_.world->DrawOf(job, {}).holds.empty();
    const DurationMs limit_ms = budgeted ? job.spec->time_limit_ms : 0;
    if (!seen.insert({count.project, count.user, count.job_class, limit_ms, request}).second) {
      continue;
    }
    if (!CouldStart(job, count, later)) continue;
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

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
    for (const auto& [type, entitled] : *basis.entitled) {
      for (const quota::Entitlement& account : entitled) kept_milli_[type] += account.idle_milli;
      if (kept_milli_[type] > 0) free_milli_[type] = FreeMilli(basis, after_, type);
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
      if (promise->victims.empty() || was != before || job == world.waiting().end()) continue;
      after_.Add(world.CountOf(job->second));
    }
  }
  bool WasLookedAt(const JobRef& row) const;
  bool IsForShared(const Waiting& job) const;
  struct Counted {
    std::string gpu_type;
    MilliGpus milli = 0;
    auto operator<=>(const Counted&) const = default;
  };
  struct Below {
    AccountIndex account = quota::kNoAccount;
    std::vector<std::size_t> later;
  };
  void Descend(AccountIndex account, const Counted& counted, const std::vector<std::size_t>& later,
               std::vector<Below>& found) const;
  std::optional<Violation> CheckAlike(const JobSpec& spec, const World::Alike& alike);
  std::optional<Violation> CheckBelow(const JobSpec& spec, const World::Alike& alike,
                                      const Below& below);
  std::optional<Violation> CheckRow(const Waiting& job, const std::vector<std::size_t>& later);
  Machine MachineOf(const Recount& recount, const std::vector<std::size_t>& without) const;
  // What there would be without some starts.
  struct Without {
    Recount recount;
    Machine machine;
    quota::Taken taken;
    std::optional<Agenda> agenda;  // with what is promised; none: nothing is
  };
  const Without& WithoutThese(const std::vector<std::size_t>& starts) const;
  Agenda* AgendaWithout(const std::vector<std::size_t>& starts, const JobSpec& spec) const;
  bool MayHaveRoom(const JobSpec& spec, const World::Alike& alike,
                   const std::vector<std::size_t>& later) const;
  bool HasRoom(const Waiting& job, const std::string& type,
               const std::vector<std::size_t>& later) const;
  bool CouldStart(const Waiting& job, const quota::JobCount& count,
                  const std::vector<std::size_t>& later) const;
  bool KeepsIdle(const quota::JobCount& count, const std::vector<std::size_t>& later) const;

  const Basis& basis_;
  const Plan& plan_;
  const std::map<JobRef, const Reservation*> promised_;
  Recount after_;  // all starts included
  std::vector<Tiered> starts_;
  // By GPU type: what accounts keep idle; where any is kept, what was free before the plan.
  std::map<std::string, MilliGpus> kept_milli_;
  std::map<std::string, MilliGpus> free_milli_;
  // Starts that are not of the first tier everywhere, by GPU type.
  std::map<std::string, std::vector<std::size_t>> borrowers_;
  mutable std::map<std::vector<std::size_t>, std::unique_ptr<Without>> without_;
  std::map<Counted, std::vector<Below>> below_;
  std::set<std::tuple<AccountId, UserId, std::string, DurationMs, Request>> seen_;
};

bool OrderCheck::IsForShared(const Waiting& job) const {
  const World& world = *basis_.world;
  return PoolsFor(world.apart(), world.tree(), *job.spec).back().shared();
}

bool OrderCheck::WasLookedAt(const JobRef& row) const {
  const JobSpec& spec = *basis_.world->waiting().at(row).spec;
  WaitingRow stands{.ref = row};
  const auto order = basis_.world->order().find(spec.shape.gpu_type);
  if (order != basis_.world->order().end()) {
    if (const quota::OrderJob* job = order->second.Find(row)) {
      stands.asks = job->asks;
      stands.prefers_until_ms = job->prefers_until_ms;
    }
  }
  const ReasonCode code = plan_.waiting.CodeOf(stands, spec);
  return code != ReasonCode::kNone && code != ReasonCode::kNotLookedAt &&
         code != ReasonCode::kSetAside && code != ReasonCode::kArrayLimit &&
         code != ReasonCode::kReclaimUnderWay && !quota::IsBar(code);
}

bool OrderCheck::KeepsIdle(const quota::JobCount& count,
                           const std::vector<std::size_t>& later) const {
  const quota::AccountTree& tree = basis_.world->tree();
  const auto all = kept_milli_.find(count.gpu_type);
  if (all == kept_milli_.end() || all->second == 0) return true;
  MilliGpus kept = all->second;
  const auto& entitled = basis_.entitled->at(count.gpu_type);
  for (auto i = tree.IndexOf(count.project); i != quota::kNoAccount; i = tree.parent(i)) {
    kept -= entitled[static_cast<std::size_t>(i)].idle_milli;
  }
  MilliGpus free = free_milli_.at(count.gpu_type);  // less what the others of the plan took
  for (const Tiered& start : starts_) {
    const bool took = !std::binary_search(later.begin(), later.end(), start.index);
    if (took && !start.job.apart && start.job.gpu_type == count.gpu_type)
      free -= start.job.counted_milli;
  }
  return kept == 0 || free - count.counted_milli >= kept;
}

// What is free without these starts. Of the nodes that the plan touches it is counted anew; what is
// kept in step is taken for the others, unless it errs in one of these.
Machine OrderCheck::MachineOf(const Recount& recount,
                              const std::vector<std::size_t>& without) const {
  const World& world = *basis_.world;
  Machine machine = world.MachineAt(basis_.now_ms);
  std::map<std::string, Node> nodes;
  std::map<std::string, NodeUse> used;
  for (std::size_t i = 0; i < plan_.starts.size(); ++i) {
    const Start& start = plan_.starts[i];
    for (const NodeGrant& grant : start.placement) {
      nodes.insert(*world.nodes().find(grant.node));
      used.emplace(grant.node, recount.UseOf(grant.node));
    }
    if (std::binary_search(without.begin(), without.end(), i)) continue;
    machine.Hold(world.waiting().at(start.row).spec->shape, start.placement);
  }
  const Machine anew(nodes, used, basis_.now_ms, world.owners());
  const bool same = std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) {
    return machine.FreeOf(node.first) == anew.FreeOf(node.first);
  });
  if (same) return machine;
  for (const auto& [name, node] : world.nodes()) used.emplace(name, recount.UseOf(name));
  return world.configured().Anew(world.nodes(), used, basis_.now_ms);
}

const OrderCheck::Without& OrderCheck::WithoutThese(const std::vector<std::size_t>& starts) const {
  std::unique_ptr<Without>& known = without_[starts];
  if (known != nullptr) return *known;
  Recount recount = after_;
  for (const std::size_t index : starts) recount.Remove(plan_.starts[index]);
  Machine machine = MachineOf(recount, starts);
  quota::Taken taken;
  for (const auto& [row, promise] : promised_) {  // a reclaim under way has drawn on them, too
    const auto job = basis_.world->waiting().find(row);
    if (promise->victims.empty() || job == basis_.world->waiting().end()) continue;
    Take(basis_.world->DrawOf(job->second, {}), taken);
  }
  for (const Tiered& start : starts_) {
    if (std::binary_search(starts.begin(), starts.end(), start.index)) continue;
    Take(basis_.world->DrawOf(plan_.starts[start.index], {}), taken);
  }
  known = std::make_unique<Without>(
      Without{std::move(recount), std::move(machine), std::move(taken), {}});
  return *known;
}

// With what is promised, or reserved, beside what these starts leave; null: nothing is.
Agenda* OrderCheck::AgendaWithout(const std::vector<std::size_t>& later,
                                  const JobSpec& spec) const {
  const World& world = *basis_.world;
  const bool ahead = !promised_.empty() || !plan_.reservations.empty() || world.HasWindows() ||
                     !spec.reservation.empty();
  if (!ahead) return nullptr;
  const std::string& type = spec.shape.gpu_type;
  Without& without = *without_.at(later);
  if (without.agenda) return &*without.agenda;
  const PoolKey key{type, {}, {}};
  Agenda& agenda = without.agenda.emplace(world, key, without.machine, basis_.now_ms);
  for (const Preempt& preempt : plan_.preempts) {
    const Holding& victim = world.holdings().at(preempt.victim);
    agenda.End(preempt.victim, world.EndIfTold(victim, basis_.now_ms));
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
  for (const auto& [row, promise] : promised_) agenda.Promise(*promise);
  // What the tick moved or started stood in the way of those that were looked at before.
  const auto beside = [&agenda](Reservation promise, std::int64_t nth) {
    promise.row.id = JobId{-2 * promise.row.id.value - nth};  // what it is now stays
    agenda.Promise(promise);
  };
  for (const ReservationChange& change : plan_.reservations) {
    const auto before = world.reservations().find(change.reservation.row);
    if (before != world.reservations().end()) beside(before->second, 0);
    if (change.news == ReservationNews::kEnded) beside(change.reservation, 1);
  }
  return &agenda;
}

// Whether it fits beside what is promised to others.
bool OrderCheck::HasRoom(const Waiting& job, const std::string& type,
                         const std::vector<std::size_t>& later) const {
  const World& world = *basis_.world;
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, basis_.now_ms, world.config().topology_wait_ms);
  Agenda* agenda = AgendaWithout(later, *job.spec);
  if (agenda != nullptr) {
    return Fits(agenda->RoomNow(world.StayOf(job, basis_.now_ms), job.ref), request);
  }
  return Fits(*without_.at(later)->machine.FindPool({type, {}, {}}), request);
}

// Whether any of these rows could: the one that is gone soonest, or one to which it is promised.
bool OrderCheck::MayHaveRoom(const JobSpec& spec, const World::Alike& alike,
                             const std::vector<std::size_t>& later) const {
  const World& world = *basis_.world;
  const Request request{&spec, spec.within, false};
  const Pool* pool = WithoutThese(later).machine.FindPool({spec.shape.gpu_type, {}, {}});
  if (pool == nullptr || !Fits(*pool, request)) return false;
  Agenda* agenda = AgendaWithout(later, spec);
  if (agenda == nullptr) return true;
  const TimeMs end = basis_.now_ms + world.StaysFor(alike.by_limit.begin()->first.first);
  if (Fits(agenda->RoomNow({end, end, world.Named(spec)}, {}), request)) return true;
  return std::any_of(promised_.begin(), promised_.end(), [&](const auto& promise) {
    const auto waits = world.waiting().find(promise.first);
    return waits != world.waiting().end() && World::IsAmong(alike, waits->second);
  });
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

// Jobs of projects below this account that count as `counted_milli`: accounts below which all have
// the same starts of later tiers, `later` so far, go to `found`.
void OrderCheck::Descend(AccountIndex account, const Counted& counted,
                         const std::vector<std::size_t>& later, std::vector<Below>& found) const {
  const quota::AccountTree& tree = basis_.world->tree();
  if (tree.children(account).empty()) return found.push_back({account, later});
  const std::size_t depth = static_cast<std::size_t>(tree.depth(account));
  for (const AccountIndex child : tree.children(account)) {
    if (after_.Allocated(child, counted.gpu_type) + counted.milli >
        after_.Guarantee(child, counted.gpu_type)) {
      if (!later.empty()) found.push_back({child, later});
      continue;
    }
    std::vector<std::size_t> more = later;
    for (const std::size_t index : borrowers_.at(counted.gpu_type)) {
      const Tiered& start = starts_[index];
      if (start.job.scavenger || depth >= start.path.size()) continue;
      const bool here = depth == 0 || start.path[depth - 1] == account;
      if (here && start.path[depth] != child && start.inside[depth] == 0) more.push_back(index);
    }
    std::sort(more.begin(), more.end());
    Descend(child, counted, more, found);
  }
}

// Of the rows that ask for the same nodes: asked first is whether these hold it at all.
std::optional<Violation> OrderCheck::CheckAlike(const JobSpec& spec, const World::Alike& alike) {
  const World& world = *basis_.world;
  const Counted counted{spec.shape.gpu_type, world.CountedOf(spec)};
  const auto [known, first] = below_.try_emplace(counted);
  if (first) {
    std::vector<std::size_t> later;
    for (const std::size_t index : borrowers_.at(counted.gpu_type)) {
      if (starts_[index].job.scavenger) later.push_back(index);
    }
    Descend(quota::kRootIndex, counted, later, known->second);
  }
  std::map<std::vector<std::size_t>, bool> holds;
  for (const Below& below : known->second) {
    if (below.later.empty()) continue;
    const auto [held, asked] = holds.try_emplace(below.later);
    if (asked) held->second = MayHaveRoom(spec, alike, below.later);
    if (!held->second) continue;
    if (auto violation = CheckBelow(spec, alike, below)) return violation;
  }
  return std::nullopt;
}

// Where anything is promised who is gone sooner has more room, and to whom it is promised his own.
std::optional<Violation> OrderCheck::CheckBelow(const JobSpec& spec, const World::Alike& alike,
                                                const Below& below) {
  const World& world = *basis_.world;
  const auto check = [&](const Waiting& row) -> std::optional<Violation> {
    const AccountIndex project = world.tree().IndexOf(row.spec->project);
    const bool is_below =
        project != quota::kNoAccount && world.tree().IsAncestor(below.account, project);
    return is_below ? CheckRow(row, below.later) : std::nullopt;
  };
  const Request request{&spec, spec.within, false};
  Agenda* agenda = AgendaWithout(below.later, spec);
  std::optional<Agenda::Crossed> has_room;
  for (const auto& [key, row] : alike.by_limit) {
    const TimeMs end = basis_.now_ms + world.StaysFor(key.first);
    const Stay stay{end, end, world.Named(spec)};
    const auto crossed = agenda == nullptr ? Agenda::Crossed{} : agenda->CrossedBy(stay);
    if (agenda != nullptr && crossed != has_room && !Fits(agenda->RoomNow(stay, {}), request)) {
      break;
    }
    has_room = crossed;
    if (auto violation = check(*row)) return violation;
  }
  for (const auto& [row, promise] : promised_) {
    const auto waits = world.waiting().find(row);
    if (waits == world.waiting().end() || !World::IsAmong(alike, waits->second)) continue;
    if (auto violation = check(waits->second)) return violation;
  }
  return std::nullopt;
}

std::optional<Violation> OrderCheck::CheckRow(const Waiting& job,
                                              const std::vector<std::size_t>& later) {
  const World& world = *basis_.world;
  const quota::JobCount count = world.CountOf(job);
  if (count.scavenger || !WasLookedAt(job.ref) || !IsForShared(job)) return std::nullopt;
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, basis_.now_ms, world.config().topology_wait_ms);
  // Of how long it may run only budgets speak, and what is promised or reserved.
  const bool promised = !promised_.empty() || !plan_.reservations.empty() || world.HasWindows();
  const bool budgeted = !world.DrawOf(job, {}).holds.empty();
  const DurationMs limit_ms = budgeted || promised ? job.spec->time_limit_ms : 0;
  // Jobs of one kind have one answer.
  if (!seen_.insert({count.project, count.user, count.job_class, limit_ms, request}).second) {
    return std::nullopt;
  }
  if (!CouldStart(job, count, later)) return std::nullopt;
  return Violation{Decision::kStart, later.back(),
                   "job " + ToText(job.ref) + " of an earlier tier could start on it"};
}

std::optional<Violation> OrderCheck::Run() {
  for (const auto& [type, borrowers] : borrowers_) {
    for (const auto& [spec, alike] : basis_.world->asked(type)) {
      if (auto violation = CheckAlike(*spec, alike)) return violation;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Violation> BrokenOrder(const Basis& basis, const Plan& plan) {
  return OrderCheck(basis, plan).Run();
}

}  // namespace kezek::engine

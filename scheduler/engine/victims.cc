#include "scheduler/engine/victims.h"

#include <algorithm>

#include "scheduler/engine/node_fit.h"

namespace kezek::engine {
namespace {

using quota::AccountIndex;

// Not running yet: youngest.
auto AgeOf(const Holding& attempt) {
  return std::tuple(attempt.start_ms == 0, attempt.start_ms, attempt.attempt);
}

MilliGpuMs LostBy(const Holding& attempt, TimeMs now, DurationMs most) {
  if (attempt.start_ms == 0) return 0;
  const DurationMs ran = now - std::max(attempt.start_ms, attempt.checkpointed_ms);
  return attempt.counted_milli * std::clamp<DurationMs>(ran, 0, most);
}

}  // namespace

Victims::Victims(const World& world, const Draft& draft, std::string gpu_type, Agenda& agenda)
    : world_(world),
      draft_(draft),
      type_(std::move(gpu_type)),
      agenda_(agenda),
      pool_(*draft.free.FindPool({type_, {}, {}})) {}

void Victims::FindCandidates() {
  known_ = true;
  for (const Preempt& preempt : draft_.plan.preempts) ending_.insert(preempt.victim);
  for (const auto& [key, runs] : world_.runs()) {
    const AccountIndex project = world_.tree().IndexOf(key.first);
    if (key.second != type_ || project == quota::kNoAccount) continue;
    for (const World::Run& run : runs) {
      if (run.attempt->counts && !run.apart) AddCandidate(run, project);
    }
  }
  FindCover();
}

void Victims::AddCandidate(const World::Run& run, AccountIndex project) {
  const Holding& attempt = *run.attempt;
  const AttemptRef& ref = attempt.attempt;
  Candidate candidate{.attempt = &attempt, .project = project, .scavenger = run.scavenger};
  const ClassRules& rules = world_.ClassOf(attempt.job_class);
  const bool past_min_run =
      attempt.start_ms != 0 && draft_.now_ms - attempt.start_ms >= rules.min_run_ms;
  candidate.may_end_soon =
      attempt.ends_by_ms == 0 && !ending_.contains(ref) && (run.scavenger || rules.preemptible);
  candidate.may_end = candidate.may_end_soon && (run.scavenger || past_min_run);
  if (attempt.ends_by_ms != 0) ending_.insert(ref);
  candidate.lost = LostBy(attempt, draft_.now_ms, world_.config().charge.refund_max_ms);
  if (candidate.may_end) {
    any_scavengers_ |= run.scavenger;
    longest_grace_ms_ = std::max(longest_grace_ms_, attempt.grace_ms);
  }
  candidates_.push_back(candidate);
}

// Of what each account runs, oldest start first, what still fits in the rest of its guarantee.
void Victims::FindCover() {
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return AgeOf(*a.attempt) < AgeOf(*b.attempt);
  });
  std::vector<MilliGpus> left(static_cast<std::size_t>(world_.tree().size()));
  for (AccountIndex i = 0; i < world_.tree().size(); ++i) {
    left[static_cast<std::size_t>(i)] = GuaranteeOf(i);
  }
  for (Candidate& candidate : candidates_) {
    if (candidate.scavenger) continue;
    const MilliGpus counted = candidate.attempt->counted_milli;
    for (auto i = candidate.project; i != quota::kNoAccount; i = world_.tree().parent(i)) {
      MilliGpus& rest = left[static_cast<std::size_t>(i)];
      if (counted > rest) continue;
      rest -= counted;
      if (candidate.covered_by == quota::kNoAccount) candidate.covered_by = i;
    }
  }
}

MilliGpus Victims::GuaranteeOf(AccountIndex account) const {
  const auto entitled = draft_.entitled.find(type_);
  if (entitled == draft_.entitled.end()) return world_.tree().Guarantee(account, type_);
  return entitled->second[static_cast<std::size_t>(account)].guarantee_milli;
}

MilliGpus Victims::AllocatedOf(const Ask& ask, AccountIndex account) const {
  const auto more = ask.allocated.find(account);
  return draft_.running.Allocated(world_.tree().id(account), type_) +
         (more == ask.allocated.end() ? 0 : more->second);
}

bool Victims::Inside(const Ask& ask, AccountIndex account) const {
  return AllocatedOf(ask, account) + ask.count.counted_milli <= GuaranteeOf(account);
}

// Whether there can be a victim at all: most jobs need not look for any.
bool Victims::MayAsk(const Ask& ask) const {
  if (ask.count.scavenger || ask.count.apart) return false;
  if (any_scavengers_ || world_.ClassOf(ask.count.job_class).preempts_lower) return true;
  const quota::AccountTree& tree = world_.tree();
  for (auto i = tree.IndexOf(ask.count.project); tree.parent(i) != quota::kNoAccount;
       i = tree.parent(i)) {
    if (Inside(ask, i)) return true;
  }
  return false;
}

bool Victims::AnybodyMayAsk() {
  if (!known_) FindCandidates();
  const auto& classes = world_.directory().classes;
  return any_scavengers_ || std::any_of(classes.begin(), classes.end(), [this](const auto& one) {
           return one.second.preempts_lower && world_.WaitingOf(one.first) > 0;
         });
}

bool Victims::MayTake(const Ask& ask, const Candidate& candidate) const {
  const AttemptRef& ref = candidate.attempt->attempt;
  const bool may_end = ask.soon ? candidate.may_end_soon : candidate.may_end;
  if (!may_end || ask.but.contains(ref) || ask.gone.contains(ref)) return false;
  if (candidate.scavenger) return true;
  const quota::AccountTree& tree = world_.tree();
  const AccountIndex to = tree.IndexOf(ask.count.project);
  if (candidate.project == to) {
    const ClassRules& rules = world_.ClassOf(ask.count.job_class);
    return rules.preempts_lower && world_.ClassOf(candidate.attempt->job_class).rank > rules.rank;
  }
  const AccountIndex ancestor = tree.LowestCommonAncestor(candidate.project, to);
  const bool covered =
      candidate.covered_by != quota::kNoAccount && !tree.IsAncestor(candidate.covered_by, ancestor);
  return !covered && Inside(ask, tree.ChildToward(ancestor, to));
}

MilliGpus Victims::OverOf(const Ask& ask, const Candidate& candidate) const {
  const quota::AccountTree& tree = world_.tree();
  const AccountIndex to = tree.IndexOf(ask.count.project);
  const AccountIndex from = candidate.project;
  const AccountIndex side =
      from == to ? from : tree.ChildToward(tree.LowestCommonAncestor(from, to), from);
  return AllocatedOf(ask, side) - GuaranteeOf(side);
}

Victims::Chosen Victims::AllFor(const Ask& ask) const {
  Chosen all;
  const auto pool = static_cast<std::size_t>(&pool_ - draft_.free.pools().data());
  for (const Candidate& candidate : candidates_) {
    if (!MayTake(ask, candidate)) continue;
    const AttemptRef& ref = candidate.attempt->attempt;
    all.push_back({&candidate, OverOf(ask, candidate), &engine::In(world_.seats().Of(ref), pool)});
  }
  std::sort(all.begin(), all.end(),
            [](const Victim& a, const Victim& b) { return a.Cost() < b.Cost(); });
  return all;
}

bool Victims::HasRoomOn(const Ask& ask, std::size_t spot, const std::set<AttemptRef>& gone) const {
  const JobSpec& spec = *ask.request.spec;
  return Allowed(pool_.layout->spots[spot], spec) &&
         HasRoom(agenda_.RoomOn(spot, StayOf(ask), ask.row, gone), spec.shape);
}

// Once those are gone that have been ended for others.
bool Victims::HasRoomWithout(const Ask& ask) const {
  return Fits(PoolIn(agenda_.RoomWithout(ask.gone, StayOf(ask), ask.row)), ask.request);
}

// The cheapest of the nodes [begin, end) that make room there, without those that are not needed.
std::optional<Victims::Chosen> Victims::In(const Ask& ask, std::size_t begin, std::size_t end,
                                           const Chosen& all, const OnSpot& on) const {
  std::set<std::size_t> here;
  for (auto spot = on.lower_bound(begin); spot != on.end() && spot->first < end; ++spot) {
    here.insert(spot->second.begin(), spot->second.end());
  }
  if (here.empty()) return std::nullopt;
  const std::int64_t wanted = ask.request.spec->shape.nodes;
  std::set<AttemptRef> gone = ask.gone;
  std::vector<char> has_room(end - begin);
  std::int64_t count = 0;
  const auto look = [&](std::size_t spot) {
    if (spot < begin || spot >= end) return;
    char& known = has_room[spot - begin];
    count -= known;
    known = HasRoomOn(ask, spot, gone) ? 1 : 0;
    count += known;
  };
  for (std::size_t spot = begin; spot < end; ++spot) look(spot);
  std::vector<std::size_t> taken;
  for (auto next = here.begin(); next != here.end() && count < wanted; ++next) {
    gone.insert(all[*next].candidate->attempt->attempt);
    for (const Seat& seat : *all[*next].seats) look(seat.spot);
    taken.push_back(*next);
  }
  if (count < wanted) return std::nullopt;
  Chosen chosen;
  for (auto last = taken.rbegin(); last != taken.rend(); ++last) {
    const AttemptRef& ref = all[*last].candidate->attempt->attempt;
    gone.erase(ref);
    for (const Seat& seat : *all[*last].seats) look(seat.spot);
    if (count >= wanted) continue;
    gone.insert(ref);
    for (const Seat& seat : *all[*last].seats) look(seat.spot);
    chosen.push_back(all[*last]);
  }
  std::reverse(chosen.begin(), chosen.end());
  return chosen;
}

// A wider domain than the one that wins may need fewer of these: it is asked about them alone.
std::optional<std::pair<Victims::Chosen, Placement>> Victims::Best(const Ask& ask) const {
  auto best = BestOf(ask, AllFor(ask));
  while (best && best->first.size() > 1 && ask.request.spec->shape.nodes > 1) {
    auto fewer = BestOf(ask, best->first);
    if (!fewer || fewer->first.size() == best->first.size()) break;
    best = std::move(fewer);
  }
  return best;
}

std::optional<std::pair<Victims::Chosen, Placement>> Victims::BestOf(const Ask& ask,
                                                                     const Chosen& all) const {
  if (all.empty()) return std::nullopt;
  OnSpot on;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const Seat& seat : *all[i].seats) on[seat.spot].push_back(i);
  }
  const auto loss = [](const Chosen& chosen) {  // smaller is better
    MilliGpuMs lost = 0;
    MilliGpuMs of_others = 0;
    std::vector<AttemptRef> ids;
    for (const Victim& victim : chosen) {
      lost += victim.candidate->lost;
      of_others += victim.candidate->scavenger ? 0 : victim.candidate->lost;
      ids.push_back(victim.candidate->attempt->attempt);
    }
    return std::tuple(of_others, lost, chosen.size(), std::move(ids));
  };
  std::optional<std::pair<Chosen, Placement>> best;
  const auto consider = [&](std::size_t begin, std::size_t end) {
    auto chosen = In(ask, begin, end, all, on);
    // With none it has room there already, which only other nodes of the gang's kept from it.
    if (!chosen || chosen->empty()) return;
    if (best && loss(best->first) <= loss(*chosen)) return;
    std::set<AttemptRef> gone = ask.gone;
    for (const Victim& victim : *chosen) gone.insert(victim.candidate->attempt->attempt);
    const Machine room = agenda_.RoomWithout(gone, StayOf(ask), ask.row);
    auto placement = PlaceAmong(PoolIn(room), ask.request, begin, end);
    if (placement) best.emplace(std::move(*chosen), std::move(*placement));
  };
  const PoolLayout& layout = *pool_.layout;
  if (ask.request.spec->shape.nodes == 1) {
    for (auto spot = on.begin(); spot != on.end(); ++spot) consider(spot->first, spot->first + 1);
    return best;
  }
  const std::size_t levels = ask.request.within == Domain::kLeaf    ? 1
                             : ask.request.within == Domain::kBlock ? 2
                                                                    : layout.levels.size();
  for (std::size_t level = 0; level < levels; ++level) {
    for (std::size_t i = layout.levels[level].first; i < layout.levels[level].second; ++i) {
      const bool whole = level + 1 == layout.levels.size();
      if (whole || !layout.zones[i].name.empty()) {
        consider(layout.zones[i].begin, layout.zones[i].end);
      }
    }
  }
  return best;
}

// Whether accounts the job is not in still have free what they keep idle.
bool Victims::LeavesWhatIsKept(const Ask& ask, const Chosen& chosen) const {
  const auto entitled = draft_.entitled.find(type_);
  if (entitled == draft_.entitled.end()) return true;
  MilliGpus kept = 0;
  for (const quota::Entitlement& account : entitled->second) kept += account.idle_milli;
  if (kept == 0) return true;
  for (auto i = world_.tree().IndexOf(ask.count.project); i != quota::kNoAccount;
       i = world_.tree().parent(i)) {
    kept -= entitled->second[static_cast<std::size_t>(i)].idle_milli;
  }
  MilliGpus free = pool_.free_gpus * 1000 - ask.count.counted_milli;
  for (const Victim& victim : chosen) free += victim.candidate->attempt->counted_milli;
  return free >= kept;
}

std::optional<AttemptRef> Victims::ReclaimsBack(const Ask& ask, const Chosen& chosen,
                                                const Placement& placement) {
  const quota::AccountTree& tree = world_.tree();
  Ask after;
  after.gone = ask.gone;
  const auto allocate = [&](AccountIndex project, MilliGpus milli) {
    for (auto i = project; i != quota::kNoAccount; i = tree.parent(i)) after.allocated[i] += milli;
  };
  allocate(tree.IndexOf(ask.count.project), ask.count.counted_milli);
  for (const Victim& victim : chosen) {
    after.gone.insert(victim.candidate->attempt->attempt);
    if (victim.candidate->scavenger) continue;
    allocate(victim.candidate->project, -victim.candidate->attempt->counted_milli);
  }
  std::optional<AttemptRef> found;
  const Reservation* own = agenda_.Of(ask.row);
  agenda_.Promise({.row = ask.row,
                   .from_ms = draft_.now_ms,
                   .limit_ms = longest_grace_ms_ + ask.limit_ms,
                   .shape = ask.request.spec->shape,
                   .placement = placement});
  for (const Victim& victim : chosen) {
    const Holding& attempt = *victim.candidate->attempt;
    JobSpec spec;
    spec.shape = attempt.shape;
    after.row = {};
    after.count = world_.CountOf(attempt);
    after.request = {&spec, Domain::kAny, false};
    after.limit_ms = attempt.limit_ms;
    if (victim.candidate->scavenger || !MayAsk(after) || HasRoomWithout(after)) continue;
    if (!Best(after)) continue;
    found = attempt.attempt;
    break;
  }
  agenda_.Withdraw(ask.row);
  if (own != nullptr) agenda_.Promise(*own);
  return found;
}

std::optional<Victims::Choice> Victims::For(const Waiting& job, const quota::JobCount& count,
                                            const Request& request) {
  if (!known_) FindCandidates();
  Ask ask{.row = job.ref,
          .count = count,
          .request = request,
          .limit_ms = job.spec->time_limit_ms,
          .gone = ending_};
  if (!MayAsk(ask)) return std::nullopt;
  ++asks_;
  // What is ending for others may leave it room enough: that is waited for.
  if (!ending_.empty() && HasRoomWithout(ask)) return std::nullopt;
  while (const auto best = Best(ask)) {
    const auto& [chosen, placement] = *best;
    if (!LeavesWhatIsKept(ask, chosen)) return std::nullopt;
    if (const auto back = ReclaimsBack(ask, chosen, placement)) {
      ask.but.insert(*back);
      continue;
    }
    Choice choice{.placement = placement};
    for (const Victim& victim : chosen) {
      const Holding& attempt = *victim.candidate->attempt;
      choice.attempts.push_back(attempt.attempt);
      choice.gone_by_ms = std::max(choice.gone_by_ms, world_.EndIfTold(attempt, draft_.now_ms));
    }
    // What is ending there for others is waited for, too.
    for (const NodeGrant& grant : placement) {
      for (const AttemptRef& ref : world_.on(grant.node)) {
        const Holding& attempt = world_.holdings().at(ref);
        if (!ending_.contains(ref) || !attempt.counts) continue;
        const bool before = attempt.ends_by_ms != 0;
        choice.gone_by_ms =
            std::max(choice.gone_by_ms, before ? world_.EndOf(attempt, draft_.now_ms)
                                               : world_.EndIfTold(attempt, draft_.now_ms));
      }
    }
    return choice;
  }
  return std::nullopt;
}

bool Victims::WillFit(const Waiting& job, const quota::JobCount& count,
                      const Request& request) const {
  const Ask ask{.row = job.ref,
                .count = count,
                .request = request,
                .limit_ms = job.spec->time_limit_ms,
                .soon = true,
                .gone = ending_};
  if (!MayAsk(ask)) return true;  // not by reclaim
  return HasRoomWithout(ask) || Best(ask);
}

void Victims::Take(const Choice& choice) {
  ending_.insert(choice.attempts.begin(), choice.attempts.end());
}

}  // namespace kezek::engine

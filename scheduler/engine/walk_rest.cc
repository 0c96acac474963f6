// How those stand that do not start: their places, in blocks that hold from tick to tick, and why.
#include <algorithm>
#include <utility>

#include "scheduler/engine/pool_walk.h"
#include "scheduler/engine/ranks.h"
#include "scheduler/engine/reserve.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {

// Nothing that waits could start any more, whoever is next, nor is anybody to be ended or promised
// anything for it: what is left need not be walked through. Asked once after each start, and where
// ranks cannot wait, only once they are all told. Where it is so of all but scavengers, which may
// start across what is promised, those are walked to.
bool PoolWalk::NothingStarts() {
  if (!key_.shared() || pool_ == nullptr || draft_.one_more_passes) return false;
  if (RanksCanWait()) return NothingFits();
  const std::size_t starts = draft_.plan.starts.size();
  if (rank_ < world_.config().exact_ranks || asked_after_ == starts) return false;
  if (!order_.IsAtScavengers() && MayReclaim()) return false;
  asked_after_ = starts;
  if (!order_.IsAtScavengers()) {
    if (MayStart(false)) return false;
    // More of those that a scavenger passes would get no place.
    const bool enough = agenda_ == nullptr || passed_outside_ >= world_.config().reservations;
    if (!MayLeaveUnseen() || (!enough && MayStart(true))) return false;
    order_.SkipToScavengers();
    skipped_ = true;
  }
  return !MayStart(true) && MayLeaveUnseen();
}

// What keeps a row from starting once nothing fits is the same whether the walk comes to it or not.
bool PoolWalk::RanksCanWait() const {
  return agenda_ == nullptr && draft_.started.empty() && draft_.waits_apart.empty();
}

// What is free only becomes less: what does not fit once does not in all of the walk.
bool PoolWalk::NothingFits() {
  const World::Asked& asked = world_.asked(type_);
  if (!fits_from_) fits_from_ = asked.begin();
  const KeptBlocks::Whys& known = world_.blocks().WhysOf(type_);
  const bool as_known = draft_.plan.starts.empty() && known.free_version == world_.free_version();
  const auto fits = [&](const JobSpec& spec, std::int64_t asks) {
    if (as_known && known.Of(asks, false) != nullptr) return false;
    return Fits(*pool_, {&spec, spec.within, false});
  };
  if (*fits_from_ != asked.end()) {
    if (asked_after_ == draft_.plan.starts.size()) return false;
    asked_after_ = draft_.plan.starts.size();
    while (*fits_from_ != asked.end() && !fits(*(*fits_from_)->first, (*fits_from_)->second.id)) {
      ++*fits_from_;
    }
    if (*fits_from_ != asked.end()) return false;
  }
  // Asked again after more has been looked at.
  if (seen_since_asked_ > 0 && seen_since_asked_ < kSeenBetween) return false;
  seen_since_asked_ = 1;
  return MayLeaveUnseen();
}

// Whether there is room for any of what waits, scavengers or others. To whom nodes are promised has
// room beside what is promised to the rest.
bool PoolWalk::MayStart(bool scavengers) {
  if (agenda_ != nullptr && !scavengers) {
    for (const auto& [row, promise] : agenda_->promises()) {
      if (!promise->victims.empty()) continue;
      const Waiting& job = world_.waiting().at(row);
      const Request request = RequestOf(*job.spec, job.queued_since_ms, draft_.now_ms,
                                        world_.config().topology_wait_ms);
      if (agenda_->PlaceNow(request, world_.StayOf(job, draft_.now_ms), row)) return true;
    }
  }
  if (fitting_ != nullptr && MayStart(*fitting_, *fitting_alike_, scavengers)) return true;
  for (const auto& [spec, alike] : world_.asked(type_)) {
    if (!MayStart(*spec, alike, scavengers)) continue;
    fitting_ = spec.get();
    fitting_alike_ = &alike;
    return true;
  }
  return false;
}

// Whether the shapes that have not counted as looked at could be as many as may be.
bool PoolWalk::MayLeaveUnseen() const {
  std::int32_t first = 0;
  for (const auto& [spec, alike] : world_.asked(type_)) {
    for (const Domain within : {spec->within, spec->prefer}) {
      const bool preference = within == spec->prefer && within != spec->within;
      if (preference && within == Domain::kAny) continue;
      if (!no_room_.contains({{spec.get(), within, preference}, {}})) ++first;
    }
  }
  std::int32_t most = 0;
  for (const auto& [project, looked] : looked_of_) most = std::max(most, looked);
  return looked_ + first < world_.config().look && most + first < world_.config().look_project;
}

// Whether there is room for the one of these rows that is gone soonest: of scavengers, where there
// is reclaim, at once. A shape that fits, and that others' promises leave no room, may do so if it
// pushes them aside.
bool PoolWalk::MayStart(const JobSpec& spec, const World::Alike& alike, bool scavengers) {
  const Request request{&spec, spec.within, false};
  if (!Fits(*pool_, request)) return false;
  if (agenda_ == nullptr || alike.limits.empty()) return true;
  const TimeMs end = draft_.now_ms + world_.StaysFor(alike.limits.begin()->first);
  const bool at_once = scavengers && world_.config().reclaim;
  const Stay soonest{at_once ? draft_.now_ms : end, end, world_.Named(spec)};
  if (Fits(agenda_->RoomNow(soonest, {}), request)) return true;
  if (scavengers || !spec.reservation.empty()) return false;
  return std::any_of(alike.rows.begin(), alike.rows.end(), [&](const auto& rows) {
    const quota::AccountIndex project = world_.tree().IndexOf(rows.first);
    return project != quota::kNoAccount && IsInsideEverywhere(project);
  });
}

// Whether the smallest job left of the project is in the guarantee of an account on its path.
bool PoolWalk::IsInsideSomewhere(quota::AccountIndex project) const {
  const MilliGpus least = order_.LeastLeft(project);
  for (auto i = project; i != quota::kRootIndex; i = world_.tree().parent(i)) {
    if (order_.Slack(i) >= least) return true;
  }
  return false;
}

// Whether it is in the guarantee of each of them.
bool PoolWalk::IsInsideEverywhere(quota::AccountIndex project) const {
  const MilliGpus least = order_.LeastLeft(project);
  for (auto i = project; i != quota::kRootIndex; i = world_.tree().parent(i)) {
    if (order_.Slack(i) < least) return false;
  }
  return true;
}

// Whether attempts may yet be ended for what is left.
bool PoolWalk::MayReclaim() {
  if (!victims_ || victims_->asks() >= world_.config().reclaim_asks) return false;
  if (victims_->AnybodyMayAsk()) return true;
  return std::any_of(waiting_.projects().begin(), waiting_.projects().end(), [&](const auto& one) {
    const quota::AccountIndex project = world_.tree().IndexOf(one.first);
    return project != quota::kNoAccount && IsInsideSomewhere(project);
  });
}

// Projects of which something happened in other pools in this tick.
void PoolWalk::FindDisturbed() {
  for (const auto& [row, jobs] : draft_.started) {
    disturbed_.insert(world_.waiting().at(row).spec->project);
  }
  for (const auto& [row, reason] : draft_.waits_apart) {
    disturbed_.insert(world_.waiting().at(row).spec->project);
  }
  const auto charged = draft_.charged.find(type_);
  if (charged == draft_.charged.end()) return;
  for (const auto& [whose, charge] : charged->second) disturbed_.insert(whose.first);
}

// Rows all of which start.
void PoolWalk::FindStarting() {
  std::map<JobRef, std::int64_t> starts;
  for (const Start& start : draft_.plan.starts) ++starts[start.row];
  for (const auto& [row, count] : starts) {
    const quota::OrderJob* job = waiting_.Find(row);
    if (job != nullptr && count >= job->count) starting_[job->project].push_back(row);
  }
}

void PoolWalk::TellOfAll(End end) {
  FindDisturbed();
  FindStarting();
  for (std::vector<JobRef>& rows : seen_) std::sort(rows.begin(), rows.end());
  WaitingStandings::OfType told;
  FindWhys(end, told);
  if (end == End::kNothingStarts) TellOfDedicated(told);
  TakeBlocks(told);
  FindShares(told);
  if (end == End::kLeft) FindLooked(told);
  told.ranks = RanksOf(end, told);
  WaitingStandings& waiting = draft_.plan.waiting;
  waiting.At(draft_.now_ms);
  waiting.Add(type_, std::move(told));
  for (const auto& [row, jobs] : draft_.started) {
    waiting.StandsInOrder(row, *world_.waiting().at(row).spec);
  }
  if (agenda_ != nullptr && end == End::kNothingStarts) {
    for (const auto& [row, promise] : agenda_->promises()) {
      if (!promise->victims.empty() || told_.contains(row)) continue;
      told_[row] = std::make_shared<const Reason>(ReservedAt(*promise));
    }
  }
  for (const auto& [row, reason] : told_) {
    waiting.Tell(row, *world_.waiting().at(row).spec, *reason);
  }
}

// Last: the order goes with them.
WaitingRanks PoolWalk::RanksOf(End end, const WaitingStandings::OfType& told) {
  const auto most = static_cast<std::size_t>(std::max(0, world_.config().exact_ranks));
  if (end != End::kNothingStarts || ranks_.size() == most || !RanksCanWait()) {
    return WaitingRanks([ranks = std::move(ranks_)] { return ranks; });
  }
  const auto rest = std::make_shared<const RestOfWalk>(
      std::move(order_), world_.tree(), std::move(ranks_), told, draft_.now_ms, most);
  return WaitingRanks([rest] { return rest->Ranks(); });
}

// Reasons of what has been looked at; where nothing starts any more, of all that is asked for.
void PoolWalk::FindWhys(End end, WaitingStandings::OfType& told) const {
  KeptBlocks::Whys& known_before = world_.blocks().WhysOf(type_);
  const bool stays = end == End::kNothingStarts && RanksCanWait() && draft_.plan.starts.empty();
  const bool as_known = stays && known_before.free_version == world_.free_version();
  const auto tell = [&](std::int64_t asks, const Request& request) {
    std::shared_ptr<const Reason> reason = NoRoomFor(request);
    if (reason == nullptr && as_known) reason = known_before.Of(asks, request.preference);
    const auto known = no_room_.lower_bound({request, {}});
    const bool looked_at = known != no_room_.end() && known->first.first == request;
    if (reason == nullptr && (looked_at || end == End::kNothingStarts)) {
      reason = std::make_shared<const Reason>(WhyNoRoomNow(request, {}, std::nullopt));
    }
    if (reason != nullptr) told.whys.push_back({asks, request.preference, std::move(reason)});
  };
  for (const auto& [spec, alike] : world_.asked(type_)) {
    const Request prefers = RequestOf(*spec, 0, 0, 1);
    if (prefers.preference) tell(alike.id, prefers);
    tell(alike.id, {spec.get(), spec->within, false});
  }
  std::sort(told.whys.begin(), told.whys.end(), [](const auto& a, const auto& b) {
    return std::pair(a.asks, a.preference) < std::pair(b.asks, b.preference);
  });
  if (stays) known_before = {world_.free_version(), told.whys};
}

// What kept those from dedicated nodes that were not come to.
void PoolWalk::TellOfDedicated(const WaitingStandings::OfType& told) {
  for (const auto& [row, apart] : draft_.waits_apart) {
    const quota::OrderJob* job = waiting_.Find(row);
    if (job == nullptr || told_.contains(row) || stopped_.contains(row)) continue;
    const std::vector<JobRef>& starts = starting_[job->project];
    if (std::binary_search(starts.begin(), starts.end(), row)) continue;
    const bool prefers = draft_.now_ms < job->prefers_until_ms;
    const std::shared_ptr<const Reason> why = told.WhyOf(job->asks, prefers);
    const quota::Candidate candidate{.job = job, .project = world_.tree().IndexOf(job->project)};
    Alikes alikes;
    if (why == nullptr || StopOfRow(*job, candidate.project, alikes) != nullptr) continue;
    const Held held = OfDedicated(candidate, {why, Held::Whose::kShapes});
    if (held.whose == Held::Whose::kTicks) told_[row] = held.reason;
  }
}

void PoolWalk::FindShares(WaitingStandings::OfType& told) const {
  const std::vector<MilliGpus>& set = world_.GuaranteesSet(type_);
  told.shares.reserve(set.size());
  for (const auto& [id, index] : world_.tree().by_id()) {
    const auto at = static_cast<std::size_t>(index);
    told.shares.push_back(
        {.project = id,
         .share_milli = std::max(guarantees_[at], entitled_[at].entitled_milli),
         .guarantee_now_milli = guarantees_[at] < set[at] ? guarantees_[at] : -1});
  }
}

void PoolWalk::FindLooked(WaitingStandings::OfType& told) const {
  told.looked.emplace();
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i].empty()) continue;
    (*told.looked)[world_.tree().id(static_cast<quota::AccountIndex>(i))] = seen_[i];
  }
}

// Those that hold as they are, the others made anew.
void PoolWalk::TakeBlocks(WaitingStandings::OfType& told) {
  KeptBlocks::OfType& kept = world_.blocks().Of(type_);
  std::set<AccountId> anew;
  const std::int64_t period = world_.usage(type_).decay().PeriodOf(draft_.now_ms);
  if (!kept.known || kept.period != period ||
      draft_.now_ms - kept.made_ms >= world_.config().places_keep_ms) {
    kept = {.known = true, .made_ms = draft_.now_ms, .period = period};
    for (const auto& [id, project] : waiting_.projects()) anew.insert(id);
  } else {
    anew = std::exchange(kept.touched, {});
    anew.insert(disturbed_.begin(), disturbed_.end());
    for (const auto& [id, measured] : kept.measured) {
      if (!anew.contains(id) && !Holds(id, measured)) anew.insert(id);
    }
  }
  std::size_t held = kept.blocks.size();
  for (const AccountId id : anew) {
    if (kept.blocks.Find(id) != nullptr) --held;
    MakeBlock(id, kept);
  }
  world_.blocks().Held(held);
  kept.touched = disturbed_;
  told.blocks = kept.blocks.Take();
  told.rows = kept.rows;
}

// Whether what stops its rows is as it was.
bool PoolWalk::Holds(AccountId id, const KeptBlocks::Measured& measured) {
  const quota::AccountIndex index = world_.tree().IndexOf(id);
  if (measured.stops != StopsOf(index, measured.by_class, true) ||
      measured.stops != StopsOf(index, measured.by_class, false)) {
    return false;
  }
  if (!world_.LimitsUsers() || draft_.plan.starts.empty()) return true;
  // What its user starts elsewhere may have stopped a row.
  for (const JobRef& row : seen_[static_cast<std::size_t>(index)]) {
    const auto stopped = stopped_.find(row);
    if (stopped != stopped_.end()) told_.try_emplace(row, stopped->second);
  }
  return true;
}

void PoolWalk::MakeBlock(AccountId id, KeptBlocks::OfType& kept) {
  const auto waiting = waiting_.projects().find(id);
  const quota::AccountIndex index = world_.tree().IndexOf(id);
  kept.measured.erase(id);
  const bool known = waiting != waiting_.projects().end() && index != quota::kNoAccount;
  if (!known || !world_.tree().children(index).empty()) return kept.Erase(id);
  const quota::WaitingJobs::Project& project = waiting->second;
  const bool by_class = project.stopped_by_class > 0;
  const bool limited = world_.HasLimits(index);
  const std::vector<JobRef>& starting = starting_[id];
  WaitingBlock::Stops stopped;
  if (limited || by_class) stopped = StopsOfRows(project, index, starting);
  auto rows = std::make_unique<const ProjectRows>(order_.OwnOrderOf(index));
  kept.Set(id, std::make_shared<const WaitingBlock>(std::move(rows), starting, std::move(stopped)));
  if (!limited && !by_class) return;
  KeptBlocks::Stops stops = StopsOf(index, by_class, true);
  if (stops != StopsOf(index, by_class, false)) disturbed_.insert(id);
  kept.measured[id] = {std::move(stops), by_class};
}

// Of those that do not start.
WaitingBlock::Stops PoolWalk::StopsOfRows(const quota::WaitingJobs::Project& project,
                                          quota::AccountIndex index,
                                          const std::vector<JobRef>& starting) {
  WaitingBlock::Stops stops;
  const bool limited = world_.HasLimits(index);
  Alikes alikes;
  for (const auto& [ref, entry] : project.jobs) {
    if (!limited && !entry.job.class_stops) continue;
    if (std::binary_search(starting.begin(), starting.end(), ref)) continue;
    if (auto stop = StopOfRow(entry.job, index, alikes)) stops.push_back({ref, std::move(stop)});
  }
  return stops;
}

// As it was found when it was looked at; else as it is now, which is the same for all jobs of a
// user, class and size where budgets have no say.
std::shared_ptr<const Reason> PoolWalk::StopOfRow(const quota::OrderJob& job,
                                                  quota::AccountIndex project, Alikes& alikes) {
  const auto stopped = stopped_.find(job.ref);
  if (stopped != stopped_.end()) return stopped->second;
  const std::vector<JobRef>& seen = seen_[static_cast<std::size_t>(project)];
  if (std::binary_search(seen.begin(), seen.end(), job.ref)) return nullptr;
  const Waiting& row = World::RowOf(job);
  const auto find = [&]() -> std::shared_ptr<const Reason> {
    const quota::Candidate candidate{.job = &job, .project = project};
    Reason stop = Stop(candidate, row, world_.CountOf(job));
    if (stop.code == ReasonCode::kNone) return nullptr;
    return std::make_shared<const Reason>(std::move(stop));
  };
  if (world_.DrawsOnBudgets(job.project)) return find();
  const auto [alike, is_new] =
      alikes.try_emplace({job.user, row.spec->job_class, job.counted_milli, job.scavenger});
  if (is_new) alike->second = find();
  return alike->second;
}

KeptBlocks::Stops PoolWalk::StopsOf(quota::AccountIndex project, bool by_class, bool before) const {
  KeptBlocks::Stops stops;
  if (!world_.HasLimits(project) && !by_class) return stops;
  const quota::AccountTree& tree = world_.tree();
  for (auto i = project; i != quota::kNoAccount; i = tree.parent(i)) {
    const auto at = static_cast<std::size_t>(i);
    const AccountSettings& settings = tree.account(i).settings;
    const Limits& limits = settings.account_limits;
    if (limits.running_milli || limits.jobs_running) {
      const auto& running = before ? world_.running() : draft_.running;
      const quota::RunningTable::Count runs = running.OfAccount(tree.id(i));
      stops.insert(stops.end(), {runs.counted_milli, runs.jobs});
    }
    if (by_class || tree.share(i, type_).borrow_max_milli) {
      const MilliGpus given = before ? given_[at] : 0;
      stops.insert(stops.end(), {allocated_[at] - given, guarantees_[at]});
    }
    // What is drawn on them depends on the time: their periods begin and end.
    if (!settings.budgets.empty()) stops.push_back(draft_.now_ms / kMinuteMs);
    for (const BudgetSpec& spec : settings.budgets) {
      const BudgetRef ref{tree.id(i), spec.name};
      const auto taken = draft_.taken.find(ref);
      const bool none = before || taken == draft_.taken.end();
      stops.push_back(world_.budgets().Of(ref).left - (none ? 0 : taken->second));
    }
  }
  return stops;
}

}  // namespace kezek::engine

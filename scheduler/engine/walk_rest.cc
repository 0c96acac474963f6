// How those stand that do not start: their places, in blocks that hold from tick to tick, and why.
#include <algorithm>
#include <utility>

#include "scheduler/engine/pool_walk.h"
#include "scheduler/engine/ranks.h"
#include "scheduler/engine/reserve.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {

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
  // Where nothing starts, and no attempts are ended for anybody, nothing is given: now is as
  // before.
  const bool gives = world_.LooksAhead() || !draft_.plan.starts.empty();
  if (measured.stops != StopsOf(index, measured.by_class, true) ||
      (gives && measured.stops != StopsOf(index, measured.by_class, false))) {
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
  const std::shared_ptr<const quota::OwnOrder> own = order_.OwnOrderOf(index);
  WaitingBlock::Stops stopped;
  if (limited || by_class) stopped = StopsOfRows(*own, index, starting);
  auto rows = std::make_unique<const ProjectRows>(own);
  kept.Set(id, std::make_shared<const WaitingBlock>(std::move(rows), starting, std::move(stopped)));
  if (!limited && !by_class) return;
  KeptBlocks::Stops stops = StopsOf(index, by_class, true);
  if (stops != StopsOf(index, by_class, false)) disturbed_.insert(id);
  kept.measured[id] = {std::move(stops), by_class};
}

// Of those that do not start. What is not looked at and has a size, a class and a user in common is
// stopped by the same.
WaitingBlock::Stops PoolWalk::StopsOfRows(const quota::OwnOrder& own, quota::AccountIndex index,
                                          const std::vector<JobRef>& starting) {
  WaitingBlock::Stops stops;
  const bool limited = world_.HasLimits(index);
  const bool one_by_one = !seen_[static_cast<std::size_t>(index)].empty() ||
                          world_.DrawsOnBudgets(world_.tree().id(index));
  Alikes alikes;
  const auto stop_of = [&](const quota::OrderJob& job) {
    return limited || job.class_stops ? StopOfRow(job, index, alikes) : nullptr;
  };
  const auto add_those = [&](const quota::WaitingJobs::Rows& rows,
                             const quota::WaitingJobs::Rows::Sized& sized) {
    const bool at_once = !one_by_one && sized.alike != nullptr;
    std::shared_ptr<const Reason> stop;
    if (at_once) stop = stop_of(*sized.alike);
    if (at_once && stop == nullptr) return;
    for (const std::uint32_t at : sized.at) {
      const quota::WaitingJobs::Row& row = rows.rows[at];
      if (std::binary_search(starting.begin(), starting.end(), row.ref)) continue;
      if (!at_once) stop = stop_of(*row.job);
      if (stop != nullptr) stops.push_back({row.ref, stop});
    }
  };
  for (const quota::OwnOrder::Group& group : own.groups()) {
    for (const auto& sized : group.rows->sizes) add_those(*group.rows, sized);
  }
  std::sort(stops.begin(), stops.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return stops;
}

// As it was found when it was looked at; else as it is now, which is the same for all jobs of a
// user (of all users, where no limit is one of users), class and size where budgets have no say.
std::shared_ptr<const Reason> PoolWalk::StopOfRow(const quota::OrderJob& job,
                                                  quota::AccountIndex project, Alikes& alikes) {
  const std::vector<JobRef>& seen = seen_[static_cast<std::size_t>(project)];
  if (std::binary_search(seen.begin(), seen.end(), job.ref)) {
    const auto stopped = stopped_.find(job.ref);
    return stopped == stopped_.end() ? nullptr : stopped->second;
  }
  const Waiting& row = World::RowOf(job);
  const auto find = [&]() -> std::shared_ptr<const Reason> {
    const quota::Candidate candidate{.job = &job, .project = project};
    Reason stop = Stop(candidate, row, World::CountOf(job, type_));
    if (stop.code == ReasonCode::kNone) return nullptr;
    return std::make_shared<const Reason>(std::move(stop));
  };
  if (world_.DrawsOnBudgets(job.project)) return find();
  const auto [alike, is_new] =
      alikes.try_emplace({world_.LimitsUsers() ? job.user : UserId{}, job.job_class,
                          job.counted_milli, job.scavenger});
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

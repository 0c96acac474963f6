// Whether a walk may end where it is: nothing that it has not come to starts, has attempts ended
// for it or is promised anything.
#include <algorithm>
#include <optional>
#include <utility>

#include "scheduler/engine/pool_walk.h"

namespace kezek::engine {

// Nothing that waits could start any more, whoever is next, nor is anybody to be ended or promised
// anything for it: what is left need not be walked through. Asked once after each start, and where
// ranks cannot wait, only once they are all told. Where it is so of all but scavengers, which may
// start across what is promised, those are walked to, once more of those that they pass would get
// no place.
bool PoolWalk::NothingStarts() {
  if (!key_.shared() || pool_ == nullptr || draft_.one_more_passes) return false;
  if (RanksCanWait()) return NothingFits();
  if (rank_ < world_.config().exact_ranks) return false;
  const std::size_t starts = draft_.plan.starts.size();
  const bool enough =
      agenda_ == nullptr || passed_outside_ >= world_.config().reservations || !MayPromise(false);
  if (asked_after_ == starts && (asked_with_enough_ || !enough)) return false;
  if (!order_.IsAtScavengers() && MayReclaim()) return false;
  asked_after_ = starts;
  asked_with_enough_ = enough;
  if (!order_.IsAtScavengers()) {
    if (MayStart(false)) return false;
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

// Whether there is room for any of these rows: of scavengers, for the one that is gone soonest,
// where there is reclaim at once. A shape that fits, and that others' promises leave no room, may
// do so if it pushes them aside.
bool PoolWalk::MayStart(const JobSpec& spec, const World::Alike& alike, bool scavengers) {
  const Request request{&spec, spec.within, false};
  if (!Fits(*pool_, request)) return false;
  if (agenda_ == nullptr) return true;
  if (scavengers) {
    const TimeMs end = draft_.now_ms + world_.StaysFor(alike.by_limit.begin()->first.first);
    const Stay soonest{world_.config().reclaim ? draft_.now_ms : end, end, world_.Named(spec)};
    return Fits(agenda_->RoomNow(soonest, {}), request);
  }
  if (MayStartBesidePromises(request, alike)) return true;
  if (!spec.reservation.empty()) return false;
  return std::any_of(alike.projects.begin(), alike.projects.end(), [&](const auto& rows) {
    const quota::AccountIndex project = world_.tree().IndexOf(rows.first);
    return project != quota::kNoAccount && IsInsideEverywhere(project);
  });
}

// Who is gone sooner has more room. A row that cannot start will not in this walk: what there is
// only becomes less.
bool PoolWalk::MayStartBesidePromises(const Request& request, const World::Alike& alike) {
  auto& row = left_of_.try_emplace(alike.id, alike.by_limit.begin()).first->second;
  std::optional<Agenda::Crossed> has_room;
  for (; row != alike.by_limit.end(); ++row) {
    const TimeMs end = draft_.now_ms + world_.StaysFor(row->first.first);
    const Stay stay{end, end, world_.Named(*request.spec)};
    const Agenda::Crossed crossed = agenda_->CrossedBy(stay);
    if (crossed != has_room && !Fits(agenda_->RoomNow(stay, {}), request)) return false;
    has_room = crossed;
    if (MayStartOn(agenda_->RoomNow(stay, {}), *row->second)) return true;
  }
  return false;
}

// Whether a row that is no scavenger is yet to be looked at, and may start on this: nothing but
// lack of room keeps it back.
bool PoolWalk::MayStartOn(const Pool& room, const Waiting& row) const {
  const quota::OrderJob* job = waiting_.Find(row.ref);
  const quota::AccountIndex project = world_.tree().IndexOf(row.spec->project);
  if (job == nullptr || project == quota::kNoAccount || job->scavenger) return false;
  const std::vector<JobRef>& seen = seen_[static_cast<std::size_t>(project)];
  const bool is_seen = std::find(seen.begin(), seen.end(), row.ref) != seen.end();
  if (is_seen && !claimed_.contains(row.ref)) return false;  // of what is claimed elements follow
  const auto started = std::count_if(draft_.plan.starts.begin(), draft_.plan.starts.end(),
                                     [&row](const Start& start) { return start.row == row.ref; });
  if (std::max<std::int64_t>(started, StartedBefore(row.ref)) >= job->count) return false;
  const MilliGpus kept = kept_.From(project);
  if (kept > 0 && free_milli_ - job->counted_milli < kept) return false;
  const Request request =
      RequestOf(*row.spec, row.queued_since_ms, draft_.now_ms, world_.config().topology_wait_ms);
  if (request.preference && !Fits(room, request)) return false;
  const quota::Candidate candidate{.job = job, .project = project};
  return Stop(candidate, row, World::CountOf(*job, type_)).code == ReasonCode::kNone;
}

// Whether a job of the project that counts so much is in the guarantee of an account on its path.
bool PoolWalk::IsInsideSomewhere(quota::AccountIndex project, MilliGpus counted_milli) const {
  for (auto i = project; i != quota::kRootIndex; i = world_.tree().parent(i)) {
    if (order_.Slack(i) >= counted_milli) return true;
  }
  return false;
}

// Whether its smallest job left is in the guarantee of each of them.
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
    return project != quota::kNoAccount && IsInsideSomewhere(project, order_.LeastLeft(project));
  });
}

}  // namespace kezek::engine

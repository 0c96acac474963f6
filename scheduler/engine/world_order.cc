// Which orders a waiting job is in: those of the pools that it may start in, unless settings bar
// it.

#include <algorithm>
#include <utility>

#include "quota/charge.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {
namespace {

// Saturating: a prediction only orders.
MilliGpuMs Predicted(MilliGpus counted_milli, DurationMs limit_ms) {
  return quota::Charge(counted_milli, limit_ms, 1000, 1000);
}

}  // namespace

// What an owner's nodes could hold is no more what it was, either.
void World::RefreshPools() {
  auto apart = PoolsApart(nodes_, owners_);
  order_stale_ |= !apart.empty() || !apart_.empty();
  apart_ = std::move(apart);
}

quota::OrderJob World::OrderOf(const Waiting& job) const {
  const JobSpec& spec = *job.spec;
  const ClassRules& rules = ClassOf(spec.job_class);
  quota::OrderJob order;
  order.ref = job.ref;
  order.waits = &job;
  order.project = spec.project;
  order.user = job.user;
  order.class_rank = rules.rank;
  order.scavenger = rules.scavenger || Scavenges(job);
  order.counted_milli = CountedOf(spec);
  order.expected_charge = ExpectedChargeOf(spec, order.counted_milli);
  DurationMs length = spec.time_limit_ms;
  if (IsShortest(spec.project)) {
    const auto known = lengths_.Predict(spec.project, job.user, spec.name, spec.shape);
    length = std::min(known.value_or(length), length);
    order.aged = job.queued_since_ms <= paces_.at(spec.project).aged_until;
  }
  order.predicted = Predicted(order.counted_milli, length);
  order.submitted_ms = job.submitted_ms;
  order.user_priority = spec.user_priority;
  order.count = StartableCount(job);
  order.class_stops = MayBeStoppedByClass(spec.job_class);
  // That of a job which is only asked about is the asker's.
  const auto named = classes_.find(spec.job_class);
  order.job_class = named == classes_.end() ? &spec.job_class : &*named;
  const Request now = RequestOf(spec, job.queued_since_ms, job.queued_since_ms, kMinuteMs);
  if (now.preference) order.prefers_until_ms = job.queued_since_ms + config_.topology_wait_ms;
  const auto of_type = asked_.find(spec.shape.gpu_type);
  if (of_type != asked_.end()) {
    const auto alike = of_type->second.find(job.spec);
    if (alike != of_type->second.end()) order.asks = alike->second.id;
  }
  return order;
}

quota::JobCount World::CountOf(const quota::OrderJob& job, const std::string& gpu_type) {
  return {job.project, job.user, *job.job_class, gpu_type, job.counted_milli, job.scavenger};
}

void World::Order(const Waiting& job) {
  if (StartableCount(job) == 0 || IsBarred(job.ref)) return;
  ++keyed_;
  blocks_.Touch(job.spec->project);
  classes_.insert(job.spec->job_class);
  const quota::OrderJob order = OrderOf(job);
  for (const PoolKey& key : PoolsFor(apart_, tree_, *job.spec)) {
    (key.shared() ? order_[key.gpu_type] : apart_order_[key]).Set(order);
  }
}

void World::Unorder(const Waiting& job) {
  blocks_.Touch(job.spec->project);
  const auto order = order_.find(job.spec->shape.gpu_type);
  if (order != order_.end()) order->second.Remove(job.ref);
  for (auto& [key, jobs] : apart_order_) jobs.Remove(job.ref);
}

// Whether nodes of an owner take it and could hold it, all of them empty and in service.
bool World::FitsApart(const JobSpec& spec) const {
  if (apart_.empty()) return false;
  const std::vector<PoolKey> pools = PoolsFor(apart_, tree_, spec);
  return std::any_of(pools.begin(), pools.end(), [&](const PoolKey& key) {
    return !key.shared() && WhyNeverFits(configured_, spec, key).code == ReasonCode::kNone;
  });
}

// True if it is barred now and was not, or the other way round.
bool World::Judge(const Waiting& job) {
  const auto bar = [&](bool apart) {
    return NeverFits(tree_, ClassOf(job.spec->job_class), *job.spec, CountedOf(*job.spec),
                     directory_->classifications, apart)
        .reason;
  };
  Reason reason = bar(false);
  if (reason.code != ReasonCode::kNone && FitsApart(*job.spec)) reason = bar(true);
  const bool none = reason.code == ReasonCode::kNone;
  const bool changes = IsBarred(job.ref) == none;
  if (none && changes) barred_.Erase(job.ref);
  if (!none) barred_.Set(job.ref, std::move(reason));
  if (changes) CountQueued(*job.spec, none ? 1 : -1);
  return changes;
}

void World::JudgeProject(AccountId project) {
  for (const auto& [queued_ms, ref] : waits_since_.at(project)) {
    const Waiting& job = waiting_.at(ref);
    if (!Judge(job)) continue;
    if (IsBarred(ref)) {
      Unorder(job);
    } else {
      Order(job);
    }
    Ask(job);
  }
}

void World::OrderProject(AccountId project) {
  for (const auto& [queued_ms, ref] : waits_since_.at(project)) {
    const Waiting& job = waiting_.at(ref);
    Unorder(job);
    Judge(job);
    Order(job);
    Ask(job);
  }
}

// Puts anew the jobs about which something was learned, and those that have come of age, or no
// longer are (an end is known late).
void World::RefreshShortest(AccountId project) {
  Pace& pace = paces_.at(project);
  std::optional<TimeMs> running_since;
  const auto runs = runs_since_.find(project);
  if (runs != runs_since_.end()) running_since = *runs->second.begin();
  const TimeMs before = std::exchange(
      pace.aged_until,
      pace.clock.RanSince(config_.age_max_ms, now_ms_, running_since).value_or(kNobody));
  const std::set<UserId> learned = std::exchange(pace.learned, {});
  const bool stale = std::exchange(pace.stale, false);
  const auto waits = waits_since_.find(project);
  if (waits == waits_since_.end()) return;
  if (stale || !learned.empty()) {
    for (const auto& [queued_ms, ref] : waits->second) {
      const Waiting& job = waiting_.at(ref);
      if (stale || learned.contains(job.user)) Order(job);
    }
  }
  const auto [low, high] = std::minmax(before, pace.aged_until);
  for (auto it = waits->second.lower_bound({low + 1, {}});
       it != waits->second.end() && it->first <= high; ++it) {
    Order(waiting_.at(it->second));
  }
}

void World::OrderAll() {
  blocks_.TouchAll();
  order_.clear();
  apart_order_.clear();
  for (const auto& [ref, job] : waiting_) {
    Judge(job);
    Order(job);
  }
  order_stale_ = false;
}

}  // namespace kezek::engine

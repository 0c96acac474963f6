// What waits, by what it asks for.

#include <utility>

#include "scheduler/engine/placement.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

bool World::SameNodes::operator()(const std::shared_ptr<const JobSpec>& a,
                                  const std::shared_ptr<const JobSpec>& b) const {
  const auto order = Request{a.get(), a->within, false} <=> Request{b.get(), b->within, false};
  return order != 0 ? order < 0 : a->prefer < b->prefer;
}

void World::Unask(const Waiting& job) {
  const auto of_type = asked_.find(job.spec->shape.gpu_type);
  const auto alike = of_type->second.find(job.spec);
  const auto rows = alike->second.projects.find(job.spec->project);
  alike->second.by_limit.erase({job.spec->time_limit_ms, job.ref});
  if (--rows->second == 0) alike->second.projects.erase(rows);
  if (alike->second.projects.empty()) of_type->second.erase(alike);
}

const World::Asked& World::asked(const std::string& gpu_type) const {
  const auto found = asked_.find(gpu_type);
  return found == asked_.end() ? nothing_asked_ : found->second;
}

const World::Since& World::rows_of(AccountId project) const {
  const auto found = waits_since_.find(project);
  return found == waits_since_.end() ? nothing_waits_ : found->second;
}

std::int64_t World::WaitingOf(const std::string& job_class) const {
  const auto found = waits_in_.find(job_class);
  return found == waits_in_.end() ? 0 : found->second;
}

void World::CountQueued(const JobSpec& spec, std::int64_t rows) {
  auto& of_type = queued_[spec.shape.gpu_type];
  std::int64_t& count = of_type[spec.project];
  count += rows;
  if (count == 0) of_type.erase(spec.project);
}

// Not what a lane alone takes, nor what the shared nodes could not hold if they were empty and all
// of them in service.
bool World::IsForShared(const JobSpec& spec) {
  const PoolKey shared{spec.shape.gpu_type, {}, {}};
  if (!apart_.empty() && PoolsFor(apart_, tree_, spec).back() != shared) return false;
  return WhyNeverFits(configured_, spec, shared).code == ReasonCode::kNone;
}

void World::Ask(const Waiting& job) {
  if (asks_stale_) return;
  demand_.Remove(job.ref);
  const JobSpec& spec = *job.spec;
  const std::int64_t jobs = StartableCount(job) + job.more;
  const quota::AccountIndex project = tree_.IndexOf(spec.project);
  if (jobs == 0 || project == quota::kNoAccount || IsBarred(job.ref)) return;
  quota::JobCount count = CountOf(job);
  if (count.scavenger) return;
  std::optional<bool>& shared = asked_.at(spec.shape.gpu_type).at(job.spec).shared;
  if (!shared || !apart_.empty()) shared = IsForShared(spec);
  if (!*shared) return;
  Demand::Ask ask{.count = std::move(count),
                  .jobs = jobs,
                  .may_be_stopped = MayBeStopped(project, spec.job_class),
                  .group = {},
                  .row = &job};
  if (!MayBeStoppedByClass(spec.job_class))
    ask.group = limited_by_[static_cast<std::size_t>(project)];
  demand_.Set(job.ref, ask);
}

void World::AskAll() {
  asks_stale_ = false;
  demand_.Clear();
  for (auto& [type, asked] : asked_) {
    for (auto& [spec, alike] : asked) alike.shared.reset();
  }
  for (const auto& [ref, job] : waiting_) Ask(job);
}

// Other limits stop what is in a group, and other accounts make groups.
void World::AskWhereLimitsMoved(const quota::AccountTree& before,
                                const std::vector<AccountId>& limited_by) {
  demand_.Touch({});
  if (order_stale_ || asks_stale_) return;
  for (const auto& [project, rows] : waits_since_) {
    const quota::AccountIndex then = before.IndexOf(project);
    const quota::AccountIndex now = tree_.IndexOf(project);
    if (then != quota::kNoAccount && now != quota::kNoAccount &&
        limited_by[static_cast<std::size_t>(then)] == limited_by_[static_cast<std::size_t>(now)]) {
      continue;
    }
    for (const auto& [queued_ms, ref] : rows) Ask(waiting_.at(ref));
  }
}

// Something began or ended to hold resources.
void World::TouchDemand(AccountId project) {
  const quota::AccountIndex index = tree_.IndexOf(project);
  if (index == quota::kNoAccount) return;
  const AccountId group = limited_by_[static_cast<std::size_t>(index)];
  if (group) demand_.Touch(group);
}

}  // namespace kezek::engine

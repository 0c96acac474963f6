#include "quota/waiting_jobs.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "kezek/check.h"

namespace kezek::quota {
namespace {

WaitingJobs::Place RulePlace(ProjectRule rule, const OrderJob& job) {
  const bool by_length = rule == ProjectRule::kShortest && !job.aged;
  return {.by_length = by_length,
          .predicted = by_length ? job.predicted : 0,
          .submitted_ms = job.submitted_ms,
          .ref = job.ref};
}

void Count(std::map<MilliGpus, std::int64_t>* sizes, MilliGpus size, std::int64_t change) {
  const auto found = sizes->try_emplace(size, 0).first;
  found->second += change;
  if (found->second == 0) sizes->erase(found);
}

WaitingJobs::Head HeadOf(AccountId id, const WaitingJobs::Project& project) {
  const auto least = [](const auto& sizes) {
    return sizes.empty() ? std::nullopt : std::optional(sizes.begin()->first);
  };
  return {id, &project, least(project.scavenger_sizes), least(project.sizes)};
}

}  // namespace

std::shared_ptr<const WaitingJobs::Rows> WaitingJobs::Group::rows() const {
  if (rows_ != nullptr) return rows_;
  Rows all;
  std::size_t jobs = 0;
  for (const auto& [size, run] : runs) jobs += run.size();
  all.rows.reserve(jobs);
  for (const auto& [size, run] : runs) {
    for (const auto& [place, job] : run) {
      all.rows.push_back({.job = job,
                          .ref = job->ref,
                          .place = place,
                          .counted_milli = job->counted_milli,
                          .expected_charge = job->expected_charge,
                          .asks = job->asks,
                          .prefers_until_ms = job->prefers_until_ms,
                          .count = job->count});
    }
    const OrderJob* alike = run.begin()->second;
    for (const auto& [place, job] : run) {
      const bool same = alike != nullptr && alike->job_class == job->job_class &&
                        alike->class_stops == job->class_stops;
      if (!same) alike = nullptr;
    }
    all.sizes.push_back({size, {}, alike});
    all.sizes.back().at.reserve(run.size());
  }
  std::sort(all.rows.begin(), all.rows.end(),
            [](const Row& a, const Row& b) { return a.place < b.place; });
  for (std::size_t i = 0; i < all.rows.size(); ++i) {
    const auto sized = std::lower_bound(
        all.sizes.begin(), all.sizes.end(), all.rows[i].counted_milli,
        [](const Rows::Sized& one, MilliGpus size) { return one.counted_milli < size; });
    sized->at.push_back(static_cast<std::uint32_t>(i));
  }
  rows_ = std::make_shared<const Rows>(std::move(all));
  return rows_;
}

const UsageSum& WaitingJobs::Group::UsageIn(const UsageBook& book, AccountId project,
                                            UserId user) const {
  static const UsageSum kNone;
  const bool known = book_ == &book && (usage_ != &kNone || users_ == book.users().size());
  if (known) return *usage_;
  const auto found = book.users().find({project, user});
  usage_ = found == book.users().end() ? &kNone : &found->second;
  book_ = &book;
  users_ = book.users().size();
  return *usage_;
}

WaitingJobs::GroupKey WaitingJobs::KeyOf(const OrderJob& job) {
  return {.scavenger = job.scavenger, .class_rank = job.class_rank, .user = job.user};
}

void WaitingJobs::MarkStale(AccountId project, const GroupKey& key, Group* group) {
  group->stale = true;
  stale_.insert({project, key});
}

void WaitingJobs::FindFirst(Group* group) {
  bool any = false;
  for (const auto& [size, run] : group->runs) {
    if (!any || run.begin()->first < group->first) group->first = run.begin()->first;
    any = true;
  }
}

void WaitingJobs::Set(const OrderJob& job) {
  KEZEK_CHECK(job.count >= 1 && job.counted_milli >= 0, "a waiting job without jobs or size");
  Remove(job.ref);
  arranged_ = false;
  const auto [project_at, is_new] = projects_.try_emplace(job.project);
  if (is_new) {
    unsettled_.insert(job.project);
    heads_known_ = false;
  }
  Project& project = project_at->second;
  Change(job.project, &project);
  Entry& entry = project.jobs.emplace(job.ref, Entry{job, {}}).first->second;
  project_of_.emplace(job.ref, job.project);
  Count(job.scavenger ? &project.scavenger_sizes : &project.sizes, job.counted_milli, 1);
  const GroupKey key = KeyOf(job);
  if (job.class_stops) ++project.stopped_by_class;
  Group& group = project.groups[key];
  group.rows_ = nullptr;
  ++group.priorities[job.user_priority];
  if (group.mixed() && !group.stale) MarkStale(job.project, key, &group);
  if (group.stale) {
    group.unplaced.insert(job.ref);
    return;
  }
  entry.place = RulePlace(project.rule, job);
  if (group.runs.empty() || entry.place < group.first) group.first = entry.place;
  group.runs[job.counted_milli].emplace(entry.place, &entry.job);
}

void WaitingJobs::Remove(const JobRef& ref) {
  const auto found = project_of_.find(ref);
  if (found == project_of_.end()) return;
  arranged_ = false;
  Project& project = projects_.at(found->second);
  Change(found->second, &project);
  const Entry& entry = project.jobs.at(ref);
  const OrderJob& job = entry.job;
  Count(job.scavenger ? &project.scavenger_sizes : &project.sizes, job.counted_milli, -1);
  const GroupKey key = KeyOf(job);
  if (job.class_stops) --project.stopped_by_class;
  Group& group = project.groups.at(key);
  group.rows_ = nullptr;
  if (group.mixed() && !group.stale) MarkStale(found->second, key, &group);
  if (group.unplaced.erase(ref) == 0) {
    const auto run = group.runs.find(job.counted_milli);
    run->second.erase(entry.place);
    if (run->second.empty()) group.runs.erase(run);
    if (entry.place == group.first) FindFirst(&group);
  }
  const auto priority = group.priorities.find(job.user_priority);
  if (--priority->second == 0) group.priorities.erase(priority);
  if (group.priorities.empty()) {
    stale_.erase({found->second, key});
    project.groups.erase(key);
  }
  project.jobs.erase(ref);
  if (project.jobs.empty()) unsettled_.insert(found->second);
  project_of_.erase(found);
}

const OrderJob* WaitingJobs::Find(const JobRef& ref) const {
  const auto found = project_of_.find(ref);
  return found == project_of_.end() ? nullptr : &projects_.at(found->second).jobs.at(ref).job;
}

// The places are those of the rule; the jobs stand in them by their user's priorities.
void WaitingJobs::PlaceAll(Project* project, Group* group) {
  std::vector<Entry*> entries;
  for (const auto& [size, run] : group->runs) {
    for (const auto& [place, job] : run) entries.push_back(&project->jobs.at(job->ref));
  }
  for (const JobRef& ref : group->unplaced) entries.push_back(&project->jobs.at(ref));
  std::vector<Place> places;
  places.reserve(entries.size());
  for (Entry* entry : entries) {
    entry->place = RulePlace(project->rule, entry->job);
    places.push_back(entry->place);
  }
  std::sort(places.begin(), places.end());
  std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
    if (a->job.user_priority != b->job.user_priority) {
      return a->job.user_priority > b->job.user_priority;
    }
    return a->place < b->place;
  });
  group->rows_ = nullptr;
  group->runs.clear();
  group->unplaced.clear();
  group->stale = false;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i]->place = places[i];
    group->runs[entries[i]->job.counted_milli].emplace(places[i], &entries[i]->job);
  }
  FindFirst(group);
}

// By its rule; away, if it has no job left.
void WaitingJobs::Settle(AccountId id, const AccountTree& tree) {
  const auto found = projects_.find(id);
  Project& project = found->second;
  if (project.jobs.empty()) {
    projects_.erase(found);
    heads_known_ = false;
    return;
  }
  const AccountIndex index = tree.IndexOf(id);
  if (index == kNoAccount || tree.account(index).settings.rule == project.rule) return;
  project.rule = tree.account(index).settings.rule;
  for (auto& [key, group] : project.groups) MarkStale(id, key, &group);
}

void WaitingJobs::Change(AccountId id, Project* project) {
  if (!std::exchange(project->changed_, true)) changed_.push_back(id);
}

// All, if projects have come or gone; else those that have changed.
void WaitingJobs::FindHeads() {
  if (!heads_known_) {
    heads_.clear();
    for (auto& [id, project] : projects_) {
      project.changed_ = false;
      heads_.push_back(HeadOf(id, project));
    }
  }
  for (const AccountId id : std::exchange(changed_, {})) {
    if (!heads_known_) break;
    const auto head = std::lower_bound(heads_.begin(), heads_.end(), id,
                                       [](const Head& a, AccountId b) { return a.id < b; });
    Project& project = projects_.at(id);
    project.changed_ = false;
    *head = HeadOf(id, project);
  }
  heads_known_ = true;
}

void WaitingJobs::Arrange(const AccountTree& tree) {
  for (const auto& [id, project] : projects_) unsettled_.insert(id);
  ArrangeChanged(tree);
}

void WaitingJobs::ArrangeChanged(const AccountTree& tree) {
  for (const AccountId id : std::exchange(unsettled_, {})) Settle(id, tree);
  for (const auto& [id, key] : stale_) {
    Project& project = projects_.at(id);
    PlaceAll(&project, &project.groups.at(key));
  }
  stale_.clear();
  FindHeads();
  arranged_ = true;
}

}  // namespace kezek::quota

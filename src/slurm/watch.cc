#include "slurm/watch.h"

#include <algorithm>
#include <set>
#include <utility>

namespace kezek::slurm {
namespace {

constexpr DurationMs kReadEveryMost = 1000;
constexpr DurationMs kOverdueAfter = 1000;
constexpr DurationMs kToldAgainAfter = 30 * kSecondMs;
constexpr DurationMs kUrgentEveryMost = 10 * kSecondMs;  // of a suspended job the GPUs tell nothing

// What Slurm tells only while the job runs.
void CarryGrants(const ClusterJob& before, ClusterJob* now) {
  if (before.restarts != now->restarts) return;
  if (now->state == ClusterJobState::kCompleting) now->granted = before.granted;
  for (auto& grant : now->granted) {
    if (!grant.gpu_indices.empty()) continue;
    for (const auto& known : before.granted) {
      if (known.node == grant.node) grant = known;
    }
  }
}

// A copy of the database that is lost gave the same number, and Slurm had the id before: a record
// of that run, or of one that was over before it began, bears the same name.
bool RanBefore(const Followed& known, const ClusterJob& run) {
  constexpr DurationMs kClocksApart = 10 * kSecondMs;
  if (run.start_ms != 0 && run.start_ms == known.start_ms) return false;
  const TimeMs seen_ms = run.start_ms != 0 ? run.start_ms : run.end_ms;
  return seen_ms != 0 && known.planned_ms != 0 && seen_ms + kClocksApart < known.planned_ms;
}

// Whether it bears the attempt's own name, rather than is taken for it by its times.
bool BearsItsName(const Followed& known, const LiveJob& record) {
  return record.job.attempt == known.attempt;
}

}  // namespace

bool IsIt(const Followed& known, const ClusterJob& seen) {
  const bool others = !known.unix_account.empty() && !seen.unix_account.empty() &&
                      seen.unix_account != known.unix_account;
  return (seen.attempt == known.attempt && !others) || IsStill(known, seen);
}

Watch::Watch(std::string tag_prefix) : tag_prefix_(std::move(tag_prefix)) {}

void Watch::Follow(std::vector<Followed> jobs) {
  std::map<AttemptRef, Entry> next;
  by_id_.clear();
  for (auto& job : jobs) {
    if (job.cluster_job_id == 0) continue;
    const AttemptRef attempt = job.attempt;
    const auto known = followed_.find(attempt);
    Entry entry{.job = std::move(job)};
    by_id_.emplace(entry.job.cluster_job_id, attempt);
    if (known != followed_.end() && known->second.job.cluster_job_id == entry.job.cluster_job_id) {
      Followed job_now = std::move(entry.job);
      entry = std::move(known->second);
      entry.job = std::move(job_now);
    } else {
      entry.is_new = listing_;
      const auto due = expected_.find(entry.job.cluster_job_id);
      if (due != expected_.end()) entry.next_read = due->second.first_read;
    }
    next.insert_or_assign(attempt, std::move(entry));
  }
  followed_ = std::move(next);
}

const Watch::Entry* Watch::Find(const ClusterJob& seen) const {
  const auto [first, last] = by_id_.equal_range(seen.id);
  const Entry* found = nullptr;
  for (auto it = first; it != last; ++it) {
    const Entry& entry = followed_.at(it->second);
    if (entry.job.attempt == seen.attempt) return &entry;
    if (IsIt(entry.job, seen)) found = &entry;
  }
  return found;
}

void Watch::Expect(std::int64_t id, TimeMs now, TimeMs until, std::string node) {
  std::erase_if(expected_, [now](const auto& entry) { return entry.second.until <= now; });
  expected_[id] = {now + kReadEvery, until, std::move(node)};
  const auto [first, last] = by_id_.equal_range(id);
  for (auto it = first; it != last; ++it) {
    Entry& entry = followed_.at(it->second);
    entry.read_every = kReadEvery;
    entry.next_read = now + kReadEvery;
  }
}

bool Watch::IsHot(const Entry& entry, TimeMs now) const {
  if (entry.reported && HasEnded(entry.reported->state)) return false;
  const auto due = expected_.find(entry.job.cluster_job_id);
  if (entry.hinted || (due != expected_.end() && now < due->second.until)) return true;
  return entry.reported ? entry.reported->state != ClusterJobState::kRunning : !entry.job.running;
}

std::vector<Watch::HotJob> Watch::Hot(TimeMs now, std::size_t most) const {
  std::vector<HotJob> hot;
  for (const bool urgent : {true, false}) {
    for (const auto& [attempt, entry] : followed_) {
      if (hot.size() == most) return hot;
      if (IsUrgent(entry) != urgent || !IsHot(entry, now)) continue;
      if (entry.next_read <= now) hot.push_back({entry.job, urgent});
    }
  }
  return hot;
}

std::vector<Followed> Watch::Overdue(TimeMs now, std::size_t most) const {
  std::vector<const Entry*> overdue;
  for (const auto& [attempt, entry] : followed_) {
    const bool late = entry.next_read != 0 && entry.next_read + kOverdueAfter <= now;
    if (late && IsHot(entry, now)) overdue.push_back(&entry);
  }
  const auto sooner = [](const Entry* a, const Entry* b) { return a->next_read < b->next_read; };
  std::stable_sort(overdue.begin(), overdue.end(), sooner);
  overdue.resize(std::min(overdue.size(), most));
  std::vector<Followed> jobs;
  for (const Entry* entry : overdue) jobs.push_back(entry->job);
  return jobs;
}

bool Watch::IsUrgent(const Entry& entry) {
  const bool completes = entry.reported && entry.reported->state == ClusterJobState::kCompleting;
  return entry.hinted || completes;
}

std::optional<TimeMs> Watch::NextHot(TimeMs now) const {
  std::optional<TimeMs> next;
  for (const auto& [attempt, entry] : followed_) {
    if (!IsHot(entry, now)) continue;
    next = std::min(next.value_or(entry.next_read), entry.next_read);
  }
  return next;
}

void Watch::WasRead(const AttemptRef& attempt, TimeMs now) {
  const auto found = followed_.find(attempt);
  if (found == followed_.end()) return;
  Entry& entry = found->second;
  const DurationMs most = IsUrgent(entry) ? kUrgentEveryMost : kReadEveryMost;
  entry.hinted = false;
  entry.next_read = now + entry.read_every;
  entry.read_every = std::min(entry.read_every * 3 / 2, most);
}

std::optional<ClusterJob> Watch::Take(const LiveJob& live) {
  Entry* found = Find(live.job);
  if (found == nullptr) return std::nullopt;
  found->was_read = true;
  return Update(found, live);
}

std::optional<ClusterJob> Watch::Update(Entry* entry, const LiveJob& live) {
  ClusterJob job = live.job;
  job.attempt = entry->job.attempt;  // whatever its owner has named it since
  auto& reported = entry->reported;
  if (reported) CarryGrants(*reported, &job);
  if (reported && *reported == job) return std::nullopt;
  const bool waited = !reported || reported->state == ClusterJobState::kPending;
  // What was expected of a job that waited was its start.
  if (waited && job.state == ClusterJobState::kRunning && !entry->job.running) {
    expected_.erase(job.id);
  }
  reported = job;
  entry->hinted = entry->is_odd = false;
  entry->read_every = kReadEvery;
  if (HasEnded(job.state)) {
    expected_.erase(job.id);
    over_.insert(job.id);
    over_since_.insert(job.id);
  }
  return job;
}

void Watch::AddFirstRun(const std::vector<LiveJob>& records, ClusterJob* job) const {
  const Followed* followed = Known(job->attempt);
  if (followed == nullptr) return;
  for (const LiveJob& record : records) {
    const ClusterJob& run = record.job;
    if (run.id != job->id || run.start_ms == 0 || run.end_ms == 0) continue;
    if (RanBefore(*followed, run) || !IsIt(*followed, run)) continue;
    // Never seen running: the first that there was.
    const bool that_run = followed->start_ms == 0
                              ? job->run_start_ms == 0 || run.start_ms < job->run_start_ms
                              : run.start_ms == followed->start_ms;
    if (!that_run) continue;
    job->run_start_ms = run.start_ms;
    job->run_end_ms = run.end_ms;
    job->node_failed = run.state == ClusterJobState::kNodeFailed;
  }
}

const Followed* Watch::Known(const AttemptRef& attempt) const {
  const auto found = followed_.find(attempt);
  return found == followed_.end() ? nullptr : &found->second.job;
}

std::optional<LiveJob> Watch::EndIn(const std::vector<LiveJob>& records,
                                    const Followed& job) const {
  std::optional<LiveJob> end;
  for (const auto& record : records) {
    if (record.job.id != job.cluster_job_id || !HasEnded(record.job.state)) continue;
    if (RanBefore(job, record.job) || !IsIt(job, record.job)) continue;
    if (!job.unix_account.empty() && record.job.unix_account != job.unix_account) continue;
    if (job.start_ms != 0 && record.job.start_ms == job.start_ms) return record;
    if (!end || (BearsItsName(job, record) && !BearsItsName(job, *end))) end = record;
  }
  if (!end) return end;
  // Of a later run, which may never have begun.
  ClusterJob later = end->job;
  later.attempt = job.attempt;
  AddFirstRun(records, &later);
  const bool taken_back = later.run_end_ms != 0 && later.run_start_ms != later.start_ms;
  if (taken_back || (job.start_ms != 0 && later.start_ms > job.start_ms)) {
    end->job = std::move(later);
    end->job.restarts = std::max(end->job.restarts, 1);
    return end;
  }
  if (end->job.start_ms < job.start_ms) {
    end->job.start_ms = job.start_ms;
    end->job.end_ms = std::max(end->job.end_ms, job.start_ms);
  }
  return end;
}

std::optional<ClusterJob> Watch::Reported(const AttemptRef& attempt) const {
  const auto found = followed_.find(attempt);
  return found == followed_.end() ? std::nullopt : found->second.reported;
}

void Watch::BeginListing() {
  listing_ = true;
  over_since_.clear();
  for (auto& [attempt, entry] : followed_) entry.is_new = entry.was_read = false;
}

void Watch::EndListing() { listing_ = false; }

Watch::Changes Watch::TakeListing(const std::vector<LiveJob>& listing, TimeMs now) {
  Changes changes;
  over_ = listing_ ? std::move(over_since_) : std::set<std::int64_t>();
  over_since_.clear();
  std::set<AttemptRef> seen;
  for (const auto& live : listing) {
    Entry* found = Find(live.job);
    if (found == nullptr) continue;
    seen.insert(found->job.attempt);
    if (listing_ && found->was_read) continue;
    auto job = Update(found, live);
    const bool alive = found->reported->state == ClusterJobState::kRunning;
    if (!job && alive && now >= found->told_ms + kToldAgainAfter) job = found->reported;
    if (!job) continue;
    found->told_ms = now;
    changes.observed.push_back(*std::move(job));
  }
  for (const auto& [attempt, entry] : followed_) {
    const bool over = entry.reported && HasEnded(entry.reported->state);
    const bool later = listing_ && (entry.is_new || entry.was_read);
    if (!over && !later && !seen.contains(attempt)) changes.missing.push_back(entry.job);
  }
  listing_ = false;
  return changes;
}

std::vector<ClusterJob> Watch::OurJobs(const std::vector<LiveJob>& listing) const {
  std::vector<ClusterJob> ours;
  for (const auto& live : listing) {
    if (const Entry* found = Find(live.job)) {
      ours.push_back(found->was_read && found->reported ? *found->reported : live.job);
      ours.back().attempt = found->job.attempt;
      continue;
    }
    if (over_.contains(live.job.id)) continue;
    const bool tagged = !tag_prefix_.empty() && live.job.tag.starts_with(tag_prefix_);
    if (live.job.attempt.number != 0 || tagged) ours.push_back(live.job);
  }
  return ours;
}

std::vector<Node> Watch::WithForeignUse(std::vector<Node> nodes,
                                        const std::vector<LiveJob>& listing) const {
  std::map<std::string, std::map<std::string, NodeUse>> foreign;  // by node, by GPU type
  for (const auto& live : listing) {
    const bool ours = Find(live.job) != nullptr;
    if (ours || over_.contains(live.job.id)) continue;
    for (const auto& use : live.uses) {
      NodeUse& sum = foreign[use.node][use.gpu_type];
      sum.gpus += use.gpus;
      sum.cpus += use.cpus;
      sum.memory_mib += use.memory_mib;
    }
  }
  for (auto& node : nodes) {
    const auto uses = foreign.find(node.name);
    if (uses == foreign.end()) continue;
    for (const auto& [type, use] : uses->second) {
      const auto more = std::find_if(node.more_gpus.begin(), node.more_gpus.end(),
                                     [&type](const HostGpus& one) { return one.gpu_type == type; });
      const auto add = [&use](auto& to) {
        to.foreign_gpus += use.gpus;
        to.foreign_cpus += use.cpus;
        to.foreign_memory_mib += use.memory_mib;
      };
      more == node.more_gpus.end() ? add(node) : add(*more);
    }
  }
  return nodes;
}

}  // namespace kezek::slurm

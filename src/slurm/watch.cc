#include "slurm/watch.h"

#include <algorithm>
#include <set>
#include <utility>

namespace kezek::slurm {
namespace {

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

bool IsIt(const Followed& known, const ClusterJob& seen) {
  return seen.attempt == known.attempt || IsStill(known, seen);
}

}  // namespace

Watch::Watch(std::string tag_prefix) : tag_prefix_(std::move(tag_prefix)) {}

void Watch::Follow(std::vector<Followed> jobs) {
  std::map<AttemptRef, Entry> next;
  by_id_.clear();
  for (auto& job : jobs) {
    if (job.cluster_job_id == 0) continue;
    const AttemptRef attempt = job.attempt;
    const auto known = followed_.find(attempt);
    Entry entry{std::move(job), std::nullopt};
    by_id_.emplace(entry.job.cluster_job_id, attempt);
    if (known != followed_.end() && known->second.job.cluster_job_id == entry.job.cluster_job_id) {
      entry.reported = std::move(known->second.reported);
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

void Watch::Expect(std::int64_t id, TimeMs until) { expected_[id] = until; }

std::vector<Followed> Watch::Hot(TimeMs now, std::size_t most) const {
  std::vector<Followed> hot;
  for (const auto& [attempt, entry] : followed_) {
    if (hot.size() == most) break;
    if (entry.reported && HasEnded(entry.reported->state)) continue;
    const auto due = expected_.find(entry.job.cluster_job_id);
    const bool expected = due != expected_.end() && now < due->second;
    const bool running =
        entry.reported ? entry.reported->state == ClusterJobState::kRunning : entry.job.running;
    if (expected || !running) hot.push_back(entry.job);
  }
  return hot;
}

std::optional<ClusterJob> Watch::Take(const LiveJob& live) {
  Entry* found = Find(live.job);
  if (found == nullptr) return std::nullopt;
  ClusterJob job = live.job;
  job.attempt = found->job.attempt;  // whatever its owner has named it since
  auto& reported = found->reported;
  if (reported) CarryGrants(*reported, &job);
  if (reported && *reported == job) return std::nullopt;
  reported = job;
  if (HasEnded(job.state)) {
    expected_.erase(job.id);
    over_.insert(job.id);
  }
  return job;
}

void Watch::AddFirstRun(const std::vector<LiveJob>& records, ClusterJob* job) const {
  const Followed* followed = Known(job->attempt);
  if (followed == nullptr) return;
  for (const LiveJob& record : records) {
    const ClusterJob& run = record.job;
    if (run.id != job->id || run.start_ms == 0 || run.end_ms == 0) continue;
    if (run.attempt != job->attempt && !IsStill(*followed, run)) continue;
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
    if (record.job.attempt != job.attempt && !IsStill(job, record.job)) continue;
    if (!job.unix_account.empty() && record.job.unix_account != job.unix_account) continue;
    if (job.start_ms != 0 && record.job.start_ms == job.start_ms) return record;
    if (!end) end = record;
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

Watch::Changes Watch::TakeListing(const std::vector<LiveJob>& listing) {
  Changes changes;
  over_.clear();
  std::set<AttemptRef> seen;
  for (const auto& live : listing) {
    const Entry* found = Find(live.job);
    if (found == nullptr) continue;
    seen.insert(found->job.attempt);
    if (auto job = Take(live)) changes.observed.push_back(*std::move(job));
  }
  for (const auto& [attempt, entry] : followed_) {
    const bool over = entry.reported && HasEnded(entry.reported->state);
    if (!over && !seen.contains(attempt)) changes.missing.push_back(entry.job);
  }
  return changes;
}

std::vector<ClusterJob> Watch::OurJobs(const std::vector<LiveJob>& listing) const {
  std::vector<ClusterJob> ours;
  for (const auto& live : listing) {
    if (const Entry* found = Find(live.job)) {
      ours.push_back(live.job);
      ours.back().attempt = found->job.attempt;
      continue;
    }
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

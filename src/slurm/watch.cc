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
  std::map<std::int64_t, Entry> next;
  for (auto& job : jobs) {
    if (job.cluster_job_id == 0) continue;
    const auto id = job.cluster_job_id;
    const auto known = followed_.find(id);
    Entry entry{std::move(job), std::nullopt};
    if (known != followed_.end() && known->second.job.attempt == entry.job.attempt) {
      entry.reported = std::move(known->second.reported);
    }
    next.insert_or_assign(id, std::move(entry));
  }
  followed_ = std::move(next);
}

void Watch::Expect(std::int64_t id, TimeMs until) { expected_[id] = until; }

std::vector<Followed> Watch::Hot(TimeMs now, std::size_t most) const {
  std::vector<Followed> hot;
  for (const auto& [id, entry] : followed_) {
    if (hot.size() == most) break;
    if (entry.reported && HasEnded(entry.reported->state)) continue;
    const auto due = expected_.find(id);
    const bool expected = due != expected_.end() && now < due->second;
    const bool running =
        entry.reported ? entry.reported->state == ClusterJobState::kRunning : entry.job.running;
    if (expected || !running) hot.push_back(entry.job);
  }
  return hot;
}

std::optional<ClusterJob> Watch::Take(const LiveJob& live) {
  const auto found = followed_.find(live.job.id);
  if (found == followed_.end() || !IsIt(found->second.job, live.job)) return std::nullopt;
  ClusterJob job = live.job;
  job.attempt = found->second.job.attempt;  // whatever its owner has named it since
  auto& reported = found->second.reported;
  if (reported) CarryGrants(*reported, &job);
  if (reported && *reported == job) return std::nullopt;
  reported = job;
  if (HasEnded(job.state)) {
    expected_.erase(job.id);
    over_.insert(job.id);
  }
  return job;
}

bool Watch::NodeFailed(std::int64_t id, const std::vector<LiveJob>& records) const {
  const auto followed = followed_.find(id);
  if (followed == followed_.end()) return false;
  const TimeMs start_ms = followed->second.job.start_ms;
  return std::any_of(records.begin(), records.end(), [&](const LiveJob& record) {
    const ClusterJob& run = record.job;
    const bool that_run = start_ms == 0 || run.start_ms == start_ms;
    return run.id == id && that_run && run.state == ClusterJobState::kNodeFailed;
  });
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
  if (end && job.start_ms != 0 && end->job.start_ms > job.start_ms) {
    end->job.restarts = std::max(end->job.restarts, 1);
    end->job.node_failed = NodeFailed(job.cluster_job_id, records);
  }
  return end;
}

std::optional<ClusterJob> Watch::Known(std::int64_t id) const {
  const auto found = followed_.find(id);
  return found == followed_.end() ? std::nullopt : found->second.reported;
}

Watch::Changes Watch::TakeListing(const std::vector<LiveJob>& listing) {
  Changes changes;
  over_.clear();
  std::set<std::int64_t> seen;
  for (const auto& live : listing) {
    const auto found = followed_.find(live.job.id);
    if (found == followed_.end() || !IsIt(found->second.job, live.job)) continue;
    seen.insert(live.job.id);
    if (auto job = Take(live)) changes.observed.push_back(*std::move(job));
  }
  for (const auto& [id, entry] : followed_) {
    const bool over = entry.reported && HasEnded(entry.reported->state);
    if (!over && !seen.contains(id)) changes.missing.push_back(entry.job);
  }
  return changes;
}

std::vector<ClusterJob> Watch::OurJobs(const std::vector<LiveJob>& listing) const {
  std::vector<ClusterJob> ours;
  for (const auto& live : listing) {
    const auto found = followed_.find(live.job.id);
    if (found != followed_.end() && IsIt(found->second.job, live.job)) {
      ours.push_back(live.job);
      ours.back().attempt = found->second.job.attempt;
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
    const auto found = followed_.find(live.job.id);
    const bool ours = found != followed_.end() && IsIt(found->second.job, live.job);
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

// What happens in the fake cluster by itself as time passes.
#include <algorithm>

#include "scheduler/sim/fake_cluster.h"

namespace kezek::sim {
namespace {

// Slurm does not start a requeued job for about two minutes.
constexpr DurationMs kRequeuedWaitMs = 2 * kMinuteMs;
constexpr DurationMs kStartRetryMs = kSecondMs;
constexpr DurationMs kLimitSlackMs = 30 * kSecondMs;

}  // namespace

std::map<std::string, std::int32_t> FakeCluster::InUse() const {
  std::map<std::string, std::int32_t> result;
  for (const auto& [id, entry] : jobs_) {
    const bool holds = entry.job.state == ClusterJobState::kRunning ||
                       entry.job.state == ClusterJobState::kCompleting;
    if (!holds || entry.forgotten) continue;
    for (const NodeGrant& grant : entry.job.granted) result[grant.node] += grant.gpus;
  }
  return result;
}

std::int32_t FakeCluster::FreeGpus(const std::string& name) const {
  const auto node = nodes_.find(name);
  if (node == nodes_.end()) return -1;
  const std::map<std::string, std::int32_t> in_use = InUse();
  const auto used = in_use.find(name);
  const auto stranger = strangers_.find(name);
  return node->second.gpus - (used == in_use.end() ? 0 : used->second) -
         (stranger == strangers_.end() ? 0 : stranger->second.second);
}

bool FakeCluster::NodesUp(const Entry& entry) const {
  return std::none_of(entry.job.granted.begin(), entry.job.granted.end(),
                      [&](const NodeGrant& grant) { return down_until_.contains(grant.node); });
}

void FakeCluster::Happen(Entry& entry) {
  entry.event_ms = 0;
  switch (entry.job.state) {
    case ClusterJobState::kPending:
      if (entry.cancelled) {
        entry.job.state = ClusterJobState::kCancelled;
        entry.job.end_ms = now_;
      } else if (!entry.job.held) {
        TryStart(entry);
      }
      return;
    case ClusterJobState::kRunning:
      if (entry.cancelled) return End(entry, ClusterJobState::kCancelled);
      if (entry.will_requeue) return Requeue(entry);
      if (now_ - entry.job.start_ms >= entry.run_ms) {
        entry.job.exit_code = entry.exit_code;
        return End(entry,
                   entry.exit_code == 0 ? ClusterJobState::kCompleted : ClusterJobState::kFailed);
      }
      return End(entry, ClusterJobState::kTimedOut);
    case ClusterJobState::kCompleting:
      entry.job.state = entry.after_completing;
      return;
    case ClusterJobState::kCompleted:
    case ClusterJobState::kFailed:
    case ClusterJobState::kCancelled:
    case ClusterJobState::kTimedOut:
    case ClusterJobState::kNodeFailed:
    case ClusterJobState::kPreempted:
      return;
  }
}

void FakeCluster::TryStart(Entry& entry) {
  const bool room =
      std::all_of(entry.job.granted.begin(), entry.job.granted.end(),
                  [&](const NodeGrant& grant) { return FreeGpus(grant.node) >= grant.gpus; });
  if (now_ < entry.eligible_ms || entry.never_starts || !room || !NodesUp(entry)) {
    entry.job.state_reason = entry.never_starts ? "Reservation" : "Resources";
    entry.event_ms = std::max(now_ + kStartRetryMs, entry.eligible_ms);
    return;
  }
  Start(entry);
}

void FakeCluster::Start(Entry& entry) {
  if (on_start_) on_start_(entry);
  entry.job.state = ClusterJobState::kRunning;
  entry.job.state_reason = "None";
  entry.job.start_ms = now_ / kSecondMs * kSecondMs;  // whole seconds, as Slurm has them
  entry.runs.emplace_back(entry.job.start_ms, 0);
  SetEnd(entry);
  if (entry.will_vanish) {  // its process is gone too
    entry.forgotten = true;
    entry.runs.back().second = entry.job.start_ms;
    entry.event_ms = 0;
  }
}

// Of a job that runs: by itself, or by its limit.
void FakeCluster::SetEnd(Entry& entry) {
  DurationMs lasts = std::min(entry.run_ms, entry.job.limit_ms + kLimitSlackMs);
  if (entry.will_requeue) lasts /= 2;
  entry.event_ms = std::max(now_ + 1, entry.job.start_ms + lasts);
}

void FakeCluster::End(Entry& entry, ClusterJobState state) {
  entry.job.state = ClusterJobState::kCompleting;
  entry.after_completing = state;
  entry.job.end_ms = std::max(entry.job.start_ms, now_ / kSecondMs * kSecondMs);
  entry.runs.back().second = entry.job.end_ms;
  entry.event_ms = now_ + random_.Between(10, 5000);
}

void FakeCluster::Requeue(Entry& entry) {
  entry.will_requeue = false;
  entry.runs.back().second = now_ / kSecondMs * kSecondMs;
  entry.job.state = ClusterJobState::kPending;
  entry.job.restarts += 1;
  entry.job.start_ms = 0;
  entry.job.state_reason = "BeginTime";
  entry.eligible_ms = now_ + kRequeuedWaitMs;
  entry.event_ms = entry.eligible_ms;
}

void FakeCluster::EachMinute() {
  next_minute_ += kMinuteMs;
  const auto any_node = [&] {
    const std::int64_t index = random_.Between(0, std::ssize(nodes_) - 1);
    return std::next(nodes_.begin(), index)->first;
  };
  std::erase_if(down_until_, [&](const auto& item) { return item.second <= now_; });
  std::erase_if(strangers_, [&](const auto& item) { return item.second.first <= now_; });
  if (random_.Permille(faults_.silent)) silent_until_ = now_ + random_.Between(1000, 2 * kMinuteMs);
  if (random_.Permille(faults_.strangers)) {
    const std::string node = any_node();
    const std::int32_t free = FreeGpus(node);
    if (free > 0 && !strangers_.contains(node)) {
      strangers_[node] = {now_ + random_.Between(kMinuteMs, 10 * kMinuteMs),
                          static_cast<std::int32_t>(random_.Between(1, free))};
    }
  }
  if (random_.Permille(faults_.node_fails)) {
    const std::string node = any_node();
    const bool by_hand = random_.Permille(500);  // an admin's, after which Slurm requeues
    down_until_[node] = now_ + random_.Between(kMinuteMs, 8 * kMinuteMs);
    for (auto& [id, entry] : jobs_) {
      const bool there = std::any_of(entry.job.granted.begin(), entry.job.granted.end(),
                                     [&](const NodeGrant& grant) { return grant.node == node; });
      if (!there || entry.job.state != ClusterJobState::kRunning || entry.forgotten) continue;
      by_hand ? Requeue(entry) : End(entry, ClusterJobState::kNodeFailed);
    }
  }
  if (!Silent()) ReportNodes();
}

void FakeCluster::ReportNodes() {
  NodesObserved observed;
  for (const auto& [name, node] : nodes_) {
    Node seen = node;
    seen.leaf.clear();
    seen.block.clear();
    const bool down = down_until_.contains(name);
    seen.health = down ? NodeHealth::kDown : NodeHealth::kUp;
    seen.health_reason = down ? "Not responding" : "";
    const auto stranger = strangers_.find(name);
    seen.foreign_gpus = stranger == strangers_.end() ? 0 : stranger->second.second;
    observed.nodes.push_back(std::move(seen));
  }
  Answer(0, std::move(observed));
}

// The follower: what has changed of what it follows, and whether anybody answers at all.
void FakeCluster::Poll() {
  next_poll_ += 1 * kSecondMs;
  if (!sink_) return;
  if (Silent()) {
    if (!said_silent_) Answer(0, ClusterSilent{"no answer"});
    said_silent_ = true;
    return;
  }
  if (said_silent_) {
    Answer(0, ClusterUp{"fake", 0});
    ReportNodes();
  }
  said_silent_ = false;
  for (const auto& [id, followed] : followed_) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || found->second.forgotten) {
      if (reported_unknown_.insert(id).second) Answer(0, Unknown{id, followed.attempt});
      continue;
    }
    const auto last = reported_.find(id);
    if (last != reported_.end() && last->second == found->second.job) continue;
    reported_[id] = found->second.job;
    Answer(0, Observed{found->second.job});
  }
}

}  // namespace kezek::sim

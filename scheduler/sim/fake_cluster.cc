#include "scheduler/sim/fake_cluster.h"

#include <algorithm>
#include <charconv>

namespace kezek::sim {
namespace {

constexpr DurationMs kPollMs = kSecondMs;
constexpr DurationMs kRequestTimeoutMs = 10 * kSecondMs;
constexpr DurationMs kMessageTimeoutMs = 10 * kSecondMs;
constexpr DurationMs kLeavesMs = 8 * kSecondMs;  // after SIGTERM
constexpr std::int32_t kTermExit = 143;

// The figure behind `name=` in a script, or `otherwise`.
std::int64_t Figure(const std::string& script, const std::string& name, std::int64_t otherwise) {
  const std::size_t at = script.find(name + "=");
  if (at == std::string::npos) return otherwise;
  const char* begin = script.data() + at + name.size() + 1;
  std::int64_t value = otherwise;
  std::from_chars(begin, script.data() + script.size(), value);
  return value;
}

std::string Text(const Placement& placement) {
  std::string text;
  for (const NodeGrant& grant : placement) {
    text += (text.empty() ? "" : ",") + grant.node + ":" + std::to_string(grant.gpus);
  }
  return text;
}

}  // namespace

FakeCluster::FakeCluster(std::vector<Node> nodes, std::uint64_t seed, TimeMs now)
    : random_(seed), now_(now), next_minute_(now + kMinuteMs), next_poll_(now + kPollMs) {
  for (Node& node : nodes) nodes_[node.name] = std::move(node);
}

void FakeCluster::Heal(TimeMs now) {
  faults_ = Faults{};
  silent_until_ = std::min(silent_until_, now);
  for (auto& [node, until] : down_until_) until = std::min(until, now);
  for (auto& [node, stranger] : strangers_) stranger.first = std::min(stranger.first, now);
}

void FakeCluster::SetSink(ClusterSink sink) {
  sink_ = std::move(sink);
  answers_.clear();
  followed_.clear();
  reported_.clear();
  reported_unknown_.clear();
  said_silent_ = true;  // the next poll says how things are
}

void FakeCluster::Answer(DurationMs after, ClusterEvent event) {
  if (sink_) answers_.emplace(std::pair(now_ + after, ++sequence_), std::move(event));
}

TimeMs FakeCluster::NextMs() const {
  TimeMs next = std::min(next_minute_, next_poll_);
  if (!answers_.empty()) next = std::min(next, answers_.begin()->first.first);
  for (const auto& [id, entry] : jobs_) {
    if (entry.event_ms != 0) next = std::min(next, entry.event_ms);
  }
  return next;
}

void FakeCluster::Advance(TimeMs now) {
  while (NextMs() <= now) {
    now_ = std::max(now_, NextMs());
    for (auto& [id, entry] : jobs_) {
      if (entry.event_ms != 0 && entry.event_ms <= now_) Happen(entry);
    }
    if (next_minute_ <= now_) EachMinute();
    if (next_poll_ <= now_) Poll();
    while (!answers_.empty() && answers_.begin()->first.first <= now_) {
      const ClusterEvent event = std::move(answers_.begin()->second);
      answers_.erase(answers_.begin());
      if (sink_) sink_(event);
    }
  }
  now_ = std::max(now_, now);
}

std::int64_t FakeCluster::Take(const Launch& launch, bool held) {
  Entry entry;
  entry.job.id = ++last_id_;
  entry.job.attempt = launch.attempt;
  entry.job.unix_account = launch.unix_account;
  entry.job.tag = launch.tag;
  entry.job.held = held;
  entry.job.state_reason = "JobHeldUser";
  entry.job.granted = launch.placement;
  entry.nodes_text = Text(launch.placement);
  entry.job.limit_ms = launch.limit_ms;
  entry.run_ms = Figure(launch.script, "ms", kSecondMs);
  entry.exit_code = static_cast<std::int32_t>(Figure(launch.script, "exit", 0));
  entry.never_starts = random_.Permille(faults_.never_starts);
  entry.will_vanish = random_.Permille(faults_.forgotten);
  entry.will_requeue = random_.Permille(faults_.requeued);
  jobs_[last_id_] = entry;
  return last_id_;
}

void FakeCluster::Submit(Launch launch) {
  const LaunchUnknown lost{launch.attempt, now_ + kRequestTimeoutMs + kMessageTimeoutMs};
  if (random_.Permille(faults_.refused_for_good)) {
    return Answer(20, LaunchRefused{launch.attempt, true, "Invalid account"});
  }
  if (random_.Permille(faults_.refused)) {
    return Answer(20, LaunchRefused{launch.attempt, false, "Resources temporarily unavailable"});
  }
  if (random_.Permille(faults_.taken_twice)) {
    Take(launch, true);
    Take(launch, true);
    return Answer(kRequestTimeoutMs, lost);
  }
  const bool silent = Silent();
  if (random_.Permille(silent ? 500 : faults_.answer_lost_undone)) {
    return Answer(kRequestTimeoutMs, lost);
  }
  const std::int64_t id = Take(launch, true);
  if (silent || random_.Permille(faults_.answer_lost_done)) return Answer(kRequestTimeoutMs, lost);
  Answer(random_.Between(2, 50), LaunchAccepted{launch.attempt, id});
}

void FakeCluster::Release(const AttemptRef& attempt, std::int64_t id,
                          const std::string& unix_account) {
  const auto found = jobs_.find(id);
  const bool lost = Silent() || random_.Permille(faults_.release_lost);
  const bool done = !lost || random_.Permille(500);
  if (done && found != jobs_.end() && found->second.job.held && !found->second.forgotten &&
      found->second.job.unix_account == unix_account) {
    Entry& entry = found->second;
    entry.job.held = false;
    entry.job.state_reason = "None";
    entry.eligible_ms = now_;
    if (!entry.cancelled) entry.event_ms = now_ + random_.Between(20, 900);
    const std::map<std::string, std::int32_t> in_use = InUse();
    for (const NodeGrant& grant : entry.job.granted) {
      const auto used = in_use.find(grant.node);
      const std::int32_t taken = used == in_use.end() ? 0 : used->second;
      if (taken + grant.gpus <= nodes_.at(grant.node).gpus) continue;
      breaches_.push_back("GPUs given twice: " + ClusterName(attempt) + " released on " +
                          grant.node + " where " + std::to_string(taken) + " are in use");
    }
  }
  if (lost) return Answer(kRequestTimeoutMs, ReleaseDone{attempt, id, false, "no answer"});
  Answer(random_.Between(2, 20), ReleaseDone{attempt, id, found != jobs_.end(), ""});
}

void FakeCluster::Cancel(const AttemptRef&, std::int64_t id, const std::string& unix_account) {
  const auto found = jobs_.find(id);
  if (found != jobs_.end() && on_ending_) on_ending_(found->second, "");
  if (found == jobs_.end() || Silent() || found->second.job.unix_account != unix_account) return;
  Entry& entry = found->second;
  if (HasEnded(entry.job.state) || entry.job.state == ClusterJobState::kCompleting) return;
  entry.cancelled = true;
  entry.event_ms = now_ + random_.Between(10, 2000);
}

void FakeCluster::Signal(const AttemptRef& attempt, std::int64_t id, const std::string&,
                         const std::string& signal, bool) {
  const auto found = jobs_.find(id);
  const bool lost = Silent() || random_.Permille(faults_.release_lost);
  if (found != jobs_.end() && on_ending_) on_ending_(found->second, signal);
  if (found != jobs_.end() && (!lost || random_.Permille(500))) Deliver(found->second, signal);
  Answer(lost ? kRequestTimeoutMs : random_.Between(2, 20), SignalDone{attempt, id, signal, !lost});
}

// Of two jobs one saves what it has and goes.
void FakeCluster::Deliver(Entry& entry, const std::string& signal) {
  ++entry.signals;
  const bool runs = entry.job.state == ClusterJobState::kRunning && !entry.forgotten;
  if (signal != "TERM" || !runs || entry.cancelled || entry.job.id % 2 != 0) return;
  entry.run_ms = std::min(entry.run_ms, now_ - entry.job.start_ms + kLeavesMs);
  entry.exit_code = kTermExit;
  SetEnd(entry);
}

void FakeCluster::SetLimit(const Followed& job, DurationMs limit_ms) {
  const auto found = jobs_.find(job.cluster_job_id);
  const bool lost = Silent() || random_.Permille(faults_.release_lost);
  if (found == jobs_.end() || (lost && random_.Permille(500))) return;
  Entry& entry = found->second;
  if (entry.forgotten || entry.job.state > ClusterJobState::kRunning) return;
  entry.job.limit_ms = limit_ms;
  if (entry.job.state == ClusterJobState::kRunning && !entry.cancelled) SetEnd(entry);
}

void FakeCluster::FindByName(const AttemptRef& attempt) {
  FoundByName found{attempt, !Silent(), {}};
  for (const auto& [id, entry] : jobs_) {
    if (!found.complete || entry.forgotten || entry.job.attempt != attempt) continue;
    found.jobs.push_back(entry.job);
  }
  Answer(found.complete ? random_.Between(5, 100) : kRequestTimeoutMs, std::move(found));
}

void FakeCluster::Look(const Followed& job) {
  if (Silent()) return;
  const auto found = jobs_.find(job.cluster_job_id);
  if (found == jobs_.end() || found->second.forgotten) {
    return Answer(20, Unknown{job.cluster_job_id, job.attempt});
  }
  Answer(20, Observed{found->second.job});
}

void FakeCluster::Reconcile() {
  if (Silent()) return;
  Listing listing;
  for (const auto& [id, entry] : jobs_) {
    if (!entry.forgotten && !HasEnded(entry.job.state)) listing.jobs.push_back(entry.job);
  }
  Answer(100, std::move(listing));
  ReportNodes();
}

void FakeCluster::Follow(std::vector<Followed> jobs) {
  followed_.clear();
  for (Followed& job : jobs) followed_[job.cluster_job_id] = std::move(job);
  std::erase_if(reported_, [&](const auto& item) { return !followed_.contains(item.first); });
}

}  // namespace kezek::sim

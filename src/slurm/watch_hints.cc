// What the GPUs in use on the nodes tell of the jobs.
#include <algorithm>
#include <utility>

#include "slurm/watch.h"

namespace kezek::slurm {
namespace {

// From the moment at which a job gives its GPUs back to its end: sooner it is read in vain.
constexpr DurationMs kUntilOver = 250;

bool MayUseGpus(ClusterJobState state) {
  return state == ClusterJobState::kRunning || state == ClusterJobState::kCompleting;
}

// By node, the GPUs that somebody is known to have.
class Holders {
 public:
  explicit Holders(const UsedGpus& used) : used_(used) {}

  // Adds a job's; it must outlive this. One of two that have the same GPU has ended: who began
  // first.
  void Add(const ClusterJob& job) {
    for (const auto& grant : job.granted) {
      const auto node = used_.find(grant.node);
      if (node == used_.end()) continue;
      for (const auto index : grant.gpu_indices) {
        if (!std::binary_search(node->second.begin(), node->second.end(), index)) odd_.insert(&job);
        const auto [holder, is_new] = held_[grant.node].emplace(index, &job);
        if (is_new) continue;
        if (holder->second->start_ms <= job.start_ms) odd_.insert(holder->second);
        if (holder->second->start_ms >= job.start_ms) odd_.insert(&job);
        if (holder->second->start_ms < job.start_ms) holder->second = &job;
      }
    }
  }

  // Not all that it has is in use by it.
  bool IsOdd(const ClusterJob& job) const { return odd_.contains(&job); }

  // What is in use, and nobody has it.
  GpusOfNodes Nobodys() const {
    GpusOfNodes nobodys;
    for (const auto& [node, indices] : used_) {
      const auto held = held_.find(node);
      for (const auto index : indices) {
        if (held == held_.end() || !held->second.contains(index)) nobodys[node].insert(index);
      }
    }
    return nobodys;
  }

 private:
  const UsedGpus& used_;
  std::map<std::string, std::map<std::int32_t, const ClusterJob*>> held_;
  std::set<const ClusterJob*> odd_;
};

}  // namespace

// Not again at once where the last reading had no news: of a suspended job it has none.
void Watch::HintAt(Entry* entry, bool is_odd, TimeMs now) {
  if (is_odd && !entry->hinted && (!entry->is_odd || entry->next_read <= now)) {
    entry->hinted = true;
    entry->next_read = now + kUntilOver;
  }
  entry->is_odd = is_odd;
}

// Those that may have got what nobody had before and nobody is known to have now.
void Watch::HintStarts(const std::vector<Entry*>& waiting, const GpusOfNodes& before, TimeMs now) {
  for (Entry* entry : waiting) {
    const auto expected = expected_.find(entry->job.cluster_job_id);
    if (expected != expected_.end() && !expected->second.node.empty()) {
      const auto was = before.find(expected->second.node);
      const auto is = nobodys_.find(expected->second.node);
      if (is == nobodys_.end() || (was != before.end() && was->second == is->second)) continue;
    }
    entry->hinted = true;
    entry->next_read = now;
  }
}

bool Watch::Hint(const UsedGpus& used, const std::vector<LiveJob>& listing, TimeMs now) {
  Holders holders(used);
  std::vector<Entry*> waiting;
  std::vector<Entry*> holding;
  for (auto& [attempt, entry] : followed_) {
    if (entry.reported && HasEnded(entry.reported->state)) continue;
    const bool holds = entry.reported && MayUseGpus(entry.reported->state);
    (holds ? holding : waiting).push_back(&entry);
    if (holds) holders.Add(*entry.reported);
  }
  std::vector<const ClusterJob*> others;
  for (const auto& live : listing) {
    const ClusterJob& job = live.job;
    if (!MayUseGpus(job.state) || over_.contains(job.id) || Find(job) != nullptr) continue;
    holders.Add(job);
    others.push_back(&job);
  }
  for (Entry* entry : holding) HintAt(entry, holders.IsOdd(*entry->reported), now);
  const bool of_others = std::any_of(others.begin(), others.end(),
                                     [&](const ClusterJob* job) { return holders.IsOdd(*job); });
  const GpusOfNodes before = std::exchange(nobodys_, holders.Nobodys());
  if (nobodys_.empty() || nobodys_ == before) return of_others;
  HintStarts(waiting, before, now);
  return of_others || waiting.empty();
}

bool Watch::Hint(const JobStates& states, TimeMs now) {
  std::set<std::string, std::less<>> ours;
  for (auto& [attempt, entry] : followed_) {
    std::string id = std::to_string(entry.job.cluster_job_id);
    if (!entry.reported || !HasEnded(entry.reported->state)) {
      const auto told = states.find(id);
      const bool same =
          told != states.end() && entry.reported && entry.reported->state == told->second;
      HintAt(&entry, !same, now);
      const bool completing = told != states.end() && told->second == ClusterJobState::kCompleting;
      if (entry.hinted && !completing) entry.next_read = std::min(entry.next_read, now);
    }
    ours.insert(std::move(id));
  }
  JobStates others;
  for (const auto& [id, state] : states) {
    if (MayUseGpus(state) && !ours.contains(id)) others.emplace(id, state);
  }
  const JobStates before = std::exchange(others_, std::move(others));
  return others_ != before;
}

bool Watch::GpusTell() const {
  return std::all_of(followed_.begin(), followed_.end(), [](const auto& item) {
    const Entry& entry = item.second;
    if (!entry.reported || entry.reported->state != ClusterJobState::kRunning) return true;
    const auto& granted = entry.reported->granted;
    return !granted.empty() && std::all_of(granted.begin(), granted.end(), [](const auto& grant) {
      return !grant.gpu_indices.empty();
    });
  });
}

}  // namespace kezek::slurm

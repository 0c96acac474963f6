// How the fake cluster's follower learns what has become of jobs and nodes.
#include <algorithm>

#include "scheduler/sim/fake_cluster.h"

namespace kezek::sim {
namespace {

constexpr DurationMs kPatienceMs = kMinuteMs;  // news reach the accounting sooner
constexpr DurationMs kAskAgainMs = 2 * kSecondMs;
constexpr DurationMs kAskAgainMostMs = 30 * kSecondMs;

bool IsOf(const Followed& job, const ClusterJob& seen) {
  // A lost copy of the database gave the same number, and the id was given before.
  const bool seen_before = job.start_ms != 0 && seen.start_ms == job.start_ms;
  const bool ran_before = seen.start_ms != 0 && seen.start_ms + 10 * kSecondMs < job.planned_ms;
  if (ran_before && !seen_before) return false;
  return seen.id == job.cluster_job_id && (seen.attempt == job.attempt || IsStill(job, seen));
}

// What became of the run that is followed, before the job was restarted.
void ReadFirstRun(const Followed& followed, const std::vector<ClusterJob>& records,
                  ClusterJob* job) {
  for (const ClusterJob& run : records) {
    if (run.start_ms == 0 || run.end_ms == 0 || !IsOf(followed, run)) continue;
    const bool that = followed.start_ms == 0
                          ? job->run_start_ms == 0 || run.start_ms < job->run_start_ms
                          : run.start_ms == followed.start_ms;
    if (!that) continue;
    job->run_start_ms = run.start_ms;
    job->run_end_ms = run.end_ms;
    job->node_failed = run.state == ClusterJobState::kNodeFailed;
  }
}

// How it ended, by the accounting: that run, if it was seen, else the first that has ended. Of a
// later one: it was restarted. One before: the records were closed without it.
std::optional<ClusterJob> EndIn(const Followed& followed, const std::vector<ClusterJob>& records) {
  std::optional<ClusterJob> end;
  for (const ClusterJob& record : records) {
    if (!HasEnded(record.state) || !IsOf(followed, record)) continue;
    if (record.unix_account != followed.unix_account) continue;
    if (followed.start_ms != 0 && record.start_ms == followed.start_ms) return record;
    if (!end) end = record;
  }
  if (!end) return end;
  ClusterJob later = *end;
  ReadFirstRun(followed, records, &later);
  const bool taken_back = later.run_end_ms != 0 && later.run_start_ms != later.start_ms;
  if (taken_back || (followed.start_ms != 0 && later.start_ms > followed.start_ms)) {
    later.restarts = 1;
    return later;
  }
  if (end->start_ms < followed.start_ms) {
    end->start_ms = followed.start_ms;
    end->end_ms = std::max(end->end_ms, followed.start_ms);
  }
  return end;
}

}  // namespace

const FakeCluster::Watched* FakeCluster::Owner(const ClusterJob& seen) const {
  const Watched* found = nullptr;
  for (const auto& [attempt, watched] : followed_) {
    if (watched.job.cluster_job_id != seen.id) continue;
    if (attempt == seen.attempt) return &watched;
    if (IsStill(watched.job, seen)) found = &watched;
  }
  return found;
}

// Whether anybody answers at all, and what has changed of what is followed.
void FakeCluster::Poll() {
  next_poll_ += kSecondMs;
  if (!sink_) return;
  if (!Reaches()) {
    if (up_) Tell(ClusterSilent{"no answer"});
    up_ = false;
    for (auto& [attempt, watched] : followed_) watched.missing_since = 0;
    return;
  }
  if (!up_) {
    reported_nodes_.clear();
    Tell(ClusterUp{"fake", slurm_.skew_ms()});
  }
  up_ = true;
  ReportNodes(false);
  for (auto& [attempt, watched] : followed_) {
    const bool over = watched.reported && HasEnded(watched.reported->state);
    if (!over && now_ >= watched.ask_again) LookAt(watched, false);
  }
  LookDue();
  if (reconcile_) List();
}

void FakeCluster::LookDue() {
  if (!up_ || !Reaches()) return;
  std::map<AttemptRef, Followed> due;
  due.swap(looks_);
  for (const auto& [attempt, job] : due) {
    const auto found = followed_.find(attempt);
    const bool same =
        found != followed_.end() && found->second.job.cluster_job_id == job.cluster_job_id;
    Watched passing{job, std::nullopt, 0, 0};
    Watched& watched = same ? found->second : passing;
    const bool settled = now_ >= watched.ask_again && LookAt(watched, true);
    if (!settled && same) looks_.insert_or_assign(attempt, job);
  }
}

bool FakeCluster::LookAt(Watched& watched, bool always) {
  const FakeJob* shown = slurm_.Shown(watched.job.cluster_job_id);
  if (shown == nullptr || !IsOf(watched.job, shown->job)) return LookInBooks(watched);
  ClusterJob job = shown->job;
  job.attempt = watched.job.attempt;
  if (!always && watched.reported == job) return true;
  watched.reported = job;
  if (job.restarts > 0) ReportNodes(true);
  if (!AddFirstRun(watched, &job)) {
    looks_.insert_or_assign(job.attempt, watched.job);
    return false;
  }
  watched.missing_since = 0;
  Tell(Observed{std::move(job)});
  return true;
}

// False: it is over, and the accounting does not tell yet.
bool FakeCluster::AddFirstRun(Watched& watched, ClusterJob* job) {
  if (job->restarts == 0) return true;
  if (slurm_.BooksAnswer()) ReadFirstRun(watched.job, slurm_.Records(job->id), job);
  if (job->run_end_ms != 0 || !HasEnded(job->state)) return true;
  watched.ask_again = now_ + kAskAgainMs;
  if (!slurm_.BooksAnswer()) {
    watched.missing_since = 0;
    return false;
  }
  if (watched.missing_since == 0) watched.missing_since = now_;
  return now_ - watched.missing_since >= kPatienceMs;
}

bool FakeCluster::LookInBooks(Watched& watched) {
  watched.ask_again = now_ + kAskAgainMs;
  if (!slurm_.BooksAnswer()) {  // what it may know is not known
    watched.missing_since = 0;
    return false;
  }
  if (auto end = EndIn(watched.job, slurm_.Records(watched.job.cluster_job_id))) {
    end->attempt = watched.job.attempt;
    watched.reported = end;
    watched.missing_since = 0;
    watched.ask_again = 0;
    Tell(Observed{*std::move(end)});
    return true;
  }
  if (watched.missing_since == 0) watched.missing_since = now_;
  const DurationMs waited = now_ - watched.missing_since;
  watched.ask_again = now_ + std::clamp(waited / 4, kAskAgainMs, kAskAgainMostMs);
  if (waited < kPatienceMs) return false;
  Tell(Unknown{watched.job.cluster_job_id, watched.job.attempt});
  return true;
}

void FakeCluster::List() {
  if (!reconcile_ || !up_ || !Reaches()) return;
  reconcile_ = false;
  Listing listing;
  for (const FakeJob* shown : slurm_.ShownAll()) {
    ClusterJob job = shown->job;
    const Watched* owner = Owner(job);
    if (owner == nullptr && job.attempt.number == 0 && !job.tag.starts_with("kezek:")) continue;
    if (owner != nullptr) {
      job.attempt = owner->job.attempt;
      if (!AddFirstRun(followed_.at(job.attempt), &job)) continue;
    }
    listing.jobs.push_back(std::move(job));
  }
  ReportNodes(true);
  Tell(std::move(listing));
}

void FakeCluster::FindByName(const AttemptRef& attempt) {
  FoundByName found{attempt, false, {}};
  if (!Reaches()) return Answer(kSecondMs, std::move(found));
  for (const FakeJob* shown : slurm_.ShownAll()) {
    if (shown->job.attempt == attempt) found.jobs.push_back(shown->job);
  }
  found.complete = slurm_.BooksAnswer();
  for (const ClusterJob& record :
       found.complete ? slurm_.RecordsOf(attempt) : std::vector<ClusterJob>{}) {
    const bool known = std::any_of(found.jobs.begin(), found.jobs.end(),
                                   [&](const ClusterJob& job) { return job.id == record.id; });
    if (known) continue;
    const FakeJob* shown = slurm_.Shown(record.id);
    if (!HasEnded(record.state) && shown != nullptr) {  // its owner has named it anew
      found.jobs.push_back(shown->job);
      found.jobs.back().attempt = attempt;
    } else if (record.state != ClusterJobState::kPending || record.end_ms != 0) {
      found.jobs.push_back(record);  // it has ended, runs, or was taken back
    }
  }
  Tell(std::move(found));
}

// Before the first Follow it is not known which jobs are Kezek's.
void FakeCluster::ReportNodes(bool always) {
  if (!follows_) return;
  std::vector<Node> nodes = slurm_.Nodes();
  for (const FakeJob* shown : slurm_.ShownAll()) {
    const ClusterJobState state = shown->job.state;
    const bool uses = state == ClusterJobState::kRunning || state == ClusterJobState::kCompleting;
    if (!uses || Owner(shown->job) != nullptr) continue;
    for (const NodeGrant& grant : shown->job.granted) {
      for (Node& node : nodes) {
        if (node.name == grant.node) node.foreign_gpus += grant.gpus;
      }
    }
  }
  if (!always && nodes == reported_nodes_) return;
  reported_nodes_ = nodes;
  Tell(NodesObserved{std::move(nodes)});
}

}  // namespace kezek::sim

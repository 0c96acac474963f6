#include "scheduler/control/queue_state.h"

#include <algorithm>

#include "kezek/index_ranges.h"
#include "scheduler/control/directory.h"

namespace kezek::control {
namespace {

// Configured nodes keep their topology; what the database knows of their health is taken over.
std::map<std::string, Node> StartingNodes(const ControlConfig& config, const Snapshot& snapshot) {
  std::map<std::string, Node> nodes;
  for (const Node& node : config.nodes) nodes[node.name] = node;
  for (const Node& stored : snapshot.nodes) {
    const auto found = nodes.find(stored.name);
    if (found == nodes.end()) {
      if (config.nodes.empty()) nodes[stored.name] = stored;
      continue;
    }
    Node& node = found->second;
    node.health = stored.health;
    node.health_reason = stored.health_reason;
    node.drained_by_kezek = stored.drained_by_kezek;
    node.set_aside_until_ms = stored.set_aside_until_ms;
  }
  return nodes;
}

bool HasRunOnce(const Job& job) { return job.started_ms != 0; }

// Of a job that is in memory and no array's row.
Met MetBy(const Job& job, DependencyKind kind) {
  switch (kind) {
    case DependencyKind::kAfter:
      return job.state >= JobState::kRunning || HasRunOnce(job) ? Met::kYes : Met::kNotYet;
    case DependencyKind::kAfterAny:
      return IsFinal(job.state) ? Met::kYes : Met::kNotYet;
    case DependencyKind::kAfterOk:
      if (!IsFinal(job.state)) return Met::kNotYet;
      return job.state == JobState::kSucceeded ? Met::kYes : Met::kNever;
    case DependencyKind::kAfterNotOk:
      if (!IsFinal(job.state)) return Met::kNotYet;
      return job.state == JobState::kSucceeded ? Met::kNever : Met::kYes;
  }
  return Met::kNever;
}

}  // namespace

QueueState::QueueState(const ControlConfig& config, const Snapshot& snapshot)
    : nodes_(StartingNodes(config, snapshot)),
      epoch_(snapshot.epoch),
      issued_epochs_(snapshot.issued_epochs),
      accepted_epochs_(snapshot.accepted_epochs),
      installation_(snapshot.installation) {
  SetDirectory(MakeDirectory(config, snapshot));
  // First all rows, then the pruning: a final row is kept for a waiting one that comes later.
  for (const Job& job : snapshot.jobs) {
    jobs_[job.ref] = job;
    Index(job, 1);
  }
  for (const Job& job : snapshot.jobs) Prune(job.ref);
  for (const Attempt& attempt : snapshot.attempts) PutAttempt(attempt);
  for (const Reservation& reservation : snapshot.reservations) PutReservation(reservation);
}

void QueueState::AddSubmitted(const Job& job) {
  if (!jobs_.contains(job.ref)) PutJob(job);
}

void QueueState::PutJob(const Job& job) {
  const auto found = jobs_.find(job.ref);
  std::vector<Dependency> released;
  if (found != jobs_.end()) {
    if (found->second.state == JobState::kQueued) released = found->second.spec->dependencies;
    Index(found->second, -1);
    found->second = job;
  } else {
    jobs_.emplace(job.ref, job);
  }
  Index(job, 1);
  Prune(job.ref);
  for (const Dependency& dependency : released) Prune(dependency.on);
}

void QueueState::PutAttempt(const Attempt& attempt) {
  if (attempt.state == AttemptState::kEnded) {
    attempts_.erase(attempt.ref);
  } else {
    attempts_[attempt.ref] = attempt;
  }
}

void QueueState::PutNode(const Node& node) { nodes_[node.name] = node; }

void QueueState::PutReservation(const Reservation& reservation) {
  reservations_[reservation.row] = reservation;
}

void QueueState::EraseReservation(const JobRef& row) { reservations_.erase(row); }

void QueueState::SetDirectory(Directory directory) {
  if (directory_ != nullptr && directory_->accounts == directory.accounts) {
    directory_ = std::make_shared<const Directory>(std::move(directory));
    return;
  }
  const bool counted =
      directory_ != nullptr && quota::SameParents(directory_->accounts, directory.accounts);
  auto tree = quota::AccountTree::Build(directory.accounts);
  KEZEK_CHECK(tree.has_value(), "accounts were checked when they were stored: " +
                                    (tree ? std::string() : tree.error().message));
  tree_ = std::move(*tree);
  directory_ = std::make_shared<const Directory>(std::move(directory));
  if (counted) return;
  queued_ = {};
  for (const auto& [ref, job] : jobs_) CountQueued(job, 1);
}

void QueueState::SetMissing(const JobRef& job) { missing_.insert(job); }

void QueueState::AcceptEpochs(const std::set<std::int64_t>& epochs) {
  accepted_epochs_.insert(epochs.begin(), epochs.end());
}

const Job* QueueState::FindJob(const JobRef& job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? nullptr : &found->second;
}

const Attempt* QueueState::FindAttempt(const AttemptRef& attempt) const {
  const auto found = attempts_.find(attempt);
  return found == attempts_.end() ? nullptr : &found->second;
}

const Attempt* QueueState::AliveAttempt(const JobRef& job) const {
  const auto found = attempts_.lower_bound(AttemptRef{job, 0});
  return found == attempts_.end() || found->first.job != job ? nullptr : &found->second;
}

const Reservation* QueueState::FindReservation(const JobRef& row) const {
  const auto found = reservations_.find(row);
  return found == reservations_.end() ? nullptr : &found->second;
}

std::vector<const Job*> QueueState::Elements(JobId array) const {
  std::vector<const Job*> result;
  for (auto it = jobs_.upper_bound(JobRef{array, kNoElement});
       it != jobs_.end() && it->first.id == array; ++it) {
    result.push_back(&it->second);
  }
  return result;
}

std::vector<JobRef> QueueState::DependentsOf(const JobRef& job) const {
  const JobRef whole{job.id, kNoElement};
  std::vector<JobRef> result;
  for (auto it = dependents_.lower_bound(whole); it != dependents_.end() && it->first.id == job.id;
       ++it) {
    // Who waits for an element waits for the row as long as the element has none of its own.
    if (job != whole && it->first != job && it->first != whole) continue;
    result.insert(result.end(), it->second.begin(), it->second.end());
  }
  return result;
}

Met QueueState::DependencyMet(const Dependency& dependency) const {
  if (dependency.on.element != kNoElement) return ElementMet(dependency);
  const Job* job = FindJob(dependency.on);
  if (job == nullptr) return missing_.contains(dependency.on) ? Met::kNever : Met::kUnknown;
  if (!IsArrayRow(*job) || dependency.kind != DependencyKind::kAfter || IsFinal(job->state)) {
    return MetBy(*job, dependency.kind);
  }
  // After the start of an array: nothing of it waits for its first start.
  if (!job->pending.empty()) return Met::kNotYet;
  for (const Job* element : Elements(job->ref.id)) {
    if (MetBy(*element, DependencyKind::kAfter) != Met::kYes) return Met::kNotYet;
  }
  return Met::kYes;
}

TimeMs QueueState::DelayFrom(const Dependency& dependency) const {
  const Job* job = FindJob(dependency.on);
  if (job == nullptr) return 0;  // an element that was cancelled before it got a row
  return job->started_ms != 0 ? job->started_ms : job->ended_ms;
}

Met QueueState::ElementMet(const Dependency& dependency) const {
  if (const Job* element = FindJob(dependency.on)) return MetBy(*element, dependency.kind);
  const Job* row = FindJob(JobRef{dependency.on.id, kNoElement});
  if (row != nullptr && ContainsIndex(row->pending, dependency.on.element)) return Met::kNotYet;
  if (!missing_.contains(dependency.on)) return Met::kUnknown;
  return dependency.kind == DependencyKind::kAfterOk ? Met::kNever : Met::kYes;
}

void QueueState::Index(const Job& job, std::int64_t sign) {
  CountQueued(job, sign);
  if (job.state != JobState::kQueued) return;
  for (const Dependency& dependency : job.spec->dependencies) {
    if (sign > 0) {
      dependents_[dependency.on].insert(job.ref);
      continue;
    }
    const auto found = dependents_.find(dependency.on);
    if (found == dependents_.end()) continue;
    found->second.erase(job.ref);
    if (found->second.empty()) dependents_.erase(found);
  }
}

void QueueState::CountQueued(const Job& job, std::int64_t sign) {
  if (job.state != JobState::kQueued) return;
  const std::int64_t count = IsArrayRow(job) ? CountIndices(job.pending) : 1;
  if (count == 0) return;
  const auto change = [&](auto& map, const auto& key) {
    if ((map[key] += sign * count) == 0) map.erase(key);
  };
  change(queued_.of_class_user, std::pair(job.spec->job_class, job.user));
  AccountId account = job.spec->project;
  while (account) {
    const auto found = directory_->accounts.find(account);
    if (found == directory_->accounts.end()) break;
    change(queued_.in_account, account);
    change(queued_.of_user, std::pair(account, job.user));
    account = found->second.parent;
  }
}

void QueueState::Prune(const JobRef& job) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end() || !IsFinal(found->second.state)) return;
  if (dependents_.contains(job)) return;
  jobs_.erase(found);
}

}  // namespace kezek::control

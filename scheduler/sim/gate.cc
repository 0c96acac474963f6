#include "scheduler/sim/gate.h"

#include <utility>

namespace kezek::sim {
namespace {

Error Died() { return {Code::kAborted, "the process died", {}}; }

}  // namespace

bool Gate::Alive() {
  if (dead_) return false;
  if (plan_.calls < 0) return true;
  dead_ = plan_.calls-- == 0;
  return !dead_;
}

bool Gate::Acts() {
  if (!Alive()) return false;
  if (on_act_) on_act_();
  return true;
}

Result<Snapshot> Gate::Lead() { return store_->Lead(); }

Result<void> Gate::Commit(const Changes& changes) {
  if (dead_) return Died();
  if (changes.empty()) return {};
  if (!Alive()) {
    if (plan_.last_commit_lasts) static_cast<void>(store_->Commit(changes).has_value());
    return Died();
  }
  if (random_.Permille(plan_.commit_fails)) {
    if (random_.Permille(500)) static_cast<void>(store_->Commit(changes).has_value());
    return Error{Code::kUnavailable, "the connection broke", {}};
  }
  return store_->Commit(changes);
}

Result<std::vector<JobPayload>> Gate::LoadPayloads(const std::vector<JobId>& jobs) {
  if (!Alive()) return Died();
  if (random_.Permille(plan_.commit_fails)) return Error{Code::kUnavailable, "no connection", {}};
  return store_->LoadPayloads(jobs);
}

Result<std::vector<Job>> Gate::LoadJobs(const std::vector<JobRef>& jobs) {
  if (!Alive()) return Died();
  if (random_.Permille(plan_.commit_fails)) return Error{Code::kUnavailable, "no connection", {}};
  return store_->LoadJobs(jobs);
}

void Gate::Submit(Launch launch) {
  if (Acts()) cluster_->Submit(std::move(launch));
}

void Gate::Release(const AttemptRef& attempt, std::int64_t id, const std::string& unix_account) {
  if (Acts()) cluster_->Release(attempt, id, unix_account);
}

void Gate::Cancel(const AttemptRef& attempt, std::int64_t id, const std::string& unix_account) {
  if (Acts()) cluster_->Cancel(attempt, id, unix_account);
}

void Gate::Signal(const AttemptRef& attempt, std::int64_t id, const std::string& unix_account,
                  const std::string& signal, bool batch_shell_only) {
  if (Acts()) cluster_->Signal(attempt, id, unix_account, signal, batch_shell_only);
}

void Gate::SetLimit(const Followed& job, DurationMs limit_ms) {
  if (Acts()) cluster_->SetLimit(job, limit_ms);
}

void Gate::FindByName(const AttemptRef& attempt) {
  if (Alive()) cluster_->FindByName(attempt);
}

void Gate::Look(const Followed& job) {
  if (Alive()) cluster_->Look(job);
}

void Gate::Reconcile() {
  if (Alive()) cluster_->Reconcile();
}

void Gate::Follow(std::vector<Followed> jobs) {
  if (Alive()) cluster_->Follow(std::move(jobs));
}

}  // namespace kezek::sim

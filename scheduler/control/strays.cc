// Jobs of the cluster that bear our tag: whether this database explains them. An attempt is
// committed before it is submitted, so one that is not in the database shows that the database is
// an older copy of the one that planned it; what else that one knew is lost, and an admin decides.
#include <algorithm>
#include <utility>

#include "scheduler/control/core.h"
#include "scheduler/control/tag.h"

namespace kezek::control {
namespace {

// Planned by a copy of this database that is lost, as part of which it is reported once accepted.
void OnLost(Core& core, const ClusterJob& job) {
  const std::int64_t epoch = ParseTag(job.tag)->epoch;
  if (core.state.accepted_epochs().contains(epoch)) {
    if (!HasEnded(job.state)) ReportStray(core, job, "no attempt is known");
    return;
  }
  if (!core.unknown_epochs.insert(epoch).second) return;
  const bool issued = core.state.issued_epochs().contains(epoch);
  const std::string text = "the cluster has a job (" + ClusterName(job.attempt) + ") of epoch " +
                           std::to_string(epoch) +
                           (issued ? ", and this database knows no such attempt"
                                   : ", which this database did not issue") +
                           std::string(kRestored);
  core.Say(ClusterNote(core, {ReasonCode::kWarning, {{"field", "epoch"}, {"text", text}}}));
  // Stored: the cluster forgets what shows it, and who leads next must not go on.
  if (core.stop.empty()) core.ready.changes.stop = core.stop = text;
  core.directory_changed = true;
}

// Nothing in memory tells: the store is asked, and until it has answered nothing is done.
void Ask(Core& core, const ClusterJob& job) {
  const JobRef& ref = job.attempt.job;
  std::vector<ClusterJob>& strays = core.strays[ref];
  const bool known = std::any_of(strays.begin(), strays.end(),
                                 [&job](const ClusterJob& one) { return one.id == job.id; });
  if (!known) strays.push_back(job);
  if (core.asked.insert(ref).second) core.ready.load_jobs.push_back(ref);
}

// Whether an attempt of this database, alive or ended, is what the job was submitted for. After a
// restore numbers are given again; with its epoch an attempt is one of a kind.
bool IsExplained(Core& core, const ClusterJob& job) {
  const std::int64_t epoch = ParseTag(job.tag)->epoch;
  const Attempt* attempt = core.state.FindAttempt(job.attempt);
  const auto ended = core.ended.find(job.attempt);
  const Job* row = core.state.FindJob(job.attempt.job);
  bool explained = false;
  if (attempt != nullptr) {
    explained = attempt->epoch == epoch;
  } else if (ended != core.ended.end()) {
    explained = ended->second.epoch == epoch;
  } else if (core.state.accepted_epochs().contains(epoch)) {
    explained = false;  // a lost copy led in it, too: its number alone proves nothing
  } else if (row != nullptr) {
    explained = job.attempt.number <= row->attempts;
  } else {
    if (!HasEnded(job.state)) Ask(core, job);
    return false;
  }
  if (!explained) OnLost(core, job);
  return explained;
}

}  // namespace

void CancelInCluster(Core& core, const ClusterJob& job, const std::string& why) {
  if (HasEnded(job.state) || !core.MayAct()) return;
  core.Log("cancelling " + std::to_string(job.id) + " (" + ClusterName(job.attempt) + "): " + why);
  core.Do(CancelAction{{job.attempt, job.id, job.unix_account, false}});
  // It may not arrive, and nobody follows such a job: the next listing tells, and it is soon.
  core.reconcile_at_ms = std::min(core.reconcile_at_ms, core.now + 2 * core.config.retry_ms);
}

void ReportStray(Core& core, const ClusterJob& job, const std::string& why) {
  if (HasEnded(job.state)) return;
  const std::string text = "the cluster's job " + std::to_string(job.id) + " (" +
                           ClusterName(job.attempt) + ") bears our tag, but " + why;
  if (!core.reported.insert(text).second) return;
  core.Say(ClusterNote(core, {ReasonCode::kWarning, {{"field", "job"}, {"text", text}}}));
}

bool IsOurs(Core& core, const ClusterJob& job) {
  const Attempt* attempt = core.state.FindAttempt(job.attempt);
  const bool recorded = attempt != nullptr && attempt->cluster_job_id == job.id && job.id != 0;
  // The run that was seen to begin is the attempt's, whatever its owner has it bear since.
  const bool same_run = recorded && attempt->start_ms != 0 && job.start_ms == attempt->start_ms;
  if (same_run && IsStill(core.FollowedOf(*attempt), job)) return true;
  switch (
      WhoseIs(core.config.keyed_hash, core.state.installation(), core.state.issued_epochs(), job)) {
    case Belongs::kYes:
      return IsExplained(core, job);
    case Belongs::kUnknownEpoch:
      OnLost(core, job);
      return false;
    case Belongs::kNo:
      break;
  }
  return recorded && IsStill(core.FollowedOf(*attempt), job);
}

void OnLoaded(Core& core, const LoadedJobs& loaded) {
  if (loaded.failed) {
    core.ask_again.insert(loaded.asked.begin(), loaded.asked.end());
    return;
  }
  std::map<JobRef, std::int32_t> attempts;
  for (const Job& job : loaded.found) {
    attempts[job.ref] = job.attempts;
    core.state.AddSubmitted(job);
  }
  std::vector<ClusterJob> ended;
  for (const JobRef& ref : loaded.asked) {
    core.asked.erase(ref);
    if (!attempts.contains(ref)) core.state.SetMissing(ref);
    for (const JobRef& waiting : core.state.DependentsOf(ref)) core.refresh.insert(waiting);
    const auto strays = core.strays.find(ref);
    if (strays == core.strays.end()) continue;
    for (ClusterJob& job : strays->second) {
      if (job.attempt.number <= attempts[ref]) {
        ended.push_back(std::move(job));
      } else {
        OnLost(core, job);
      }
    }
    core.strays.erase(strays);
    if (core.strays.empty()) core.ActAgain();
  }
  for (const ClusterJob& job : ended) CancelInCluster(core, job, "its attempt has ended");
}

}  // namespace kezek::control

// Jobs of the cluster that were made otherwise than planned, or refused for good: their attempts
// end without having run, and the job is held, for it would be made so again.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "scheduler/control/core.h"
#include "scheduler/control/host_parts.h"

namespace kezek::control {
namespace {

std::string AskedText(const Placement& placement) {
  std::string text;
  for (const NodeGrant& grant : placement) {
    text += (text.empty() ? "" : ",") + grant.node + ":" + std::to_string(grant.gpus);
  }
  return text.empty() ? "any nodes" : text;
}

}  // namespace

void HoldForCluster(Core& core, const JobRef& ref, std::int32_t attempt, const std::string& text) {
  const Job* job = core.state.FindJob(ref);
  if (job == nullptr || job->state != JobState::kQueued || job->hold != Hold::kNone) return;
  Job held = *job;
  held.hold = Hold::kCluster;
  held.hold_reason = {ReasonCode::kHeldByCluster, {{"text", text}}};
  core.Say(Note(held, held.hold_reason, kActorKezek, attempt, core.now));
  core.Put(held);
}

void HoldWithArray(Core& core, const AttemptRef& ref, const std::string& text) {
  HoldForCluster(core, ref.job, ref.number, text);
  if (ref.job.element != kNoElement) HoldForCluster(core, {ref.job.id, kNoElement}, 0, text);
}

void SetSpoilt(Core& core, const AttemptRef& ref, const std::string& text) {
  const Attempt& attempt = *core.state.FindAttempt(ref);
  if (attempt.ending != Ending::kNone) return;
  core.Log(ClusterName(ref) + " as " + std::to_string(attempt.cluster_job_id) +
           " is not as planned: " + text);
  SetEnding(core, ref, Ending::kRequeue,
            {ReasonCode::kLaunchFailed, {{"text", "it was not made as planned: " + text}}});
}

bool IsSpoilt(const Attempt& attempt) {
  return attempt.ending == Ending::kRequeue && attempt.reason.code == ReasonCode::kLaunchFailed;
}

std::optional<std::string> MadeOtherwise(const Core& core, const Attempt& attempt,
                                         const ClusterJob& job) {
  if (!job.asked || job.state != ClusterJobState::kPending) return std::nullopt;
  const auto sorted = [](Placement placement) {
    std::sort(placement.begin(), placement.end(),
              [](const NodeGrant& a, const NodeGrant& b) { return a.node < b.node; });
    for (NodeGrant& grant : placement) grant.gpu_indices.clear();
    return placement;
  };
  Placement asked = *job.asked;
  ToNodes(core.state.nodes(), core.JobOf(attempt.ref.job).spec->shape.gpu_type, &asked);
  if (sorted(asked) == sorted(attempt.placement)) return std::nullopt;
  return "it is for " + AskedText(asked) + ", not for " + AskedText(attempt.placement);
}

}  // namespace kezek::control

#include "scheduler/control/launch_spec.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "kezek/index_ranges.h"
#include "kezek/node_parts.h"
#include "kezek/output_path.h"
#include "scheduler/control/host_parts.h"

namespace kezek::control {
namespace {

// Set by Kezek or by Slurm for one job alone. In a payload they are of the job that submitted this
// one, whose environment it has: what this job does not have itself must not come from there. What
// the command line is set up with (KEZEK_TOKEN, KEZEK_CONTEXT, ...) goes on, and what sbatch lets
// through, too (SLURM_ARRAY_*).
constexpr std::array<std::string_view, 9> kOfOneJob = {
    "KEZEK_ATTEMPT",   "KEZEK_BEGUN",       "KEZEK_CHECKPOINT",
    "KEZEK_CLUSTER",   "KEZEK_JOB_ID",      "KEZEK_OUTPUT_DIR",
    "KEZEK_PREEMPTED", "KEZEK_RESUME_FROM", "SLURM_RESTART_COUNT"};

bool IsOfOneJob(std::string_view variable) {
  return std::find(kOfOneJob.begin(), kOfOneJob.end(), variable) != kOfOneJob.end();
}

void AddArray(std::map<std::string, std::string>& environment, const Job& job) {
  if (job.ref.element == kNoElement || !job.spec->array) return;
  const std::vector<IndexRange>& indices = job.spec->array->indices;
  environment["SLURM_ARRAY_JOB_ID"] = std::to_string(job.ref.id.value);
  environment["SLURM_ARRAY_TASK_ID"] = std::to_string(job.ref.element);
  environment["SLURM_ARRAY_TASK_COUNT"] = std::to_string(CountIndices(indices));
  if (indices.empty()) return;
  std::int32_t last = indices.front().first;
  for (const IndexRange& range : indices) {
    const std::int32_t step = std::max(range.step, 1);
    last = std::max(last, range.last - (range.last - range.first) % step);
  }
  environment["SLURM_ARRAY_TASK_MIN"] = std::to_string(indices.front().first);
  environment["SLURM_ARRAY_TASK_MAX"] = std::to_string(last);
  environment["SLURM_ARRAY_TASK_STEP"] = std::to_string(std::max(indices.front().step, 1));
}

void AddPaths(Launch& launch, const Job& job, const Attempt& attempt,
              const LaunchContext& context) {
  OutputNames names;
  names.attempt = attempt.ref;
  names.job_name = job.spec->name;
  names.unix_account = context.unix_account;
  if (!attempt.placement.empty()) names.node = HostOf(attempt.placement.front().node);
  launch.stdout_path = OutputPathOf(*job.spec, names, context.output_root, false);
  launch.stderr_path = OutputPathOf(*job.spec, names, context.output_root, true);
  if (job.spec->stdin_path.empty()) return;
  launch.stdin_path = ExpandOutputPath(job.spec->stdin_path, names);
  if (!launch.stdin_path.starts_with("/")) {
    launch.stdin_path = job.spec->working_directory + "/" + launch.stdin_path;
  }
}

}  // namespace

Launch MakeLaunch(const Job& job, const Attempt& attempt, const LaunchContext& context) {
  Launch launch;
  launch.attempt = attempt.ref;
  launch.tag = context.tag;
  launch.unix_account = context.unix_account;
  launch.unix_uid = context.unix_uid;
  launch.slurm_account = context.slurm_account;
  launch.qos = context.qos;
  launch.placement = OnHosts(attempt.placement);
  launch.spec = *job.spec;
  if (attempt.ref.number > 1) launch.spec.append_output = true;
  launch.limit_ms = attempt.limit_ms;
  if (!job.spec->container_image.empty()) launch.container_launch = context.container_launch;
  AddPaths(launch, job, attempt, context);
  launch.environment["KEZEK_JOB_ID"] = ToText(job.ref);
  launch.environment["KEZEK_ATTEMPT"] = std::to_string(attempt.ref.number);
  launch.environment["KEZEK_OUTPUT_DIR"] = context.output_root + "/" + OutputFolderOf(attempt.ref);
  launch.environment["KEZEK_PROJECT"] = context.project;
  launch.environment["KEZEK_PREEMPTED"] = std::to_string(job.preemptions);
  if (!context.cluster_name.empty()) launch.environment["KEZEK_CLUSTER"] = context.cluster_name;
  if (!job.spec->checkpoint_path.empty()) {
    launch.environment["KEZEK_CHECKPOINT"] = job.spec->checkpoint_path;
  }
  if (!job.resume_from.empty()) launch.environment["KEZEK_RESUME_FROM"] = job.resume_from;
  AddArray(launch.environment, job);
  return launch;
}

void CompleteLaunch(Launch& launch, const JobPayload& payload) {
  launch.script = payload.script;
  for (const auto& [name, value] : payload.environment) {
    if (!IsOfOneJob(name)) launch.environment.emplace(name, value);  // keeps what is there
  }
}

}  // namespace kezek::control

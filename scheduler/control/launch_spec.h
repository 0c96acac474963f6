// What an attempt is launched with: environment and output paths. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/cluster.h"
#include "kezek/job.h"

namespace kezek::control {

// What the spec, the job and the attempt do not say.
struct LaunchContext {
  std::string output_root;
  std::string cluster_name;
  std::string container_launch;  // Launch's
  std::string project;           // path
  std::string unix_account;
  std::int64_t unix_uid = 0;
  std::string slurm_account;
  std::string qos;
  std::string tag;
};

// Complete but for the payload: script "", and in `environment` only what Kezek adds: KEZEK_JOB_ID,
// KEZEK_ATTEMPT, KEZEK_OUTPUT_DIR, KEZEK_PROJECT, KEZEK_PREEMPTED (times it was), KEZEK_CLUSTER,
// KEZEK_CHECKPOINT, KEZEK_RESUME_FROM, and for elements SLURM_ARRAY_* with Kezek's own number as
// SLURM_ARRAY_JOB_ID. Paths by kezek/output_path.h. A later attempt appends to its output.
Launch MakeLaunch(const Job& job, const Attempt& attempt, const LaunchContext& context);

// Script and environment of the payload; what Kezek has set wins, and what Kezek or Slurm set for
// one job alone is left out.
void CompleteLaunch(Launch& launch, const JobPayload& payload);

}  // namespace kezek::control

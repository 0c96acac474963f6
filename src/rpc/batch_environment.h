// The variables that sbatch itself adds to a job's environment because of what was asked for.
#pragma once

#include <kezek/v1/job_spec.pb.h>

#include <map>
#include <string>

#include "rpc/field_checks.h"

namespace kezek::rpc {

// Adds, over what is there: SLURM_SUBMIT_HOST and _DIR; of the shape, where asked for:
// SLURM_NTASKS, SLURM_NPROCS, SLURM_NTASKS_PER_NODE, SLURM_CPUS_PER_TASK, SLURM_GPUS,
// SLURM_GPUS_PER_TASK, SLURM_CPUS_PER_GPU; SLURM_JOB_DEPENDENCY; SLURM_OPEN_MODE; and a
// SLURM_RLIMIT_… for each limit, by which slurmd sets it. Memory is left to Slurm: it knows it by
// the node, and srun takes only one way of saying it. Fails on a limit that is none.
void AddBatchVariables(const v1::JobSpec& wire, FieldChecks* checks,
                       std::map<std::string, std::string>* environment);

}  // namespace kezek::rpc

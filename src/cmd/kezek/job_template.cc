// The text that `kezek job init` writes.
#include <map>
#include <string>

#include "cmd/kezek/job_file.h"

namespace kezek::cli {
namespace {

constexpr const char* kHead =
    R"(# A job of Kezek: `kezek submit FILE`. The fields are the API's (api-reference.md, JobSpec);
# what is left out gets the project's or the class's default. Another job may follow below a line
# of three dashes.
name: NAME
kind: KIND
# project: alem-llm            # needed if you are a member of several
# job_class: normal            # or debug, scavenger; a wrong one is answered with those there are
)";

constexpr const char* kTail = R"(
time_limit_ms: LIMIT             # also in milliseconds; the shorter, the sooner it may start
# time_min_ms: 1h              # no effect yet: a shorter limit for an earlier start
# begin_ms: now+1hour          # not before; deadline_ms: to be ended by
# dependencies:                # afterok:48210 of sbatch
#   - {kind: after_ok, job: "48210"}
# array: {indices: 0-99, max_running: 8}   # SLURM_ARRAY_TASK_ID tells them apart
requeue: {enabled: true, max_attempts: 1}  # node faults and preemption never use up attempts
# signal: {name: USR1, before_end_ms: 5m, batch_only: true}
# checkpoint_path: checkpoints # new files there count as checkpoints

# working_dir: /home/me/project            # where you submit, unless given
# stdout_path: logs/%x-%j.out              # else `kezek logs` has it
# stdin_path: input.txt
# open_mode: append
# environment: {NCCL_DEBUG: INFO}          # complete; without this field it is your shell's
# arguments: [--epochs, "3"]
# constraints: [nvme]
# nodelist: ["n[01-04]"]
# exclude_nodes: [n05]
# reservation: ml-course       # run in an administrator's reservation
# hold: true
# labels: {team: speech}
# comment: for people

script: |
  #!/bin/bash
)";

struct Kind {
  const char* shape;
  const char* limit;
  const char* script;
};

const std::map<std::string, Kind>& Kinds() {
  static const std::map<std::string, Kind> kinds = {
      {"training",
       {R"(
shape:
  nodes: 2
  gpus_per_node: 8             # the same on every node; or only `gpus: 16`
  # gpu_type: h200
  # ntasks_per_node: 1
  # cpus_per_gpu: 12           # else the GPUs' part of the node, memory likewise
topology:
  within: leaf                 # all nodes under one leaf switch; `prefer: leaf` only waits a while
)",
        "12h",
        "  head=$(scontrol show hostnames \"$SLURM_JOB_NODELIST\" | head -n 1)\n"
        "  srun torchrun --nnodes \"$SLURM_NNODES\" --nproc-per-node \"$SLURM_GPUS_ON_NODE\" \\\n"
        "    --rdzv-id \"$KEZEK_JOB_ID\" --rdzv-backend c10d --rdzv-endpoint \"$head:29500\" "
        "train.py\n"}},
      {"inference",
       {R"(
shape:
  gpus: 1
  # cpus_per_gpu: 12
)",
        "4h", "  python score.py --part \"${SLURM_ARRAY_TASK_ID:-0}\"\n"}},
      {"interactive",
       {R"(
shape:
  gpus: 1
)",
        "2h", "  jupyter lab --no-browser --ip \"$(hostname)\"\n"}},
      {"batch",
       {R"(
shape:
  nodes: 1
  gpus_per_node: 0             # no GPU
  cpus_per_node: 8
  memory_per_node_mib: 32768
)",
        "1h", "  ./prepare.sh\n"}},
  };
  return kinds;
}

void Replace(std::string& text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
}

}  // namespace

Result<std::string> JobFileTemplate(const std::string& kind) {
  const auto found = Kinds().find(kind);
  if (found == Kinds().end()) {
    return Error{Code::kInvalidArgument,
                 "--kind: '" + kind + "' is not training, inference, interactive or batch",
                 {}};
  }
  std::string head = kHead;
  Replace(head, "NAME", "my-" + kind);
  Replace(head, "KIND", kind);
  std::string tail = kTail;
  Replace(tail, "LIMIT", found->second.limit);
  return head + found->second.shape + tail + found->second.script;
}

}  // namespace kezek::cli

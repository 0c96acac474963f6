#include "script/option_table.h"

#include <algorithm>
#include <set>
#include <vector>

#include "script/apply.h"
#include "script/text.h"

namespace kezek::script {
namespace {

using enum Argument;
constexpr Use kJob = Use::kJob;
constexpr Use kKezek = Use::kKezek;
constexpr Use kIgnored = Use::kIgnored;
constexpr Use kRefused = Use::kRefused;

constexpr Option kOptions[] = {
    {"job-name", 'J', kRequired, "NAME", "name of the job", kJob, apply::Name},
    {"account,project", 'A', kRequired, "PROJECT", "project that is charged", kJob, apply::Project},
    {"qos,class", 'q', kRequired, "CLASS", "class: normal, debug, …", kJob, apply::JobClass},
    {"kind", '\0', kRequired, "training|inference|interactive|batch", "what it is", kKezek,
     apply::Kind},
    {"nodes", 'N', kRequired, "N", "nodes", kJob, apply::Nodes},
    {"gpus", 'G', kRequired, "[TYPE:]N", "GPUs in all", kJob, apply::Gpus},
    {"gpus-per-node", '\0', kRequired, "[TYPE:]N", "GPUs on each node", kJob, apply::GpusPerNode},
    {"gpus-per-task", '\0', kRequired, "[TYPE:]N", "GPUs for each task", kJob, apply::GpusPerTask},
    {"gres", '\0', kRequired, "gpu[:TYPE]:N", "GPUs on each node, as Slurm writes them", kJob,
     apply::Gres},
    {"gpu-type", '\0', kRequired, "TYPE", "type of GPU", kKezek, apply::GpuType},
    {"ntasks", 'n', kRequired, "N", "tasks in all", kJob, apply::Ntasks},
    {"ntasks-per-node,tasks-per-node", '\0', kRequired, "N", "tasks on each node", kJob,
     apply::NtasksPerNode},
    {"cpus-per-task", 'c', kRequired, "N", "CPUs for each task", kJob, apply::CpusPerTask},
    {"cpus-per-gpu", '\0', kRequired, "N", "CPUs for each GPU", kJob, apply::CpusPerGpu},
    {"mem", '\0', kRequired, "SIZE", "memory on each node, 0 for all of it", kJob, apply::Mem},
    {"mem-per-cpu", '\0', kRequired, "SIZE", "memory for each CPU", kJob, apply::MemPerCpu},
    {"mem-per-gpu", '\0', kRequired, "SIZE", "memory for each GPU", kJob, apply::MemPerGpu},
    {"exclusive", '\0', kOptional, "", "whole nodes, nobody beside", kJob, apply::Exclusive},
    {"within", '\0', kRequired, "leaf|block", "all nodes in one such domain, however long it takes",
     kKezek, apply::Within},
    {"prefer", '\0', kRequired, "leaf|block", "wait a while for such a domain", kKezek,
     apply::Prefer},
    {"spread", '\0', kRequired, "node|leaf|block",
     "elements of an array apart on these, if it can be", kKezek, apply::SpreadOver},
    {"constraint", 'C', kRequired, "LABELS", "labels the nodes must have", kJob, apply::Constraint},
    {"nodelist", 'w', kRequired, "NODES", "nodes that must be among the job's", kJob,
     apply::NodeList},
    {"exclude", 'x', kRequired, "NODES", "nodes it must not get", kJob, apply::Exclude},
    {"time", 't', kRequired, "TIME", "limit of a run: 30m, 12h, 2d, 1-12:00:00, minutes", kJob,
     apply::Time},
    {"time-min", '\0', kRequired, "TIME", "no effect yet: a shorter limit for an earlier start",
     kJob, apply::TimeMin},
    {"begin", 'b', kRequired, "WHEN", "not before: now+1hour, 16:00, 2026-12-01T08:00", kJob,
     apply::Begin},
    {"deadline", '\0', kRequired, "WHEN", "cancel when it can no longer end by then", kJob,
     apply::Deadline},
    {"dependency", 'd', kRequired, "LIST", "afterok:ID, afterany:ID, afternotok:ID, after:ID", kJob,
     apply::DependencyList},
    {"kill-on-invalid-dep", '\0', kRequired, "yes|no", "cancel when a dependency cannot be met",
     kJob, apply::KillOnInvalidDep},
    {"array", 'a', kRequired, "INDICES", "an array, such as 0-99%8", kJob, apply::Array},
    {"reservation", '\0', kRequired, "RESERVATION", "in this reservation of an administrator", kJob,
     apply::Reservation},
    {"requeue", '\0', kNone, "", "run again after node faults and preemption", kJob,
     apply::Requeue},
    {"no-requeue", '\0', kNone, "", "end then", kJob, apply::NoRequeue},
    {"max-attempts", '\0', kRequired, "N", "runs at most: above 1 a run that fails is tried again",
     kKezek, apply::MaxAttempts},
    {"signal", '\0', kRequired, "[B:]SIG[@S]", "signal S seconds before the limit", kJob,
     apply::Signal},
    {"grace", '\0', kRequired, "TIME", "from signal to end when preempted; at most the class's",
     kKezek, apply::Grace},
    {"checkpoint", '\0', kRequired, "PATH", "file or folder whose new files are checkpoints",
     kKezek, apply::Checkpoint},
    {"hold", 'H', kNone, "", "held until released", kJob, apply::HoldJob},
    {"nice", '\0', kOptional, "N", "order among your own jobs, higher is later", kJob, apply::Nice},
    {"output", 'o', kRequired, "FILE", "standard output, with %j %A %a %x %N %u", kJob,
     apply::Output},
    {"error", 'e', kRequired, "FILE", "standard error", kJob, apply::ErrorFile},
    {"input", 'i', kRequired, "FILE", "standard input", kJob, apply::Input},
    {"open-mode", '\0', kRequired, "append|truncate", "what to do with output that is there", kJob,
     apply::Open},
    {"chdir", 'D', kRequired, "DIR", "working directory", kJob, apply::Chdir},
    {"export", '\0', kRequired, "VARS", "environment: ALL, NONE, NAME, NAME=value", kJob,
     apply::Export},
    {"classification", '\0', kRequired, "NAME", "classification of the job's data", kKezek,
     apply::Classification},
    {"container-image", '\0', kRequired, "IMAGE", "container image", kKezek, apply::Container},
    {"comment", '\0', kRequired, "TEXT", "for people", kJob, apply::Comment},
    {"wait", 'W', kNone, "", "wait for the end, exit as the job does", kJob, apply::Wait},
    {"parsable", '\0', kNone, "", "print the job's number alone", kJob, apply::Parsable},
    {"wrap", '\0', kRequired, "COMMAND", "a shell command instead of a script", kJob, apply::Wrap},
    {"partition", 'p', kRequired, "NAME", "no effect: Kezek chooses", kIgnored, nullptr},
    {"mail-type", '\0', kRequired, "TYPES", "no effect yet", kIgnored, nullptr},
    {"mail-user", '\0', kRequired, "USER", "no effect yet", kIgnored, nullptr},
    {"switches", '\0', kRequired, "", "ask for --within leaf", kRefused, nullptr},
    {"ntasks-per-gpu", '\0', kRequired, "", "ask for --gpus-per-task", kRefused, nullptr},
    {"gpus-per-socket", '\0', kRequired, "", "ask for --gpus-per-node", kRefused, nullptr},
    {"container", '\0', kRequired, "", "ask for --container-image", kRefused, nullptr},
    {"export-file", '\0', kRequired, "", "ask for --export", kRefused, nullptr},
    {"oversubscribe,share", 's', kOptional, "", "GPUs are never shared", kRefused, nullptr},
    {"nodefile", 'F', kRequired, "", "ask for --nodelist", kRefused, nullptr},
    {"clusters", 'M', kRequired, "", "name the cluster with --context", kRefused, nullptr},
    {"test-only", '\0', kNone, "", "saying what would happen to a job is not there yet", kRefused,
     nullptr},
    {"batch", '\0', kRequired, "", "", kRefused, nullptr},
    {"bb", '\0', kRequired, "", "", kRefused, nullptr},
    {"bbf", '\0', kRequired, "", "", kRefused, nullptr},
    {"cluster-constraint", '\0', kRequired, "", "", kRefused, nullptr},
    {"contiguous", '\0', kNone, "", "ask for --within leaf", kRefused, nullptr},
    {"core-spec", 'S', kRequired, "", "", kRefused, nullptr},
    {"cores-per-socket", '\0', kRequired, "", "", kRefused, nullptr},
    {"cpu-freq", '\0', kRequired, "", "", kRefused, nullptr},
    {"delay-boot", '\0', kRequired, "", "", kRefused, nullptr},
    {"distribution", 'm', kRequired, "", "give it to srun in the script", kRefused, nullptr},
    {"extra-node-info", 'B', kRequired, "", "", kRefused, nullptr},
    {"get-user-env", '\0', kOptional, "", "", kRefused, nullptr},
    {"gid", '\0', kRequired, "", "", kRefused, nullptr},
    {"gpu-bind", '\0', kRequired, "", "give it to srun in the script", kRefused, nullptr},
    {"gpu-freq", '\0', kRequired, "", "", kRefused, nullptr},
    {"gres-flags", '\0', kRequired, "", "", kRefused, nullptr},
    {"hint", '\0', kRequired, "", "", kRefused, nullptr},
    {"ignore-pbs", '\0', kNone, "", "Kezek reads no PBS lines", kRefused, nullptr},
    {"licenses", 'L', kRequired, "", "", kRefused, nullptr},
    {"mcs-label", '\0', kRequired, "", "", kRefused, nullptr},
    {"mem-bind", '\0', kRequired, "", "give it to srun in the script", kRefused, nullptr},
    {"mincpus", '\0', kRequired, "", "", kRefused, nullptr},
    {"network", '\0', kRequired, "", "", kRefused, nullptr},
    {"no-kill", 'k', kOptional, "", "", kRefused, nullptr},
    {"ntasks-per-core", '\0', kRequired, "", "", kRefused, nullptr},
    {"ntasks-per-socket", '\0', kRequired, "", "ask for --ntasks-per-node", kRefused, nullptr},
    {"overcommit", 'O', kNone, "", "", kRefused, nullptr},
    {"power", '\0', kRequired, "", "", kRefused, nullptr},
    {"priority", '\0', kRequired, "", "ask for --nice", kRefused, nullptr},
    {"profile", '\0', kRequired, "", "", kRefused, nullptr},
    {"propagate", '\0', kOptional, "", "", kRefused, nullptr},
    {"quiet", 'Q', kNone, "", "", kRefused, nullptr},
    {"reboot", '\0', kNone, "", "", kRefused, nullptr},
    {"sockets-per-node", '\0', kRequired, "", "", kRefused, nullptr},
    {"spread-job", '\0', kNone, "", "", kRefused, nullptr},
    {"thread-spec", '\0', kRequired, "", "", kRefused, nullptr},
    {"threads-per-core", '\0', kRequired, "", "", kRefused, nullptr},
    {"tmp", '\0', kRequired, "", "", kRefused, nullptr},
    {"uid", '\0', kRequired, "", "", kRefused, nullptr},
    {"use-min-nodes", '\0', kNone, "", "", kRefused, nullptr},
    {"verbose", 'v', kNone, "", "", kRefused, nullptr},
    {"wait-all-nodes", '\0', kRequired, "", "a gang starts on all of its nodes", kRefused, nullptr},
    {"wckey", '\0', kRequired, "", "ask for --comment", kRefused, nullptr},
};

}  // namespace

std::span<const Option> Options() { return kOptions; }

std::string_view LongName(const Option& option) {
  return option.names.substr(0, option.names.find(','));
}

Result<const Option*> FindLong(std::string_view name) {
  std::vector<const Option*> meant;
  std::string candidates;
  for (const Option& option : kOptions) {
    for (const std::string_view candidate : Split(option.names, ',')) {
      if (candidate == name) return &option;
      if (name.empty() || !candidate.starts_with(name)) continue;
      if (meant.empty() || meant.back() != &option) meant.push_back(&option);
      candidates += (candidates.empty() ? "--" : ", --") + std::string(candidate);
    }
  }
  if (meant.size() == 1) return meant.front();
  if (meant.empty()) return Bad("no such option");
  return Bad("could be " + candidates);
}

const Option* FindLetter(char letter) {
  const auto* found = std::find_if(
      std::begin(kOptions), std::end(kOptions),
      [letter](const Option& option) { return letter != '\0' && option.letter == letter; });
  return found == std::end(kOptions) ? nullptr : found;
}

}  // namespace kezek::script

// A launch as the body of a submission, in the words of the two families.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/host_list.h"
#include "slurm/codec.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {
namespace {

std::string Octal(std::int32_t mask) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) {
    text += static_cast<char>('0' + ((mask >> shift) & 7));
  }
  return text;
}

// slurmd takes the mask from a variable, as sbatch hands it over, and opens the output with it.
std::map<std::string, std::string> Environment(const Launch& launch) {
  auto environment = launch.environment;
  environment["SLURM_UMASK"] = Octal(launch.spec.umask);
  return environment;
}

// CPUs of a node are its tasks' CPUs: v0.0.38's minimum per node does not grant any.
std::int32_t CpusPerTask(const JobSpec& spec) {
  const std::int32_t tasks = std::max(spec.ntasks_per_node, 1);
  return std::max({spec.cpus_per_task, spec.shape.cpus_per_node / tasks, 1});
}

// A path that Slurm shall take as it is, though it takes paths for patterns: with a backslash it
// replaces nothing and takes one of two away.
std::string AsPattern(const std::string& path) {
  const char twice = path.find('\\') == std::string::npos ? '%' : '\\';
  std::string pattern;
  for (const char c : path) pattern.append(c == twice ? 2 : 1, c);
  return pattern;
}

std::int64_t LimitMinutes(DurationMs limit_ms) {
  return std::max<std::int64_t>((limit_ms + kMinuteMs - 1) / kMinuteMs, 1);
}

Json Number(std::int64_t value) { return {{"set", true}, {"infinite", false}, {"number", value}}; }

std::vector<std::string> Nodes(const Launch& launch) {
  std::vector<std::string> nodes;
  for (const auto& grant : launch.placement) nodes.push_back(grant.node);
  return nodes;
}

void SetText(const char* key, const std::string& value, Json* job) {
  if (!value.empty()) (*job)[key] = value;
}

// What is said in the same words in all versions.
Json Common(const Launch& launch, const std::string& partition) {
  const JobSpec& spec = launch.spec;
  const std::string count = std::to_string(launch.placement.size());
  Json job = {{"name", ClusterName(launch.attempt)},
              {"comment", launch.tag},
              {"hold", true},
              {"nodes", count + "-" + count},
              {"cpus_per_task", CpusPerTask(spec)},
              {"current_working_directory", spec.working_directory},
              {"standard_output", AsPattern(launch.stdout_path)}};
  // One task a node is what Slurm takes it to be; said, srun would take it for the user's wish.
  if (spec.ntasks_per_node > 1 ||
      spec.ntasks != static_cast<std::int64_t>(launch.placement.size())) {
    job["tasks"] = spec.ntasks;
    job["tasks_per_node"] = spec.ntasks_per_node;
  }
  SetText("standard_error", AsPattern(launch.stderr_path), &job);
  SetText("standard_input", AsPattern(launch.stdin_path), &job);
  SetText("account", launch.slurm_account, &job);
  SetText("qos", launch.qos, &job);
  SetText("partition", partition, &job);
  if (launch.container_launch.empty()) SetText("container", spec.container_image, &job);
  return job;
}

std::string Gpus(const Shape& shape) {
  return "gpu:" + shape.gpu_type + ":" + std::to_string(shape.gpus_per_node);
}

bool Appends(const Launch& launch) {
  return launch.spec.append_output || launch.attempt.number > 1;
}

void AddPlain(const Launch& launch, Json* job) {
  const JobSpec& spec = launch.spec;
  (*job)["nodelist"] = CompressHostList(Nodes(launch));
  (*job)["environment"] = Environment(launch);
  (*job)["time_limit"] = LimitMinutes(launch.limit_ms);
  (*job)["open_mode"] = Appends(launch) ? "append" : "truncate";
  // On, so that a job may ask Slurm to requeue itself; a new attempt comes of it. `requeue` false
  // is not heeded.
  (*job)[spec.requeue ? "requeue" : "no_requeue"] = true;
  if (spec.shape.gpus_per_node > 0) (*job)["gres"] = Gpus(spec.shape);
  if (spec.shape.memory_mib_per_node > 0) {
    (*job)["memory_per_node"] = spec.shape.memory_mib_per_node;
  }
  if (IsClustersToSend(spec.signal)) {
    (*job)["signal"] = SlurmSignal(spec.signal.name).value_or("") + "@" +
                       std::to_string(spec.signal.before_end_ms / kSecondMs);
  }
  if (spec.shape.exclusive) (*job)["exclusive"] = "exclusive";
}

void AddNested(const Launch& launch, Json* job) {
  const JobSpec& spec = launch.spec;
  (*job)["required_nodes"] = Nodes(launch);
  Json variables = Json::array();
  for (const auto& [name, value] : Environment(launch)) variables.push_back(name + "=" + value);
  (*job)["environment"] = std::move(variables);
  (*job)["time_limit"] = Number(LimitMinutes(launch.limit_ms));
  (*job)["open_mode"] = Json::array({Appends(launch) ? "APPEND" : "TRUNCATE"});
  (*job)["requeue"] = spec.requeue;
  if (!spec.arguments.empty()) {
    Json words =
        Json::array({ClusterName(launch.attempt)});  // stands where the script's name would
    for (const auto& argument : spec.arguments) words.push_back(argument);
    (*job)["argv"] = std::move(words);
  }
  if (spec.shape.gpus_per_node > 0) (*job)["tres_per_node"] = "gres/" + Gpus(spec.shape);
  if (spec.shape.memory_mib_per_node > 0) {
    (*job)["memory_per_node"] = Number(spec.shape.memory_mib_per_node);
  }
  if (IsClustersToSend(spec.signal)) {
    (*job)["kill_warning_signal"] = SlurmSignal(spec.signal.name).value_or("");
    (*job)["kill_warning_delay"] = Number(spec.signal.before_end_ms / kSecondMs);
  }
  if (spec.shape.exclusive) (*job)["shared"] = Json::array({"none"});
}

}  // namespace

std::string Codec::SubmitBody(const Launch& launch, const std::string& partition) const {
  Json job = Common(launch, partition);
  family_ == Family::kPlain ? AddPlain(launch, &job) : AddNested(launch, &job);
  const Json body = {{"script", LaunchScript(launch, can_)}, {"job", std::move(job)}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string Codec::LimitBody(DurationMs limit_ms) const {
  const std::int64_t minutes = LimitMinutes(limit_ms);
  return Json{{"time_limit", family_ == Family::kPlain ? Json(minutes) : Number(minutes)}}.dump();
}

}  // namespace kezek::slurm

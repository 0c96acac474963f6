// Jobs as slurmctld lists them.
#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "kezek/host_list.h"
#include "slurm/codec.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {
namespace {

TimeMs Seconds(const Json& object, const char* key) { return IntegerAt(object, key) * kSecondMs; }

// v0.0.41 and later tell the number of CPUs, older ones each core.
std::int32_t CpusAllocated(const Json& node) {
  if (node.contains("cpus")) {
    return static_cast<std::int32_t>(IntegerAt(ObjectAt(node, "cpus"), "count"));
  }
  std::int32_t cores = 0;
  for (const auto& [socket, content] : ObjectAt(node, "sockets").items()) {
    if (!content.is_object()) continue;
    for (const auto& [core, state] : ObjectAt(content, "cores").items()) {
      if (state == "allocated") ++cores;
    }
  }
  return cores;
}

// The nodes that it has, each as an object.
const Json& AllocatedNodes(const Json& entry) {
  const Json& resources = ObjectAt(entry, "job_resources");
  const Json& nodes = ObjectAt(resources, "nodes");
  return nodes.empty() ? ListAt(resources, "allocated_nodes") : ListAt(nodes, "allocation");
}

NodeUse ReadUse(const Json& node) {
  NodeUse use;
  use.node = TextAt(node, node.contains("nodename") ? "nodename" : "name");
  use.cpus = CpusAllocated(node);
  use.memory_mib =
      IntegerAt(node, "memory_allocated", IntegerAt(ObjectAt(node, "memory"), "allocated"));
  return use;
}

// CPUs and memory stand where the GPUs of the first type do.
void AddUses(NodeUse use, const GpusByType& of_type, LiveJob* live) {
  if (of_type.empty()) live->uses.push_back(use);
  for (const auto& [type, gpus] : of_type) {
    use.gpu_type = type;
    use.gpus = gpus;
    live->uses.push_back(use);
    use.cpus = 0;
    use.memory_mib = 0;
  }
}

// gres_detail has one entry per node, in the order of the allocated nodes; it is empty for a job
// without GPUs and for one that is completing.
void ReadGrants(const Json& entry, const Tres& tres, LiveJob* live) {
  const Json& nodes = AllocatedNodes(entry);
  const Json& details = ListAt(entry, "gres_detail");
  Placement placement = EvenPlacement(TextAt(entry, "nodes"), tres.gpus);
  std::size_t index = 0;
  for (const auto& node : nodes) {
    if (!node.is_object()) continue;
    NodeUse use = ReadUse(node);
    NodeGrant read{use.node, 0, {}};
    GpusByType of_type;
    const auto grant =
        std::find_if(placement.begin(), placement.end(),
                     [&](const NodeGrant& known) { return known.node == read.node; });
    if (index < details.size() && details[index].is_string()) {
      ReadGresDetail(details[index].get<std::string>(), &read, &of_type);
      if (grant != placement.end()) *grant = read;
    } else if (grant != placement.end()) {
      read.gpus = grant->gpus;
    }
    use.gpus = read.gpus;
    AddUses(std::move(use), of_type, live);
    ++index;
  }
  // While a job completes Slurm shows the nodes that are not free yet, not those it was given.
  if (live->job.state != ClusterJobState::kCompleting) live->job.granted = std::move(placement);
}

// "gres:gpu:h200:2", or with a slash; of several kinds all that are GPUs.
std::int32_t GpusPerNode(std::string_view text) {
  std::int32_t gpus = 0;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (item.starts_with("gres:") || item.starts_with("gres/")) item.remove_prefix(5);
    if (item != "gpu" && !item.starts_with("gpu:")) continue;
    const std::string_view last = item.substr(item.rfind(':') + 1);
    std::int32_t count = 0;
    const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), count);
    const bool counted = error == std::errc() && end == last.data() + last.size();
    gpus += std::clamp(counted ? count : 1, 0, kGpusMax);
  }
  return gpus;
}

Placement ReadAsked(const Json& entry) {
  const std::int32_t each = GpusPerNode(TextAt(entry, "tres_per_node"));
  Placement asked = EvenPlacement(TextAt(entry, "required_nodes"), 0);
  for (NodeGrant& grant : asked) grant.gpus = each;
  return asked;
}

bool HasResources(ClusterJobState state) {
  return state == ClusterJobState::kRunning || state == ClusterJobState::kCompleting;
}

// The wait status as one number, or taken apart.
void ReadExit(const Json& entry, ClusterJob* job) {
  const Json& exit = ObjectAt(entry, "exit_code");
  if (exit.empty()) {
    const std::int64_t wait_status = IntegerAt(entry, "exit_code");
    job->exit_signal = static_cast<std::int32_t>(wait_status & 0x7f);
    job->exit_code = static_cast<std::int32_t>((wait_status >> 8) & 0xff);
    return;
  }
  ReadExitParts(exit, job);
}

std::optional<LiveJob> ReadJob(const Json& entry) {
  if (!entry.is_object()) return std::nullopt;
  auto state = StateAt(entry, "job_state");
  if (!state && !MayBeOurs(entry)) state = ClusterJobState::kRunning;
  const std::int64_t id = IntegerAt(entry, "job_id");
  if (!state || id <= 0) return std::nullopt;
  LiveJob live;
  live.name = TextAt(entry, "name");
  ClusterJob& job = live.job;
  job.id = id;
  job.attempt = ParseClusterName(live.name).value_or(AttemptRef{});
  job.unix_account = TextAt(entry, "user_name");
  job.tag = TextAt(entry, "comment");
  job.state = *state;
  job.state_reason = TextAt(entry, "state_reason");
  job.held = *state == ClusterJobState::kPending &&
             (job.state_reason == "JobHeldUser" || job.state_reason == "JobHeldAdmin" ||
              IntegerAt(entry, "priority", 1) == 0);
  job.limit_ms = IntegerAt(entry, "time_limit") * kMinuteMs;
  job.restarts = static_cast<std::int32_t>(IntegerAt(entry, "restart_cnt"));
  // A pending job's start is the backfill scheduler's guess; one without nodes has never run.
  if (*state != ClusterJobState::kPending && !TextAt(entry, "nodes").empty()) {
    job.start_ms = Seconds(entry, "start_time");
    const Tres tres = ParseTres(TextAt(entry, "tres_alloc_str"));
    job.cpus = tres.cpus;
    job.memory_mib = tres.memory_mib;
    ReadGrants(entry, tres, &live);
  }
  if (*state == ClusterJobState::kPending && entry.contains("required_nodes")) {
    job.asked = ReadAsked(entry);
  }
  if (!HasResources(*state)) live.uses.clear();
  if (*state >= ClusterJobState::kCompleting) job.end_ms = Seconds(entry, "end_time");
  if (HasEnded(*state)) ReadExit(entry, &job);
  return live;
}

std::string Described(const Json& entry) {
  if (!entry.is_object()) return "slurmrestd: a job that is no object";
  std::string states;
  for (const auto& word : WordsAt(entry, "job_state")) states += (states.empty() ? "" : "+") + word;
  return "slurmrestd: job " + std::to_string(IntegerAt(entry, "job_id")) + " (" +
         TextAt(entry, "name") + ") in state '" + states + "' is not as the API has it";
}

}  // namespace

Result<JobsAnswer> ParseJobs(long status, std::string_view body) {
  JobsAnswer answer;
  if (status == 304) {
    answer.unchanged = true;
    return answer;
  }
  std::optional<std::string> unreadable;  // one of ours
  const auto parsed = ParseAnswer(body, "jobs", [&](const Json& entry) {
    auto job = ReadJob(entry);
    if (!job && MayBeOurs(entry)) unreadable = Described(entry);
    if (!job || !StateAt(entry, "job_state")) answer.odd.push_back(Described(entry));
    if (job) answer.jobs.push_back(*std::move(job));
  });
  if (parsed && parsed->error && parsed->error->number == kErrorUnknownJob) {
    return Error{Code::kNotFound, parsed->error->text, {}};
  }
  if (!parsed || parsed->error || status != 200 || !parsed->body.contains("jobs")) {
    return Unusable(status, body, parsed);
  }
  if (unreadable) return Error{Code::kUnavailable, *unreadable, {}};
  answer.unchanged = answer.jobs.empty() && answer.odd.empty() && SaysUnchanged(*parsed);
  return answer;
}

Result<JobStates> ParseJobStates(long status, std::string_view body) {
  JobStates states;
  const auto parsed = ParseAnswer(body, "jobs", [&](const Json& entry) {
    if (!entry.is_object()) return;
    const std::int64_t number = IntegerAt(entry, "job_id");
    const auto state = StateAt(entry, "state");
    std::string id = number > 0 ? std::to_string(number) : TextAt(entry, "job_id");
    if (state) states.insert_or_assign(std::move(id), *state);
  });
  if (!parsed || parsed->error || status != 200 || !parsed->body.contains("jobs")) {
    return Unusable(status, body, parsed);
  }
  return states;
}

}  // namespace kezek::slurm

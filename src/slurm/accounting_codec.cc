// Jobs as slurmdbd keeps them.
#include <map>
#include <utility>

#include "slurm/codec.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {
namespace {

Tres ReadTres(const Json& list) {
  Tres tres;
  for (const auto& item : list) {
    if (!item.is_object()) continue;
    const std::string type = TextAt(item, "type");
    const std::int64_t count = IntegerAt(item, "count");
    if (type == "cpu") tres.cpus = static_cast<std::int32_t>(count);
    if (type == "mem") tres.memory_mib = count;
    if (type == "gres" && TextAt(item, "name") == "gpu")
      tres.gpus = static_cast<std::int32_t>(count);
  }
  return tres;
}

std::optional<LiveJob> ReadEndedJob(const Json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const auto state = StateAt(ObjectAt(entry, "state"), "current");
  const std::int64_t id = IntegerAt(entry, "job_id");
  if (!state || id <= 0 || IsMadeUp(entry)) return std::nullopt;
  LiveJob live;
  live.name = TextAt(entry, "name");
  ClusterJob& job = live.job;
  job.id = id;
  job.attempt = ParseClusterName(live.name).value_or(AttemptRef{});
  job.unix_account = TextAt(entry, "user");
  job.tag = TextAt(ObjectAt(entry, "comment"), "job");
  job.state = *state;
  job.state_reason = TextAt(ObjectAt(entry, "state"), "reason");
  const std::string nodes = TextAt(entry, "nodes");
  const Json& time = ObjectAt(entry, "time");
  const bool taken_back = IsTakenBack(ObjectAt(entry, "state"));
  const bool resized = IsResized(ObjectAt(entry, "state"));
  const bool has_run = taken_back || resized || *state != ClusterJobState::kPending;
  if (has_run && !nodes.empty() && nodes != "None assigned") {
    job.start_ms = IntegerAt(time, "start") * kSecondMs;
    const Tres tres = ReadTres(ListAt(ObjectAt(entry, "tres"), "allocated"));
    job.cpus = tres.cpus;
    job.memory_mib = tres.memory_mib;
    job.granted = EvenPlacement(nodes, tres.gpus);
  }
  if (taken_back) job.end_ms = IntegerAt(time, "end") * kSecondMs;
  if (resized) live.resized_ms = IntegerAt(time, "end") * kSecondMs;
  if (HasEnded(*state)) {
    job.end_ms = IntegerAt(time, "end") * kSecondMs;
    ReadExitParts(ObjectAt(entry, "exit_code"), &job);
    const bool silent = job.exit_signal == 0 && job.exit_code == 0;
    if (silent && *state == ClusterJobState::kFailed) job.exit_code = 1;
    // A slurmctld that begins without its state has the books say of all that it had: cancelled,
    // and by nobody.
    live.cancelled_by = TextAt(entry, "kill_request_user");
    job.node_failed = *state == ClusterJobState::kCancelled && live.cancelled_by.empty();
  }
  return live;
}

// Of a job that was given fewer nodes while it ran the accounting of 24.11 and later has a record
// for each size, one beginning as the other ends: by the first start all of them are one run.
void JoinResized(std::vector<LiveJob>* records) {
  std::map<std::pair<std::int64_t, TimeMs>, TimeMs> start_of;  // by id and end of the size before
  for (LiveJob& record : *records) {
    ClusterJob& job = record.job;
    const auto before = start_of.find({job.id, job.start_ms});
    if (before != start_of.end()) job.start_ms = before->second;
    if (record.resized_ms != 0) start_of[{job.id, record.resized_ms}] = job.start_ms;
  }
}

}  // namespace

Result<std::vector<LiveJob>> ParseAccounting(long status, std::string_view body) {
  std::vector<LiveJob> jobs;
  bool unreadable = false;
  const auto parsed = ParseAnswer(body, "jobs", [&](const Json& entry) {
    auto job = ReadEndedJob(entry);
    if (!job && MayBeOurs(entry)) unreadable = true;
    if (job) jobs.push_back(*std::move(job));
  });
  if (parsed && parsed->error && parsed->error->number == kErrorNothingFound) {
    return std::vector<LiveJob>();
  }
  if (!parsed || parsed->error || status != 200 || !parsed->body.contains("jobs")) {
    return Unusable(status, body, parsed);
  }
  if (unreadable) return Error{Code::kUnavailable, "slurmdbd: a job that cannot be read", {}};
  JoinResized(&jobs);
  return jobs;
}

}  // namespace kezek::slurm

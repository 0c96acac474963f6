#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/watching.h"

namespace kezek::cli {
namespace {

struct ShowFlags {
  std::vector<std::string> jobs;
  bool script = false;
  WatchFlags watch;
  std::int64_t seq = 0;  // of the last event shown
};

constexpr int kShowWatchSeconds = 10;

std::string Requeue(const v1::ResolvedSpec& resolved) {
  if (!resolved.requeue()) return "never";
  const std::string faults = "after node faults and preemption";
  if (resolved.max_attempts() < 2) return faults;
  return faults + "; when it fails, too, up to " + Count(resolved.max_attempts(), "run");
}

void AddShape(const v1::Job& job, Facts& facts) {
  const v1::ResolvedSpec& resolved = job.resolved();
  facts.Add("Shape", JobShape(job));
  std::string counted =
      Gpus(job.counted_milli_gpus()) + (job.counted_milli_gpus() == 1000 ? " GPU" : " GPUs");
  if (resolved.has_counted_because()) counted += ": " + resolved.counted_because().sentence();
  facts.Add("Counted as", counted);
  facts.Add("Each node",
            Count(resolved.cpus_per_node(), "CPU") + ", " + Memory(resolved.memory_per_node_mib()));
  if (resolved.ntasks() > 0) {
    facts.Add("Tasks", std::to_string(resolved.ntasks()) + ", " +
                           std::to_string(resolved.ntasks_per_node()) + " on each node, " +
                           Count(resolved.cpus_per_task(), "CPU") + " each");
  }
  facts.Add("Time limit", Length(resolved.time_limit_ms()));
  facts.Add("Requeue", Requeue(resolved));
}

void AddWhen(const Host& host, const v1::Job& job, Facts& facts) {
  facts.Add("Submitted", ExactMoment(job.submitted_ms()));
  facts.Add("Not before", ExactMoment(job.spec().begin_ms()));
  facts.Add("Deadline", ExactMoment(job.spec().deadline_ms()));
  facts.Add("Started", ExactMoment(job.started_ms()));
  facts.Add("Ended", ExactMoment(job.ended_ms()));
  if (job.has_reservation()) {
    facts.Add("Reserved", job.reservation().placement().node_list() + " from " +
                              Moment(host, job.reservation().start_ms()));
  }
  std::string dependencies;
  for (const v1::Dependency& dependency : job.spec().dependencies()) {
    dependencies += dependencies.empty() ? "" : ", ";
    dependencies +=
        Words(v1::DependencyKind_Name(dependency.kind()), sizeof("DEPENDENCY_KIND_") - 1) + " " +
        dependency.job();
  }
  facts.Add("Depends on", dependencies);
}

void PrintFacts(const Host& host, const v1::Job& job) {
  Facts facts;
  facts.Add("Job", JobName(job));
  facts.Add("Name", job.spec().name());
  facts.Add("User", job.user());
  facts.Add("Project", job.project());
  facts.Add("Class", job.job_class());
  if (job.spec().kind() != v1::JOB_KIND_UNSPECIFIED) {
    facts.Add("Kind", Words(v1::JobKind_Name(job.spec().kind()), sizeof("JOB_KIND_") - 1));
  }
  facts.Add("State", Styled(host, StateStyle(job), StateName(job)));
  const bool runs = job.state() == v1::JOB_STATE_RUNNING || job.state() == v1::JOB_STATE_STARTING;
  facts.Add(job.has_array() ? "Elements" : runs ? "Runs on" : "Why", JobWhere(host, job));
  if (IsFinal(job.state()) && job.attempt_count() > 0)
    facts.Add("Exit code", std::to_string(job.exit_code()));
  if (!job.redacted()) AddShape(job, facts);
  AddWhen(host, job, facts);
  facts.Add("Directory", job.spec().working_dir());
  if (!job.attempts().empty()) {
    facts.Add("Output", job.attempts().rbegin()->stdout_path());
  }
  facts.Add("Comment", job.spec().comment());
  facts.Print(host);
}

void PrintAttempts(const Host& host, const v1::Job& job) {
  if (job.attempts().empty()) return;
  Table table({"ATTEMPT", "STATE", "STARTED", "RAN", "SLURM", "GPU-H", "REFUNDED", "NODES"});
  for (const v1::Attempt& attempt : job.attempts()) {
    const std::int64_t end = attempt.end_ms() > 0 ? attempt.end_ms() : host.now_ms();
    const bool ended = attempt.outcome() != v1::ATTEMPT_OUTCOME_UNSPECIFIED;
    table.Add(
        {std::to_string(attempt.number()),
         ended ? Words(v1::AttemptOutcome_Name(attempt.outcome()), sizeof("ATTEMPT_OUTCOME_") - 1)
               : Words(v1::AttemptState_Name(attempt.state()), sizeof("ATTEMPT_STATE_") - 1),
         ExactMoment(attempt.start_ms()),
         attempt.start_ms() > 0 ? Length((end - attempt.start_ms()) / 1000 * 1000) : "",
         attempt.slurm_job_id() > 0 ? std::to_string(attempt.slurm_job_id()) : "",
         GpuHours(attempt.charge_milli_gpu_ms()),
         attempt.refunded_milli_gpu_ms() > 0 ? GpuHours(attempt.refunded_milli_gpu_ms()) : "",
         attempt.placement().node_list()});
  }
  *host.out << '\n';
  table.Print(host);
}

std::string What(const v1::Event& event) {
  if (event.to().empty()) {
    return Words(v1::EventKind_Name(event.kind()), sizeof("EVENT_KIND_") - 1);
  }
  return event.from().empty() ? event.to() : event.from() + " → " + event.to();
}

void PrintEvents(const Host& host, const v1::GetJobsResponse& answer, const v1::Job& job) {
  Table table({"TIME", "EVENT", "BY", "REASON"});
  table.MayLeaveOut({"BY"});
  for (const v1::Event& event : answer.events()) {
    if (event.name() != job.job()) continue;
    table.Add({ExactMoment(event.time_ms()), What(event), event.actor(),
               SentenceOf(host, event.reason())});
  }
  if (table.empty()) return;
  *host.out << '\n';
  table.Print(host);
}

// For a pipe: a line for each event.
void PrintLog(const Host& host, const v1::GetJobsResponse& answer) {
  Table table({"JOB", "WHEN", "EVENT", "BY", "REASON"});
  for (const v1::Event& event : answer.events()) {
    table.Add({event.name(), ExactMoment(event.time_ms()), What(event), event.actor(),
               SentenceOf(host, event.reason())});
  }
  table.Print(host);
}

Result<int> LookAtJobs(Session& session, ShowFlags& flags, bool as_log) {
  v1::GetJobsRequest request;
  for (const std::string& job : flags.jobs) request.add_jobs(job);
  request.set_script(flags.script);
  request.set_events(true);
  Result<v1::GetJobsResponse> answer = Ask<v1::GetJobsResponse>(session, request);
  if (!answer) return answer.error();
  for (const v1::Job& job : answer->jobs()) flags.seq = std::max(flags.seq, job.last_seq());
  if (PrintMessage(session.host, session.format(), *answer)) return kDone;
  if (as_log) {
    PrintLog(session.host, *answer);
    return kDone;
  }
  bool first = true;
  for (const v1::Job& job : answer->jobs()) {
    if (session.format() == Format::kName) {
      *session.host.out << job.job() << '\n';
      continue;
    }
    if (!first) *session.host.out << '\n';
    first = false;
    if (flags.script) {
      *session.host.out << job.spec().script();
      continue;
    }
    PrintFacts(session.host, job);
    PrintAttempts(session.host, job);
    PrintEvents(session.host, *answer, job);
  }
  return kDone;
}

Result<int> RunShow(Session& session, ShowFlags& flags) {
  Watched watched;
  watched.look = [&session, &flags](bool as_log) { return LookAtJobs(session, flags, as_log); };
  watched.await = [&session, &flags](std::int64_t limit_ms) {
    AwaitEvent(session, flags.seq, flags.jobs, limit_ms);
  };
  return LookOrWatch(session, flags.watch, watched);
}

}  // namespace

void AddShow(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("show", "show jobs in full, with attempts and events");
  const auto flags = std::make_shared<ShowFlags>();
  command->add_option("JOB", flags->jobs, "jobs: 48211, 48211_7, 48211_[3-9,12]")->required();
  command->add_flag("--script", flags->script, "print the script instead");
  flags->watch.AddTo(*command, kShowWatchSeconds);
  command->footer(
      "In a pipe --watch writes a line for each event.\n"
      "Examples:\n"
      "  kezek show 48211\n"
      "  kezek show 48211_[0-3] -o yaml\n"
      "  kezek show --script 48211 > again.sh");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunShow(session, *flags); };
  });
}

}  // namespace kezek::cli

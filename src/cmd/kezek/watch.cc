// wait and logs: what stays with a job.
#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/usage_error.h"

namespace kezek::cli {
namespace {

struct WaitFlags {
  std::vector<std::string> jobs;
  bool any = false;
};

Result<int> RunWait(Session& session, const WaitFlags& flags) {
  session.waits_for_job = true;
  Result<v1::GetJobsResponse> ended = AwaitJobs(session, flags.jobs, flags.any);
  if (!ended) return ended.error();
  const bool printed = PrintMessage(session.host, session.format(), *ended);
  int code = kDone;
  for (const v1::Job& job : ended->jobs()) {
    if (!IsFinal(job.state())) continue;
    if (session.format() == Format::kName) {
      *session.host.out << job.job() << '\n';
    } else if (!printed) {
      *session.host.out << Ending(job) << '\n';
    }
    if (code == kDone) code = ExitCodeOfJob(job);
    if (flags.any) break;
  }
  return code;
}

struct LogFlags {
  std::string job;
  bool follow = false;
  bool error = false;
  int attempt = 0;
  int tail = -1;
};

Result<int> RunLogs(Session& session, const LogFlags& flags) {
  v1::LogsRequest request;
  request.set_job(flags.job);
  request.set_attempt(flags.attempt);
  request.set_follow(flags.follow);
  request.set_stream(flags.error ? v1::LOG_STREAM_STDERR : v1::LOG_STREAM_STDOUT);
  if (flags.tail >= 0) request.set_tail_lines(flags.tail);
  Result<void> printed = PrintLogs(session, request);
  if (!printed) return printed.error();
  return kDone;
}

}  // namespace

void AddWait(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("wait", "wait until jobs are over; exit as they do");
  const auto flags = std::make_shared<WaitFlags>();
  command->add_option("JOB", flags->jobs, "jobs: 48211, 48211_7, 48211_[3-9,12]")->required();
  command->add_flag("--any", flags->any, "until one of them is over");
  command->footer(
      "Ends with the job's own exit code; of several, with the first that is not 0.\n"
      "121 to 126 stand for Kezek's own 1 to 6; a job that was cancelled is 121.\n"
      "Examples:\n"
      "  kezek wait 48211 && kezek submit eval.sh\n"
      "  kezek wait --any 48211 48212");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunWait(session, *flags); };
  });
}

void AddLogs(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("logs", "print what a job has written");
  const auto flags = std::make_shared<LogFlags>();
  command->add_option("JOB", flags->job, "job: 48211 or 48211_7")->required();
  command->add_flag("-f,--follow", flags->follow, "go on until the attempt is over");
  command->add_flag("-e,--stderr", flags->error, "standard error, where it goes elsewhere");
  command->add_option("--attempt", flags->attempt, "attempt; without: the latest")
      ->type_name("N")
      ->check(Between(1, 1'000'000));
  command->add_option("-n,--tail", flags->tail, "only the last lines")
      ->type_name("N")
      ->check(Between(0, 1'000'000'000));
  command->footer(
      "Examples:\n"
      "  kezek logs 48211\n"
      "  kezek logs -f --tail 20 48211_7\n"
      "  kezek logs --attempt 1 48211");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunLogs(session, *flags); };
  });
}

}  // namespace kezek::cli

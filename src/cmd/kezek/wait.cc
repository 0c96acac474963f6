// wait: stays until jobs are over.
#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/render.h"

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

}  // namespace kezek::cli

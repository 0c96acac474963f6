// logs: what jobs have written.
#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/logs.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/usage_error.h"

namespace kezek::cli {
namespace {

struct LogFlags {
  std::vector<std::string> jobs;
  bool follow = false;
  bool error = false;
  int attempt = 0;
  std::int64_t tail = -1;
  std::int64_t before = -1;
  std::string node;
  int task = -1;
};

v1::LogsRequest RequestOf(const LogFlags& flags, const std::string& job) {
  v1::LogsRequest request;
  request.set_job(job);
  request.set_attempt(flags.attempt);
  request.set_follow(flags.follow);
  request.set_stream(flags.error ? v1::LOG_STREAM_STDERR : v1::LOG_STREAM_STDOUT);
  request.set_node(flags.node);
  if (flags.task >= 0) request.set_task(flags.task);
  return request;
}

// How to see what is before the piece that was printed, on a terminal.
void TellEarlier(const Session& session, const LogFlags& flags, std::int64_t begin) {
  const bool looked_at = session.host.out_is_terminal && session.host.err_is_terminal;
  if (!looked_at || begin == 0 || flags.follow || flags.tail <= 0) return;
  std::string command = "kezek logs";
  if (flags.error) command += " --stderr";
  if (flags.attempt != 0) command += " --attempt " + std::to_string(flags.attempt);
  if (!flags.node.empty()) command += " --node " + flags.node;
  if (flags.task >= 0) command += " --task " + std::to_string(flags.task);
  command += " --tail " + std::to_string(flags.tail) + " --before " + std::to_string(begin);
  *session.host.err << Styled(session.host, Style::kDim,
                              "Before this: " + command + " " + flags.jobs.front())
                    << '\n';
}

Result<std::optional<std::int64_t>> PrintOne(Session& session, const LogFlags& flags,
                                             const std::string& job) {
  LogPiece piece;
  if (flags.tail >= 0) piece.tail = flags.tail;
  if (flags.before >= 0) piece.before = flags.before;
  return PrintLogs(session, RequestOf(flags, job), piece);
}

// One after the other, each under its name; what has none does not keep the others from showing.
Result<int> PrintSeveral(Session& session, const LogFlags& flags) {
  if (flags.follow || flags.before >= 0) {
    return Error{Code::kInvalidArgument,
                 std::string(flags.follow ? "--follow" : "--before") + ": goes with one job only",
                 {}};
  }
  const Result<v1::GetJobsResponse> jobs = GetJobs(session, flags.jobs);
  if (!jobs) return jobs.error();
  int code = kDone;
  for (int i = 0; i < jobs->jobs_size(); ++i) {
    const std::string& job = jobs->jobs(i).job();
    *session.host.out << (i == 0 ? "==> " : "\n==> ") << job << " <==\n" << std::flush;
    const auto printed = PrintOne(session, flags, job);
    if (printed) continue;
    PrintError(session.host, printed.error());
    if (code == kDone) code = ExitCodeOf(printed.error().code);
  }
  return code;
}

Result<int> RunLogs(Session& session, const LogFlags& flags) {
  if (!flags.node.empty() && flags.task >= 0) {
    return Error{Code::kInvalidArgument, "--task: goes not with --node", {}};
  }
  if (flags.follow && flags.before >= 0) {
    return Error{Code::kInvalidArgument, "--before: goes not with --follow", {}};
  }
  const bool several = flags.jobs.size() > 1 || flags.jobs.front().find('[') != std::string::npos;
  if (several) return PrintSeveral(session, flags);
  const auto printed = PrintOne(session, flags, flags.jobs.front());
  if (!printed) return printed.error();
  if (*printed) TellEarlier(session, flags, **printed);
  return kDone;
}

}  // namespace

void AddLogs(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("logs", "print what jobs have written");
  const auto flags = std::make_shared<LogFlags>();
  command->add_option("JOB", flags->jobs, "jobs: 48211, 48211_7, 48211_[3-9,12]")->required();
  command->add_flag("-f,--follow", flags->follow, "go on until the attempt is over");
  command->add_flag("-e,--stderr", flags->error, "standard error, where it goes elsewhere");
  command->add_option("--attempt", flags->attempt, "attempt; without: the latest")
      ->type_name("N")
      ->check(Between(1, 1'000'000));
  command->add_option("-n,--tail", flags->tail, "only the last lines")
      ->type_name("N")
      ->check(Between(0, 1'000'000));
  command->add_option("--before", flags->before, "only what is before this byte; with --tail")
      ->type_name("BYTE")
      ->check(Between(0, 1'000'000'000'000'000));
  command->add_option("--node", flags->node, "what the tasks on this node write of their own")
      ->type_name("NODE");
  command->add_option("--task", flags->task, "what this task writes of its own")
      ->type_name("N")
      ->check(Between(0, 1'000'000));
  command->footer(
      "Tasks write files of their own if the script says so:\n"
      "  #SBATCH --output=run-%j-%N.out, or srun --output=$KEZEK_OUTPUT_DIR/stdout.%N\n"
      "Output that a script puts elsewhere is read here, where that file system is mounted.\n"
      "Examples:\n"
      "  kezek logs 48211\n"
      "  kezek logs -f --tail 20 48211_7\n"
      "  kezek logs --tail 1 48300_[0-9]\n"
      "  kezek logs --attempt 1 --node n06 48211");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunLogs(session, *flags); };
  });
}

}  // namespace kezek::cli

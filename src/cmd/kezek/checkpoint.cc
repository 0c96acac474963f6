// checkpoint: a job, or its owner, says that it can go on from here.
#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/output.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct CheckpointFlags {
  std::string job;
  std::string path;
};

// Of the job this runs in: its own attempt, so that one that is being replaced does not speak for
// the next.
Result<v1::ReportCheckpointRequest> RequestFor(const Host& host, const CheckpointFlags& flags) {
  v1::ReportCheckpointRequest request;
  request.set_path(flags.path);
  request.set_job(flags.job);
  const std::string inside = host.Variable("KEZEK_JOB_ID");
  if (flags.job.empty() && inside.empty()) {
    return Error{Code::kInvalidArgument,
                 "JOB: which one? Inside a job KEZEK_JOB_ID says so; here it is not set\n"
                 "See kezek checkpoint --help",
                 {}};
  }
  if (flags.job.empty()) request.set_job(inside);
  if (request.job() != inside) return request;
  const std::string number = host.Variable("KEZEK_ATTEMPT");
  std::int32_t attempt = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), attempt);
  if (error == std::errc() && end == number.data() + number.size()) request.set_attempt(attempt);
  return request;
}

Result<int> RunCheckpoint(Session& session, const CheckpointFlags& flags) {
  const Result<v1::ReportCheckpointRequest> request = RequestFor(session.host, flags);
  if (!request) return request.error();
  const auto answer = Ask<v1::ReportCheckpointResponse>(session, *request);
  if (!answer) {
    return WithFlags(answer.error(), {{"job", "JOB"}, {"path", "--path"}, {"attempt", ""}});
  }
  if (PrintMessage(session.host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    *session.host.out << request->job() << '\n';
    return kDone;
  }
  *session.host.out << "Job " << request->job() << ": checkpoint noted\n";
  return kDone;
}

}  // namespace

void AddCheckpoint(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("checkpoint", "note that a running job can go on from here");
  const auto flags = std::make_shared<CheckpointFlags>();
  command->add_option("JOB", flags->job, "job, or element: 48211_7; inside a job, that one");
  command
      ->add_option("--path", flags->path,
                   "where it is; the next attempt gets it as $KEZEK_RESUME_FROM")
      ->type_name("PATH");
  command->footer(
      "Should a node fail or the job be preempted, less is lost, and what is given back counts "
      "from here.\n"
      "Examples:\n"
      "  kezek checkpoint                            in the job's script, after saving\n"
      "  kezek checkpoint --path checkpoints/step9\n"
      "  kezek checkpoint 48211");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunCheckpoint(session, *flags); };
  });
}

}  // namespace kezek::cli

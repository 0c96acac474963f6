// update: what can be changed of jobs that are there.
#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/way_out.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

struct UpdateFlags {
  std::vector<std::string> jobs;
  std::string time;
  std::string job_class;
  std::string name;
  std::string comment;
  std::string begin;
  std::string deadline;
  std::string nice;
  std::string running;
  std::string reason;
  bool allow_delay = false;
};

Error BadUpdate(const std::string& flag, const std::string& message) {
  return Error{Code::kInvalidArgument, flag + ": " + message, {}};
}

Result<v1::UpdateRequest> RequestFor(const UpdateFlags& flags, std::int64_t now_ms) {
  v1::UpdateRequest request;
  for (const std::string& job : flags.jobs) request.add_jobs(job);
  if (!flags.time.empty()) {
    const Result<std::int64_t> limit = script::ParseDuration(flags.time);
    if (!limit) return BadUpdate("--time", limit.error().message);
    request.set_time_limit_ms(*limit);
  }
  if (!flags.begin.empty()) {
    const Result<std::int64_t> begin = script::ParseMoment(flags.begin, now_ms);
    if (!begin) return BadUpdate("--begin", begin.error().message);
    request.set_begin_ms(*begin);
  }
  if (!flags.deadline.empty()) {
    const Result<std::int64_t> deadline = script::ParseMoment(flags.deadline, now_ms);
    if (!deadline) return BadUpdate("--deadline", deadline.error().message);
    request.set_deadline_ms(*deadline);
  }
  if (!flags.nice.empty()) {
    const Result<std::int64_t> nice = script::ParseNumber(flags.nice, -10'000, 10'000);
    if (!nice) return BadUpdate("--nice", nice.error().message);
    request.set_user_priority(static_cast<std::int32_t>(-*nice));
  }
  if (!flags.running.empty()) {
    const Result<std::int64_t> running =
        script::ParseNumber(flags.running, 0, std::numeric_limits<std::int32_t>::max());
    if (!running) return BadUpdate("--array-running", running.error().message);
    request.set_array_max_running(static_cast<std::int32_t>(*running));
  }
  if (!flags.job_class.empty()) request.set_job_class(flags.job_class);
  if (!flags.name.empty()) request.set_name(flags.name);
  if (!flags.comment.empty()) request.set_comment(flags.comment);
  request.set_reason(flags.reason);
  request.set_allow_delay(flags.allow_delay);
  return request;
}

Result<int> RunUpdate(Session& session, const UpdateFlags& flags) {
  for (const std::string* value : {&flags.time, &flags.job_class, &flags.name, &flags.comment,
                                   &flags.begin, &flags.deadline, &flags.nice, &flags.running}) {
    if (value->empty()) continue;
    Result<v1::UpdateRequest> request = RequestFor(flags, session.host.now_ms());
    if (!request) return request.error();
    Result<v1::UpdateResponse> answer = Ask<v1::UpdateResponse>(session, *request);
    if (!answer) {
      return WithFlags(answer.error(), {{"time_limit_ms", "--time"},
                                        {"job_class", "--class"},
                                        {"name", "--name"},
                                        {"comment", "--comment"},
                                        {"begin_ms", "--begin"},
                                        {"deadline_ms", "--deadline"},
                                        {"user_priority", "--nice"},
                                        {"array_max_running", "--array-running"},
                                        {"allow_delay", "--allow-delay"},
                                        {"reason", "--reason"}});
    }
    for (const v1::Reason& warning : answer->warnings()) {
      PrintWarning(session.host, warning.sentence());
    }
    PrintChanged(session, *answer, answer->jobs());
    return kDone;
  }
  return Error{Code::kInvalidArgument,
               "nothing to change: give --time, --class, --name or another option\n"
               "See kezek update --help",
               {}};
}

}  // namespace

void AddUpdate(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("update", "change jobs that are queued or run");
  const auto flags = std::make_shared<UpdateFlags>();
  const auto option = [command](const char* names, std::string& value, const char* type,
                                const char* about) {
    command->add_option(names, value, about)->type_name(type);
  };
  command->add_option("JOB", flags->jobs, "jobs: 48211, 48211_7, 48211_[3-9,12]")->required();
  option("-t,--time", flags->time, "TIME",
         "limit of a run; longer while it runs if budgets hold it");
  option("-q,--class", flags->job_class, "CLASS", "class; while it is queued");
  option("-n,--name", flags->name, "NAME", "name");
  option("--comment", flags->comment, "TEXT", "comment");
  option("-b,--begin", flags->begin, "WHEN", "not before; while it is queued");
  option("--deadline", flags->deadline, "WHEN", "cancel when it can no longer end by then");
  option("--nice", flags->nice, "N", "order among your own jobs, higher is later");
  option("--array-running", flags->running, "N", "elements that may run at once; 0: no limit");
  option("--reason", flags->reason, "TEXT", "why, for the record; needed for another's job");
  command->add_flag("--allow-delay", flags->allow_delay,
                    "let a longer --time delay what is promised to others; cluster admins");
  command->footer(
      "All of it is changed for all of the jobs, or nothing.\n"
      "Examples:\n"
      "  kezek update 48211 --time 6h\n"
      "  kezek update 48300 --array-running 16\n"
      "  kezek update 48211 48212 --begin 20:00 --class scavenger");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunUpdate(session, *flags); };
  });
}

}  // namespace kezek::cli

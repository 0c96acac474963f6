// cancel, requeue, hold, release: what changes jobs.
#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/progress.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

constexpr std::size_t kJobsAtOnce = 1000;  // of which the server takes so many in a request

struct ChangeFlags {
  std::vector<std::string> jobs;
  std::string comment;
  std::string signal;
  bool hold = false;
};

void AddJobs(CLI::App& command, ChangeFlags& flags) {
  command.add_option("JOB", flags.jobs, "jobs: 48211, 48211_7, 48211_[3-9,12]")->required();
}

// As `kill -l` has them too.
std::string WithoutSig(const std::string& signal) {
  std::string name;
  for (const char c : signal)
    name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name.starts_with("SIG") ? name.substr(3) : name;
}

// All of them, in one request as long as they are few enough: then it is all or none.
Result<v1::CancelResponse> CancelAll(Session& session, const ChangeFlags& flags) {
  Progress progress(session.host);
  v1::CancelResponse all;
  for (std::size_t first = 0; first < flags.jobs.size(); first += kJobsAtOnce) {
    const std::size_t end = std::min(flags.jobs.size(), first + kJobsAtOnce);
    if (flags.jobs.size() > kJobsAtOnce) {
      progress.Show((flags.signal.empty() ? "cancelling: " : "signalling: ") +
                    Thousands(static_cast<std::int64_t>(first)) + " of " +
                    Count(static_cast<std::int64_t>(flags.jobs.size()), "job"));
    }
    v1::CancelRequest request;
    for (std::size_t i = first; i < end; ++i) request.add_jobs(flags.jobs[i]);
    request.set_comment(flags.comment);
    request.set_signal(flags.signal);
    const auto answer = Ask<v1::CancelResponse>(session, request,
                                                flags.signal.empty() ? Repeat::kYes : Repeat::kNo);
    if (!answer) {
      Error error = answer.error();
      if (first > 0) {
        error.message +=
            "\nDone before that: the first " + Count(static_cast<std::int64_t>(first), "job");
      }
      return error;
    }
    all.MergeFrom(*answer);
  }
  return all;
}

Result<int> RunCancel(Session& session, ChangeFlags flags) {
  flags.signal = WithoutSig(flags.signal);
  const Result<v1::CancelResponse> answer = CancelAll(session, flags);
  if (!answer) return WithFlags(answer.error(), {{"signal", "--signal"}, {"comment", "--comment"}});
  if (session.format() != Format::kTable && session.format() != Format::kWide) {
    PrintChanged(session, *answer, answer->jobs());
    return kDone;
  }
  PrintVerdicts(session.host, answer->jobs(), [&flags](const v1::Job& job) -> std::string {
    const bool over = IsFinal(job.state());
    const bool runs = job.state() == v1::JOB_STATE_RUNNING || job.has_array();
    if (!flags.signal.empty()) {
      return over ? "is over" : runs ? "gets " + flags.signal : "does not run";
    }
    return over ? StateName(job) : "is being cancelled";
  });
  return kDone;
}

Result<int> RunHold(Session& session, const ChangeFlags& flags, bool hold) {
  v1::UpdateRequest request;
  for (const std::string& job : flags.jobs) request.add_jobs(job);
  request.set_hold(hold);
  request.set_reason(flags.comment);
  Result<v1::UpdateResponse> answer = Ask<v1::UpdateResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"hold", ""}, {"reason", "--reason"}});
  for (const v1::Reason& warning : answer->warnings()) {
    PrintWarning(session.host, warning.sentence());
  }
  PrintChanged(session, *answer, answer->jobs(), [](const v1::Job& job) {
    const bool under_way = !IsFinal(job.state()) && job.state() != v1::JOB_STATE_QUEUED;
    const bool held = under_way && job.hold() != v1::HOLD_UNSPECIFIED;
    return StateName(job) + (held ? "; held once it waits again" : "");
  });
  return kDone;
}

Result<int> RunRequeue(Session& session, const ChangeFlags& flags) {
  v1::RequeueRequest request;
  for (const std::string& job : flags.jobs) request.add_jobs(job);
  request.set_hold(flags.hold);
  request.set_comment(flags.comment);
  const auto answer = Ask<v1::RequeueResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"comment", "--comment"}});
  PrintChanged(session, *answer, answer->jobs(), [](const v1::Job& job) -> std::string {
    if (job.has_array()) return "what of it runs is being ended, and queued again";
    if (job.state() == v1::JOB_STATE_RUNNING) return "is being ended, and queued again";
    return StateName(job);
  });
  return kDone;
}

void AddHoldOrRelease(CLI::App& app, Session& session, bool hold) {
  const std::string name = hold ? "hold" : "release";
  CLI::App* command =
      app.add_subcommand(name, hold ? "keep queued jobs from starting" : "let held jobs start");
  const auto flags = std::make_shared<ChangeFlags>();
  AddJobs(*command, *flags);
  command->add_option("--reason", flags->comment, "why, for the record")->type_name("TEXT");
  command->footer("Examples:\n  kezek " + name + " 48211\n  kezek " + name + " 48211_[3-9] 48300");
  command->callback([&session, flags, hold] {
    session.action = [&session, flags, hold] { return RunHold(session, *flags, hold); };
  });
}

}  // namespace

void AddCancel(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("cancel", "cancel jobs, arrays or elements");
  const auto flags = std::make_shared<ChangeFlags>();
  AddJobs(*command, *flags);
  command->add_option("--comment", flags->comment, "why, for the record")->type_name("TEXT");
  command
      ->add_option("-s,--signal", flags->signal, "send this signal to those that run, end nothing")
      ->type_name("SIGNAL");
  command->footer(
      "Examples:\n"
      "  kezek cancel 48211\n"
      "  kezek cancel 48211_[3-9,12] 48300\n"
      "  kezek cancel --signal USR1 48211\n"
      "  kezek cancel $(kezek queue --state queued -o name)");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunCancel(session, *flags); };
  });
}

void AddRequeue(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("requeue", "end what runs and queue it again");
  const auto flags = std::make_shared<ChangeFlags>();
  AddJobs(*command, *flags);
  command->add_flag("--hold", flags->hold, "held once it is queued again");
  command->add_option("--comment", flags->comment, "why, for the record")->type_name("TEXT");
  command->footer(
      "A job gets its signal and its grace, as when it is preempted, and keeps its place in "
      "order.\n"
      "What does not run is left as it is.\n"
      "Examples:\n"
      "  kezek requeue 48211\n"
      "  kezek requeue --hold 48211_[3-9]");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunRequeue(session, *flags); };
  });
}

void AddHold(CLI::App& app, Session& session) { AddHoldOrRelease(app, session, true); }

void AddRelease(CLI::App& app, Session& session) { AddHoldOrRelease(app, session, false); }

}  // namespace kezek::cli

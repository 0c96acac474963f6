#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/outlook_text.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

std::string Places(const v1::ExplainResponse& answer) {
  std::string text;
  if (answer.place_in_project() > 0) {
    text = "Place " + std::to_string(answer.place_in_project()) + " of " +
           std::to_string(answer.queued_in_project()) + " in its project";
  }
  if (answer.rank() > 0) {
    text += (text.empty() ? "Rank " : ", rank ") + std::to_string(answer.rank()) + " of " +
            std::to_string(answer.blocked()) + " blocked jobs";
  }
  if (answer.job().has_reservation()) {
    text += text.empty() ? "Reserved: " : "; reserved: ";
    text += answer.job().reservation().placement().node_list();
  }
  return text;
}

std::string Standing(const v1::AccountPlace& place) {
  std::string text = place.account() + ": ";
  if (place.guarantee_milli_gpus() > 0) {
    const std::int64_t inside = place.running_milli_gpus() - place.borrowed_milli_gpus();
    text += Gpus(inside) + " of " + Gpus(place.guarantee_milli_gpus()) +
            " guaranteed GPUs in use, " + Gpus(place.borrowed_milli_gpus()) + " borrowed";
    if (place.has_guarantee_now_milli_gpus() &&
        place.guarantee_now_milli_gpus() < place.guarantee_milli_gpus()) {
      text += ", only " + Gpus(place.guarantee_now_milli_gpus()) + " can be kept now";
    }
  } else {
    text += Gpus(place.running_milli_gpus()) + " GPUs in use, none guaranteed";
  }
  if (place.entitlement_milli_gpus() > 0) {
    text += ", entitled to " + Gpus(place.entitlement_milli_gpus());
  }
  if (place.place() > 0) {
    text += "; fair-share order " + std::to_string(place.place()) + " of " +
            std::to_string(place.siblings());
  }
  return text;
}

// What a job that is not queued does instead.
std::string Instead(const Host& host, const v1::Job& job) {
  const std::string where = JobWhere(host, job);
  if (job.has_array()) return ": " + where;
  if (IsFinal(job.state())) {
    return " is over: " + StateName(job) + (where.empty() ? "" : ". " + where);
  }
  return (job.state() == v1::JOB_STATE_STARTING ? " starts on " : " runs on ") + where;
}

// The sentence with the job as its subject, where it begins with what the job does.
std::string Waiting(const std::string& sentence) {
  if (sentence.empty()) return " waits: no tick has looked at it yet.";
  if (sentence.starts_with("Waits ")) return " w" + sentence.substr(1);
  if (sentence.starts_with("Held ") || sentence.starts_with("Held:")) {
    return " is h" + sentence.substr(1);
  }
  return " waits: " + sentence;
}

void PrintWaiting(const Host& host, const v1::ExplainResponse& answer) {
  const std::string& name = answer.job().job();
  *host.out << "Job " << name << Waiting(SentenceOf(host, answer.reason())) << '\n';
  if (answer.reason().code() == "HELD_BY_USER") {
    *host.out << "To let it start: kezek release " << name << '\n';
  }
  PrintEstimate(host, answer.estimate());
  if (const std::string places = Places(answer); !places.empty()) *host.out << places << '\n';
  for (const v1::AccountPlace& place : answer.accounts()) *host.out << Standing(place) << '\n';
  if (answer.has_too_wide()) *host.out << SentenceOf(host, answer.too_wide()) << '\n';
  PrintAdvice(host, answer.advice());
}

Result<v1::ExplainResponse> Explain(Session& session, const std::string& job) {
  v1::ExplainRequest request;
  request.set_job(job);
  return Ask<v1::ExplainResponse>(session, request);
}

Result<int> RunWhy(Session& session, const std::string& job) {
  Result<v1::ExplainResponse> answer = Explain(session, job);
  if (!answer) return answer.error();
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    *host.out << answer->reason().code() << '\n';
    return kDone;
  }
  if (answer->job().state() != v1::JOB_STATE_QUEUED) {
    *host.out << "Job " << answer->job().job() << Instead(host, answer->job()) << '\n';
    // Of an array that runs, the element that is next.
    const std::string& queued = answer->job().array().queued_indices();
    if (queued.empty()) return kDone;
    const std::string next = queued.substr(0, queued.find_first_not_of("0123456789"));
    answer = Explain(session, answer->job().job() + "_" + next);
    if (!answer) return answer.error();
    if (answer->job().state() != v1::JOB_STATE_QUEUED) return kDone;
  }
  PrintWaiting(host, *answer);
  return kDone;
}

}  // namespace

void AddWhy(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("why", "why a job waits, and who stands before it");
  const auto job = std::make_shared<std::string>();
  command->add_option("JOB", *job, "job: 48211 or 48211_7; of an array that runs: its next element")
      ->required();
  command->footer("Examples:\n  kezek why 48211\n  kezek why 48211_7 -o json");
  command->callback(
      [&session, job] { session.action = [&session, job] { return RunWhy(session, *job); }; });
}

}  // namespace kezek::cli

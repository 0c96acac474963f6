#include <algorithm>
#include <string>

#include "cmd/kezek/render.h"
#include "kezek/reason_text.h"

namespace kezek::cli {
namespace {

std::string Capitals(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

const v1::Attempt* LatestAttempt(const v1::Job& job) {
  return job.attempts().empty() ? nullptr : &job.attempts(job.attempts_size() - 1);
}

// `12 running, 80 queued, 8 done of 100`.
std::string ElementsOf(const v1::ArrayCounts& array) {
  std::string text;
  const auto add = [&text](int number, const char* state) {
    if (number > 0) text += (text.empty() ? "" : ", ") + std::to_string(number) + " " + state;
  };
  add(array.running(), "running");
  add(array.starting(), "starting");
  add(array.queued(), "queued");
  add(array.succeeded(), "succeeded");
  add(array.failed(), "failed");
  add(array.cancelled(), "cancelled");
  return text + " of " + std::to_string(array.total());
}

std::string RunsOn(const Host& host, const v1::Job& job) {
  const v1::Attempt* attempt = LatestAttempt(job);
  if (attempt == nullptr) return "";
  const v1::Placement& placement = attempt->placement();
  std::string text = placement.domain().empty() || placement.nodes_size() < 2
                         ? placement.node_list()
                         : placement.domain() + ": " + placement.node_list();
  if (attempt->ends_by_ms() > 0) text += ", ends by " + Moment(host, attempt->ends_by_ms());
  if (attempt->borrowed() && attempt->reclaimable_from_ms() > 0) {
    text += ", borrowed: may be reclaimed from " + Moment(host, attempt->reclaimable_from_ms());
  } else if (attempt->borrowed()) {
    text += ", borrowed";
  }
  return text;
}

}  // namespace

std::string SentenceOf(const Host& host, const v1::Reason& reason) {
  std::string text = reason.sentence();
  for (const auto& [name, value] : reason.fields()) {
    if (!name.ends_with("_ms") || value.empty() || value.size() > 15) continue;
    if (value.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::int64_t utc_ms = std::stoll(value);
    const std::string utc = reason_text::UtcText(utc_ms);
    const std::size_t at = text.find(utc);
    if (at != std::string::npos) text.replace(at, utc.size(), Moment(host, utc_ms));
  }
  return text;
}

std::string WithoutStop(const std::string& sentence) {
  return sentence.ends_with('.') ? sentence.substr(0, sentence.size() - 1) : sentence;
}

bool IsFinal(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_TIMED_OUT || state == v1::JOB_STATE_CANCELLED;
}

std::string StateName(const v1::Job& job) {
  if (job.state() == v1::JOB_STATE_QUEUED && job.hold() != v1::HOLD_UNSPECIFIED) return "held";
  return Words(v1::JobState_Name(job.state()), sizeof("JOB_STATE_") - 1);
}

Style StateStyle(const v1::Job& job) {
  if (job.state() == v1::JOB_STATE_RUNNING || job.state() == v1::JOB_STATE_SUCCEEDED) {
    return Style::kGood;
  }
  if (IsFinal(job.state())) return Style::kBad;
  return job.hold() == v1::HOLD_UNSPECIFIED ? Style::kBusy : Style::kDim;
}

std::string JobName(const v1::Job& job) {
  if (job.redacted()) return "";
  if (!job.has_array() || job.array().queued_indices().empty()) return job.job();
  return job.job() + "_[" + job.array().queued_indices() + "]";
}

std::string JobGpus(const v1::Job& job) {
  if (job.redacted() || !job.has_resolved()) return Gpus(job.counted_milli_gpus());
  const v1::ResolvedSpec& resolved = job.resolved();
  const std::string all = std::to_string(resolved.nodes() * resolved.gpus_per_node());
  if (resolved.nodes() < 2) return all;
  return all + " (" + std::to_string(resolved.nodes()) + "×" +
         std::to_string(resolved.gpus_per_node()) + ")";
}

std::string JobShape(const v1::Job& job) {
  const v1::ResolvedSpec& resolved = job.resolved();
  std::string text;
  if (resolved.nodes() > 1) text = std::to_string(resolved.nodes()) + " nodes × ";
  if (resolved.gpus_per_node() > 0) {
    text += std::to_string(resolved.gpus_per_node()) + " " + Capitals(resolved.gpu_type());
  } else {
    text += Count(resolved.cpus_per_node(), "CPU");
  }
  const v1::Domain within = job.spec().topology().within();
  if (within == v1::DOMAIN_LEAF) text += " under one leaf";
  if (within == v1::DOMAIN_BLOCK) text += " in one block";
  return text;
}

std::string JobWhere(const Host& host, const v1::Job& job) {
  if (job.redacted()) return "";
  if (job.has_array()) return ElementsOf(job.array());
  if (job.state() == v1::JOB_STATE_RUNNING || job.state() == v1::JOB_STATE_STARTING) {
    return RunsOn(host, job);
  }
  if (job.state() == v1::JOB_STATE_SUCCEEDED) return "";
  if (IsFinal(job.state()) && job.reason().sentence().empty()) {
    return "exit code " + std::to_string(job.exit_code());
  }
  return WithoutStop(SentenceOf(host, job.reason()));
}

}  // namespace kezek::cli

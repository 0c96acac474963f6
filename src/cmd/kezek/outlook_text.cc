#include "cmd/kezek/outlook_text.h"

#include <ostream>
#include <string>

#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

// `12 min early`, `on time`, `2 h late`; to whole minutes.
std::string Off(std::int64_t ms) {
  const std::int64_t minutes = (ms < 0 ? -ms : ms) / 60'000;
  if (minutes == 0) return "on time";
  return Length(minutes * 60'000) + (ms < 0 ? " early" : " late");
}

}  // namespace

void PrintEstimate(const Host& host, const v1::StartEstimate& estimate) {
  if (estimate.start_ms() <= 0) return;
  *host.out << (estimate.earliest() ? "Starts no earlier than " : "Starts about ")
            << Moment(host, estimate.start_ms());
  const std::string assumption = SentenceOf(host, estimate.assumption());
  if (!assumption.empty()) *host.out << " (" << WithoutStop(assumption) << ")";
  *host.out << '\n';
  if (!estimate.has_errors()) return;
  const v1::EstimateErrors& errors = estimate.errors();
  *host.out << "Estimates so far: of " << errors.jobs() << (errors.jobs() == 1 ? " job" : " jobs")
            << " half started " << Off(errors.p50_ms()) << " or sooner, nine in ten "
            << Off(errors.p90_ms()) << " or sooner\n";
}

void PrintAdvice(const Host& host, const google::protobuf::RepeatedPtrField<v1::Advice>& advice) {
  if (advice.empty()) return;
  std::string text;
  for (const v1::Advice& each : advice) {
    text += text.empty() ? "Sooner:  " : " · ";
    for (const std::string& option : each.options()) text += option + " ";
    text += each.start_ms() == 0 ? "starts now" : "starts " + Moment(host, each.start_ms());
    if (each.has_placement()) text += " on " + each.placement().node_list();
  }
  *host.out << text << '\n';
}

void PrintDryRun(const Host& host, const v1::DryRun& dry_run) {
  if (dry_run.starts_now()) {
    *host.out << "Would start now on " << dry_run.placement().node_list() << '\n';
    return;
  }
  const std::string reason = SentenceOf(host, dry_run.reason());
  *host.out << "Would wait" << (reason.empty() ? "" : ": " + WithoutStop(reason)) << '\n';
  PrintEstimate(host, dry_run.estimate());
  if (dry_run.estimate().start_ms() == 0) *host.out << "When it would start is not known\n";
  PrintAdvice(host, dry_run.advice());
}

}  // namespace kezek::cli

// admin explain-share: why an account held what it held.
#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/render.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct ShareFlags {
  std::string account;
  ReportTimes times;
};

std::int64_t Held(const v1::ReportUsageRow& row) {
  return row.guaranteed_milli_gpu_ms() + row.borrowed_milli_gpu_ms();
}

// Causes after which what was entitled is reached.
bool LeadsToEntitled(const std::string& code) {
  return code == "NO_DEMAND" || code == "LIMIT" || code == "BUDGET" || code == "LEFT_BY_OTHERS";
}

// GPU-hours that are shown, in tenths, of a sum so far: what is shown of its parts adds up to it.
std::int64_t Tenths(std::int64_t milli_gpu_ms) {
  constexpr std::int64_t kTenth = 360'000'000;
  return (milli_gpu_ms + kTenth / 2) / kTenth * kTenth;
}

void PrintCauses(const Host& host, const v1::ExplainShareResponse& answer) {
  Table table({"GPU-HOURS", "WHAT"});
  std::int64_t sum = answer.due_milli_gpu_ms();
  table.Add({GpuHours(Tenths(sum)), "due if everybody asked for all they may"});
  const auto add = [&](bool to_entitled) {
    for (const v1::ShareCause& cause : answer.causes()) {
      if (LeadsToEntitled(cause.reason().code()) != to_entitled) continue;
      const std::int64_t before = Tenths(sum);
      sum += cause.milli_gpu_ms();
      const std::int64_t part = Tenths(sum) - before;
      table.Add({(part < 0 ? "-" : "+") + GpuHours(std::max(part, -part)),
                 WithoutStop(cause.reason().sentence())});
    }
  };
  add(true);
  table.Add({GpuHours(Tenths(sum)), "entitled, by what was asked for"});
  add(false);
  table.Add({GpuHours(Tenths(sum)), "held"});
  table.Print(host);
}

void PrintShare(Session& session, const v1::ExplainShareResponse& answer) {
  const Host& host = session.host;
  const v1::ReportUsageRow& own = answer.account();
  *host.out << own.group(0) << ", " << ExactMoment(answer.basis().time().since_ms()) << " to "
            << ExactMoment(answer.basis().time().until_ms()) << '\n';
  PrintCauses(host, answer);
  *host.out << "Charged " << GpuHours(own.charged_milli_gpu_ms()) << " GPU-h, refunded "
            << GpuHours(own.refunded_milli_gpu_ms()) << "; " << Count(own.jobs(), "job")
            << " ended, " << own.failed() << " failed, " << own.preempted() << " preempted\n";
  Table table({"ACCOUNT", "ENTITLED", "HELD", "OF ENTITLED", "BORROWED", "WAITED p50 / p95"});
  const auto add = [&](const v1::ReportUsageRow& row) {
    const std::int64_t entitled = row.entitled_milli_gpu_ms();
    const std::string part =
        entitled <= 0 ? ""
                      : Percent(static_cast<std::int64_t>(static_cast<double>(Held(row)) * 1e6 /
                                                          static_cast<double>(entitled)));
    table.Add({row.group(0), GpuHours(entitled), GpuHours(Held(row)), part,
               GpuHours(row.borrowed_milli_gpu_ms()), WaitedText(row.waits())});
  };
  add(own);
  for (const v1::ReportUsageRow& sibling : answer.siblings()) add(sibling);
  table.Print(host);
  SayApart(host, own.apart_milli_gpu_ms());
  std::string versions;
  for (const std::int64_t version : answer.settings_versions()) {
    versions += (versions.empty() ? "" : ", ") + std::to_string(version);
  }
  *host.out << "Settings of it, or above it, changed in this time: "
            << (versions.empty() ? "none" : versions + " (kezek admin history)") << '\n';
  *host.out << "All " << BasisText(answer.basis()) << '\n';
}

void PrintShareCsv(const Host& host, const v1::ExplainShareResponse& answer) {
  PrintCsv(host, {"cause", "milli_gpu_ms"});
  PrintCsv(host, {"DUE", std::to_string(answer.due_milli_gpu_ms())});
  for (const v1::ShareCause& cause : answer.causes()) {
    PrintCsv(host, {cause.reason().code(), std::to_string(cause.milli_gpu_ms())});
  }
  PrintCsv(host, {"HELD", std::to_string(answer.held_milli_gpu_ms())});
  PrintCsv(host, {"APART", std::to_string(answer.account().apart_milli_gpu_ms())});
}

Result<int> RunExplainShare(Session& session, const ShareFlags& flags) {
  v1::ExplainShareRequest request;
  request.set_account(flags.account);
  if (const auto times = ReadTimes(session.host, flags.times, request.mutable_time()); !times) {
    return times.error();
  }
  const auto answer = Ask<v1::ExplainShareResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"time", "--since"}});
  if (IsCsv(session)) {
    PrintShareCsv(session.host, *answer);
  } else if (session.format() == Format::kName) {
    *session.host.out << answer->account().group(0) << '\n';
  } else if (!PrintMessage(session.host, session.format(), *answer)) {
    PrintShare(session, *answer);
  }
  return kDone;
}

}  // namespace

void AddAdminExplainShare(CLI::App& admin, Session& session) {
  CLI::App* command =
      admin.add_subcommand("explain-share", "one page that answers a complaint about a share");
  const auto flags = std::make_shared<ShareFlags>();
  command->add_option("ACCOUNT", flags->account, "institution, or any account")->required();
  flags->times.AddTo(*command);
  command->footer(
      "From what was due to what was held, every GPU-hour with its cause. Full hours, UTC; of\n"
      "shared nodes, what ran on dedicated ones is said apart; scavengers count nowhere.\n"
      "Examples:\n"
      "  kezek admin explain-share universities/kaznu --since 2026-10-01");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunExplainShare(session, *flags); };
  });
}

}  // namespace kezek::cli

// report usage, report equity: figures over a time.
#include "cmd/kezek/report.h"

#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/help.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct ReportFlags {
  std::string account;
  std::string gpu_type;
  ReportTimes times;
  BasisFlags basis;
  std::vector<std::string> by;
  bool anonymous = false;
};

const std::vector<std::string>& EquityGroups() {
  static const std::vector<std::string> groups = {"sector", "institution", "ownership", "country",
                                                  "funding"};
  return groups;
}

// In the order of v1::ReportGroup, which begins with "not set".
const std::vector<std::string>& UsageGroups() {
  static const std::vector<std::string> groups = {"sector",  "institution", "project", "user",
                                                  "class",   "gpu-type",    "kind",    "ownership",
                                                  "country", "funding",     "day",     "month"};
  return groups;
}

v1::ReportGroup GroupNamed(const std::string& name) {
  const auto& groups = UsageGroups();
  const auto found = std::find(groups.begin(), groups.end(), name);
  return static_cast<v1::ReportGroup>(found - groups.begin() + 1);
}

std::string Upper(std::string text) {
  for (char& c : text) c = c == '-' ? ' ' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return text;
}

const std::vector<std::pair<std::string, std::string>> kFlags = {
    {"gpu_type", "--gpu-type"},
    {"time", "--since"},
    {"settings_version", "--settings-version"},
    {"last_ledger_seq", "--ledger-until"}};

// --- report usage ---

const std::vector<std::string>& UsageColumns() {
  static const std::vector<std::string> columns = {"jobs",
                                                   "charged_milli_gpu_ms",
                                                   "refunded_milli_gpu_ms",
                                                   "used_milli_gpu_ms",
                                                   "guaranteed_milli_gpu_ms",
                                                   "borrowed_milli_gpu_ms",
                                                   "entitled_milli_gpu_ms",
                                                   "unused_milli_gpu_ms",
                                                   "started",
                                                   "wait_mean_ms",
                                                   "wait_p50_ms",
                                                   "wait_p95_ms",
                                                   "wait_max_ms",
                                                   "preempted",
                                                   "lost_milli_gpu_ms",
                                                   "failed",
                                                   "idle_milli_gpu_ms",
                                                   "idle_known_milli_gpu_ms",
                                                   "expired_milli_gpu_ms",
                                                   "apart_milli_gpu_ms",
                                                   "foreign_milli_gpu_ms"};
  return columns;
}

std::vector<std::string> UsageCells(const v1::ReportUsageRow& row) {
  return {std::to_string(row.jobs()),
          std::to_string(row.charged_milli_gpu_ms()),
          std::to_string(row.refunded_milli_gpu_ms()),
          std::to_string(row.used_milli_gpu_ms()),
          std::to_string(row.guaranteed_milli_gpu_ms()),
          std::to_string(row.borrowed_milli_gpu_ms()),
          std::to_string(row.entitled_milli_gpu_ms()),
          std::to_string(row.unused_milli_gpu_ms()),
          std::to_string(row.waits().jobs()),
          std::to_string(row.waits().mean_ms()),
          std::to_string(row.waits().p50_ms()),
          std::to_string(row.waits().p95_ms()),
          std::to_string(row.waits().max_ms()),
          std::to_string(row.preempted()),
          std::to_string(row.lost_milli_gpu_ms()),
          std::to_string(row.failed()),
          row.has_idle_milli_gpu_ms() ? std::to_string(row.idle_milli_gpu_ms()) : "",
          row.has_idle_known_milli_gpu_ms() ? std::to_string(row.idle_known_milli_gpu_ms()) : "",
          std::to_string(row.expired_milli_gpu_ms()),
          std::to_string(row.apart_milli_gpu_ms()),
          std::to_string(row.foreign_milli_gpu_ms())};
}

// How accounts stood is not told apart by these.
bool TellsStanding(const ReportFlags& flags) {
  return std::none_of(flags.by.begin(), flags.by.end(), [](const std::string& by) {
    return by == "user" || by == "class" || by == "kind";
  });
}

void PrintUsageCsv(const Host& host, const ReportFlags& flags,
                   const v1::ReportUsageResponse& answer) {
  std::vector<std::string> heading = flags.by;
  std::replace(heading.begin(), heading.end(), std::string("gpu-type"), std::string("gpu_type"));
  heading.insert(heading.end(), UsageColumns().begin(), UsageColumns().end());
  PrintCsv(host, heading);
  for (const v1::ReportUsageRow& row : answer.rows()) {
    std::vector<std::string> cells(row.group().begin(), row.group().end());
    std::vector<std::string> figures = UsageCells(row);
    for (std::size_t i = 0; i < figures.size() && !TellsStanding(flags); ++i) {
      const std::string& column = UsageColumns()[i];
      const bool standing = column.starts_with("guaranteed") || column.starts_with("borrowed") ||
                            column.starts_with("entitled") || column.starts_with("unused") ||
                            column.starts_with("apart");
      if (standing) figures[i].clear();
    }
    cells.insert(cells.end(), figures.begin(), figures.end());
    PrintCsv(host, cells);
  }
  PrintCsvBasis(host, answer.basis());
}

void SayForeign(const Host& host, std::int64_t milli_gpu_ms) {
  if (milli_gpu_ms == 0) return;
  *host.out << "Of what was charged, " << GpuHours(milli_gpu_ms)
            << " GPU-h were of jobs in Slurm that are not Kezek's.\n";
}

void PrintUsageTable(Session& session, const ReportFlags& flags,
                     const v1::ReportUsageResponse& answer) {
  const bool wide = session.format() == Format::kWide;
  std::vector<std::string> headings;
  for (const std::string& by : flags.by) headings.push_back(Upper(by));
  if (headings.empty()) headings = {"GROUP"};
  headings.insert(headings.end(), {"JOBS", "FAILED", "USED GPU-H", "CHARGED", "REFUNDED",
                                   "ENTITLED", "NOT ASKED", "WAITED p50 / p95"});
  if (wide) {
    headings.insert(headings.end(), {"GUARANTEED", "BORROWED", "APART", "PREEMPTED", "LOST", "IDLE",
                                     "EXPIRED", "NOT KEZEK'S"});
  }
  Table table(headings);
  table.MayLeaveOut({"FAILED", "NOT ASKED", "REFUNDED", "CHARGED"});
  if (wide) table.KeepWhole();
  const auto add = [&](std::vector<std::string> cells, const v1::ReportUsageRow& row, bool told) {
    const auto stood = [told](std::int64_t amount) { return told ? GpuHours(amount) : "-"; };
    cells.insert(cells.end(),
                 {Thousands(row.jobs()), Thousands(row.failed()), GpuHours(row.used_milli_gpu_ms()),
                  GpuHours(row.charged_milli_gpu_ms()), GpuHours(row.refunded_milli_gpu_ms()),
                  stood(row.entitled_milli_gpu_ms()), stood(row.unused_milli_gpu_ms()),
                  WaitedText(row.waits())});
    if (wide) {
      cells.insert(cells.end(),
                   {stood(row.guaranteed_milli_gpu_ms()), stood(row.borrowed_milli_gpu_ms()),
                    stood(row.apart_milli_gpu_ms()), Thousands(row.preempted()),
                    GpuHours(row.lost_milli_gpu_ms()),
                    row.has_idle_milli_gpu_ms() ? GpuHours(row.idle_milli_gpu_ms()) : "not known",
                    GpuHours(row.expired_milli_gpu_ms()), GpuHours(row.foreign_milli_gpu_ms())});
    }
    table.Add(std::move(cells));
  };
  for (const v1::ReportUsageRow& row : answer.rows()) {
    if (row.group_size() == 0) continue;  // the total says it
    add({row.group().begin(), row.group().end()}, row, TellsStanding(flags));
  }
  std::vector<std::string> total(std::max<std::size_t>(1, flags.by.size()));
  total[0] = "(total)";
  add(std::move(total), answer.total(), true);
  table.Print(session.host);
  if (session.host.out_is_terminal) {
    SayApart(session.host, answer.total().apart_milli_gpu_ms());
    SayForeign(session.host, answer.total().foreign_milli_gpu_ms());
    *session.host.out << "GPU-hours; " << BasisText(answer.basis()) << '\n';
  }
}

Result<int> RunReportUsage(Session& session, const ReportFlags& flags) {
  v1::ReportUsageRequest request;
  request.set_account(flags.account);
  request.set_gpu_type(flags.gpu_type);
  for (const std::string& by : flags.by) request.add_group_by(GroupNamed(by));
  if (const auto basis = flags.basis.Set(&request); !basis) return basis.error();
  if (const auto times = ReadTimes(session.host, flags.times, request.mutable_time()); !times) {
    return times.error();
  }
  const auto answer = Ask<v1::ReportUsageResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), kFlags);
  if (IsCsv(session)) {
    PrintUsageCsv(session.host, flags, *answer);
  } else if (session.format() == Format::kName) {
    for (const v1::ReportUsageRow& row : answer->rows()) {
      if (row.group_size() == 0) continue;  // the whole has no name
      for (int i = 0; i < row.group_size(); ++i) {
        *session.host.out << (i == 0 ? "" : " ") << row.group(i);
      }
      *session.host.out << '\n';
    }
  } else if (!PrintMessage(session.host, session.format(), *answer)) {
    PrintUsageTable(session, flags, *answer);
  }
  return kDone;
}

// --- report equity ---

// Millionths as `0.97`.
std::string Index(std::int64_t ppm) {
  const std::int64_t hundredths = (ppm + 5000) / 10'000;
  const std::string part = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + "." + (part.size() == 1 ? "0" : "") + part;
}

// Millionths as `1.3 points`.
std::string Points(std::int64_t ppm) {
  const std::int64_t tenths = (ppm + 500) / 1000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " points";
}

// What admins may put in the place of the rules.
constexpr std::array kByHand = {"hold", "limit", "priority", "reservation"};

std::int64_t ByHand(const v1::ReportEquityResponse& answer, const char* kind) {
  const auto found = answer.overrides().find(kind);
  return found == answer.overrides().end() ? 0 : found->second;
}

void PrintEquityCsv(const Host& host, const std::string& by,
                    const v1::ReportEquityResponse& answer) {
  PrintCsv(host, {by, "target_ppm", "entitled_ppm", "received_ppm", "off_ppm", "unmet_ppm",
                  "received_milli_gpu_ms", "started", "wait_p50_ms", "wait_p95_ms",
                  "apart_milli_gpu_ms"});
  for (const v1::EquityRow& row : answer.rows()) {
    PrintCsv(host,
             {row.group(), std::to_string(row.target_ppm()), std::to_string(row.entitled_ppm()),
              std::to_string(row.received_ppm()), std::to_string(row.off_ppm()),
              std::to_string(row.unmet_ppm()), std::to_string(row.received_milli_gpu_ms()),
              std::to_string(row.waits().jobs()), std::to_string(row.waits().p50_ms()),
              std::to_string(row.waits().p95_ms()), std::to_string(row.apart_milli_gpu_ms())});
  }
  *host.out << "# jain_ppm " << answer.jain_ppm() << " over " << answer.institutions()
            << " institutions with demand, policy_error_ppm " << answer.policy_error_ppm() << '\n';
  *host.out << "# by hand:";
  for (const auto& kind : kByHand) *host.out << ' ' << kind << ' ' << ByHand(answer, kind);
  *host.out << '\n';
  PrintCsvBasis(host, answer.basis());
}

// Percentage points with their sign.
std::string SignedPercent(std::int64_t ppm) {
  return (ppm < 0 ? "-" : "+") + Percent(std::abs(ppm));
}

void PrintEquityTable(Session& session, const std::string& by,
                      const v1::ReportEquityResponse& answer) {
  const Host& host = session.host;
  Table table(
      {Upper(by), "TARGET", "ENTITLED", "RECEIVED", "OFF BY", "WAITED p50 / p95", "DEMAND UNMET"});
  std::int64_t apart = 0;
  for (const v1::EquityRow& row : answer.rows()) {
    apart += row.apart_milli_gpu_ms();
    table.Add({row.group(), Percent(row.target_ppm()), Percent(row.entitled_ppm()),
               Percent(row.received_ppm()), SignedPercent(row.off_ppm()), WaitedText(row.waits()),
               Percent(row.unmet_ppm())});
  }
  table.Print(host);
  SayApart(host, apart);
  *host.out << "Jain's index over " << Count(answer.institutions(), "institution")
            << " with demand " << Index(answer.jain_ppm()) << " · policy error "
            << Points(answer.policy_error_ppm()) << " · " << BasisText(answer.basis()) << '\n';
  std::string by_hand;
  for (const auto& kind : kByHand) {
    const std::int64_t jobs = ByHand(answer, kind);
    if (jobs > 0)
      by_hand += (by_hand.empty() ? "" : ", ") + std::string(kind) + " " + std::to_string(jobs);
  }
  *host.out << "Jobs that admins changed by hand: " << (by_hand.empty() ? "none" : by_hand) << '\n';
}

Result<int> RunReportEquity(Session& session, const ReportFlags& flags) {
  const std::string by = flags.by.empty() ? "sector" : flags.by.front();
  v1::ReportEquityRequest request;
  request.set_group_by(GroupNamed(by));
  request.set_gpu_type(flags.gpu_type);
  request.set_anonymous(flags.anonymous);
  if (const auto basis = flags.basis.Set(&request); !basis) return basis.error();
  if (const auto times = ReadTimes(session.host, flags.times, request.mutable_time()); !times) {
    return times.error();
  }
  const auto answer = Ask<v1::ReportEquityResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), kFlags);
  if (IsCsv(session)) {
    PrintEquityCsv(session.host, by, *answer);
  } else if (session.format() == Format::kName) {
    for (const v1::EquityRow& row : answer->rows()) *session.host.out << row.group() << '\n';
  } else if (!PrintMessage(session.host, session.format(), *answer)) {
    PrintEquityTable(session, by, *answer);
  }
  return kDone;
}

void AddReportUsage(CLI::App& report, Session& session) {
  CLI::App* command =
      report.add_subcommand("usage", "what was used, charged, given back, waited for");
  const auto flags = std::make_shared<ReportFlags>();
  command->add_option("ACCOUNT", flags->account,
                      "account and all below it; without: all you may see");
  command->add_option("--by", flags->by, "rows, one for each combination; one in all if not given")
      ->type_name(Bars(UsageGroups()))
      ->delimiter(',')
      ->check(OneOf(UsageGroups()));
  flags->times.AddTo(*command);
  flags->basis.AddTo(*command);
  command->add_option("--gpu-type", flags->gpu_type, "only this type of GPU")->type_name("TYPE");
  command->footer(
      "USED is counted GPUs by time, of what was settled; ENTITLED and NOT ASKED (due, but not\n"
      "asked for) are kept by the hour, UTC, and are not told by user, class or kind.\n"
      "They are about shared nodes; APART (-o wide) is what ran besides on dedicated ones.\n"
      "IDLE (-o wide) is what did nothing of it: not known where nothing measures GPUs. EXPIRED\n"
      "is what budgets that ended left unused.\n"
      "-o csv gives all figures, GPU time in milli-GPU-milliseconds, and the flags that make the\n"
      "same report again.\n"
      "Examples:\n"
      "  kezek report usage --since 2026-10-01 --by sector,month\n"
      "  kezek report usage universities/kaznu --by user -o csv");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunReportUsage(session, *flags); };
  });
}

void AddReportEquity(CLI::App& report, Session& session) {
  CLI::App* command =
      report.add_subcommand("equity", "what groups should have had, and what they got");
  const auto flags = std::make_shared<ReportFlags>();
  flags->by = {"sector"};
  command->add_option("--by", flags->by, "rows; sector if not given")
      ->type_name(Bars(EquityGroups()))
      ->expected(1)
      ->check(OneOf(EquityGroups()));
  flags->times.AddTo(*command);
  flags->basis.AddTo(*command);
  command->add_option("--gpu-type", flags->gpu_type, "only this type; else all, each by its rate")
      ->type_name("TYPE");
  command->add_flag("--public", flags->anonymous,
                    "no institution's name, groups of fewer than three put together");
  command->footer(
      "Figures are of full hours, UTC, and of shared nodes: what ran on dedicated ones is said\n"
      "apart. OFF BY is RECEIVED less TARGET. -o csv gives them in\n"
      "millionths, and the flags that make the same report again.\n"
      "Examples:\n"
      "  kezek report equity --since 2026-10-01\n"
      "  kezek report equity --since 2026-01-01 --by ownership --public -o csv");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunReportEquity(session, *flags); };
  });
}

}  // namespace

void AddReport(CLI::App& app, Session& session) {
  CLI::App* report = app.add_subcommand("report", "figures over a time");
  report->require_subcommand(1);
  AddReportUsage(*report, session);
  AddReportEquity(*report, session);
  AddReportBudgets(*report, session);
  AddReportReconcile(*report, session);
}

}  // namespace kezek::cli

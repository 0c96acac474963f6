// report reconcile: Kezek's attempts beside Slurm's accounting, each difference named.
#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/render.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

std::string SignedHours(std::int64_t amount) {
  return (amount < 0 ? "-" : "") + GpuHours(amount < 0 ? -amount : amount);
}

std::string NameOfRow(const v1::ReconcileRow& row) {
  if (row.job().empty()) return "(not Kezek's)";
  return row.job() + "/" + std::to_string(row.attempt());
}

void PrintReconcileCsv(const Host& host, const v1::ReportReconcileResponse& answer) {
  PrintCsv(host, {"job", "attempt", "slurm_job_id", "reason", "here", "slurm",
                  "difference_milli_gpu_ms"});
  for (const v1::ReconcileRow& row : answer.rows()) {
    const auto side = [&row](const char* name) {
      const auto found = row.reason().fields().find(name);
      return found == row.reason().fields().end() ? std::string() : found->second;
    };
    PrintCsv(host, {row.job(), std::to_string(row.attempt()), std::to_string(row.slurm_job_id()),
                    row.reason().code(), side("here"), side("slurm"),
                    std::to_string(row.difference_milli_gpu_ms())});
  }
}

void PrintReconcileTables(Session& session, const v1::ReportReconcileResponse& answer) {
  const Host& host = session.host;
  if (!answer.rows().empty()) {
    Table table({"JOB", "SLURM JOB", "WHAT", "GPU-H", "DIFFERENCE"});
    if (session.format() == Format::kWide) table.KeepWhole();
    for (const v1::ReconcileRow& row : answer.rows()) {
      table.Add({NameOfRow(row), std::to_string(row.slurm_job_id()), row.reason().code(),
                 SignedHours(row.difference_milli_gpu_ms()), row.reason().sentence()});
    }
    table.Print(host);
    if (host.out_is_terminal) *host.out << '\n';
  }
  if (!answer.totals().empty()) {
    Table totals({"SLURM ACCOUNT", "ATTEMPTS", "GPU-H HERE", "SLURM JOBS", "GPU-H IN SLURM"});
    for (const v1::ReconcileTotal& total : answer.totals()) {
      totals.Add({total.slurm_account().empty() ? "(default)" : total.slurm_account(),
                  Thousands(total.attempts()), GpuHours(total.here_milli_gpu_ms()),
                  Thousands(total.slurm_jobs()), GpuHours(total.slurm_milli_gpu_ms())});
    }
    totals.Print(host);
  }
  if (answer.foreign_jobs() > 0) {
    *host.out << "Beside Kezek: " << Count(answer.foreign_jobs(), "job") << " in Slurm, "
              << GpuHours(answer.foreign_milli_gpu_ms()) << " GPU-h, "
              << Thousands(answer.foreign_charged()) << " charged\n";
  }
  *host.out << Count(answer.compared(), "attempt") << " compared, "
            << Count(answer.rows_size() + answer.left_out(), "difference");
  if (answer.left_out() > 0) {
    *host.out << ", " << Thousands(answer.left_out()) << " of them not listed";
  }
  *host.out << ", " << ExactMoment(answer.basis().time().since_ms()) << " to "
            << ExactMoment(answer.basis().time().until_ms()) << '\n';
}

Result<int> RunReconcile(Session& session, const ReportTimes& times) {
  v1::ReportReconcileRequest request;
  if (const auto read = ReadTimes(session.host, times, request.mutable_time()); !read) {
    return read.error();
  }
  const auto answer = AskPatiently<v1::ReportReconcileResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"time", "--since"}});
  const int code = answer->rows().empty() && answer->left_out() == 0 ? kDone : kFailed;
  if (IsCsv(session)) {
    PrintReconcileCsv(session.host, *answer);
  } else if (session.format() == Format::kName) {
    for (const v1::ReconcileRow& row : answer->rows()) *session.host.out << NameOfRow(row) << '\n';
  } else if (!PrintMessage(session.host, session.format(), *answer)) {
    PrintReconcileTables(session, *answer);
  }
  return code;
}

}  // namespace

void AddReportReconcile(CLI::App& report, Session& session) {
  CLI::App* command =
      report.add_subcommand("reconcile", "attempts beside Slurm's accounting, what differs");
  const auto times = std::make_shared<ReportTimes>();
  times->since = "1d";
  times->AddTo(*command);
  command->footer(
      "Of attempts that ended in that time, up to a minute ago: whether Slurm's accounting has "
      "them,\n"
      "and start, end, nodes, GPUs, account, user, and the charge that its times come to. The "
      "exit\n"
      "code is 1 if anything differs. GPU-H is the difference, here less Slurm.\n"
      "Examples:\n"
      "  kezek report reconcile\n"
      "  kezek report reconcile --since 2026-11-01 --until 2026-12-01 -o csv");
  command->callback([&session, times] {
    session.action = [&session, times] { return RunReconcile(session, *times); };
  });
}

}  // namespace kezek::cli

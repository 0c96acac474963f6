// report budgets: what was granted, and what became of it.
#include <kezek/v1/ledger.pb.h>
#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cmd/kezek/render.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct BudgetFlags {
  std::string account;
  bool below = false;
  bool all_periods = false;
};

void PrintBudgetsCsv(const Host& host, const v1::ListBudgetsResponse& answer) {
  PrintCsv(host, {"account", "budget", "gpu_type", "start_ms", "end_ms", "set_milli_gpu_hours",
                  "granted_milli_gpu_ms", "spent_milli_gpu_ms", "refunded_milli_gpu_ms",
                  "held_milli_gpu_ms", "left_milli_gpu_ms", "expired_milli_gpu_ms",
                  "will_expire_milli_gpu_ms", "runs_out_ms", "warned_percent"});
  for (const v1::Budget& budget : answer.budgets()) {
    const v1::BudgetSpec& spec = budget.spec();
    PrintCsv(
        host,
        {budget.account(), spec.name(), spec.gpu_type(), std::to_string(spec.start_ms()),
         std::to_string(spec.end_ms()), std::to_string(spec.milli_gpu_hours()),
         std::to_string(budget.granted_milli_gpu_ms()), std::to_string(budget.spent_milli_gpu_ms()),
         std::to_string(budget.refunded_milli_gpu_ms()), std::to_string(budget.held_milli_gpu_ms()),
         std::to_string(budget.left_milli_gpu_ms()), std::to_string(budget.expired_milli_gpu_ms()),
         std::to_string(budget.will_expire_milli_gpu_ms()), std::to_string(budget.runs_out_ms()),
         std::to_string(budget.warned_percent())});
  }
}

void PrintBudgetsTable(Session& session, const v1::ListBudgetsResponse& answer) {
  const Host& host = session.host;
  const bool wide = session.format() == Format::kWide;
  std::vector<std::string> headings = {"ACCOUNT", "BUDGET",   "TYPE",   "GRANTED",
                                       "SPENT",   "REFUNDED", "HELD",   "LEFT",
                                       "ENDS",    "RUNS OUT", "EXPIRED"};
  if (wide) headings.insert(headings.end(), {"BEGINS", "WOULD EXPIRE", "WARNED"});
  Table table(headings);
  table.MayLeaveOut({"TYPE", "REFUNDED", "EXPIRED", "HELD"});
  if (wide) table.KeepWhole();
  for (const v1::Budget& budget : answer.budgets()) {
    const v1::BudgetSpec& spec = budget.spec();
    std::vector<std::string> cells = {budget.account().empty() ? "(all)" : budget.account(),
                                      spec.name(),
                                      spec.gpu_type(),
                                      GpuHours(budget.granted_milli_gpu_ms()),
                                      GpuHours(budget.spent_milli_gpu_ms()),
                                      GpuHours(budget.refunded_milli_gpu_ms()),
                                      GpuHours(budget.held_milli_gpu_ms()),
                                      GpuHours(budget.left_milli_gpu_ms()),
                                      Moment(host, spec.end_ms()),
                                      Moment(host, budget.runs_out_ms()),
                                      GpuHours(budget.expired_milli_gpu_ms())};
    if (wide) {
      const int warned = budget.warned_percent();
      cells.insert(cells.end(),
                   {Moment(host, spec.start_ms()), GpuHours(budget.will_expire_milli_gpu_ms()),
                    warned > 0 ? std::to_string(warned) + " %" : ""});
    }
    table.Add(std::move(cells));
  }
  table.Print(host);
}

Result<int> RunReportBudgets(Session& session, const BudgetFlags& flags) {
  v1::ListBudgetsRequest request;
  request.set_account(flags.account);
  request.set_below(flags.below);
  request.set_all_periods(flags.all_periods);
  const auto answer = Ask<v1::ListBudgetsResponse>(session, request);
  if (!answer) return answer.error();
  if (IsCsv(session)) {
    PrintBudgetsCsv(session.host, *answer);
  } else if (session.format() == Format::kName) {
    for (const v1::Budget& budget : answer->budgets()) {
      *session.host.out << budget.account() << ' ' << budget.spec().name() << '\n';
    }
  } else if (!PrintMessage(session.host, session.format(), *answer)) {
    PrintBudgetsTable(session, *answer);
  }
  return kDone;
}

}  // namespace

void AddReportBudgets(CLI::App& report, Session& session) {
  CLI::App* command = report.add_subcommand("budgets", "what was granted, and what became of it");
  const auto flags = std::make_shared<BudgetFlags>();
  command->add_option("ACCOUNT", flags->account,
                      "account: its budgets and those above it; without: all you may see");
  command->add_flag("--below", flags->below, "those of all accounts below it, too");
  command->add_flag("--all-periods", flags->all_periods, "those that are over or to come, too");
  command->footer(
      "GPU-hours. GRANTED has what was carried into the period, SPENT what was refunded taken "
      "off;\n"
      "RUNS OUT is at the pace of the last 14 days, empty if not before it ends. -o wide has what\n"
      "would expire at that pace, and the highest warning given.\n"
      "Examples:\n"
      "  kezek report budgets\n"
      "  kezek report budgets universities --below --all-periods -o csv");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunReportBudgets(session, *flags); };
  });
}

}  // namespace kezek::cli

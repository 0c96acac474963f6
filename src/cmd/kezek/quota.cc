// quota: what accounts should have now, and what makes it up.
#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

struct QuotaFlags {
  std::string account;
  std::string gpu_type;
  int depth = 0;
};

std::string OrNone(std::int64_t milli_gpus) { return milli_gpus == 0 ? "" : Gpus(milli_gpus); }

// `16`; `10 of 16` while it is scaled.
std::string Guarantee(const v1::EntitlementRow& row) {
  const bool scaled = row.has_guarantee_now_milli_gpus() &&
                      row.guarantee_now_milli_gpus() < row.guarantee_milli_gpus();
  return (scaled ? Gpus(row.guarantee_now_milli_gpus()) + " of " : "") +
         OrNone(row.guarantee_milli_gpus());
}

void PrintRows(Session& session, const v1::GetEntitlementResponse& answer) {
  const bool wide = session.format() == Format::kWide;
  std::vector<std::string> headings = {"ACCOUNT", "TYPE",   "GUARANTEE", "ENTITLED",
                                       "RUNNING", "DEMAND", "BORROWED",  "LIMIT"};
  if (wide) {
    headings.insert(headings.end(),
                    {"WEIGHT", "IN GUARANTEE", "LENT", "KEPT IDLE", "OWED", "APART", "BOUND BY"});
  }
  Table table(headings);
  for (const v1::EntitlementRow& row : answer.rows()) {
    std::vector<std::string> cells = {row.account().empty() ? "(all)" : row.account(),
                                      row.gpu_type(),
                                      Guarantee(row),
                                      Gpus(row.entitlement_milli_gpus()),
                                      Gpus(row.running_milli_gpus()),
                                      Gpus(row.demand_milli_gpus()),
                                      OrNone(row.borrowed_milli_gpus()),
                                      OrNone(row.cap_milli_gpus())};
    if (wide) {
      cells.insert(cells.end(),
                   {Gpus(row.weight_milli()), OrNone(row.guaranteed_milli_gpus()),
                    OrNone(row.lent_milli_gpus()), OrNone(row.kept_idle_milli_gpus()),
                    OrNone(row.owed_milli_gpus()), OrNone(row.apart_milli_gpus()), BoundBy(row)});
    }
    table.Add(std::move(cells));
  }
  table.Print(session.host);
}

void PrintLegend(Session& session, const v1::GetEntitlementResponse& answer) {
  const Host& host = session.host;
  if (!host.out_is_terminal) return;
  std::string capacity;
  for (const auto& [type, milli] : answer.capacity_milli_gpus()) {
    capacity += (capacity.empty() ? "" : ", ") + Gpus(milli) + " " + type;
  }
  *host.out << "ENTITLED is a part of " << capacity << ", by weight, the guarantee at least, never "
            << "more than DEMAND:\nGPUs that run, and GPUs that queued jobs wait for.\n";
}

Result<int> RunQuota(Session& session, const QuotaFlags& flags) {
  v1::GetEntitlementRequest request;
  request.set_account(flags.account);
  request.set_gpu_type(flags.gpu_type);
  request.set_depth(flags.depth);
  Result<v1::GetEntitlementResponse> answer = Ask<v1::GetEntitlementResponse>(session, request);
  if (!answer) return answer.error();
  if (PrintMessage(session.host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    for (const v1::EntitlementRow& row : answer->rows()) {
      if (!row.account().empty()) *session.host.out << row.account() << '\n';
    }
    return kDone;
  }
  PrintRows(session, *answer);
  PrintLegend(session, *answer);
  return kDone;
}

}  // namespace

void AddQuota(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("quota", "what accounts should have now");
  const auto flags = std::make_shared<QuotaFlags>();
  command->add_option("ACCOUNT", flags->account,
                      "account and those below it; without: my projects and all above them");
  command->add_option("-A,--project,--account", flags->account, "the same")->type_name("ACCOUNT");
  command->add_option("--gpu-type", flags->gpu_type, "only this type of GPU")->type_name("TYPE");
  command->add_option("--depth", flags->depth, "levels below the account; all if not given")
      ->type_name("N");
  command->footer(
      "Examples:\n"
      "  kezek quota\n"
      "  kezek quota universities --depth 1\n"
      "  kezek quota --project alem-llm -o wide");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunQuota(session, *flags); };
  });
}

}  // namespace kezek::cli

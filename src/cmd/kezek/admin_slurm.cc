// admin slurm: the accounts and associations that Slurm wants for Kezek's attempts.
#include <kezek/v1/cluster.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/change_text.h"
#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

void PrintLines(const Host& host, const std::string& heading, const Texts& lines) {
  if (lines.empty()) return;
  *host.out << heading << '\n';
  for (const std::string& line : lines) *host.out << "  " << line << '\n';
}

bool IsForPeople(const Session& session) {
  return session.format() == Format::kTable || session.format() == Format::kWide;
}

Result<v1::ApplySlurmAccountsResponse> AskSlurm(Session& session, bool plan_only) {
  v1::ApplySlurmAccountsRequest request;
  request.set_plan_only(plan_only);
  return AskPatiently<v1::ApplySlurmAccountsResponse>(session, request);
}

void PrintSlurmPlan(Session& session, const v1::ApplySlurmAccountsResponse& plan) {
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), plan)) return;
  if (session.format() == Format::kName) {
    for (const std::string& missing : plan.missing()) *host.out << missing << '\n';
  } else if (plan.missing().empty()) {
    *host.out << "Slurm's accounting has what Kezek's projects want.\n";
  } else {
    PrintLines(host, "Slurm's accounting lacks", plan.missing());
  }
}

Result<int> RunSlurmPlan(Session& session) {
  const auto plan = AskSlurm(session, true);
  if (!plan) return plan.error();
  PrintSlurmPlan(session, *plan);
  if (IsForPeople(session)) PrintLines(session.host, "By hand", plan->commands());
  return kDone;
}

Result<int> RunSlurmApply(Session& session, bool yes) {
  const Host& host = session.host;
  const auto plan = AskSlurm(session, true);
  if (!plan) return plan.error();
  if (!yes || IsForPeople(session) || plan->missing().empty()) PrintSlurmPlan(session, *plan);
  if (plan->missing().empty() || !MayApply(host, yes, false, plan->missing_size())) return kDone;
  const auto applied = AskSlurm(session, false);
  if (!applied) return applied.error();
  const int code = applied->commands().empty() ? kDone : kFailed;
  if (PrintMessage(host, session.format(), *applied)) return code;
  if (session.format() == Format::kName) {
    for (const std::string& made : applied->made()) *host.out << made << '\n';
    return code;
  }
  PrintLines(host, "Made", applied->made());
  PrintLines(host, "Refused", applied->refused());
  PrintLines(host, "Left to do by hand", applied->commands());
  return code;
}

}  // namespace

void AddAdminSlurm(CLI::App& admin, Session& session) {
  CLI::App* slurm =
      admin.add_subcommand("slurm", "accounts and associations in Slurm's accounting");
  slurm->require_subcommand(1);
  CLI::App* plan = slurm->add_subcommand("plan", "what Slurm's accounting lacks");
  plan->footer(
      "Each attempt runs under the slurm_account and slurm_qos of its project, as its user's Unix\n"
      "account. Compared are open projects, and their members that have a Unix account and "
      "access.\n"
      "Examples:\n"
      "  kezek admin slurm plan\n"
      "  kezek admin slurm plan -o json");
  plan->callback([&session] { session.action = [&session] { return RunSlurmPlan(session); }; });

  CLI::App* apply = slurm->add_subcommand("apply", "make what it lacks");
  const auto yes = std::make_shared<bool>(false);
  apply->add_flag("-y,--yes", *yes, "apply without asking");
  apply->footer(
      "Accounts (below root), users and their associations are made through slurmrestd. What it "
      "does\n"
      "not make, and qualities of service, are commands to run by hand: then the exit code is 1.\n"
      "Nothing is removed or changed.\n"
      "Examples:\n"
      "  kezek admin slurm apply\n"
      "  kezek admin slurm apply --yes -o json");
  apply->callback([&session, yes] {
    session.action = [&session, yes] { return RunSlurmApply(session, *yes); };
  });
}

}  // namespace kezek::cli

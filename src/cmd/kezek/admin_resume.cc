// admin resume: lets a scheduler that has stopped itself go on.
#include <kezek/v1/cluster.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/commands.h"

namespace kezek::cli {
namespace {

struct ResumeFlags {
  std::string reason;
  bool accept_restore = false;
};

Result<int> RunResume(Session& session, const ResumeFlags& flags) {
  v1::ResumeSchedulingRequest request;
  request.set_reason(flags.reason);
  request.set_accept_restore(flags.accept_restore);
  const auto answer = Ask<v1::ResumeSchedulingResponse>(session, request, Repeat::kNo);
  if (!answer) return answer.error();
  if (PrintMessage(session.host, session.format(), *answer)) return kDone;
  if (session.format() != Format::kName) *session.host.out << "The scheduler goes on\n";
  return kDone;
}

}  // namespace

void AddAdminResume(CLI::App& admin, Session& session) {
  CLI::App* command = admin.add_subcommand("resume", "let a scheduler that stopped itself go on");
  const auto flags = std::make_shared<ResumeFlags>();
  command->add_option("--reason", flags->reason, "why it is safe, for the record")
      ->type_name("TEXT")
      ->required();
  command->add_flag("--accept-restore", flags->accept_restore,
                    "the database is an older copy, and what Slurm runs beyond it is dealt with");
  command->footer(
      "Examples:\n"
      "  kezek admin resume --reason 'jobs of the lost day cancelled by hand' --accept-restore");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunResume(session, *flags); };
  });
}

}  // namespace kezek::cli

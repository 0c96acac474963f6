#include "cmd/kezek/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <exception>
#include <ostream>
#include <utility>

#include "cmd/kezek/commands.h"

namespace kezek::cli {
namespace {

constexpr const char* kFooter = R"(Examples:
  kezek submit --gpus 1 --time 30m -- python train.py
  kezek submit train.sh
  kezek queue
  kezek why 48211
  kezek logs -f 48211
Exit codes: 0 done, 1 failed, 2 usage, 3 refused by policy or quota, 4 not found, 5 not allowed,
6 unreachable. wait and submit --wait end with the job's own code, and with 121 to 126 for these
1 to 6.)";

void AddCommonFlags(CLI::App& app, Session& session) {
  app.add_option("-o,--format", session.format_name, "table, wide, json, yaml or name")
      ->check(CLI::IsMember(FormatNames()));
  app.add_option("--context", session.flags.context, "context of the configuration file");
  app.add_option("--endpoint", session.flags.endpoint, "HOST:PORT of kezekd");
  app.add_option("--config", session.flags.config, "configuration file");
}

void AddCommands(CLI::App& app, Session& session) {
  app.fallthrough();
  // Only named here for the list: RunSubmit reads its arguments itself.
  app.add_subcommand("submit", "submit a script or a command");
  AddQueue(app, session);
  AddShow(app, session);
  AddWhy(app, session);
  AddLogs(app, session);
  AddWait(app, session);
  AddCancel(app, session);
  AddHold(app, session);
  AddRelease(app, session);
  AddNodes(app, session);
  AddUsage(app, session);
  AddWhoAmI(app, session);
  AddLogin(app, session);
  CLI::App* admin = app.add_subcommand("admin", "accounts, users, tokens, nodes");
  admin->require_subcommand(1);
  AddAdminAccount(*admin, session);
  AddAdminUser(*admin, session);
  AddAdminToken(*admin, session);
  AddAdminNode(*admin, session);
}

// Place of the command's name in the arguments; their number if there is none.
std::size_t FindCommand(const std::vector<std::string>& arguments) {
  const std::vector<std::string> with_value = {"-o", "--format", "--context", "--endpoint",
                                               "--config"};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (std::find(with_value.begin(), with_value.end(), arguments[i]) != with_value.end()) {
      ++i;
    } else if (!arguments[i].starts_with('-')) {
      return i;
    }
  }
  return arguments.size();
}

int Finish(Session& session, const Result<int>& result) {
  session.host.out->flush();
  if (result) return *result;
  PrintError(session.host, result.error());
  const int code = ExitCodeOf(result.error().code);
  return session.waits_for_job ? kOfWaiting + code : code;
}

bool HasCommand(const CLI::App& app, const std::string& name) {
  const auto found =
      app.get_subcommands([&name](const CLI::App* sub) { return sub->get_name() == name; });
  return !found.empty();
}

// The command as far as it was understood: `kezek admin node drain`.
std::string Chosen(const CLI::App& app) {
  std::string text = app.get_name();
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    text += " " + command->get_name();
  }
  return text;
}

int Run(Session& session, std::vector<std::string> arguments) {
  CLI::App app("Kezek shares the GPUs of one cluster fairly.", "kezek");
  app.footer(kFooter);
  AddCommonFlags(app, session);
  AddCommands(app, session);
  const std::size_t command = FindCommand(arguments);
  const std::string name = command < arguments.size() ? arguments[command] : "";
  if (!name.empty() && !HasCommand(app, name)) {
    PrintError(
        session.host,
        Error{Code::kInvalidArgument, "there is no command '" + name + "'\nkezek --help", {}});
    return kUsage;
  }
  std::vector<std::string> rest;
  if (name == "submit") {
    rest.assign(arguments.begin() + static_cast<std::ptrdiff_t>(command) + 1, arguments.end());
    arguments.resize(command);
    session.action = [&session, &rest] { return RunSubmit(session, rest); };
  } else {
    app.require_subcommand(1);
  }
  std::reverse(arguments.begin(), arguments.end());  // as the parser wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    // Asking for help is an error to the parser, with code 0.
    if (error.get_exit_code() == 0) return app.exit(error, *session.host.out, *session.host.err);
    PrintError(session.host, Error{Code::kInvalidArgument,
                                   std::string(error.what()) + "\n" + Chosen(app) + " --help",
                                   {}});
    return kUsage;
  }
  return Finish(session, session.action());
}

}  // namespace

int RunApp(Host host, std::vector<std::string> arguments) {
  Session session(std::move(host));
  try {
    return Run(session, std::move(arguments));
  } catch (const std::exception& error) {
    *session.host.err << "error: " << error.what() << '\n';
    return kFailed;
  }
}

}  // namespace kezek::cli

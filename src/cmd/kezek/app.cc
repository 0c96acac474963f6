#include "cmd/kezek/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <exception>
#include <ostream>
#include <utility>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/help.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/usage_error.h"
#include "kezek/text.h"

namespace kezek::cli {
namespace {

constexpr const char* kAppFooter =
    R"(Exit codes: 0 done, 1 failed, 2 usage, 3 refused by policy or quota, 4 not found,
5 not allowed, 6 unreachable. run, wait and submit --wait end with the job's own code, and with 121
to 126 for these 1 to 6.
Examples:
  kezek submit --gpus 1 --time 30m -- python train.py
  kezek submit train.sh
  kezek queue
  kezek why 48211
  kezek logs -f 48211)";

// Reports have one form more.
std::vector<std::string> WithCsv(std::vector<std::string> formats) {
  formats.emplace_back(kCsv);
  return formats;
}

void AddCommonFlags(CLI::App& app, Session& session) {
  app.add_option("-o,--format", session.format_name, "form of the answer; table if not given")
      ->type_name(Bars(FormatNames()))
      ->check(OneOf(WithCsv(FormatNames())));
  app.add_option("--context", session.flags.context, "context of the configuration file")
      ->type_name("CONTEXT");
  app.add_option("--endpoint", session.flags.endpoint, "where kezekd listens")
      ->type_name("HOST:PORT");
  app.add_option("--config", session.flags.config, "configuration file")->type_name("FILE");
}

void AddCommands(CLI::App& app, Session& session) {
  app.fallthrough();
  AddSubmit(app);
  AddRun(app);
  AddQueue(app, session);
  AddShow(app, session);
  AddWhy(app, session);
  AddLogs(app, session);
  AddWait(app, session);
  AddCancel(app, session);
  AddRequeue(app, session);
  AddHold(app, session);
  AddRelease(app, session);
  AddUpdate(app, session);
  AddCheckpoint(app, session);
  AddNodes(app, session);
  AddUsage(app, session);
  AddQuota(app, session);
  AddReport(app, session);
  AddWhoAmI(app, session);
  AddLogin(app, session);
  AddToken(app, session);
  AddJob(app, session);
  AddConfig(app, session);
  AddCompletion(app, session);
  AddManual(app, session);
  CLI::App* admin = app.add_subcommand(
      "admin", "accounts, settings, users, tokens, nodes, reservations, sync, Slurm");
  admin->require_subcommand(1);
  AddAdminAccount(*admin, session);
  AddAdminApply(*admin, session);
  AddAdminExport(*admin, session);
  AddAdminHistory(*admin, session);
  AddAdminRevert(*admin, session);
  AddAdminCorrection(*admin, session);
  AddAdminLedger(*admin, session);
  AddAdminEvents(*admin, session);
  AddAdminExplainShare(*admin, session);
  AddAdminUser(*admin, session);
  AddAdminToken(*admin, session);
  AddAdminSync(*admin, session);
  AddAdminNode(*admin, session);
  AddAdminReservation(*admin, session);
  AddAdminResume(*admin, session);
  AddAdminSnapshot(*admin, session);
  AddAdminSlurm(*admin, session);
  AddAdminDoctor(*admin, session);
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

// The API's texts are UTF-8; a word that is not is refused where it can still be named.
Result<void> CheckWords(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (IsUtf8(word)) continue;
    const bool value = i > 0 && arguments[i - 1].starts_with('-') && !word.starts_with('-');
    return Error{Code::kInvalidArgument,
                 (value ? arguments[i - 1] + " " : "") + MakeUtf8(word) +
                     ": not UTF-8: convert it, for example with iconv",
                 {}};
  }
  return {};
}

int Finish(Session& session, const Result<int>& result) {
  session.host.out->flush();
  if (result) return *result;
  PrintError(session.host, result.error());
  const int code = ExitCodeOf(result.error().code);
  return session.waits_for_job ? kOfWaiting + code : code;
}

const CLI::App* FindSubcommand(const CLI::App& app, const std::string& name) {
  const auto found =
      app.get_subcommands([&name](const CLI::App* sub) { return sub->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

// `doctor` of `kezek admin doctor --help`; empty if all words are understood.
std::string UnknownCommand(const CLI::App& app) {
  if (CommandsOf(Deepest(app)).empty()) return "";
  for (const std::string& word : app.remaining(true)) {
    if (!word.starts_with('-')) return word;
  }
  return "";
}

int Run(Session& session, std::vector<std::string> arguments) {
  CLI::App app("Kezek shares the GPUs of one cluster fairly.", "kezek");
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("--version", "kezek " KEZEK_VERSION, "which kezek this is");
  AddCommonFlags(app, session);
  AddCommands(app, session);
  app.footer(kAppFooter);  // after the commands, which would take it over
  std::size_t command = FindCommand(arguments);
  if (command < arguments.size() && arguments[command] == "help") {
    arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(command));
    arguments.emplace_back("--help");
    command = FindCommand(arguments);
  }
  const std::string name = command < arguments.size() ? arguments[command] : "";
  session.waits_for_job = name == "wait" || name == "run";
  const CLI::App* chosen = FindSubcommand(app, name);
  const bool completes = name == "__complete";
  if (const Result<void> words = CheckWords(arguments); !words && !completes) {
    return Finish(session, words.error());
  }
  if (!name.empty() && chosen == nullptr && !completes) {
    PrintError(session.host, NoSuchCommand(app, name));
    return kUsage;
  }
  std::vector<std::string> rest;
  if (completes || name == "submit" || name == "run") {
    // These read their arguments themselves.
    rest.assign(arguments.begin() + static_cast<std::ptrdiff_t>(command) + 1, arguments.end());
    arguments.resize(command);
    session.action = [&session, &app, &rest, chosen] {
      return chosen == nullptr ? RunComplete(session, app, rest)
                               : RunSubmit(session, *chosen, rest);
    };
  } else {
    app.require_subcommand(1);
  }
  std::reverse(arguments.begin(), arguments.end());  // as the parser wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    if (const std::string unknown = UnknownCommand(app); !unknown.empty()) {
      return Finish(session, NoSuchCommand(Deepest(app), unknown));
    }
    *session.host.out << HelpText(Deepest(app));
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    *session.host.out << version.what() << '\n';
    return kDone;
  } catch (const CLI::ParseError& error) {
    return Finish(session, UsageError(app, error));
  }
  if (IsCsv(session) && !WritesCsv(Deepest(app))) {
    return Finish(session, Error{Code::kInvalidArgument,
                                 "--format: csv is a form of reports: kezek report, kezek admin "
                                 "explain-share, kezek admin ledger, kezek admin events",
                                 {}});
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

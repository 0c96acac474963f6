#include "cmd/kezek/usage_error.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <utility>

#include "cmd/kezek/help.h"
#include "cmd/kezek/nearest.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

// What users of Slurm may write, and `help`'s kin.
constexpr std::pair<const char*, const char*> kSlurmCommands[] = {
    {"sbatch", "submit"},     {"srun", "run"},       {"squeue", "queue"},
    {"scancel", "cancel"},    {"sinfo", "nodes"},    {"sacct", "queue --ended, or show"},
    {"sshare", "usage"},      {"sacctmgr", "admin"}, {"scontrol", "show, update, hold or release"},
    {"jobs", "queue"},        {"list", "queue"},     {"status", "queue, or show"},
    {"version", "--version"},
};

Error Usage(const CLI::App& command, const std::string& message) {
  return Error{Code::kInvalidArgument, message + "\nSee " + FullName(command) + " --help", {}};
}

std::vector<std::string> NamesOf(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return names;
}

// Options of the command and of all above it.
std::vector<Choice> AllOptions(const CLI::App& command) {
  std::vector<Choice> options = OptionsOf(command);
  if (const CLI::App* parent = command.get_parent()) {
    const std::vector<Choice> above = AllOptions(*parent);
    options.insert(options.end(), above.begin(), above.end());
  }
  return options;
}

Error Unexpected(const CLI::App& command, const std::string& written) {
  if (written.starts_with("-") && written != "-") {
    std::vector<std::string> names;
    for (const Choice& option : AllOptions(command)) {
      names.insert(names.end(), option.names.begin(), option.names.end());
    }
    const std::string name = written.substr(0, written.find('='));
    return Usage(command,
                 name + ": " + FullName(command) + " has no such option" + DidYouMean(name, names));
  }
  if (!CommandsOf(command).empty()) return NoSuchCommand(command, written);
  const std::vector<Choice> arguments = ArgumentsOf(command);
  std::string takes;
  for (const Choice& argument : arguments) takes += " " + Written(argument);
  return Usage(command, "'" + written + "' is one argument too many: " + FullName(command) +
                            " takes" + (takes.empty() ? " none" : takes));
}

// `--reason TEXT`, by the option's name in the parser's words.
std::string WithValue(const CLI::App& command, const std::string& name) {
  for (const Choice& option : AllOptions(command)) {
    for (const std::string& one : option.names) {
      if (one == name) return option.value.empty() ? name : name + " " + option.value;
    }
  }
  return name;
}

// The parser's words up to a part of them; false if the part is not there.
bool TakeUpTo(const std::string& words, const std::string& part, std::string& before) {
  const std::size_t at = words.find(part);
  if (at != std::string::npos) before = words.substr(0, at);
  return at != std::string::npos;
}

}  // namespace

Error UsageError(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = Deepest(app);
  const std::string words = error.what();
  const std::string kind = error.get_name();
  const bool no_command = words == "A subcommand is required";
  if (no_command || dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::vector<std::string> extras = app.remaining(true);
    // Options first: what follows one that there is not may have been its value.
    std::stable_partition(extras.begin(), extras.end(),
                          [](const std::string& extra) { return extra.starts_with("-"); });
    for (const std::string& extra : extras) {
      if (extra != "--") return Unexpected(command, extra);
    }
  }
  std::string name;
  if (kind == "RequiredError" && TakeUpTo(words, " is required", name)) {
    if (!no_command) return Usage(command, WithValue(command, name) + " is missing");
    return Usage(command, "which command? " + Listed(NamesOf(CommandsOf(command))));
  }
  if (kind == "ArgumentMismatch" && TakeUpTo(words, ": At Most", name)) {
    return Usage(command, name + " is given more than once");
  }
  if (kind == "ArgumentMismatch" && TakeUpTo(words, ":", name)) {
    return Usage(command, name + ": the value is missing: " + WithValue(command, name));
  }
  if (kind == "ExcludesError" && TakeUpTo(words, " excludes ", name)) {
    return Usage(command, name + " and " + words.substr(name.size() + sizeof(" excludes ") - 1) +
                              " exclude each other: give one of them");
  }
  return Usage(command, words);
}

Error BadUsage(const std::string& message) { return Error{Code::kInvalidArgument, message, {}}; }

Error NoSuchCommand(const CLI::App& command, const std::string& written) {
  for (const auto& [theirs, ours] : kSlurmCommands) {
    if (written == theirs) {
      return Usage(command, "there is no command '" + written + "': here it is kezek " + ours);
    }
  }
  const std::vector<std::string> names = NamesOf(CommandsOf(command));
  const std::string where = command.get_parent() == nullptr ? "" : " in " + FullName(command);
  return Usage(command,
               "there is no command '" + written + "'" + where + DidYouMean(written, names));
}

CLI::Validator OneOf(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](std::string& value) -> std::string {
        for (const std::string& word : words) {
          if (word == value) return "";
        }
        return "'" + value + "' is not " + Listed(words) + DidYouMean(value, words);
      },
      "");
}

CLI::Validator Between(std::int64_t min, std::int64_t max) {
  return CLI::Validator(
      [min, max](std::string& value) -> std::string {
        const Result<std::int64_t> number = script::ParseNumber(value, min, max);
        return number ? "" : number.error().message;
      },
      "");
}

}  // namespace kezek::cli

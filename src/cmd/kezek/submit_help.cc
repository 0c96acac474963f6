// What `kezek submit` and `kezek run` take, for help: the option table of batch scripts and its own
// flags.
#include <CLI/CLI.hpp>
#include <string>

#include "cmd/kezek/commands.h"
#include "script/option_table.h"
#include "script/text.h"

namespace kezek::cli {
namespace {

constexpr const char* kSubmitFooter =
    R"(Instead of SCRIPT: -- COMMAND [ARGUMENT…] makes a script of one command, - reads the script
from standard input, FILE.yaml has jobs in the API's own field names (kezek job init writes one).
The options may also stand in the script, on #SBATCH lines (as sbatch has them) and #KEZEK lines.
Flags override #KEZEK lines, which override #SBATCH lines. -o is the output file unless table, wide,
json, yaml or name follows.
With --wait or --follow it ends with the job's own exit code, and with 121 to 126 for Kezek's own.
Examples:
  kezek submit --within leaf train.sh
  kezek submit --gpus 1 --time 30m --class debug -- python -c 'import torch'
  kezek submit --kind inference --gpus 2 --array 0-99%8 score.sh input
  job=$(kezek submit -o name train.sh) && kezek wait $job)";

void AddJobOptions(CLI::App& command) {
  for (const script::Option& option : script::Options()) {
    if (option.use == script::Use::kRefused) continue;
    std::string names;
    if (option.letter != '\0') names = std::string("-") + option.letter;
    for (const std::string_view name : script::Split(option.names, ',')) {
      names += (names.empty() ? "--" : ",--") + std::string(name);
    }
    const std::string about(option.help);
    if (option.value_name.empty()) {
      command.add_flag(names, about);
      continue;
    }
    const bool optional = option.argument == script::Argument::kOptional;
    command.add_option(names, about)
        ->type_name(std::string(option.value_name))
        ->expected(optional ? 0 : 1, 1);
  }
}

void AddOwnFlags(CLI::App& command) {
  const auto add = [&command](const char* names, const std::string& about) {
    return command.add_option(names, about);
  };
  if (command.get_name() == "submit") {
    add("-f,--follow", "print the output as it comes, then end as the job")->expected(0);
  }
  add("--dry-run", "take nothing: say what would happen")->expected(0);
  add("--on-behalf-of", "as this user (cluster admins)")->type_name("USER");
  add("--key", "of an earlier try: what that one submitted is not submitted again")
      ->type_name("KEY");
  add("SCRIPT", "the batch script");
  add("ARGUMENT", "handed to it")->expected(1, 1 << 20);
}

}  // namespace

void AddRun(CLI::App& app) {
  CLI::App* command = app.add_subcommand("run", "submit, print the output, end as the job ends");
  AddJobOptions(*command);
  AddOwnFlags(*command);
  command->footer(
      "This is kezek submit --follow: it ends with the job's own exit code, and with 121 to 126 "
      "for\n"
      "Kezek's own 1 to 6. Ctrl-C ends the printing; the job goes on, and kezek cancel ends it.\n"
      "Examples:\n"
      "  kezek run --gpus 1 --time 30m -- python -c 'import torch; "
      "print(torch.cuda.device_count())'\n"
      "  kezek run --class debug smoke.sh && kezek submit train.sh");
}

void AddSubmit(CLI::App& app) {
  CLI::App* command = app.add_subcommand("submit", "submit a batch script, or a command");
  AddJobOptions(*command);
  AddOwnFlags(*command);
  command->footer(kSubmitFooter);
}

}  // namespace kezek::cli

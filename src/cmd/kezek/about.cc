// completion, and the hidden __complete and __man: what describes the command line itself.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>
#include <system_error>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/complete.h"
#include "cmd/kezek/manual.h"
#include "cmd/kezek/usage_error.h"

namespace kezek::cli {
namespace {

// A line has no tabs and ends of lines but its own.
std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

Result<int> WriteManual(const CLI::App& app, const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  for (const auto& [name, text] : ManualPages(app)) {
    std::ofstream file(folder + "/" + name);
    file << text << std::flush;
    if (!file) return Error{Code::kInternal, folder + "/" + name + " cannot be written", {}};
  }
  return kDone;
}

}  // namespace

void AddCompletion(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("completion", "print what makes a shell complete words");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->type_name("bash|zsh|fish")
      ->required()
      ->check(OneOf({"bash", "zsh", "fish"}));
  command->footer(
      "Commands, options and what the server knows are completed: jobs, projects, nodes, users,\n"
      "accounts, classes. When the server does not answer at once there is nothing to choose "
      "from.\n"
      "Examples:\n"
      "  source <(kezek completion bash)\n"
      "  kezek completion bash > ~/.local/share/bash-completion/completions/kezek\n"
      "  kezek completion zsh > ~/.zfunc/_kezek\n"
      "  kezek completion fish > ~/.config/fish/completions/kezek.fish");
  command->callback([&session, shell] {
    session.action = [&session, shell]() -> Result<int> {
      Result<std::string> script = CompletionScript(*shell);
      if (!script) return script.error();
      *session.host.out << *script;
      return kDone;
    };
  });
}

void AddManual(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("__man", "write the manual pages")->group("");
  const auto folder = std::make_shared<std::string>();
  command->add_option("DIR", *folder, "where to")->required();
  command->callback([&app, &session, folder] {
    session.action = [&app, folder] { return WriteManual(app, *folder); };
  });
}

Result<int> RunComplete(Session& session, const CLI::App& app,
                        const std::vector<std::string>& words) {
  const Completion completion = Complete(app, session, words);
  if (completion.files) *session.host.out << ":files\n";
  for (const Candidate& candidate : completion.candidates) {
    *session.host.out << OneLine(candidate.text);
    if (!candidate.about.empty()) *session.host.out << '\t' << OneLine(candidate.about);
    *session.host.out << '\n';
  }
  return kDone;
}

}  // namespace kezek::cli

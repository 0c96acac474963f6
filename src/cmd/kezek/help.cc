#include "cmd/kezek/help.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <sstream>
#include <utility>

#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kWidestName = 34;

Choice ChoiceOf(const CLI::Option& option) {
  Choice choice;
  for (const std::string& name : option.get_snames()) choice.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) choice.names.push_back("--" + name);
  const bool takes_value = option.get_items_expected_max() > 0;
  if (!option.nonpositional()) {
    choice.value = option.get_name(true);
  } else if (takes_value) {
    choice.value = option.get_type_name();
  }
  choice.kind = option.get_type_name() == "TEXT" ? choice.value : option.get_type_name();
  choice.value_optional = takes_value && option.get_items_expected_min() == 0;
  choice.about = option.get_description();
  choice.required = option.get_required();
  choice.many = option.get_expected_max() > 1;
  return choice;
}

// Words of the text in lines, all but the first indented.
std::string Wrapped(const std::string& text, std::size_t indent) {
  std::string lines;
  std::size_t used = indent;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (used > indent && used + 1 + Width(word) > kWidth) {
      lines += "\n" + std::string(indent, ' ');
      used = indent;
    }
    if (used > indent) lines += " ";
    lines += word;
    used += Width(word) + (used > indent ? 1 : 0);
  }
  return lines;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string Section(const std::string& title, const Rows& rows) {
  if (rows.empty()) return "";
  std::size_t width = 0;
  for (const auto& row : rows) {
    if (Width(row.first) <= kWidestName) width = std::max(width, Width(row.first));
  }
  std::string text = "\n" + title + ":\n";
  for (const auto& [name, about] : rows) {
    text += "  " + name;
    const std::size_t taken = Width(name);
    text +=
        taken > width ? "\n" + std::string(width + 4, ' ') : std::string(width - taken + 2, ' ');
    text += Wrapped(about, width + 4) + "\n";
  }
  return text;
}

Rows RowsOf(const std::vector<Choice>& choices) {
  Rows rows;
  for (const Choice& choice : choices) rows.emplace_back(Written(choice), choice.about);
  return rows;
}

}  // namespace

std::vector<Choice> ArgumentsOf(const CLI::App& command) {
  std::vector<Choice> arguments;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->nonpositional()) arguments.push_back(ChoiceOf(*option));
  }
  return arguments;
}

std::vector<Choice> OptionsOf(const CLI::App& command) {
  std::vector<Choice> options;
  for (const CLI::Option* option : command.get_options()) {
    if (option->nonpositional() && option != command.get_help_ptr()) {
      options.push_back(ChoiceOf(*option));
    }
  }
  if (const CLI::Option* help = command.get_help_ptr()) options.push_back(ChoiceOf(*help));
  return options;
}

Notes NotesOf(const CLI::App& command) {
  Notes notes;
  bool in_examples = false;
  std::istringstream lines(command.get_footer());
  for (std::string line; std::getline(lines, line);) {
    if (line == "Examples:") {
      in_examples = true;
    } else if (in_examples) {
      notes.examples.push_back(line.substr(std::min<std::size_t>(2, line.size())));
    } else {
      notes.text += line + "\n";
    }
  }
  return notes;
}

std::vector<const CLI::App*> CommandsOf(const CLI::App& command) {
  std::vector<const CLI::App*> shown;
  for (const CLI::App* sub : command.get_subcommands({})) {
    if (!sub->get_group().empty()) shown.push_back(sub);
  }
  return shown;
}

const CLI::App& Deepest(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

std::string Bars(const std::vector<std::string>& words) {
  std::string bars;
  for (const std::string& word : words) bars += (bars.empty() ? "" : "|") + word;
  return bars;
}

std::string FullName(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : FullName(*parent) + " " + command.get_name();
}

std::string Written(const Choice& choice) {
  std::string text;
  for (const std::string& name : choice.names) text += (text.empty() ? "" : ", ") + name;
  if (choice.value.empty()) return text;
  const std::string many = choice.many && choice.names.empty() ? "…" : "";
  if (choice.value_optional && !choice.names.empty()) return text + "[=" + choice.value + "]";
  return text + (text.empty() ? "" : " ") + choice.value + many;
}

std::string UsageOf(const CLI::App& command) {
  std::string text = FullName(command) + " [OPTIONS]";
  for (const Choice& option : OptionsOf(command)) {
    if (option.required) text += " " + option.names.back() + " " + option.value;
  }
  for (const Choice& argument : ArgumentsOf(command)) {
    text += argument.required ? " " + Written(argument) : " [" + Written(argument) + "]";
  }
  return CommandsOf(command).empty() ? text : text + " COMMAND";
}

std::string HelpText(const CLI::App& command) {
  std::string text = command.get_description();
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') {
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  }
  text += (text.ends_with('.') ? "\n\nUsage: " : ".\n\nUsage: ") + UsageOf(command) + "\n";
  Rows commands;
  for (const CLI::App* sub : CommandsOf(command)) {
    commands.emplace_back(sub->get_name(), sub->get_description());
  }
  text += Section("Commands", commands);
  text += Section("Arguments", RowsOf(ArgumentsOf(command)));
  text += Section("Options", RowsOf(OptionsOf(command)));
  if (command.get_parent() != nullptr) {
    text +=
        "\nEvery command takes --format, --context, --endpoint and --config, too: kezek --help\n";
  }
  const Notes notes = NotesOf(command);
  if (!notes.text.empty()) text += "\n" + notes.text;
  if (!notes.examples.empty()) text += "\nExamples:\n";
  for (const std::string& example : notes.examples) text += "  " + example + "\n";
  return text;
}

}  // namespace kezek::cli

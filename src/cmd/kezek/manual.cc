#include "cmd/kezek/manual.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "cmd/kezek/help.h"

namespace kezek::cli {
namespace {

constexpr const char* kDate = "2026-11-21";

struct Named {
  const char* name;
  const char* about;
};
constexpr Named kExitCodes[] = {
    {"0", "done"},
    {"1", "failed"},
    {"2", "wrong usage, or a wrong script"},
    {"3", "refused by policy or quota"},
    {"4", "not found"},
    {"5", "not allowed"},
    {"6", "the server cannot be reached"},
    {"121 to 126", "1 to 6, where a job's own code is passed on; a job that was cancelled is 121"},
};
constexpr Named kVariables[] = {
    {"KEZEK_ENDPOINT", "where kezekd listens"},
    {"KEZEK_TOKEN", "token to sign in with"},
    {"KEZEK_PROJECT", "project of submissions that name none"},
    {"KEZEK_CA_FILE", "authorities that may sign the server's certificate"},
    {"KEZEK_CONTEXT", "context of the configuration file"},
    {"KEZEK_CONFIG", "configuration file"},
    {"NO_COLOR", "if it is not empty, nothing is coloured"},
};

// Text that the formatter takes literally. `-` is what a shell takes, and no hyphen.
std::string RoffEscaped(const std::string& text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool at_start = i == 0 || text[i - 1] == '\n';
    if (at_start && (text[i] == '.' || text[i] == '\'')) escaped += "\\&";
    switch (text[i]) {
      case '\\':
        escaped += "\\e";
        break;
      case '-':
        escaped += "\\-";
        break;
      case '\'':
        escaped += "\\(aq";
        break;
      case '`':
        escaped += "\\(ga";
        break;
      case '^':
        escaped += "\\(ha";
        break;
      case '~':
        escaped += "\\(ti";
        break;
      default:
        escaped += text[i];
    }
  }
  return escaped;
}

std::string Bold(const std::string& text) { return "\\fB" + RoffEscaped(text) + "\\fP"; }
std::string Italic(const std::string& text) { return "\\fI" + RoffEscaped(text) + "\\fP"; }

std::string Dashed(const CLI::App& command) {
  std::string name = FullName(command);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string Entry(const std::string& name, const std::string& about) {
  return ".TP\n" + name + "\n" + RoffEscaped(about) + "\n";
}

std::string NameOf(const Choice& choice) {
  std::string text;
  for (const std::string& name : choice.names) text += (text.empty() ? "" : ", ") + Bold(name);
  if (choice.value.empty()) return text;
  if (choice.value_optional && !choice.names.empty())
    return text + "[=" + Italic(choice.value) + "]";
  const std::string many = choice.many && choice.names.empty() ? " ..." : "";
  return text + (text.empty() ? "" : " ") + Italic(choice.value) + many;
}

std::string Synopsis(const CLI::App& command) {
  std::string text = ".SH SYNOPSIS\n" + Bold(FullName(command)) + "\n[" + Italic("OPTIONS") + "]";
  for (const Choice& option : OptionsOf(command)) {
    if (option.required) text += "\n" + Bold(option.names.back()) + " " + Italic(option.value);
  }
  for (const Choice& argument : ArgumentsOf(command)) {
    const std::string name = NameOf(argument);
    text += argument.required ? "\n" + name : "\n[" + name + "]";
  }
  if (!CommandsOf(command).empty()) text += "\n" + Italic("COMMAND");
  return text + "\n";
}

std::string Choices(const std::string& title, const std::vector<Choice>& choices) {
  if (choices.empty()) return "";
  std::string text = ".SH " + title + "\n";
  for (const Choice& choice : choices) text += Entry(NameOf(choice), choice.about);
  return text;
}

std::string Table(const std::string& title, const Named* begin, const Named* end) {
  std::string text = ".SH " + title + "\n";
  for (const Named* entry = begin; entry != end; ++entry) {
    text += Entry(Bold(entry->name), entry->about);
  }
  return text;
}

std::string Commands(const CLI::App& command) {
  std::string text;
  for (const CLI::App* sub : CommandsOf(command)) {
    text += Entry(Bold(Dashed(*sub)) + "(1)", sub->get_description());
  }
  return text.empty() ? "" : ".SH COMMANDS\n" + text;
}

std::string SeeAlso(const CLI::App& command) {
  std::vector<std::string> pages;
  if (command.get_parent() != nullptr) pages.push_back(Dashed(*command.get_parent()));
  for (const CLI::App* sub : CommandsOf(command)) pages.push_back(Dashed(*sub));
  std::string text = ".SH SEE ALSO\n";
  for (std::size_t i = 0; i < pages.size(); ++i) {
    text += Bold(pages[i]) + "(1)" + (i + 1 < pages.size() ? ",\n" : "\n");
  }
  return text;
}

std::string Page(const CLI::App& command) {
  const Notes notes = NotesOf(command);
  const CLI::App* const parent = command.get_parent();
  std::string text = ".TH " + Dashed(command) + " 1 " + kDate + " \"kezek " KEZEK_VERSION "\"\n";
  std::string about = command.get_description();
  if (about.ends_with('.')) about.pop_back();
  text += ".SH NAME\n" + RoffEscaped(Dashed(command)) + " \\- " + RoffEscaped(about) + "\n";
  text += Synopsis(command);
  if (!notes.text.empty()) text += ".SH DESCRIPTION\n" + RoffEscaped(notes.text);
  text += Commands(command);
  text += Choices("ARGUMENTS", ArgumentsOf(command));
  text += Choices("OPTIONS", OptionsOf(command));
  if (parent != nullptr) {
    const CLI::App* root = parent;
    while (root->get_parent() != nullptr) root = root->get_parent();
    std::vector<Choice> common = OptionsOf(*root);
    // Help is the command's own, and the version is kezek's.
    std::erase_if(common, [](const Choice& option) {
      return option.names.back() == "--help" || option.names.back() == "--version";
    });
    text += Choices("COMMON OPTIONS", common);
  }
  text += Table("EXIT STATUS", std::begin(kExitCodes), std::end(kExitCodes));
  text += Table("ENVIRONMENT", std::begin(kVariables), std::end(kVariables));
  text += ".SH FILES\n" + Entry(Italic("~/.config/kezek/config.yaml"),
                                "endpoints, tokens and projects by context, for its owner alone");
  if (!notes.examples.empty()) {
    text += ".SH EXAMPLES\n.nf\n";
    for (const std::string& example : notes.examples) text += RoffEscaped(example) + "\n";
    text += ".fi\n";
  }
  return text + SeeAlso(command);
}

void AddPages(const CLI::App& command, std::map<std::string, std::string>& pages) {
  pages[Dashed(command) + ".1"] = Page(command);
  for (const CLI::App* sub : CommandsOf(command)) AddPages(*sub, pages);
}

}  // namespace

std::map<std::string, std::string> ManualPages(const CLI::App& app) {
  std::map<std::string, std::string> pages;
  AddPages(app, pages);
  return pages;
}

}  // namespace kezek::cli

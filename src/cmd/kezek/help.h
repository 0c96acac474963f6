// What commands offer, read back from the parser: help, manual pages and completion are made from
// the same descriptions.
//
// A value's name says what it is: `JOB`, `PROJECT`, `WHEN`; names in small letters between bars are
// the choices themselves: `table|wide|json`. A command's footer is text for its notes, then a line
// `Examples:` and the examples, two blanks in.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kezek::cli {

// An option or an argument.
struct Choice {
  std::vector<std::string> names;  // `-a`, `--all`; of an argument none
  std::string value;               // its value's name; of an option that takes none empty
  std::string kind;                // what its value is, for completion; mostly its name
  std::string about;
  bool value_optional = false;
  bool required = false;
  bool many = false;  // may be given several times
};

struct Notes {
  std::string text;
  std::vector<std::string> examples;
};

std::vector<Choice> ArgumentsOf(const CLI::App& command);
std::vector<Choice> OptionsOf(const CLI::App& command);
Notes NotesOf(const CLI::App& command);
// Those that are shown, in order.
std::vector<const CLI::App*> CommandsOf(const CLI::App& command);
// The command that was chosen, as far as it was understood.
const CLI::App& Deepest(const CLI::App& app);

// Choices as a value's name: `leaf|block`.
std::string Bars(const std::vector<std::string>& words);
// `kezek admin node drain`.
std::string FullName(const CLI::App& command);
// `-A, --project ACCOUNT`.
std::string Written(const Choice& choice);
// `kezek admin node drain [OPTIONS] --reason TEXT NODE…`.
std::string UsageOf(const CLI::App& command);
// All of it, at most 100 columns wide.
std::string HelpText(const CLI::App& command);

}  // namespace kezek::cli

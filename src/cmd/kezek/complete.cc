#include "cmd/kezek/complete.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <utility>

#include "cmd/kezek/help.h"
#include "cmd/kezek/known_names.h"

namespace kezek::cli {
namespace {

// Where in a command line the last word stands.
struct Place {
  const CLI::App* command = nullptr;
  std::size_t arguments = 0;       // of the command, before the last word
  std::optional<Choice> value_of;  // the option whose value it is
  bool after_dashes = false;
};

std::optional<Choice> FindOption(const CLI::App& command, const std::string& name) {
  for (const Choice& option : OptionsOf(command)) {
    if (std::find(option.names.begin(), option.names.end(), name) != option.names.end()) {
      return option;
    }
  }
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? std::nullopt : FindOption(*parent, name);
}

bool TakesNext(const Choice& option) { return !option.value.empty() && !option.value_optional; }

// What says where the server is counts here, too.
void Heed(Session& session, const std::string& option, const std::string& value) {
  if (option == "--context") session.flags.context = value;
  if (option == "--endpoint") session.flags.endpoint = value;
  if (option == "--config") session.flags.config = value;
}

const CLI::App* Subcommand(const CLI::App& command, const std::string& name) {
  for (const CLI::App* sub : CommandsOf(command)) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

Place FindPlace(const CLI::App& app, Session& session, const std::vector<std::string>& words) {
  Place place{.command = &app, .arguments = 0, .value_of = {}, .after_dashes = false};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (place.after_dashes || word.empty() || word[0] != '-' || word == "-") {
      const CLI::App* sub = Subcommand(*place.command, word);
      if (sub != nullptr) {
        place.command = sub;
      } else {
        ++place.arguments;
      }
    } else if (word == "--") {
      place.after_dashes = true;
    } else if (const std::size_t equals = word.find('='); equals != std::string::npos) {
      Heed(session, word.substr(0, equals), word.substr(equals + 1));
    } else if (const auto option = FindOption(*place.command, word); option && TakesNext(*option)) {
      if (i + 2 == words.size()) {
        place.value_of = option;
      } else {
        Heed(session, word, words[i + 1]);
      }
      ++i;
    }
  }
  return place;
}

bool NamesFile(const std::string& kind) {
  static const std::set<std::string> kinds = {"FILE", "DIR", "PATH", "SCRIPT", "ARGUMENT"};
  return kinds.contains(kind);
}

// Values that begin with what is there; those joined by commas are completed one by one.
void AddValues(Session& session, const Choice& choice, const std::string& before,
               const std::string& begun, Completion& completion) {
  if (NamesFile(choice.kind)) {
    completion.files = true;
    return;
  }
  const std::size_t comma = choice.many ? begun.rfind(',') : std::string::npos;
  const std::string kept = comma == std::string::npos ? "" : begun.substr(0, comma + 1);
  std::vector<Candidate> values;
  if (choice.kind.find('|') != std::string::npos) {
    for (std::size_t start = 0; start <= choice.kind.size();) {
      const std::size_t end = std::min(choice.kind.find('|', start), choice.kind.size());
      values.push_back({choice.kind.substr(start, end - start), ""});
      start = end + 1;
    }
  } else {
    values = KnownNames(session, choice.kind);
  }
  for (Candidate& value : values) {
    if (!(kept + value.text).starts_with(begun)) continue;
    completion.candidates.push_back({before + kept + value.text, std::move(value.about)});
  }
}

void AddOptions(const CLI::App& command, const std::string& begun, Completion& completion) {
  for (const Choice& option : OptionsOf(command)) {
    const std::string& name = option.names.back();
    if (name.starts_with(begun)) completion.candidates.push_back({name, option.about});
  }
  if (const CLI::App* parent = command.get_parent()) {
    for (const Choice& option : OptionsOf(*parent)) {
      const std::string& name = option.names.back();
      const bool own = FindOption(command, name)->about == option.about;
      if (own && name != "--help" && name.starts_with(begun)) {
        completion.candidates.push_back({name, option.about});
      }
    }
  }
}

void AddArgument(Session& session, const Place& place, const std::string& begun,
                 Completion& completion) {
  for (const CLI::App* sub : CommandsOf(*place.command)) {
    if (place.arguments == 0 && sub->get_name().starts_with(begun)) {
      completion.candidates.push_back({sub->get_name(), sub->get_description()});
    }
  }
  const std::vector<Choice> arguments = ArgumentsOf(*place.command);
  if (arguments.empty()) return;
  if (place.arguments >= arguments.size() && !arguments.back().many) return;
  Choice choice = arguments[std::min(place.arguments, arguments.size() - 1)];
  choice.many = false;  // these are joined by blanks
  AddValues(session, choice, "", begun, completion);
}

}  // namespace

Completion Complete(const CLI::App& app, Session& session, const std::vector<std::string>& words) {
  Completion completion;
  const std::string last = words.empty() ? "" : words.back();
  const Place place = FindPlace(app, session, words);
  const std::size_t equals = last.find('=');
  if (place.value_of) {
    AddValues(session, *place.value_of, "", last, completion);
  } else if (place.after_dashes || !last.starts_with("-")) {
    AddArgument(session, place, last, completion);
  } else if (equals == std::string::npos) {
    AddOptions(*place.command, last, completion);
  } else if (const auto option = FindOption(*place.command, last.substr(0, equals))) {
    AddValues(session, *option, last.substr(0, equals + 1), last.substr(equals + 1), completion);
  }
  return completion;
}

}  // namespace kezek::cli

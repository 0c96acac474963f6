#include "cmd/kezek/directory_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace kezek::cli {
namespace {

Error Wrong(const std::string& file, std::size_t line, const std::string& message) {
  return Error{Code::kInvalidArgument, file + " line " + std::to_string(line) + ": " + message, {}};
}

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::string part;
  std::istringstream stream(text);
  while (std::getline(stream, part, at)) parts.push_back(part);
  return parts;
}

std::string Trim(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The column or key of this name; null if there is none.
std::string DirectoryUser::*Field(std::string_view name) {
  if (name == "name") return &DirectoryUser::name;
  if (name == "display_name") return &DirectoryUser::display_name;
  if (name == "unix_account") return &DirectoryUser::unix_account;
  return nullptr;
}

constexpr std::string_view kColumns = "name, display_name, unix_account, projects";

// One record of CSV from `place` on; fields may hold line ends inside quotes.
Result<std::vector<std::string>> Record(const std::string& text, const std::string& file,
                                        std::size_t* place, std::size_t* line) {
  std::vector<std::string> fields(1);
  const std::size_t first_line = *line;
  bool quoted = false;
  for (; *place < text.size(); ++*place) {
    const char c = text[*place];
    if (c == '\n') ++*line;
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (*place + 1 < text.size() && text[*place + 1] == '"') {
        fields.back() += text[++*place];
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c == '\n') {
      ++*place;
      break;
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return Wrong(file, first_line, "a quote is not closed");
  for (std::string& field : fields) field = Trim(field);
  return fields;
}

void SortProjects(DirectoryUser* user) {
  std::sort(user->projects.begin(), user->projects.end());
  user->projects.erase(std::unique(user->projects.begin(), user->projects.end()),
                       user->projects.end());
}

Result<std::vector<DirectoryUser>> ReadCsv(const std::string& text, const std::string& file) {
  std::size_t place = 0;
  std::size_t line = 1;
  const auto columns = Record(text, file, &place, &line);
  if (!columns) return columns.error();
  for (const std::string& column : *columns) {
    if (Field(column) != nullptr || column == "projects") continue;
    return Wrong(file, 1, "no column '" + column + "': there are " + std::string(kColumns));
  }
  if (std::find(columns->begin(), columns->end(), "name") == columns->end()) {
    return Wrong(file, 1, "the first line must name the columns, 'name' among them");
  }
  std::vector<DirectoryUser> users;
  while (place < text.size()) {
    const std::size_t at = line;
    const auto fields = Record(text, file, &place, &line);
    if (!fields) return fields.error();
    if (fields->size() == 1 && fields->front().empty()) continue;
    if (fields->size() != columns->size()) {
      return Wrong(file, at,
                   "has " + std::to_string(fields->size()) + " fields, not " +
                       std::to_string(columns->size()));
    }
    DirectoryUser user;
    for (std::size_t i = 0; i < fields->size(); ++i) {
      if (const auto field = Field((*columns)[i]); field != nullptr) {
        user.*field = (*fields)[i];
      } else {
        for (const std::string& project : Split((*fields)[i], ';')) {
          if (!Trim(project).empty()) user.projects.push_back(Trim(project));
        }
      }
    }
    if (user.name.empty()) return Wrong(file, at, "has no name");
    SortProjects(&user);
    users.push_back(std::move(user));
  }
  return users;
}

Result<DirectoryUser> ReadUser(const YAML::Node& node, const std::string& file) {
  const auto line = [](const YAML::Node& at) {
    return static_cast<std::size_t>(at.Mark().line + 1);
  };
  DirectoryUser user;
  if (!node.IsMap()) return Wrong(file, line(node), "a user is a mapping");
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    if (const auto field = Field(key); field != nullptr && entry.second.IsScalar()) {
      user.*field = entry.second.Scalar();
    } else if (key == "projects" && entry.second.IsSequence()) {
      for (const auto& project : entry.second) {
        if (!project.IsScalar()) return Wrong(file, line(project), "a project is a path");
        user.projects.push_back(project.Scalar());
      }
    } else {
      return Wrong(file, line(entry.first),
                   "unknown or misplaced key '" + key + "': there are " + std::string(kColumns));
    }
  }
  if (user.name.empty()) return Wrong(file, line(node), "has no name");
  SortProjects(&user);
  return user;
}

Result<std::vector<DirectoryUser>> ReadYaml(const std::string& text, const std::string& file) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap() || root.size() != 1 || !root["users"].IsDefined() ||
        !(root["users"].IsSequence() || root["users"].IsNull())) {
      return Wrong(file, 1, "expected a list of users under 'users:'");
    }
    std::vector<DirectoryUser> users;
    for (const auto& node : root["users"]) {
      auto user = ReadUser(node, file);
      if (!user) return user.error();
      users.push_back(std::move(*user));
    }
    return users;
  } catch (const YAML::Exception& error) {
    return Wrong(file, static_cast<std::size_t>(error.mark.line + 1), error.msg);
  }
}

}  // namespace

Result<std::multimap<std::string, std::string>> ReadPrimaryGroups(const std::string& text,
                                                                  const std::string& file) {
  std::multimap<std::string, std::string> primary;
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (Trim(line).empty()) continue;
    const std::vector<std::string> parts = Split(line, ':');
    if (std::count(line.begin(), line.end(), ':') != 6 || parts[0].empty() || parts[3].empty()) {
      return Wrong(file, number,
                   "is no line of 'getent passwd': NAME:x:UID:GID:COMMENT:HOME:SHELL");
    }
    primary.emplace(parts[3], parts[0]);
  }
  return primary;
}

Result<std::vector<DirectoryUser>> ReadGroups(const std::string& text, const std::string& file,
                                              const GroupRules& rules) {
  std::map<std::string, std::set<std::string>> projects_of;
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (Trim(line).empty()) continue;
    if (std::count(line.begin(), line.end(), ':') != 3) {
      return Wrong(file, number, "is no line of 'getent group': NAME:x:GID:MEMBER,MEMBER");
    }
    const std::vector<std::string> parts = Split(line, ':');
    std::string project = parts[0];
    if (const auto named = rules.projects.find(parts[0]); named != rules.projects.end()) {
      project = named->second;
    } else if (!rules.projects.empty()) {
      continue;
    } else if (!rules.account.empty()) {
      project = rules.account + "/" + project;
    }
    for (const std::string& member : Split(parts.size() > 3 ? parts[3] : "", ',')) {
      if (!Trim(member).empty()) projects_of[Trim(member)].insert(project);
    }
    const auto [first, last] = rules.primary.equal_range(Trim(parts[2]));
    for (auto user = first; user != last; ++user) projects_of[user->second].insert(project);
  }
  std::vector<DirectoryUser> users;
  for (const auto& [member, projects] : projects_of) {
    users.push_back({.name = member + "@" + rules.institution,
                     .unix_account = rules.unix_accounts ? member : "",
                     .projects = {projects.begin(), projects.end()}});
  }
  return users;
}

Result<std::vector<DirectoryUser>> ReadDirectory(const std::string& text, const std::string& file) {
  const std::string first = Trim(text.substr(0, text.find('\n')));
  const bool yaml = first.starts_with("users:") || first.starts_with('#') ||
                    first.starts_with("---") || first.starts_with('{');
  return yaml ? ReadYaml(text, file) : ReadCsv(text, file);
}

}  // namespace kezek::cli

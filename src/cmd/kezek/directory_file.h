// What a site's directory says of users and memberships, as files: the output of `getent group` and
// `getent passwd`, YAML, CSV. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kezek/result.h"

namespace kezek::cli {

struct DirectoryUser {
  std::string name;  // global id
  std::string display_name;
  std::string unix_account;
  std::vector<std::string> projects;  // paths, sorted
  bool operator==(const DirectoryUser&) const = default;
};

// How groups are read.
struct GroupRules {
  std::map<std::string, std::string> projects;      // group to project; empty: a group is a project
                                                    // of the same name in `account`
  std::string account;                              // path in front of it
  std::string institution;                          // behind the @ of a user's id
  bool unix_accounts = false;                       // a member's name is the Unix account, too
  std::multimap<std::string, std::string> primary;  // group number to user: members, though no
                                                    // line of a group names them
};

// Lines `aizhan:x:2001:5001:Aizhan:/home/aizhan:/bin/bash`: each user by the number of the primary
// group. INVALID_ARGUMENT with the line.
Result<std::multimap<std::string, std::string>> ReadPrimaryGroups(const std::string& text,
                                                                  const std::string& file);

// Lines `nlp:x:5001:aizhan,bolat`. Groups that `projects` does not name are left out, if it names
// any. INVALID_ARGUMENT with the line.
Result<std::vector<DirectoryUser>> ReadGroups(const std::string& text, const std::string& file,
                                              const GroupRules& rules);

// YAML: a list under `users` of mappings with name, display_name, unix_account, projects.
// CSV: a first line that names the same columns in any order, `;` between projects, and quotes as
// RFC 4180 has them. The first character tells which. INVALID_ARGUMENT with the line.
Result<std::vector<DirectoryUser>> ReadDirectory(const std::string& text, const std::string& file);

}  // namespace kezek::cli

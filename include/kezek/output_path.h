// Where the output of an attempt is: one rule for who launches and who reads. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kezek/ids.h"
#include "kezek/job.h"

namespace kezek {

// "48211/1" or "48211_7/2": the attempt's folder, relative to the output root.
inline std::string OutputFolderOf(const AttemptRef& attempt) {
  return ToText(attempt.job) + "/" + std::to_string(attempt.number);
}

// What a pattern's letters stand for.
struct OutputNames {
  AttemptRef attempt;
  std::string_view job_name;
  std::string_view unix_account;
  std::string_view first_node;  // short name of the script's node; "" if not known
};

// Replaces %A and %j (number of the submission; %j of an array's element is `48211_7`), %a (index
// of the element, 0 of a job that is none), %x (name), %u (Unix account), %N (first node), %n and
// %t (0: the script's own), %% (a per cent sign). Any other letter stays as it is.
inline std::string ExpandOutputPath(std::string_view pattern, const OutputNames& names) {
  std::string path;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      path += pattern[i];
      continue;
    }
    const JobRef& job = names.attempt.job;
    switch (const char letter = pattern[++i]) {
      case 'A':
        path += std::to_string(job.id.value);
        break;
      case 'j':
        path += ToText(job);
        break;
      case 'a':
        path += std::to_string(job.element == kNoElement ? 0 : job.element);
        break;
      case 'x':
        path += names.job_name;
        break;
      case 'u':
        path += names.unix_account;
        break;
      case 'N':
        path += names.first_node;
        break;
      case 'n':
      case 't':
        path += '0';
        break;
      case '%':
        path += '%';
        break;
      default:
        path += '%';
        path += letter;
    }
  }
  return path;
}

// Absolute path of the standard output (or error, where the spec gives it a file of its own) of an
// attempt. Without a path of the user's: `<root>/<job>/<attempt>/stdout`. A relative path is one
// below the working directory.
inline std::string OutputPathOf(const JobSpec& spec, const OutputNames& names,
                                std::string_view root, bool standard_error) {
  const bool apart = standard_error && !spec.stderr_path.empty();
  const std::string& pattern = apart ? spec.stderr_path : spec.stdout_path;
  if (pattern.empty()) {
    return std::string(root) + "/" + OutputFolderOf(names.attempt) + "/stdout";
  }
  const std::string path = ExpandOutputPath(pattern, names);
  return path.starts_with("/") ? path : spec.working_directory + "/" + path;
}

}  // namespace kezek

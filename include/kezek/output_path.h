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
  std::string_view node;  // short name: the script's, or that of the task meant; "" if not known
  std::int32_t node_index = 0;  // among the attempt's nodes
  std::int32_t task = 0;        // among the attempt's tasks
};

// Replaces %A and %j (number of the submission; %j of an array's element is `48211_7`), %a (index
// of the element, 0 of a job that is none), %x (name), %u (Unix account), %N (node), %n (its
// index), %t (task), %% (a per cent sign). Any other letter stays as it is.
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
        path += names.node;
        break;
      case 'n':
        path += std::to_string(names.node_index);
        break;
      case 't':
        path += std::to_string(names.task);
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

// Whether each node or task that a pattern stands for has a file of its own.
inline bool IsForEachTask(std::string_view pattern) {
  for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] != '%') continue;
    const char letter = pattern[++i];
    if (letter == 'N' || letter == 'n' || letter == 't') return true;
  }
  return false;
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

// The same of one task, or of all tasks on one node, where they write files of their own: by the
// user's pattern where that tells them apart, else `stdout.<node>`, `stdout.<task>` (or `stderr.`)
// in Kezek's folder, which jobs know as KEZEK_OUTPUT_DIR.
inline std::string TaskOutputPathOf(const JobSpec& spec, const OutputNames& names,
                                    std::string_view root, bool standard_error, bool by_node) {
  const bool apart = standard_error && !spec.stderr_path.empty();
  if (IsForEachTask(apart ? spec.stderr_path : spec.stdout_path)) {
    return OutputPathOf(spec, names, root, standard_error);
  }
  return std::string(root) + "/" + OutputFolderOf(names.attempt) +
         (standard_error ? "/stderr." : "/stdout.") +
         (by_node ? std::string(names.node) : std::to_string(names.task));
}

}  // namespace kezek

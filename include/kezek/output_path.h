// Where the output of an attempt is: one rule for who launches and who reads. Pure; any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kezek/ids.h"
#include "kezek/job.h"

namespace kezek {

// What a script leaves in its attempt's folder as it begins: this, and the cluster's id of its job.
inline constexpr std::string_view kBegunFile = ".begun-";

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

// One replacement symbol of a pattern, from the character behind its per cent sign on.
struct OutputSymbol {
  std::size_t width = 0;  // to pad numbers to with zeros, at most 10
  char letter = '\0';     // '\0': the pattern ends before it
  std::size_t size = 0;   // characters, of the letter and the digits in front of it

  static OutputSymbol At(std::string_view pattern) {
    constexpr std::size_t kWidest = 10;
    OutputSymbol symbol;
    for (; symbol.size < pattern.size(); ++symbol.size) {
      const char c = pattern[symbol.size];
      if (c < '0' || c > '9') {
        symbol.letter = c;
        ++symbol.size;
        break;
      }
      symbol.width = std::min(symbol.width * 10 + static_cast<std::size_t>(c - '0'), kWidest);
    }
    return symbol;
  }
};

// What a symbol stands for; nullopt: for nothing, it is text.
inline std::optional<std::string> TextOf(const OutputSymbol& symbol, const OutputNames& names) {
  const JobRef& job = names.attempt.job;
  const auto number = [&symbol](std::int64_t value) {
    const std::string digits = std::to_string(value);
    return std::string(symbol.width - std::min(symbol.width, digits.size()), '0') + digits;
  };
  switch (symbol.letter) {
    case 'A':
      return number(job.id.value);
    case 'j':
    case 'J':
      return job.element == kNoElement ? number(job.id.value) : ToText(job);
    case 'a':
      return number(job.element == kNoElement ? 0 : job.element);
    case 'x':
      return std::string(names.job_name);
    case 'u':
      return std::string(names.unix_account);
    case 'N':
      return std::string(names.node);
    case 'n':
      return number(names.node_index);
    case 't':
      return number(names.task);
    case 's':
      return "batch";
    case '%':
      return "%";
    default:
      return std::nullopt;
  }
}

// Replaces %A, %j and %J (number of the submission; %j and %J of an array's element are
// `48211_7`), %a (index of the element, 0 of a job that is none), %x (name), %u (Unix account), %N
// (node), %n (its index), %t (task), %s (the step: batch), %% (a per cent sign). A width as in %4a
// pads numbers with zeros. Anything else stays as it is. As with sbatch, a backslash anywhere means
// that nothing is replaced; each is taken out, and keeps the character behind it.
inline std::string ExpandOutputPath(std::string_view pattern, const OutputNames& names) {
  const bool plain = pattern.find('\\') != std::string_view::npos;
  std::string path;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (plain) {
      if (pattern[i] == '\\' && ++i == pattern.size()) break;
      path += pattern[i];
      continue;
    }
    path += pattern[i];
    if (pattern[i] != '%') continue;
    const OutputSymbol symbol = OutputSymbol::At(pattern.substr(i + 1));
    const std::optional<std::string> text = TextOf(symbol, names);
    if (!text) continue;
    path.pop_back();
    path += *text;
    i += symbol.size;
  }
  return path;
}

// Whether each node or task that a pattern stands for has a file of its own.
inline bool IsForEachTask(std::string_view pattern) {
  if (pattern.find('\\') != std::string_view::npos) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') continue;
    const OutputSymbol symbol = OutputSymbol::At(pattern.substr(i + 1));
    if (symbol.letter == 'N' || symbol.letter == 'n' || symbol.letter == 't') return true;
    i += symbol.size;
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

// The words of a script's option lines, as sbatch splits them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kezek/result.h"
#include "script/batch_options.h"

namespace kezek::script {

struct Word {
  std::string text;
  Origin origin;
  bool operator==(const Word&) const = default;
};

struct ScriptWords {
  std::vector<Word> sbatch;
  std::vector<Word> kezek;
  std::vector<int> pbs_lines;  // that sbatch would read and Kezek does not
};

// Splits the option lines of a script. Quotes of both kinds join, a backslash keeps the next
// character unless that is a blank, an unquoted # begins a comment even inside a word.
// Fails with INVALID_ARGUMENT if the text is no batch script: empty, binary, DOS line ends,
// not UTF-8, no `#!`, or a quote is left open.
Result<ScriptWords> SplitScript(std::string_view text, std::string_view file);

// `FILE line N`.
std::string LineName(std::string_view file, int line);

}  // namespace kezek::script

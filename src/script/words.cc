#include "script/words.h"

#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "kezek/text.h"
#include "script/text.h"

namespace kezek::script {
namespace {

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

Error BadLine(std::string_view file, int line, std::string message) {
  return FieldProblem(Code::kInvalidArgument, FieldError{LineName(file, line),
                                                         "FIELD_INVALID",
                                                         std::move(message),
                                                         {{"line", std::to_string(line)}}});
}

Result<void> CheckWhole(std::string_view text, std::string_view file) {
  if (text.empty()) return BadLine(file, 1, "the script is empty");
  bool blank = true;
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = Utf8Length(text.substr(at));
    if (length == 0) return BadLine(file, line, "not UTF-8: convert it, for example with iconv");
    if (text[at] == '\0') return BadLine(file, line, "a zero byte: this is not a script");
    if (text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n') {
      return BadLine(file, line, "a DOS line end (\\r\\n): convert it, for example with dos2unix");
    }
    blank = blank && IsBlank(text[at]);
    line += text[at] == '\n' ? 1 : 0;
    at += length;
  }
  if (blank) return BadLine(file, 1, "the script is blank");
  if (!text.starts_with("#!")) {
    return BadLine(file, 1,
                   "a batch script begins with #! and the path of an interpreter, such as "
                   "#!/bin/bash");
  }
  return {};
}

// Takes the next word off `rest`. Nothing if only blanks or a comment are left.
Result<std::optional<std::string>> NextWord(std::string_view& rest) {
  while (!rest.empty() && IsBlank(rest.front())) rest.remove_prefix(1);
  if (rest.empty() || rest.front() == '#') return std::optional<std::string>();
  std::string word;
  char quote = '\0';
  std::size_t at = 0;
  for (; at < rest.size(); ++at) {
    const char c = rest[at];
    if (quote == '\0' && (IsBlank(c) || c == '#')) break;
    if (c == '\\') {
      // Before a blank or at the end it stands for nothing.
      const bool alone = at + 1 == rest.size() || (quote == '\0' && IsBlank(rest[at + 1]));
      if (!alone) word += rest[++at];
    } else if (quote != '\0' && c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else {
      word += c;
    }
  }
  if (quote != '\0') return Bad(std::string("a quote ") + quote + " is not closed");
  rest.remove_prefix(at);
  return std::optional<std::string>(std::move(word));
}

Result<void> SplitLine(std::string_view line, Origin origin, std::string_view file,
                       std::vector<Word>& words) {
  const std::string mark = origin.source == Source::kSbatch ? "#SBATCH" : "#KEZEK";
  std::string_view rest = line.substr(mark.size());
  const std::size_t start = rest.find_first_not_of(" \t");
  if (start != std::string_view::npos && rest[start] == ':') {
    return BadLine(file, origin.line, mark + ": a colon where an option is expected");
  }
  for (;;) {
    Result<std::optional<std::string>> word = NextWord(rest);
    if (!word) return BadLine(file, origin.line, mark + ": " + word.error().message);
    if (!word->has_value()) return {};
    if ((*word)->empty()) {
      // sbatch stops reading the line here without a word about it.
      word = NextWord(rest);
      if (word && !word->has_value()) return {};
      return BadLine(
          file, origin.line,
          mark + ": an empty word (\"\" or a lone \\): sbatch would ignore what follows it");
    }
    words.push_back(Word{std::move(**word), origin});
  }
}

}  // namespace

std::string LineName(std::string_view file, int line) {
  return std::string(file) + " line " + std::to_string(line);
}

Result<ScriptWords> SplitScript(std::string_view text, std::string_view file) {
  Result<void> whole = CheckWhole(text, file);
  if (!whole) return whole.error();
  ScriptWords words;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    Result<void> split;
    if (line.starts_with("#SBATCH")) {
      split = SplitLine(line, {Source::kSbatch, number}, file, words.sbatch);
    } else if (line.starts_with("#KEZEK")) {
      split = SplitLine(line, {Source::kKezek, number}, file, words.kezek);
    } else {
      if (line.starts_with("#PBS ")) words.pbs_lines.push_back(number);
      const std::size_t first = line.find_first_not_of(" \t\v\f\r");
      if (first != std::string_view::npos && line[first] != '#') break;
    }
    if (!split) return split.error();
  }
  return words;
}

}  // namespace kezek::script

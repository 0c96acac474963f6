#include "script/parse.h"

#include <cstddef>
#include <utility>

#include "script/option_table.h"
#include "script/text.h"
#include "script/values.h"
#include "script/words.h"

namespace kezek::script {
namespace {

// One option found in a row of words, and how many words it took.
struct Found {
  const Option* option = nullptr;
  Given given;
  std::string written;  // `--gres=gpu:4`, for messages
  std::size_t words = 1;
};

// Who reads: where errors are placed, and what is done with the options.
struct Reader {
  std::string_view file;
  std::int64_t now_ms = 0;
  BatchOptions* options = nullptr;
  std::vector<std::string>* warnings = nullptr;
};

std::string Mark(Source source) {
  return source == Source::kSbatch ? "#SBATCH " : source == Source::kKezek ? "#KEZEK " : "";
}

Error Refuse(const Reader& reader, const Origin& origin, const std::string& written,
             const std::string& message) {
  FieldError detail;
  detail.reason = "FIELD_INVALID";
  detail.values["option"] = written;
  if (origin.source == Source::kFlag) {
    detail.field = written;
    detail.message = message;
  } else {
    detail.field = LineName(reader.file, origin.line);
    detail.values["line"] = std::to_string(origin.line);
    detail.message = Mark(origin.source) + written + ": " + message;
  }
  return FieldProblem(Code::kInvalidArgument, std::move(detail));
}

Result<Found> TakeLong(const Reader& reader, const std::vector<Word>& words, std::size_t at) {
  const Word& word = words[at];
  const std::size_t equals = word.text.find('=');
  Result<const Option*> option = FindLong(std::string_view(word.text).substr(2, equals - 2));
  if (!option) {
    return Refuse(reader, word.origin, word.text.substr(0, equals), option.error().message);
  }
  Found found{*option, {"", false, word.origin, reader.now_ms, ""}, word.text, 1};
  if (equals != std::string::npos) {
    if (found.option->argument == Argument::kNone) {
      return Refuse(reader, word.origin, word.text, "this option takes no value");
    }
    found.given.value = word.text.substr(equals + 1);
    found.given.has_value = true;
  } else if (found.option->argument == Argument::kRequired) {
    if (at + 1 >= words.size()) {
      return Refuse(reader, word.origin, word.text, "the value is missing");
    }
    found.given.value = words[at + 1].text;
    found.given.has_value = true;
    found.written += " " + found.given.value;
    found.words = 2;
  }
  return found;
}

Result<void> Apply(const Reader& reader, Found found) {
  found.given.written = found.written;
  const Option& option = *found.option;
  const Origin& origin = found.given.origin;
  const std::string help(option.help);
  if (option.use == Use::kRefused) {
    return Refuse(reader, origin, found.written,
                  "sbatch knows this option, Kezek does not" + (help.empty() ? "" : ": " + help));
  }
  if (option.use == Use::kKezek && origin.source == Source::kSbatch) {
    return Refuse(reader, origin, found.written,
                  "an option of Kezek's own: write it on a #KEZEK line");
  }
  if (option.use == Use::kIgnored) {
    std::string text = "--" + std::string(LongName(option)) + "=" + found.given.value;
    const std::string place =
        origin.source == Source::kFlag ? "" : LineName(reader.file, origin.line) + ": ";
    reader.warnings->push_back(place + Mark(origin.source) + found.written + ": " + help);
    reader.options->ignored.push_back({std::move(text), origin, found.written});
    return {};
  }
  Result<void> applied = option.apply(*reader.options, found.given);
  if (!applied) return Refuse(reader, origin, found.written, applied.error().message);
  return {};
}

// A word such as `-Wn4`: options without values may be joined, the last may have its value joined.
Result<std::size_t> TakeLetters(const Reader& reader, const std::vector<Word>& words,
                                std::size_t at) {
  const Word& word = words[at];
  for (std::size_t i = 1; i < word.text.size(); ++i) {
    const std::string written = std::string("-") + word.text[i];
    const Option* option = FindLetter(word.text[i]);
    if (option == nullptr) return Refuse(reader, word.origin, written, "no such option");
    Found found{option, {"", false, word.origin, reader.now_ms, ""}, written, 1};
    const bool last = i + 1 == word.text.size();
    if (option->argument == Argument::kRequired ||
        (option->argument == Argument::kOptional && !last)) {
      if (!last) {
        found.given.value = word.text.substr(i + 1);
      } else if (at + 1 < words.size()) {
        found.given.value = words[at + 1].text;
        found.words = 2;
      } else {
        return Refuse(reader, word.origin, written, "the value is missing");
      }
      found.given.has_value = true;
      found.written += (last ? " " : "") + found.given.value;
    }
    Result<void> applied = Apply(reader, found);
    if (!applied) return applied.error();
    if (found.given.has_value) return found.words;
  }
  return std::size_t{1};
}

// Reads one option at words[at] and says how many words it took.
Result<std::size_t> TakeOption(const Reader& reader, const std::vector<Word>& words,
                               std::size_t at) {
  if (!words[at].text.starts_with("--")) return TakeLetters(reader, words, at);
  Result<Found> found = TakeLong(reader, words, at);
  if (!found) return found.error();
  Result<void> applied = Apply(reader, *found);
  if (!applied) return applied.error();
  return found->words;
}

Result<void> ReadLines(const Reader& reader, const std::vector<Word>& words) {
  for (std::size_t at = 0; at < words.size();) {
    // As everywhere, -- ends the options; what follows it is none.
    if (words[at].text == "--") {
      if (++at == words.size()) break;
      return Refuse(reader, words[at].origin, words[at].text, "no option may follow --");
    }
    const std::string& text = words[at].text;
    if (text.size() < 2 || text[0] != '-') {
      return Refuse(reader, words[at].origin, text, "expected an option, such as --nodes=2");
    }
    Result<std::size_t> taken = TakeOption(reader, words, at);
    if (!taken) return taken.error();
    at += *taken;
  }
  return {};
}

}  // namespace

Result<ParsedScript> ParseScript(std::string_view text, std::string_view file,
                                 std::int64_t now_ms) {
  Result<ScriptWords> words = SplitScript(text, file);
  if (!words) return words.error();
  ParsedScript parsed;
  const Reader reader{file, now_ms, &parsed.options, &parsed.warnings};
  Result<void> read = ReadLines(reader, words->sbatch);
  if (!read) return read.error();
  read = ReadLines(reader, words->kezek);
  if (!read) return read.error();
  if (!words->pbs_lines.empty()) {
    parsed.warnings.push_back(LineName(file, words->pbs_lines.front()) +
                              ": #PBS lines are not read");
  }
  return parsed;
}

Result<ParsedFlags> ParseFlags(const std::vector<std::string>& arguments, std::int64_t now_ms,
                               const OtherParser& other, BatchOptions& options) {
  ParsedFlags parsed;
  std::vector<Word> words;
  for (const std::string& argument : arguments) words.push_back(Word{argument, Origin{}});
  const Reader reader{"", now_ms, &options, &parsed.warnings};
  std::size_t at = 0;
  while (at < words.size()) {
    const std::string& text = words[at].text;
    parsed.after_dashes = text == "--";
    if (parsed.after_dashes) ++at;
    if (parsed.after_dashes || text.size() < 2 || text[0] != '-') break;
    const std::string* next = at + 1 < words.size() ? &words[at + 1].text : nullptr;
    const std::size_t claimed = static_cast<std::size_t>(other(text, next));
    for (std::size_t i = 0; i < claimed; ++i) parsed.others.push_back(words[at + i].text);
    at += claimed;
    if (claimed > 0) continue;
    Result<std::size_t> taken = TakeOption(reader, words, at);
    if (!taken) return taken.error();
    at += *taken;
  }
  for (; at < words.size(); ++at) parsed.operands.push_back(words[at].text);
  return parsed;
}

}  // namespace kezek::script

// Goal: whatever is wrong with a script or a flag, the answer is one clear error that names the
// line and the option as written. Method: malformed.txt holds inputs, each with its exact message
// below `----`: option lines (`#…`) are put after a `#!` line, `!` gives a whole script, `$` flags.
// KEZEK_REWRITE_GOLDEN=1 writes the messages anew, to be read before they are committed.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "script/parse.h"

namespace kezek::script {
namespace {

constexpr std::int64_t kReadAtMs = 1'795'000'000'000;  // 2026-11-18
constexpr std::size_t kAtLeast = 100;

struct Case {
  std::string input;
  std::string message;
};

std::string Path() {
  const char* source = std::getenv("KEZEK_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/tests/unit/script/malformed.txt";
}

std::vector<Case> Load() {
  std::vector<Case> cases;
  std::ifstream file(Path());
  std::string input;
  std::string dashes;
  std::string message;
  std::string blank;
  while (std::getline(file, input) && std::getline(file, dashes) && std::getline(file, message)) {
    EXPECT_EQ(dashes, "----") << input;
    cases.push_back({input, message});
    std::getline(file, blank);
    EXPECT_EQ(blank, "") << input;
  }
  return cases;
}

std::string Unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
      continue;
    }
    ++i;
    switch (text[i]) {
      case 'n':
        plain += '\n';
        break;
      case 'r':
        plain += '\r';
        break;
      case 't':
        plain += '\t';
        break;
      case '0':
        plain += '\0';
        break;
      case 'x':
        plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default:
        plain += text[i];
    }
  }
  return plain;
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

// The error's message; empty if there is none.
std::string MessageFor(const std::string& input) {
  if (input.starts_with("$ ")) {
    BatchOptions options;
    const auto nobody = [](const std::string&, const std::string*) { return 0; };
    const Result<ParsedFlags> flags =
        ParseFlags(WordsOf(Unescape(input.substr(2))), kReadAtMs, nobody, options);
    return flags ? "" : flags.error().message;
  }
  std::string script = "#!/bin/bash\n" + Unescape(input) + "\nhostname\n";
  if (input.starts_with("! ")) script = input == "! (empty)" ? "" : Unescape(input.substr(2));
  const Result<ParsedScript> parsed = ParseScript(script, "bad.sh", kReadAtMs);
  return parsed ? "" : parsed.error().message;
}

TEST(MalformedTest, EachIsRefusedWithItsMessage) {
  std::vector<Case> cases = Load();
  EXPECT_GE(cases.size(), kAtLeast);
  const bool rewrite = std::getenv("KEZEK_REWRITE_GOLDEN") != nullptr;
  std::string rewritten;
  for (const Case& c : cases) {
    const std::string message = MessageFor(c.input);
    EXPECT_NE(message, "") << c.input << " was taken";
    EXPECT_TRUE(rewrite || message == c.message) << c.input << "\n  now: " << message;
    rewritten += c.input + "\n----\n" + message + "\n\n";
  }
  if (rewrite) std::ofstream(Path()) << rewritten;
}

TEST(MalformedTest, ErrorsCarryTheLineAndTheOption) {
  const Result<ParsedScript> parsed =
      ParseScript("#!/bin/sh\n# x\n#SBATCH -N 2 --gres=disk:4\n", "old.sh", kReadAtMs);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
  ASSERT_EQ(parsed.error().details.size(), 1U);
  const FieldError& detail = parsed.error().details[0];
  EXPECT_EQ(detail.field, "old.sh line 3");
  EXPECT_EQ(detail.reason, "FIELD_INVALID");
  EXPECT_EQ(detail.values.at("line"), "3");
  EXPECT_EQ(detail.values.at("option"), "--gres=disk:4");
}

}  // namespace
}  // namespace kezek::script

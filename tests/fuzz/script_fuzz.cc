// Goal: no text, however broken, makes the script parser crash, hang or answer without a message.
// Method: the input is read as a script and, its lines as arguments, as flags; what is taken must
// be taken again in the same way.

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/check.h"
#include "script/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using kezek::script::BatchOptions;
  constexpr std::int64_t kNowMs = 1'795'000'000'000;
  const std::string text(data, data + size);
  const auto script = kezek::script::ParseScript(text, "fuzz.sh", kNowMs);
  KEZEK_CHECK(script || !script.error().message.empty(), "a refusal says why");
  if (script) {
    const auto again = kezek::script::ParseScript(text, "fuzz.sh", kNowMs);
    KEZEK_CHECK(again && again->warnings == script->warnings, "the same twice");
  }
  std::vector<std::string> arguments;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) arguments.push_back(line);
  const auto nobody = [](const std::string&, const std::string*) { return 0; };
  BatchOptions options;
  const auto flags = kezek::script::ParseFlags(arguments, kNowMs, nobody, options);
  KEZEK_CHECK(flags || !flags.error().message.empty(), "a refusal says why");
  return 0;
}

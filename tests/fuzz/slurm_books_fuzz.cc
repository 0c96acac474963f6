// Goal: no text that calls itself an answer of slurmdbd, and no token, crashes what reads it.
// Method: every parser reads the same bytes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "slurm/books_codec.h"
#include "slurm/site_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kezek::slurm;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const char* list : {"accounts", "users", "qos", "clusters"}) {
    static_cast<void>(ParseNames(200, body, list));
  }
  static_cast<void>(ParseMembers(200, body, "kezek"));
  static_cast<void>(ParseRuns(200, body, ""));
  static_cast<void>(ParseMade(200, body));
  static_cast<void>(TokenEnd(std::string(body)));
  return 0;
}

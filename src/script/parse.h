// Reads a batch script as sbatch does, and the flags of the command line with the same options.
//
// In a script, options stand in comment lines that begin with `#SBATCH` or `#KEZEK` in the first
// column, before the first line that is neither a comment nor blank. #KEZEK lines override #SBATCH
// lines wherever they stand; flags override both; of two equal options the later one counts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/result.h"
#include "script/batch_options.h"

namespace kezek::script {

struct ParsedScript {
  BatchOptions options;
  // What the user should know, each with its line.
  std::vector<std::string> warnings;
};

// `file` is the script's name in messages; `now_ms` is for times such as now+1hour. Fails with
// INVALID_ARGUMENT; the message begins with `FILE line N: #SBATCH --option=value: `, and one detail
// has the field `FILE line N`, the reason FIELD_INVALID and the values `line` and `option`.
Result<ParsedScript> ParseScript(std::string_view text, std::string_view file, std::int64_t now_ms);

// How many of the arguments, from the first on, are another parser's; 0 if it does not know the
// first. `next` is null at the end.
using OtherParser = std::function<int(const std::string& first, const std::string* next)>;

struct ParsedFlags {
  // What OtherParser claimed, in order.
  std::vector<std::string> others;
  // From the first argument that is no option on (`--` itself is left out).
  std::vector<std::string> operands;
  // `--` stood in front of them.
  bool after_dashes = false;
  std::vector<std::string> warnings;
};

// Reads flags onto `options`, overriding. Fails with INVALID_ARGUMENT; the message begins with
// `--option=value: ` and the one detail has the field `--option`.
Result<ParsedFlags> ParseFlags(const std::vector<std::string>& arguments, std::int64_t now_ms,
                               const OtherParser& other, BatchOptions& options);

}  // namespace kezek::script

// The one table of options of a batch job: what #SBATCH lines, #KEZEK lines and the flags of
// `kezek submit` are read with, and what its help is made of.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kezek/result.h"
#include "script/batch_options.h"

namespace kezek::script {

enum class Argument { kNone, kOptional, kRequired };

enum class Use {
  kJob,      // understood everywhere
  kKezek,    // Kezek's own: on #KEZEK lines and as a flag; sbatch would refuse it
  kIgnored,  // taken, kept in BatchOptions::ignored, of no effect
  kRefused,  // sbatch's, and not Kezek's: `help` says what to do instead, if anything
};

// One option where it stands. `value` is empty if there is none.
struct Given {
  std::string value;
  bool has_value = false;
  Origin origin;
  std::int64_t now_ms = 0;  // for times such as now+1hour
  std::string written;      // option and value as they stand there
};

struct Option {
  std::string_view names;  // long names joined by commas, the first one the usual
  char letter = '\0';
  Argument argument = Argument::kNone;
  std::string_view value_name;
  std::string_view help;
  Use use = Use::kJob;
  // Puts the value where it belongs, or says what is wrong with it. Null unless kJob or kKezek.
  Result<void> (*apply)(BatchOptions& options, const Given& given) = nullptr;
};

// All options, in the order of the help.
std::span<const Option> Options();

// The usual long name.
std::string_view LongName(const Option& option);

// By long name, which may be cut short as long as one option is meant. Fails with
// INVALID_ARGUMENT if none or several are.
Result<const Option*> FindLong(std::string_view name);

// By letter; null if there is none.
const Option* FindLetter(char letter);

}  // namespace kezek::script

// Reading the fields of slurmrestd's answers, whose types vary. Internal to this folder.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "kezek/cluster.h"
#include "kezek/result.h"

namespace kezek::slurm {

using Json = nlohmann::json;

inline constexpr std::int64_t kErrorJobHeld = 2042;
inline constexpr std::int64_t kErrorUnknownJob = 2017;
inline constexpr std::int64_t kErrorAlreadyDone = 2021;
inline constexpr std::int64_t kErrorJobFinished = 2084;
inline constexpr std::int64_t kErrorNothingFound = 9003;

// The field's value, or the default when it is missing, null or of another type. Integers beyond
// 10^12 either way are cut off there, text at a NUL.
std::int64_t IntegerAt(const Json& object, const char* key, std::int64_t absent = 0);
std::string TextAt(const Json& object, const char* key);
const Json& ObjectAt(const Json& object, const char* key);  // an empty object when absent
const Json& ListAt(const Json& object, const char* key);    // an empty list when absent

// An entry of errors[]. The number is called error_code, error_number or errno; 0 when absent.
struct RestError {
  std::int64_t number = 0;
  std::string text;
};

// An answer taken apart: the object, and its first error that is not the held job's.
struct Parsed {
  Json body;
  std::optional<RestError> error;
};

// Nothing when the text is not a JSON object (slurmrestd's plain-text refusals). Bytes that are not
// UTF-8 are read as '?'.
std::optional<Parsed> ParseAnswer(std::string_view body);

// UNAVAILABLE with Slurm's words, as shells see them.
Error Unusable(long status, std::string_view body, const std::optional<Parsed>& parsed);

// Slurm's own name of a job state; nothing for a state that 22.05 does not have.
std::optional<ClusterJobState> StateFromText(std::string_view text);

// Whether a job that cannot be read bears a name of Kezek's: then the rest proves nothing either.
bool MayBeOurs(const Json& entry);

// What "cpu=2,mem=2000M,gres/gpu=8" says.
struct Tres {
  std::int32_t cpus = 0;
  std::int32_t gpus = 0;
  std::int64_t memory_mib = 0;
};
Tres ParseTres(std::string_view text);

// The same number of GPUs on each of these nodes; nodes sorted. Empty if the list is no host list.
Placement EvenPlacement(std::string_view host_list, std::int32_t gpus_in_all);

}  // namespace kezek::slurm

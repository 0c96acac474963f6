// Reading the fields of slurmrestd's answers, whose types vary. Internal to this folder.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/result.h"

namespace kezek::slurm {

using Json = nlohmann::json;

inline constexpr std::int64_t kErrorAuthentication = 1007;
inline constexpr std::int64_t kErrorJobHeld = 2042;
inline constexpr std::int64_t kErrorUnknownJob = 2017;
inline constexpr std::int64_t kErrorAlreadyDone = 2021;
inline constexpr std::int64_t kErrorJobFinished = 2084;
inline constexpr std::int64_t kErrorNothingFound = 9003;

// The field's value, or the default when it is missing, null or of another type. An integer may be
// wrapped as {set, infinite, number}; unset or infinite is missing. Integers beyond 10^12 either
// way are cut off there, text at a NUL.
std::int64_t IntegerAt(const Json& object, const char* key, std::int64_t absent = 0);
bool TruthAt(const Json& object, const char* key);  // true, not absent or another type
std::string TextAt(const Json& object, const char* key);
const Json& ObjectAt(const Json& object, const char* key);  // an empty object when absent
const Json& ListAt(const Json& object, const char* key);    // an empty list when absent

// Whether the slurmctld of an entry of pings[] is up, in the words of any version.
bool AnswersPing(const Json& ping);

// An entry of errors[] or warnings[]. The number is called error_code, error_number or errno; 0
// when absent.
struct RestError {
  std::int64_t number = 0;
  std::string text;
};

// An answer taken apart: the object, its first error that is not the held job's, and its first
// warning that is about the request. What slurmctld says of a submission that it has taken, as that
// the job is held, is no such warning.
struct Parsed {
  Json body;
  std::optional<RestError> error;
  std::optional<RestError> warning;
};

// Nothing when the text is not a JSON object (slurmrestd's plain-text refusals). Bytes that are not
// UTF-8 are read as '?'.
std::optional<Parsed> ParseAnswer(std::string_view body);

// The same, for an answer that has a long list of this name: each of its entries is handed over as
// soon as it is read and not kept, so that never more than one is there as a tree. They count only
// if the answer turns out to be one.
using EachEntry = std::function<void(const Json& entry)>;
std::optional<Parsed> ParseAnswer(std::string_view body, const char* list, const EachEntry& each);

// True for an answer with an empty list that says "nothing new since update_time" in the way of
// v0.0.40 and later.
bool SaysUnchanged(const Parsed& parsed);

// UNAVAILABLE with Slurm's words, as shells see them.
Error Unusable(long status, std::string_view body, const std::optional<Parsed>& parsed);

// The job state that a field has: one of Slurm's names, or a list of them, of which the ones that
// are not known count for nothing beside one that is. Nothing if none is known.
std::optional<ClusterJobState> StateAt(const Json& object, const char* key);

// The field's words: a text is one, a list of texts are several.
std::vector<std::string> WordsAt(const Json& object, const char* key);

// How a job ended, from {return_code, signal}; the signal's number has two names.
void ReadExitParts(const Json& exit, ClusterJob* job);

// Of a record's state in the accounting, in either form: a run that Slurm has taken back. It has
// ended, though the job may wait for its next.
bool IsTakenBack(const Json& state);
// One that went on with other nodes, which is another record.
bool IsResized(const Json& state);

// Whether a job that cannot be read bears a name of Kezek's: then the rest proves nothing either.
bool MayBeOurs(const Json& entry);

// Of a job that slurmctld closed before it had told of its start slurmdbd makes a record from the
// id and the user: no name but this, no partition, which every job has that was submitted, and
// times that may be another run's.
bool IsMadeUp(const Json& entry);

// What "cpu=2,mem=2000M,gres/gpu=8" says.
struct Tres {
  std::int32_t cpus = 0;
  std::int32_t gpus = 0;
  std::int64_t memory_mib = 0;
};
Tres ParseTres(std::string_view text);

// GPUs by their type's name.
using GpusByType = std::map<std::string, std::int32_t, std::less<>>;

// One node's entry of a job's gres_detail or of a node's gres_used, such as "gpu:h200:4(IDX:0-2,5)"
// or "nic:1(IDX:0),gpu:h200:1(IDX:3)": adds its GPUs.
void ReadGresDetail(std::string_view text, NodeGrant* grant, GpusByType* of_type);

// The same number of GPUs on each of these nodes; nodes sorted. Empty if the list is no host list.
Placement EvenPlacement(std::string_view host_list, std::int32_t gpus_in_all);

}  // namespace kezek::slurm

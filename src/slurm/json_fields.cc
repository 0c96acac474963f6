#include "slurm/json_fields.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "kezek/host_list.h"
#include "kezek/text.h"
#include "slurm/codec.h"

namespace kezek::slurm {
namespace {

constexpr std::array<std::pair<std::string_view, ClusterJobState>, 24> kStates{{
    {"PENDING", ClusterJobState::kPending},
    {"REQUEUED", ClusterJobState::kPending},
    {"REQUEUE_FED", ClusterJobState::kPending},
    {"REQUEUE_HOLD", ClusterJobState::kPending},
    {"RESV_DEL_HOLD", ClusterJobState::kPending},
    {"SPECIAL_EXIT", ClusterJobState::kPending},
    {"RUNNING", ClusterJobState::kRunning},
    {"CONFIGURING", ClusterJobState::kRunning},  // its nodes are its own already
    {"SUSPENDED", ClusterJobState::kRunning},
    {"STOPPED", ClusterJobState::kRunning},
    {"RESIZING", ClusterJobState::kRunning},
    {"SIGNALING", ClusterJobState::kRunning},
    {"COMPLETING", ClusterJobState::kCompleting},
    {"STAGE_OUT", ClusterJobState::kCompleting},
    {"COMPLETED", ClusterJobState::kCompleted},
    {"FAILED", ClusterJobState::kFailed},
    {"OUT_OF_MEMORY", ClusterJobState::kFailed},
    {"CANCELLED", ClusterJobState::kCancelled},
    {"REVOKED", ClusterJobState::kCancelled},
    {"TIMEOUT", ClusterJobState::kTimedOut},
    {"DEADLINE", ClusterJobState::kTimedOut},
    {"NODE_FAIL", ClusterJobState::kNodeFailed},
    {"BOOT_FAIL", ClusterJobState::kNodeFailed},
    {"PREEMPTED", ClusterJobState::kPreempted},
}};

// Depth of the keys in jobs[].job_resources.nodes.allocation[].
constexpr int kAllocationKeys = 7;

// Beyond what any field means, and far enough from overflow to be multiplied.
constexpr std::int64_t kIntegerMax = 1'000'000'000'000;

RestError ReadError(const Json& entry) {
  RestError error;
  for (const char* key : {"error_code", "error_number", "errno"}) {
    if (error.number == 0) error.number = IntegerAt(entry, key);
  }
  error.text = TextAt(entry, "error");
  const std::string description = TextAt(entry, "description");
  if (error.text.empty() || error.text == "Unspecified error") error.text = description;
  if (error.text.empty()) error.text = "unspecified error";
  return error;
}

bool Has(const Json& state, std::string_view word) {
  const auto words = WordsAt(state, "current");
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::int64_t Integer(const Json& value, std::int64_t absent) {
  if (value.is_number_unsigned()) {  // Slurm's counters have 64 bits
    const auto unsigned_max = static_cast<std::uint64_t>(kIntegerMax);
    return static_cast<std::int64_t>(std::min(value.get<std::uint64_t>(), unsigned_max));
  }
  if (!value.is_number_integer()) return absent;
  return std::clamp(value.get<std::int64_t>(), -kIntegerMax, kIntegerMax);
}

// What slurm_submit_batch_job() returned of a job that was taken: it is held, or cannot start now.
bool IsOfTheSubmission(const Json& warning) {
  return TextAt(warning, "source") == "slurm_submit_batch_job()";
}

void ReadComplaints(Parsed* parsed) {
  for (const auto& entry : ListAt(parsed->body, "errors")) {
    if (!entry.is_object()) continue;
    const RestError error = ReadError(entry);
    if (error.number == kErrorJobHeld && parsed->body.contains("job_id")) continue;
    // Parsing problems come as several entries, of which the first names the field.
    if (!parsed->error) parsed->error = error;
  }
  for (const auto& entry : ListAt(parsed->body, "warnings")) {
    if (!entry.is_object() || IsOfTheSubmission(entry)) continue;
    if (!parsed->warning) parsed->warning = ReadError(entry);
  }
}

std::optional<ClusterJobState> StateFromText(std::string_view text) {
  for (const auto& [name, state] : kStates) {
    if (name == text) return state;
  }
  return std::nullopt;
}

std::int64_t LeadingNumber(std::string_view text, std::string_view* rest) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  *rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return error == std::errc() ? std::clamp(value, -kIntegerMax, kIntegerMax) : 0;
}

std::int64_t MemoryMib(std::string_view text) {
  std::string_view unit;
  const std::int64_t value = LeadingNumber(text, &unit);
  // Slurm writes 1.50G for what is not a whole number of the unit.
  std::int64_t hundredths = 0;
  if (unit.size() >= 3 && unit[0] == '.') {
    std::string_view after;
    hundredths = LeadingNumber(unit.substr(1, 2), &after);
    unit.remove_prefix(3);
  }
  std::int64_t scale = 1;
  if (unit.starts_with('G')) scale = 1024;
  if (unit.starts_with('T')) scale = 1024 * 1024;
  if (unit.starts_with('K')) return value / 1024;
  return value * scale + hundredths * scale / 100;
}

void ReadIndices(std::string_view text, std::vector<std::int32_t>* indices) {
  const auto list = ExpandHostList("[" + std::string(text) + "]");
  if (!list) return;  // "N/A"
  for (const auto& item : *list) {
    std::int32_t index = 0;
    std::from_chars(item.data(), item.data() + item.size(), index);
    indices->push_back(index);
  }
}

}  // namespace

bool TruthAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::int64_t IntegerAt(const Json& object, const char* key, std::int64_t absent) {
  const auto found = object.find(key);
  if (found == object.end()) return absent;
  if (found->is_object()) {
    const bool number = TruthAt(*found, "set") && !TruthAt(*found, "infinite");
    const auto inner = found->find("number");
    return number && inner != found->end() ? Integer(*inner, absent) : absent;
  }
  return Integer(*found, absent);
}

std::string TextAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return "";
  const auto text = found->get<std::string>();
  return text.substr(0, text.find('\0'));
}

std::vector<std::string> WordsAt(const Json& object, const char* key) {
  std::vector<std::string> words;
  const auto found = object.find(key);
  if (found == object.end()) return words;
  if (found->is_string()) words.push_back(found->get<std::string>());
  if (!found->is_array()) return words;
  for (const auto& word : *found) {
    if (word.is_string()) words.push_back(word.get<std::string>());
  }
  return words;
}

bool AnswersPing(const Json& ping) {
  return TruthAt(ping, "responding") || TextAt(ping, "ping") == "UP" ||
         TextAt(ping, "pinged") == "UP";
}

const Json& ObjectAt(const Json& object, const char* key) {
  static const Json kEmpty = Json::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : kEmpty;
}

const Json& ListAt(const Json& object, const char* key) {
  static const Json kEmpty = Json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

std::optional<Parsed> ParseAnswer(std::string_view body) { return ParseAnswer(body, nullptr, {}); }

std::optional<Parsed> ParseAnswer(std::string_view body, const char* list, const EachEntry& each) {
  // slurmrestd passes names and comments on as people typed them, in any encoding.
  std::string mended;
  if (!IsUtf8(body)) body = mended = MakeUtf8(body);
  using Event = Json::parse_event_t;
  bool in_list = false;
  const auto keep = [&](int depth, Event event, const Json& value) {
    if (event == Event::key && depth == 1) in_list = value == list;
    if (!in_list) return true;
    // The cores of every node of a job, of which the CPUs' number is told beside them.
    if (event == Event::key && depth == kAllocationKeys && value == "sockets") return false;
    const bool entry = depth == 2 && (event == Event::object_end || event == Event::array_end ||
                                      event == Event::value);
    if (entry) each(value);
    return !entry;
  };
  Parsed parsed;
  parsed.body = list == nullptr ? Json::parse(body.begin(), body.end(), nullptr, false)
                                : Json::parse(body.begin(), body.end(), keep, false);
  if (!parsed.body.is_object()) return std::nullopt;
  ReadComplaints(&parsed);
  return parsed;
}

bool SaysUnchanged(const Parsed& parsed) {
  const Json& warnings = ListAt(parsed.body, "warnings");
  return !warnings.empty() && IntegerAt(parsed.body, "last_update", -1) == 0;
}

Error Unusable(long status, std::string_view body, const std::optional<Parsed>& parsed) {
  std::string text = parsed && parsed->error ? parsed->error->text : MakeUtf8(body.substr(0, 200));
  if (text.empty()) text = "an answer without content";
  return Error{Code::kUnavailable, "slurmrestd (HTTP " + std::to_string(status) + "): " + text, {}};
}

// As Slurm shows a job whose state has several parts: that it completes counts for more than how it
// ended, that it waits for its next run more than how the last one ended.
std::optional<ClusterJobState> StateAt(const Json& object, const char* key) {
  std::optional<ClusterJobState> first;
  bool waits = false;
  for (const auto& word : WordsAt(object, key)) {
    const auto state = StateFromText(word);
    if (state == ClusterJobState::kCompleting) return state;
    waits = waits || state == ClusterJobState::kPending;
    if (!first) first = state;
  }
  return waits ? ClusterJobState::kPending : first;
}

void ReadExitParts(const Json& exit, ClusterJob* job) {
  const Json& signal = ObjectAt(exit, "signal");
  const std::int64_t number = IntegerAt(signal, "signal_id", IntegerAt(signal, "id"));
  job->exit_signal = static_cast<std::int32_t>(number);
  job->exit_code = static_cast<std::int32_t>(IntegerAt(exit, "return_code"));
}

Tres ParseTres(std::string_view text) {
  Tres tres;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const auto equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = item.substr(0, equals);
    const std::string_view value = item.substr(equals + 1);
    std::string_view rest;
    if (name == "cpu") tres.cpus = static_cast<std::int32_t>(LeadingNumber(value, &rest));
    if (name == "gres/gpu") tres.gpus = static_cast<std::int32_t>(LeadingNumber(value, &rest));
    if (name == "mem") tres.memory_mib = MemoryMib(value);
  }
  return tres;
}

void ReadGresDetail(std::string_view text, NodeGrant* grant, GpusByType* of_type) {
  while (!text.empty()) {
    std::size_t end = 0;
    for (bool inside = false; end < text.size() && (inside || text[end] != ','); ++end) {
      if (text[end] == '(') inside = true;
      if (text[end] == ')') inside = false;
    }
    std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!item.starts_with("gpu:")) continue;
    const auto open = item.find('(');
    const std::string_view counted = item.substr(0, open);
    const auto colon = counted.rfind(':');
    const std::string_view number = counted.substr(colon + 1);
    std::int32_t count = 0;
    std::from_chars(number.data(), number.data() + number.size(), count);
    count = std::clamp(count, 0, kGpusMax);
    grant->gpus += count;
    (*of_type)[std::string(counted.substr(4, std::max<std::size_t>(colon, 4) - 4))] += count;
    constexpr std::string_view kMark = "(IDX:";
    if (open == std::string_view::npos || !item.substr(open).starts_with(kMark)) continue;
    item.remove_prefix(open + kMark.size());
    ReadIndices(item.substr(0, item.find(')')), &grant->gpu_indices);
  }
}

Placement EvenPlacement(std::string_view host_list, std::int32_t gpus_in_all) {
  Placement placement;
  const auto names = ExpandHostList(host_list);
  if (!names || names->empty()) return placement;
  const auto each = gpus_in_all / static_cast<std::int32_t>(names->size());
  for (const auto& name : *names) placement.push_back({name, each, {}});
  std::sort(placement.begin(), placement.end(),
            [](const NodeGrant& a, const NodeGrant& b) { return a.node < b.node; });
  return placement;
}

bool IsTakenBack(const Json& state) { return Has(state, "REQUEUED"); }

bool IsResized(const Json& state) { return Has(state, "RESIZING"); }

bool MayBeOurs(const Json& entry) {
  return entry.is_object() && ParseClusterName(TextAt(entry, "name")).has_value();
}

bool IsMadeUp(const Json& entry) {
  return TextAt(entry, "name") == "allocation" && TextAt(entry, "partition").empty() &&
         TextAt(ObjectAt(entry, "comment"), "job").empty();
}

}  // namespace kezek::slurm

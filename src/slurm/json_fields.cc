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

}  // namespace

std::int64_t IntegerAt(const Json& object, const char* key, std::int64_t absent) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return absent;
  return std::clamp(found->get<std::int64_t>(), -kIntegerMax, kIntegerMax);
}

std::string TextAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return "";
  const auto text = found->get<std::string>();
  return text.substr(0, text.find('\0'));
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

std::optional<Parsed> ParseAnswer(std::string_view body) {
  Parsed parsed;
  parsed.body = Json::parse(body.begin(), body.end(), nullptr, false);
  // slurmrestd passes names and comments on as people typed them, in any encoding.
  if (parsed.body.is_discarded() && !IsUtf8(body)) {
    parsed.body = Json::parse(MakeUtf8(body), nullptr, false);
  }
  if (!parsed.body.is_object()) return std::nullopt;
  for (const auto& entry : ListAt(parsed.body, "errors")) {
    if (!entry.is_object()) continue;
    const RestError error = ReadError(entry);
    if (error.number == kErrorJobHeld && parsed.body.contains("job_id")) continue;
    if (!parsed.error) parsed.error = error;
    // Parsing problems come as several entries, of which the first names the field.
  }
  return parsed;
}

Error Unusable(long status, std::string_view body, const std::optional<Parsed>& parsed) {
  std::string text = parsed && parsed->error ? parsed->error->text : MakeUtf8(body.substr(0, 200));
  if (text.empty()) text = "an answer without content";
  return Error{Code::kUnavailable, "slurmrestd (HTTP " + std::to_string(status) + "): " + text, {}};
}

std::optional<ClusterJobState> StateFromText(std::string_view text) {
  for (const auto& [name, state] : kStates) {
    if (name == text) return state;
  }
  return std::nullopt;
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

bool MayBeOurs(const Json& entry) {
  return entry.is_object() && ParseClusterName(TextAt(entry, "name")).has_value();
}

}  // namespace kezek::slurm

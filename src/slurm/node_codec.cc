// Nodes, version and clock of the cluster.
#include <algorithm>
#include <charconv>
#include <utility>

#include "slurm/codec.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {
namespace {

bool HasFlag(const Json& node, std::string_view flag) {
  const Json& flags = ListAt(node, "state_flags");
  return std::any_of(flags.begin(), flags.end(), [&](const Json& entry) {
    return entry.is_string() && entry.get<std::string>() == flag;
  });
}

NodeHealth ReadHealth(const Json& node) {
  const std::string state = TextAt(node, "state");
  if (state == "unknown") return NodeHealth::kUnknown;
  for (const char* flag : {"NOT_RESPONDING", "POWERED_DOWN", "POWERING_DOWN", "REBOOT_ISSUED",
                           "POWERING_UP", "INVALID_REG"}) {
    if (HasFlag(node, flag)) return NodeHealth::kDown;
  }
  if (state == "down" || state == "error" || state == "future" || state == "invalid") {
    return NodeHealth::kDown;
  }
  for (const char* flag : {"DRAIN", "FAIL", "MAINTENANCE", "RESERVED", "REBOOT_REQUESTED"}) {
    if (HasFlag(node, flag)) return NodeHealth::kDraining;
  }
  return NodeHealth::kUp;
}

// "gpu:h200:8(S:0-1),nic:2": the GPUs' type and number.
void ReadGres(std::string_view gres, Node* node) {
  while (!gres.empty()) {
    const auto end = std::min(gres.find(','), gres.size());
    std::string_view item = gres.substr(0, std::min(end, gres.find('(')));
    gres.remove_prefix(std::min(end + 1, gres.size()));
    if (!item.starts_with("gpu:")) continue;
    item.remove_prefix(4);
    const auto colon = item.rfind(':');
    if (colon != std::string_view::npos && node->gpu_type.empty()) {
      node->gpu_type = std::string(item.substr(0, colon));
    }
    const std::string_view number = colon == std::string_view::npos ? item : item.substr(colon + 1);
    std::int32_t count = 0;
    std::from_chars(number.data(), number.data() + number.size(), count);
    node->gpus += std::clamp(count, 0, kGpusMax);
  }
}

}  // namespace

Result<std::optional<std::vector<Node>>> ParseNodes(long status, std::string_view body) {
  if (status == 304) return std::optional<std::vector<Node>>();
  const auto parsed = ParseAnswer(body);
  if (!parsed || parsed->error || status != 200 || !parsed->body.contains("nodes")) {
    return Unusable(status, body, parsed);
  }
  std::vector<Node> nodes;
  for (const auto& entry : ListAt(parsed->body, "nodes")) {
    if (!entry.is_object()) return Unusable(status, body, parsed);
    Node node;
    node.name = TextAt(entry, "name");
    node.cpus = static_cast<std::int32_t>(IntegerAt(entry, "cpus"));
    node.memory_mib = IntegerAt(entry, "real_memory");
    node.health = ReadHealth(entry);
    node.health_reason = TextAt(entry, "reason");
    ReadGres(TextAt(entry, "gres"), &node);
    nodes.push_back(std::move(node));
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const Node& a, const Node& b) { return a.name < b.name; });
  return std::optional<std::vector<Node>>(std::move(nodes));
}

Result<std::string> ParsePing(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed || parsed->error || status != 200) return Unusable(status, body, parsed);
  const Json& pings = ListAt(parsed->body, "pings");
  const bool up = std::any_of(pings.begin(), pings.end(), [](const Json& ping) {
    return ping.is_object() && TextAt(ping, "ping") == "UP";
  });
  if (!up) return Error{Code::kUnavailable, "slurmctld does not answer slurmrestd's ping", {}};
  return TextAt(ObjectAt(ObjectAt(parsed->body, "meta"), "Slurm"), "release");
}

Result<TimeMs> ParseClock(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed || parsed->error || status != 200) return Unusable(status, body, parsed);
  const std::int64_t seconds = IntegerAt(ObjectAt(parsed->body, "statistics"), "req_time");
  if (seconds <= 0) return Unusable(status, body, parsed);
  return seconds * kSecondMs;
}

Result<std::int64_t> ParseBacklog(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed || parsed->error || status != 200) return Unusable(status, body, parsed);
  const Json& statistics = ObjectAt(parsed->body, "statistics");
  if (!statistics.contains("dbd_agent_queue_size")) return Unusable(status, body, parsed);
  return IntegerAt(statistics, "dbd_agent_queue_size");
}

}  // namespace kezek::slurm

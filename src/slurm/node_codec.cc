// Nodes, version and clock of the cluster.
#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <utility>

#include "slurm/codec.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {
namespace {

// v0.0.38 has the state in small letters and flags in capitals, later ones a list of both in
// capitals.
std::set<std::string> StateWords(const Json& node) {
  std::set<std::string> words;
  for (const char* key : {"state", "state_flags"}) {
    for (auto word : WordsAt(node, key)) {
      std::transform(word.begin(), word.end(), word.begin(),
                     [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
      words.insert(std::move(word));
    }
  }
  return words;
}

NodeHealth ReadHealth(const Json& node) {
  const auto words = StateWords(node);
  if (words.contains("UNKNOWN")) return NodeHealth::kUnknown;
  for (const char* word : {"NOT_RESPONDING", "POWERED_DOWN", "POWERING_DOWN", "REBOOT_ISSUED",
                           "POWERING_UP", "INVALID_REG", "DOWN", "ERROR", "FUTURE", "INVALID"}) {
    if (words.contains(word)) return NodeHealth::kDown;
  }
  for (const char* word :
       {"DRAIN", "FAIL", "MAINTENANCE", "RESERVED", "REBOOT_REQUESTED", "BLOCKED", "EXTERNAL"}) {
    if (words.contains(word)) return NodeHealth::kDraining;
  }
  return NodeHealth::kUp;
}

// More GPUs of a type; of the node's first, or of none, as that.
void AddGpus(std::string_view type, std::int32_t count, Node* node) {
  if (node->gpu_type.empty()) node->gpu_type = std::string(type);
  if (type.empty() || type == node->gpu_type) {
    node->gpus += count;
    return;
  }
  auto& more = node->more_gpus;
  const auto known = std::find_if(more.begin(), more.end(),
                                  [type](const HostGpus& one) { return one.gpu_type == type; });
  HostGpus& of_type = known == more.end() ? more.emplace_back() : *known;
  of_type.gpu_type = std::string(type);
  of_type.gpus += count;
}

// "gpu:h200:6(S:0-1),gpu:h200-1g.18gb:14,nic:2": the GPUs' types and numbers.
void ReadGres(std::string_view gres, Node* node) {
  while (!gres.empty()) {
    const auto end = std::min(gres.find(','), gres.size());
    std::string_view item = gres.substr(0, std::min(end, gres.find('(')));
    gres.remove_prefix(std::min(end + 1, gres.size()));
    if (!item.starts_with("gpu:")) continue;
    item.remove_prefix(4);
    const auto colon = item.rfind(':');
    const std::string_view type = colon == std::string_view::npos ? "" : item.substr(0, colon);
    const std::string_view number = colon == std::string_view::npos ? item : item.substr(colon + 1);
    std::int32_t count = 0;
    std::from_chars(number.data(), number.data() + number.size(), count);
    AddGpus(type, std::clamp(count, 0, kGpusMax), node);
  }
}

// "gpu:h200:3(IDX:0-1,5)", "gpu:h200:0(IDX:N/A)"; a type without indices spoils the node's.
void ReadUsed(const Json& entry, UsedGpus* used) {
  const std::string text = TextAt(entry, "gres_used");
  NodeGrant grant;
  GpusByType of_type;
  ReadGresDetail(text, &grant, &of_type);
  const auto indices = static_cast<std::int32_t>(grant.gpu_indices.size());
  if (of_type.empty() || indices != grant.gpus) return;
  std::sort(grant.gpu_indices.begin(), grant.gpu_indices.end());
  (*used)[TextAt(entry, "name")] = std::move(grant.gpu_indices);
}

Node ReadNode(const Json& entry) {
  Node node;
  node.name = TextAt(entry, "name");
  node.cpus = static_cast<std::int32_t>(IntegerAt(entry, "cpus"));
  node.memory_mib = IntegerAt(entry, "real_memory");
  node.health = ReadHealth(entry);
  node.health_reason = TextAt(entry, "reason");
  ReadGres(TextAt(entry, "gres"), &node);
  return node;
}

}  // namespace

Result<std::optional<std::vector<Node>>> ParseNodes(long status, std::string_view body,
                                                    UsedGpus* used) {
  if (status == 304) return std::optional<std::vector<Node>>();
  std::vector<Node> nodes;
  UsedGpus in_use;
  bool readable = true;
  const auto parsed = ParseAnswer(body, "nodes", [&](const Json& entry) {
    readable = readable && entry.is_object();
    if (readable) nodes.push_back(ReadNode(entry));
    if (readable && used != nullptr) ReadUsed(entry, &in_use);
  });
  if (!parsed || parsed->error || status != 200 || !readable || !parsed->body.contains("nodes")) {
    return Unusable(status, body, parsed);
  }
  if (nodes.empty() && SaysUnchanged(*parsed)) return std::optional<std::vector<Node>>();
  if (used != nullptr) *used = std::move(in_use);
  std::sort(nodes.begin(), nodes.end(),
            [](const Node& a, const Node& b) { return a.name < b.name; });
  return std::optional<std::vector<Node>>(std::move(nodes));
}

Result<std::string> ParsePing(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed || parsed->error || status != 200) return Unusable(status, body, parsed);
  const Json& pings = ListAt(parsed->body, "pings");
  const bool up = std::any_of(pings.begin(), pings.end(), [](const Json& ping) {
    return ping.is_object() && AnswersPing(ping);
  });
  if (!up) return Error{Code::kUnavailable, "slurmctld does not answer slurmrestd's ping", {}};
  const Json& meta = ObjectAt(parsed->body, "meta");
  return TextAt(ObjectAt(meta, meta.contains("Slurm") ? "Slurm" : "slurm"), "release");
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

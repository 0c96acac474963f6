#include "scheduler/engine/node_fit.h"

#include <algorithm>
#include <string>
#include <vector>

namespace kezek::engine {
namespace {

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string_view Restricting(const JobSpec& spec) {
  if (!spec.constraints.empty()) return "constraints";
  if (!spec.nodes.empty()) return "nodelist";
  return spec.exclude_nodes.empty() ? "" : "exclude_nodes";
}

bool NamesSome(const JobSpec& spec) {
  return !spec.nodes.empty() && spec.nodes.size() < static_cast<std::size_t>(spec.shape.nodes);
}

bool IsNamed(const Spot& node, const JobSpec& spec) { return Contains(spec.nodes, node.name); }

bool Allowed(const Spot& node, const JobSpec& spec) {
  for (const std::string& label : spec.constraints) {
    if (!Contains(node.labels, label)) return false;
  }
  if (Contains(spec.exclude_nodes, node.name)) return false;
  return spec.nodes.empty() || NamesSome(spec) || Contains(spec.nodes, node.name);
}

bool HasRoom(const FreeNode& free, const Shape& shape) {
  return free.in_service && free.gpus >= shape.gpus_per_node && free.cpus >= shape.cpus_per_node &&
         free.memory_mib >= shape.memory_mib_per_node && (!shape.exclusive || free.idle);
}

}  // namespace kezek::engine

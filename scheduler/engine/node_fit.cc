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
  if (!spec.exclude_nodes.empty()) return "exclude_nodes";
  return spec.classification.empty() ? "" : "data_classification";
}

bool NamesSome(const JobSpec& spec) {
  return !spec.nodes.empty() && spec.nodes.size() < static_cast<std::size_t>(spec.shape.nodes);
}

bool Suits(const Spot& node, const JobSpec& spec) {
  for (const std::string& label : spec.constraints) {
    if (!Contains(node.labels, label)) return false;
  }
  return spec.classification.empty() || Contains(node.cleared, spec.classification);
}

bool Allowed(const Spot& node, const JobSpec& spec) {
  if (!Suits(node, spec) || Contains(spec.exclude_nodes, node.name)) return false;
  return spec.nodes.empty() || NamesSome(spec) || Contains(spec.nodes, node.name);
}

}  // namespace kezek::engine

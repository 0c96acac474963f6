#include "tests/property/naive_placement.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace kezek::test {
namespace {

using Nodes = std::vector<const NaiveNode*>;
using Names = std::vector<std::string>;
// Names of domains, each in the one before it: "" is one that is not known.
using Path = std::vector<std::string>;

bool In(const Names& names, const std::string& name) {
  return std::count(names.begin(), names.end(), name) > 0;
}

template <class T>
std::vector<T> First(const std::vector<T>& list, std::size_t count) {
  return {list.begin(), list.begin() + static_cast<std::ptrdiff_t>(count)};
}

bool NamesSome(const JobSpec& spec) {
  return !spec.nodes.empty() && static_cast<int>(spec.nodes.size()) < spec.shape.nodes;
}

bool MayUse(const JobSpec& spec, const Node& node) {
  const bool labels = std::all_of(spec.constraints.begin(), spec.constraints.end(),
                                  [&](const auto& label) { return In(node.labels, label); });
  const bool listed = spec.nodes.empty() || NamesSome(spec) || In(spec.nodes, node.name);
  const bool cleared = spec.classification.empty() || In(node.cleared, spec.classification);
  return labels && listed && cleared && !In(spec.exclude_nodes, node.name);
}

bool Roomy(const JobSpec& spec, const NaiveNode& free) {
  return free.node.gpu_type == spec.shape.gpu_type && free.in_service &&
         free.gpus >= spec.shape.gpus_per_node && free.cpus >= spec.shape.cpus_per_node &&
         free.memory_mib >= spec.shape.memory_mib_per_node && (free.idle || !spec.shape.exclusive);
}

// From the largest domain to the leaf; all paths of a problem have one length.
Path PathOf(const Node& node, std::size_t above) {
  Path path{node.leaf, node.block};
  for (const NodeDomain& domain : node.above) path.push_back(domain.name);
  path.resize(above + 2);
  std::reverse(path.begin(), path.end());
  return path;
}

struct Problem {
  const NaiveNodes& all;
  const JobSpec& spec;
  std::size_t above = 0;         // levels above blocks
  std::map<Path, Nodes> leaves;  // candidates that are not forced, the best first
  Nodes forced;
  std::size_t rest = 0;  // nodes besides these
};

bool IsUnder(const Path& path, const Path& domain) {
  return std::equal(domain.begin(), domain.end(), path.begin());
}

std::int64_t FreeUnder(const Problem& problem, const Path& domain) {
  std::int64_t free = 0;
  for (const NaiveNode& node : problem.all) {
    const bool mine = node.node.gpu_type == problem.spec.shape.gpu_type;
    if (mine && IsUnder(PathOf(node.node, problem.above), domain)) free += node.gpus;
  }
  return free;
}

std::size_t RoomUnder(const Problem& problem, const Path& domain) {
  std::size_t room = 0;
  for (const auto& [path, nodes] : problem.leaves) room += IsUnder(path, domain) ? nodes.size() : 0;
  return room;
}

// Domains of the first `size` parts of these paths.
std::set<Path> DomainsOf(const std::set<Path>& paths, std::size_t size) {
  std::set<Path> domains;
  for (const Path& path : paths) domains.insert(First(path, size));
  return domains;
}

struct Part {
  std::int64_t leaves = 0;
  std::int64_t left_over = 0;
  Nodes nodes;
};

using Score = std::tuple<std::int64_t, std::int64_t, std::int64_t, Path>;

Score ScoreOf(const Problem& problem, const Path& domain, const Part& part) {
  return {part.leaves, part.left_over, FreeUnder(problem, domain), domain};
}

// `count` nodes of a domain that has as many.
Part PartOf(const Problem& problem, const Path& domain, std::size_t count) {
  if (domain.size() == problem.above + 2) {
    Part part{1, 0, First(problem.leaves.at(domain), count)};
    for (const NaiveNode* node : part.nodes) {
      part.left_over += node->gpus - problem.spec.shape.gpus_per_node;
    }
    if (problem.spec.shape.exclusive) part.left_over = 0;
    return part;
  }
  std::set<Path> under;
  for (const auto& [path, nodes] : problem.leaves) {
    if (IsUnder(path, domain)) under.insert(path);
  }
  std::set<Path> left = DomainsOf(under, domain.size() + 1);
  Part all;
  const auto add = [&](const Path& from, std::size_t nodes) {
    const Part part = PartOf(problem, from, nodes);
    all.leaves += part.leaves;
    all.left_over += part.left_over;
    all.nodes.insert(all.nodes.end(), part.nodes.begin(), part.nodes.end());
    left.erase(Path(from));
  };
  while (all.nodes.size() < count) {
    const std::size_t rest = count - all.nodes.size();
    std::optional<std::pair<Score, Path>> best;
    std::pair<std::size_t, Path> roomiest;
    for (const Path& each : left) {
      const std::size_t room = RoomUnder(problem, each);
      if (room > roomiest.first) roomiest = {room, each};
      if (room < rest) continue;
      const Score score = ScoreOf(problem, each, PartOf(problem, each, rest));
      if (!best || score < best->first) best = {score, each};
    }
    if (best) {
      add(best->second, rest);
    } else {
      add(roomiest.second, roomiest.first);
    }
  }
  return all;
}

// In the best domain of that many parts, if any holds the gang.
std::optional<Nodes> InOne(const Problem& problem, std::size_t size, Domain within) {
  std::set<Path> paths;
  for (const auto& [path, nodes] : problem.leaves) paths.insert(path);
  std::optional<std::pair<Score, Nodes>> best;
  for (const Path& domain : DomainsOf(paths, size)) {
    const std::size_t level = within == Domain::kLeaf ? problem.above + 2 : problem.above + 1;
    const bool demands = within != Domain::kAny && problem.spec.shape.nodes > 1;
    if (demands && (size < level || domain[level - 1].empty())) continue;
    const bool has_forced = std::all_of(
        problem.forced.begin(), problem.forced.end(),
        [&](const NaiveNode* node) { return IsUnder(PathOf(node->node, problem.above), domain); });
    if (!has_forced || RoomUnder(problem, domain) < problem.rest) continue;
    Part part = PartOf(problem, domain, problem.rest);
    part.nodes.insert(part.nodes.end(), problem.forced.begin(), problem.forced.end());
    const Score score = ScoreOf(problem, domain, part);
    if (!best || score < best->first) best.emplace(score, part.nodes);
  }
  if (!best) return std::nullopt;
  return best->second;
}

Placement Granted(const JobSpec& spec, const Nodes& chosen) {
  std::map<std::string, std::int32_t> gpus;
  for (const NaiveNode* node : chosen) {
    gpus[node->node.name] = spec.shape.exclusive ? node->gpus : spec.shape.gpus_per_node;
  }
  Placement placement;
  for (const auto& [name, count] : gpus) placement.push_back({name, count, {}});
  return placement;
}

Reason Never(const std::string& field, std::int64_t asked, std::int64_t largest) {
  return {
      ReasonCode::kNeverFitsMachine,
      {{"field", field}, {"asked", std::to_string(asked)}, {"largest", std::to_string(largest)}}};
}

// `configured` holds nodes of the job's type only, and does not hold the job.
Reason NaiveNever(const NaiveNodes& configured, const JobSpec& spec) {
  std::int64_t gpus = 0;
  std::int64_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::int64_t may = 0;
  std::int64_t fit = 0;
  std::map<Path, std::int64_t> under;  // of the demanded level
  std::size_t above = 0;
  for (const NaiveNode& node : configured) above = std::max(above, node.node.above.size());
  for (const NaiveNode& node : configured) {
    gpus = std::max<std::int64_t>(gpus, node.gpus);
    cpus = std::max<std::int64_t>(cpus, node.cpus);
    memory_mib = std::max(memory_mib, node.memory_mib);
    if (!MayUse(spec, node.node)) continue;
    ++may;
    if (!Roomy(spec, node)) continue;
    ++fit;
    const std::size_t level = spec.within == Domain::kLeaf ? above + 2 : above + 1;
    const Path domain = First(PathOf(node.node, above), level);
    if (!domain.back().empty()) ++under[domain];
  }
  const Shape& shape = spec.shape;
  if (shape.gpus_per_node > gpus) return Never("shape.gpus_per_node", shape.gpus_per_node, gpus);
  if (shape.cpus_per_node > cpus) return Never("shape.cpus_per_node", shape.cpus_per_node, cpus);
  if (shape.memory_mib_per_node > memory_mib) {
    return Never("shape.memory_per_node_mib", shape.memory_mib_per_node, memory_mib);
  }
  const bool lists = !spec.nodes.empty() || !spec.exclude_nodes.empty();
  if (may < shape.nodes && !spec.constraints.empty()) return Never("constraints", shape.nodes, may);
  if (may < shape.nodes && lists) {
    return Never(spec.nodes.empty() ? "exclude_nodes" : "nodelist", shape.nodes, may);
  }
  if (may < shape.nodes && !spec.classification.empty()) {
    return Never("data_classification", shape.nodes, may);
  }
  if (fit < shape.nodes) return Never("shape.nodes", shape.nodes, fit);
  if (spec.within == Domain::kAny) return Never("nodelist", shape.nodes, fit);
  std::int64_t most = 0;
  for (const auto& [domain, nodes] : under) most = std::max(most, nodes);
  Reason reason = Never("topology.within", shape.nodes, most);
  reason.fields["within"] = spec.within == Domain::kLeaf ? "leaf" : "block";
  return reason;
}

}  // namespace

bool NaiveHolds(const NaiveNode& free, const JobSpec& spec) {
  return Roomy(spec, free) && MayUse(spec, free.node);
}

std::optional<Placement> NaivePlace(const NaiveNodes& nodes, const JobSpec& spec, Domain within) {
  Problem problem{nodes, spec, 0, {}, {}, static_cast<std::size_t>(spec.shape.nodes)};
  for (const NaiveNode& node : nodes) {
    problem.above = std::max(problem.above, node.node.above.size());
  }
  for (const NaiveNode& node : nodes) {
    if (!Roomy(spec, node) || !MayUse(spec, node.node)) continue;
    if (NamesSome(spec) && In(spec.nodes, node.node.name)) {
      problem.forced.push_back(&node);
    } else {
      problem.leaves[PathOf(node.node, problem.above)].push_back(&node);
    }
  }
  if (NamesSome(spec) && problem.forced.size() < spec.nodes.size()) return std::nullopt;
  problem.rest -= problem.forced.size();
  for (auto& [path, leaf] : problem.leaves) {
    std::sort(leaf.begin(), leaf.end(), [](const NaiveNode* a, const NaiveNode* b) {
      return std::tie(a->gpus, a->cpus, a->memory_mib, a->node.name) <
             std::tie(b->gpus, b->cpus, b->memory_mib, b->node.name);
    });
  }
  for (std::size_t size = problem.above + 2; size <= problem.above + 2; --size) {
    if (const auto found = InOne(problem, size, within)) return Granted(spec, *found);
  }
  return std::nullopt;
}

Reason NaiveNoRoom(const NaiveNodes& free, const NaiveNodes& configured, const JobSpec& spec,
                   Domain within, bool preference) {
  std::set<std::string> types;
  NaiveNodes mine;
  for (const NaiveNode& node : configured) {
    types.insert(node.node.gpu_type);
    if (node.node.gpu_type == spec.shape.gpu_type) mine.push_back(node);
  }
  if (mine.empty()) {
    std::string list;
    for (const std::string& type : types) list += (list.empty() ? "" : ",") + type;
    return {ReasonCode::kNoSuchGpuType, {{"asked", spec.shape.gpu_type}, {"types", list}}};
  }
  if (!NaivePlace(configured, spec, spec.within)) return NaiveNever(mine, spec);
  const std::string nodes = std::to_string(spec.shape.nodes);
  const auto name = [](Domain domain) { return domain == Domain::kLeaf ? "leaf" : "block"; };
  if (preference && NaivePlace(free, spec, spec.within)) {
    return {ReasonCode::kWaitsForTopology, {{"within", name(within)}, {"nodes", nodes}}};
  }
  if (spec.within != Domain::kAny && NaivePlace(free, spec, Domain::kAny)) {
    return {ReasonCode::kWaitsForDomain, {{"within", name(spec.within)}, {"nodes", nodes}}};
  }
  std::int64_t all = 0;
  std::int64_t largest = 0;
  std::int64_t fit = 0;
  for (const NaiveNode& node : free) {
    if (node.node.gpu_type != spec.shape.gpu_type) continue;
    all += node.gpus;
    largest = std::max<std::int64_t>(largest, node.gpus);
    fit += Roomy(spec, node) && MayUse(spec, node.node) ? 1 : 0;
  }
  return {ReasonCode::kWaitsForGpus,
          {{"nodes", nodes},
           {"gpus_per_node", std::to_string(spec.shape.gpus_per_node)},
           {"gpu_type", spec.shape.gpu_type},
           {"free", std::to_string(all)},
           {"largest_free", std::to_string(largest)},
           {"nodes_fit", std::to_string(fit)}}};
}

}  // namespace kezek::test

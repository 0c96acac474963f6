#include "tests/property/naive_placement.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace kezek::test {
namespace {

using Nodes = std::vector<const NaiveNode*>;
using Names = std::vector<std::string>;
using LeafName = std::pair<std::string, std::string>;  // block, leaf

bool In(const Names& names, const std::string& name) {
  return std::count(names.begin(), names.end(), name) > 0;
}

bool NamesSome(const JobSpec& spec) {
  return !spec.nodes.empty() && static_cast<int>(spec.nodes.size()) < spec.shape.nodes;
}

bool MayUse(const JobSpec& spec, const Node& node) {
  const bool labels = std::all_of(spec.constraints.begin(), spec.constraints.end(),
                                  [&](const auto& label) { return In(node.labels, label); });
  const bool listed = spec.nodes.empty() || NamesSome(spec) || In(spec.nodes, node.name);
  return labels && listed && !In(spec.exclude_nodes, node.name);
}

bool Roomy(const JobSpec& spec, const NaiveNode& free) {
  return free.node.gpu_type == spec.shape.gpu_type && free.in_service &&
         free.gpus >= spec.shape.gpus_per_node && free.cpus >= spec.shape.cpus_per_node &&
         free.memory_mib >= spec.shape.memory_mib_per_node && (free.idle || !spec.shape.exclusive);
}

// Free GPUs of this type under one leaf, or in one block if `leaf` is null.
std::int64_t FreeUnder(const NaiveNodes& nodes, const std::string& type, const std::string& block,
                       const std::string* leaf) {
  std::int64_t free = 0;
  for (const NaiveNode& node : nodes) {
    const bool under = node.node.block == block && (leaf == nullptr || node.node.leaf == *leaf);
    if (under && node.node.gpu_type == type) free += node.gpus;
  }
  return free;
}

struct Problem {
  const NaiveNodes& all;
  const JobSpec& spec;
  std::size_t wanted;
  std::map<LeafName, Nodes> leaves;  // candidates that are not forced, the best first
  Nodes forced;
};

std::int64_t LeftOver(const Problem& problem, const Nodes& chosen) {
  std::int64_t left = 0;
  for (const NaiveNode* node : chosen) left += node->gpus - problem.spec.shape.gpus_per_node;
  return problem.spec.shape.exclusive ? 0 : left;
}

// How well `count` nodes come out of one leaf; smaller is better.
std::tuple<std::int64_t, std::int64_t, LeafName> LeafScore(const Problem& problem,
                                                           const LeafName& name,
                                                           const Nodes& chosen) {
  return {LeftOver(problem, chosen),
          FreeUnder(problem.all, problem.spec.shape.gpu_type, name.first, &name.second), name};
}

Nodes First(const Nodes& nodes, std::size_t count) {
  return {nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(count)};
}

// `count` nodes of these leaves; what is taken is removed from them.
Nodes FromLeaves(const Problem& problem, std::map<LeafName, Nodes> leaves, std::size_t count,
                 std::size_t* spanned) {
  Nodes chosen;
  while (chosen.size() < count) {
    const std::size_t rest = count - chosen.size();
    const LeafName* best = nullptr;
    for (const auto& [name, nodes] : leaves) {
      if (nodes.size() < rest) continue;
      if (best == nullptr || LeafScore(problem, name, First(nodes, rest)) <
                                 LeafScore(problem, *best, First(leaves.at(*best), rest))) {
        best = &name;
      }
    }
    for (const auto& [name, nodes] : leaves) {  // none holds the rest: the roomiest
      if (best == nullptr ||
          (leaves.at(*best).size() < rest && nodes.size() > leaves.at(*best).size())) {
        best = &name;
      }
    }
    const Nodes taken = First(leaves.at(*best), std::min(rest, leaves.at(*best).size()));
    chosen.insert(chosen.end(), taken.begin(), taken.end());
    leaves.erase(LeafName(*best));
    ++*spanned;
  }
  return chosen;
}

std::optional<Nodes> InOneLeaf(const Problem& problem, Domain within) {
  std::set<LeafName> names;
  for (const auto& [name, nodes] : problem.leaves) names.insert(name);
  for (const NaiveNode* node : problem.forced) names.insert({node->node.block, node->node.leaf});
  std::optional<std::pair<std::tuple<std::int64_t, std::int64_t, LeafName>, Nodes>> best;
  for (const LeafName& name : names) {
    if (within != Domain::kAny && problem.wanted > 1 && name.second.empty()) continue;
    Nodes chosen;
    for (const NaiveNode* node : problem.forced) {
      if (LeafName(node->node.block, node->node.leaf) == name) chosen.push_back(node);
    }
    if (chosen.size() < problem.forced.size()) continue;
    const auto found = problem.leaves.find(name);
    const Nodes others = found == problem.leaves.end() ? Nodes{} : found->second;
    if (chosen.size() + others.size() < problem.wanted) continue;
    const Nodes more = First(others, problem.wanted - chosen.size());
    chosen.insert(chosen.end(), more.begin(), more.end());
    const auto score = LeafScore(problem, name, chosen);
    if (!best || score < best->first) best.emplace(score, chosen);
  }
  if (!best) return std::nullopt;
  return best->second;
}

std::map<std::string, std::map<LeafName, Nodes>> ByBlock(const Problem& problem) {
  std::map<std::string, std::map<LeafName, Nodes>> blocks;
  for (const auto& [name, nodes] : problem.leaves) blocks[name.first][name] = nodes;
  return blocks;
}

std::size_t Size(const std::map<LeafName, Nodes>& leaves) {
  std::size_t size = 0;
  for (const auto& [name, nodes] : leaves) size += nodes.size();
  return size;
}

std::optional<Nodes> InOneBlock(const Problem& problem, Domain within) {
  auto blocks = ByBlock(problem);
  for (const NaiveNode* node : problem.forced) blocks[node->node.block];
  std::optional<std::pair<std::tuple<std::size_t, std::int64_t, std::int64_t, std::string>, Nodes>>
      best;
  for (const auto& [block, leaves] : blocks) {
    if (within != Domain::kAny && problem.wanted > 1 && block.empty()) continue;
    const bool has_forced =
        std::all_of(problem.forced.begin(), problem.forced.end(),
                    [&](const NaiveNode* node) { return node->node.block == block; });
    const std::size_t rest = problem.wanted - problem.forced.size();
    if (!has_forced || Size(leaves) < rest) continue;
    std::size_t spanned = 0;
    Nodes chosen = FromLeaves(problem, leaves, rest, &spanned);
    chosen.insert(chosen.end(), problem.forced.begin(), problem.forced.end());
    const std::tuple score(spanned, LeftOver(problem, chosen),
                           FreeUnder(problem.all, problem.spec.shape.gpu_type, block, nullptr),
                           block);
    if (!best || score < best->first) best.emplace(score, chosen);
  }
  if (!best) return std::nullopt;
  return best->second;
}

Nodes Anywhere(const Problem& problem) {
  Nodes chosen = problem.forced;
  auto blocks = ByBlock(problem);
  while (chosen.size() < problem.wanted) {
    const std::size_t rest = problem.wanted - chosen.size();
    // One that holds the rest, the fullest such; else the roomiest; the first on a tie.
    std::vector<std::tuple<int, std::int64_t, std::string>> order;
    for (const auto& [block, leaves] : blocks) {
      const bool holds = Size(leaves) >= rest;
      const std::int64_t key =
          holds ? FreeUnder(problem.all, problem.spec.shape.gpu_type, block, nullptr)
                : -static_cast<std::int64_t>(Size(leaves));
      order.push_back({holds ? 0 : 1, key, block});
    }
    const std::string block = std::get<2>(*std::min_element(order.begin(), order.end()));
    std::size_t spanned = 0;
    const Nodes part =
        FromLeaves(problem, blocks[block], std::min(rest, Size(blocks[block])), &spanned);
    chosen.insert(chosen.end(), part.begin(), part.end());
    blocks.erase(block);
  }
  return chosen;
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
  std::map<LeafName, std::int64_t> under;
  for (const NaiveNode& node : configured) {
    gpus = std::max<std::int64_t>(gpus, node.gpus);
    cpus = std::max<std::int64_t>(cpus, node.cpus);
    memory_mib = std::max(memory_mib, node.memory_mib);
    if (!MayUse(spec, node.node)) continue;
    ++may;
    if (!Roomy(spec, node)) continue;
    ++fit;
    const bool leaf = spec.within == Domain::kLeaf;
    const std::string& domain = leaf ? node.node.leaf : node.node.block;
    if (!domain.empty()) ++under[{node.node.block, leaf ? domain : ""}];
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
  Problem problem{nodes, spec, static_cast<std::size_t>(spec.shape.nodes), {}, {}};
  std::size_t room = 0;
  for (const NaiveNode& node : nodes) {
    if (!Roomy(spec, node) || !MayUse(spec, node.node)) continue;
    ++room;
    if (NamesSome(spec) && In(spec.nodes, node.node.name)) {
      problem.forced.push_back(&node);
    } else {
      problem.leaves[{node.node.block, node.node.leaf}].push_back(&node);
    }
  }
  if (NamesSome(spec) && problem.forced.size() < spec.nodes.size()) return std::nullopt;
  if (room < problem.wanted) return std::nullopt;
  for (auto& [name, leaf] : problem.leaves) {
    std::sort(leaf.begin(), leaf.end(), [](const NaiveNode* a, const NaiveNode* b) {
      return std::tie(a->gpus, a->cpus, a->memory_mib, a->node.name) <
             std::tie(b->gpus, b->cpus, b->memory_mib, b->node.name);
    });
  }
  if (const auto leaf = InOneLeaf(problem, within)) return Granted(spec, *leaf);
  if (within == Domain::kLeaf) return std::nullopt;
  if (const auto block = InOneBlock(problem, within)) return Granted(spec, *block);
  if (within == Domain::kBlock) return std::nullopt;
  return Granted(spec, Anywhere(problem));
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

#include "scheduler/control/host_parts.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "kezek/node_parts.h"

namespace kezek::control {
namespace {

// `whole` in proportion to these weights, rounded down, and the rest to the first.
std::vector<std::int64_t> Divided(std::int64_t whole, const std::vector<std::int64_t>& weights) {
  std::int64_t sum = 0;
  for (const std::int64_t weight : weights) sum += weight;
  std::vector<std::int64_t> shares;
  std::int64_t left = whole;
  for (const std::int64_t weight : weights) {
    // Of a host: far from what overflows.
    shares.push_back(sum == 0 ? 0 : whole * weight / sum);
    left -= shares.back();
  }
  shares.front() += left;
  return shares;
}

// What is weighed of each node; where nothing is configured, its GPUs.
template <typename Weigh>
std::vector<std::int64_t> Weights(const std::vector<Node>& parts, const Weigh& weigh) {
  std::vector<std::int64_t> weights;
  for (const Node& part : parts) weights.push_back(weigh(part));
  const bool said = std::all_of(weights.begin(), weights.end(), [](auto one) { return one > 0; });
  if (said) return weights;
  weights.clear();
  for (const Node& part : parts) weights.push_back(part.gpus);
  return weights;
}

// The nodes that the host has, each with the number of its GPUs.
std::vector<Node> PartsOf(const Node& host, const std::vector<HostGpus>& gpus,
                          const Shares& shares) {
  std::vector<Node> parts;
  const auto configured = shares.find(host.name);
  if (configured == shares.end()) {
    for (const HostGpus& one : gpus) {
      Node& part = parts.emplace_back();
      part.name = parts.size() == 1 ? host.name : PartName(host.name, one.gpu_type);
      part.gpu_type = one.gpu_type;
    }
  } else {
    parts = configured->second;
  }
  for (Node& part : parts) {
    const auto found = std::find_if(gpus.begin(), gpus.end(), [&part](const HostGpus& one) {
      return one.gpu_type == part.gpu_type;
    });
    part.gpus = found == gpus.end() ? 0 : found->gpus;
    part.foreign_gpus = found == gpus.end() ? 0 : found->foreign_gpus;
    part.foreign_cpus = found == gpus.end() ? 0 : found->foreign_cpus;
    part.foreign_memory_mib = found == gpus.end() ? 0 : found->foreign_memory_mib;
  }
  return parts;
}

}  // namespace

Shares SharesOf(const std::vector<Node>& configured) {
  Shares shares;
  for (const Node& node : configured) {
    if (IsPart(node.name)) shares[std::string(HostOf(node.name))].push_back(node);
  }
  for (const Node& node : configured) {
    const auto host = shares.find(node.name);
    if (host != shares.end()) host->second.insert(host->second.begin(), node);
  }
  return shares;
}

std::vector<Node> AsNodes(const Node& host, const Shares& shares) {
  if (host.more_gpus.empty() && !shares.contains(host.name)) return {host};
  std::vector<HostGpus> gpus{{.gpu_type = host.gpu_type,
                              .gpus = host.gpus,
                              .foreign_gpus = host.foreign_gpus,
                              .foreign_cpus = host.foreign_cpus,
                              .foreign_memory_mib = host.foreign_memory_mib}};
  gpus.insert(gpus.end(), host.more_gpus.begin(), host.more_gpus.end());
  std::vector<Node> parts = PartsOf(host, gpus, shares);
  const auto cpus =
      Divided(host.cpus, Weights(parts, [](const Node& part) { return std::int64_t{part.cpus}; }));
  const auto memory =
      Divided(host.memory_mib, Weights(parts, [](const Node& part) { return part.memory_mib; }));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].cpus = static_cast<std::int32_t>(cpus[i]);
    parts[i].memory_mib = memory[i];
    parts[i].health = host.health;
    parts[i].health_reason = host.health_reason;
  }
  return parts;
}

void ToNodes(const std::map<std::string, Node>& nodes, const std::string& gpu_type,
             Placement* granted) {
  for (NodeGrant& grant : *granted) grant.node = OnHost(nodes, grant.node, gpu_type);
}

Placement OnHosts(Placement placement) {
  for (NodeGrant& grant : placement) grant.node = std::string(HostOf(grant.node));
  return placement;
}

}  // namespace kezek::control

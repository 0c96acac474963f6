// topology.yaml: the configured machine.

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/yaml_section.h"
#include "kezek/host_list.h"
#include "kezek/node_parts.h"

namespace kezek::config {
namespace {

// What one node has: in topology.yaml for all, or for those of one leaf.
void ReadNodeSize(Section& section, Node* out) {
  section.Text("gpu_type", &out->gpu_type);
  section.Number("gpus", 0, 1024, &out->gpus);
  section.Number("cpus", 1, 1 << 16, &out->cpus);
  section.Number("memory_mib", 1, std::int64_t{1} << 40, &out->memory_mib);
  std::string clearance;
  section.Text("clearance", &clearance);
  if (section.Has("clearance")) out->cleared = {clearance};  // what is below it follows
}

// What the host has of other types. Each part has sizes of its own, all else is the host's.
void ReadParts(Section& section, std::vector<Node>* parts) {
  if (section.Has("parts")) parts->clear();
  section.List("parts", [&](Section& part) {
    Node read;
    for (const char* key : {"gpu_type", "gpus", "cpus", "memory_mib"}) part.Require(key);
    ReadNodeSize(part, &read);
    if (part.Has("clearance")) part.Problem("clearance", "is the host's: give it there");
    for (const Node& other : *parts) {
      if (other.gpu_type == read.gpu_type) part.Problem("gpu_type", "a part of it has this type");
    }
    parts->push_back(std::move(read));
  });
}

// A node of each part of `host`.
std::vector<Node> NodesOf(const Node& host, const std::vector<Node>& parts) {
  std::vector<Node> nodes{host};
  for (const Node& part : parts) {
    Node& node = nodes.emplace_back(host);
    node.name = PartName(host.name, part.gpu_type);
    node.gpu_type = part.gpu_type;
    node.gpus = part.gpus;
    node.cpus = part.cpus;
    node.memory_mib = part.memory_mib;
  }
  return nodes;
}

// Keys of leaves, and levels that have a key of their own: no level above blocks has such a name.
constexpr std::array kTaken = {"name",     "leaf",      "block", "node", "nodes",
                               "machine",  "labels",    "gpus",  "cpus", "memory_mib",
                               "gpu_type", "clearance", "parts"};

void ReadLevels(Section& section, std::vector<std::string>* levels) {
  section.Texts("levels", levels);
  std::set<std::string> seen(kTaken.begin(), kTaken.end());
  for (const std::string& level : *levels) {
    const bool good = !level.empty() && seen.insert(level).second;
    if (!good) section.Problem("levels", "\"" + level + "\" cannot be the name of a level here");
  }
}

// Where the leaf is above its block, as the file's `levels` say.
void ReadAbove(Section& leaf, const std::vector<std::string>& levels, Node* place) {
  for (const std::string& level : levels) {
    NodeDomain domain{level, {}};
    leaf.Text(level, &domain.name);
    place->above.push_back(std::move(domain));
  }
}

}  // namespace

Result<std::vector<Node>> ParseTopology(const std::string& text, const std::string& file_name) {
  std::map<std::string, Node> nodes;
  std::map<std::string, std::vector<NodeDomain>> above;  // by block
  std::vector<std::string> levels;
  Node usual;
  std::vector<Node> usual_parts;
  const auto read_leaf = [&](Section& leaf) {
    Node place = usual;
    ReadNodeSize(leaf, &place);
    std::vector<Node> parts = usual_parts;
    ReadParts(leaf, &parts);
    for (const Node& part : parts) {
      if (!place.gpu_type.empty() && part.gpu_type != place.gpu_type) continue;
      leaf.Problem("parts", "a node with parts has a gpu_type of its own, other than theirs");
    }
    std::string list;
    for (const char* key : {"name", "nodes"}) leaf.Require(key);
    leaf.Text("name", &place.leaf);
    leaf.Text("block", &place.block);
    ReadAbove(leaf, levels, &place);
    leaf.Texts("labels", &place.labels);
    leaf.Text("nodes", &list);
    const auto known = above.emplace(place.block, place.above).first;
    if (!place.block.empty() && known->second != place.above) {
      leaf.Problem("block", place.block + " is in two places");
    }
    const auto names = ExpandHostList(list);
    if (!names) {
      leaf.Problem("nodes", names.error().message);
      return;
    }
    for (const auto& name : *names) {
      place.name = name;
      if (IsPart(name)) leaf.Problem("nodes", name + " is no host: say what it has under parts");
      for (Node& node : NodesOf(place, parts)) {
        const std::string known_as = node.name;
        if (nodes.emplace(known_as, std::move(node)).second) continue;
        leaf.Problem("nodes", known_as + " is in two leaves");
      }
    }
  };
  const auto read = ReadYaml(text, file_name, [&](Section& section) {
    section.Child("node", [&](Section& node) {
      ReadNodeSize(node, &usual);
      ReadParts(node, &usual_parts);
    });
    ReadLevels(section, &levels);
    section.Require("leaves");
    section.List("leaves", read_leaf);
  });
  if (!read) return read.error();
  std::vector<Node> list;
  for (auto& [name, node] : nodes) list.push_back(std::move(node));
  return list;
}

Result<void> ClearNodes(const std::vector<std::string>& classifications, std::vector<Node>* nodes) {
  for (Node& node : *nodes) {
    auto highest = classifications.begin();
    if (!node.cleared.empty()) {
      highest = std::find(classifications.begin(), classifications.end(), node.cleared.back());
      if (highest == classifications.end()) {
        return Error{Code::kInvalidArgument,
                     "topology: clearance " + node.cleared.back() + " of node " + node.name +
                         " is not one of classifications",
                     {}};
      }
    }
    if (!classifications.empty()) node.cleared = {classifications.begin(), highest + 1};
  }
  return {};
}

Result<void> CheckLanes(const std::map<std::string, ClassRules>& classes,
                        const std::vector<Node>& nodes) {
  std::map<std::string, std::string> lane_of;  // by node; empty: of none yet
  for (const Node& node : nodes) lane_of[node.name];
  for (const auto& [name, rules] : classes) {
    const std::string field = "classes." + name + ".nodes: ";
    for (const std::string& node : rules.nodes) {
      const auto found = lane_of.find(node);
      if (found == lane_of.end()) {
        return Error{Code::kInvalidArgument, field + "the topology has no node " + node, {}};
      }
      if (!found->second.empty()) {
        return Error{Code::kInvalidArgument, field + node + " is of class " + found->second, {}};
      }
      found->second = name;
    }
  }
  return {};
}

Result<std::vector<Node>> LoadTopology(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text) return text.error();
  return ParseTopology(*text, path);
}

}  // namespace kezek::config

// A host whose GPUs are of several types, such as one that has some of them cut into MIG slices, is
// several nodes to Kezek: one for each type, with a share of the CPUs and memory of its own. The
// first bears the host's name ("n09"), the others the type's behind it ("n09/h200-1g.18gb").
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/node.h"

namespace kezek {

inline constexpr char kPartMark = '/';

// Whether the name is of a part that does not bear its host's name.
inline bool IsPart(std::string_view node) { return node.find(kPartMark) != node.npos; }

// Of what `node` refers to.
inline std::string_view HostOf(std::string_view node) {
  return node.substr(0, node.find(kPartMark));
}

inline std::string PartName(const std::string& host, const std::string& gpu_type) {
  return host + kPartMark + gpu_type;
}

// Whether its host is more than this node: then nobody can have the host for himself.
inline bool SharesHost(const std::map<std::string, Node>& nodes, const std::string& name) {
  if (IsPart(name)) return true;
  const std::string parts = name + kPartMark;
  const auto next = nodes.lower_bound(parts);
  return next != nodes.end() && next->first.starts_with(parts);
}

// The node of this type on the host; where it has none the host's name.
inline std::string OnHost(const std::map<std::string, Node>& nodes, const std::string& host,
                          const std::string& gpu_type) {
  const auto first = nodes.find(host);
  if (first != nodes.end() && first->second.gpu_type == gpu_type) return host;
  const std::string part = PartName(host, gpu_type);
  return nodes.contains(part) ? part : host;
}

// The nodes, and of hosts that are named all others of that host. Sorted.
inline std::vector<std::string> WithParts(const std::map<std::string, Node>& nodes,
                                          std::vector<std::string> names) {
  for (std::size_t i = 0, named = names.size(); i < named; ++i) {
    if (IsPart(names[i])) continue;
    const std::string parts = names[i] + kPartMark;
    for (auto at = nodes.lower_bound(parts); at != nodes.end() && at->first.starts_with(parts);
         ++at) {
      names.push_back(at->first);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace kezek

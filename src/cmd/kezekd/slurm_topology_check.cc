#include "cmd/kezekd/slurm_topology_check.h"

#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "cmd/kezekd/slurm_config_check.h"
#include "kezek/host_list.h"
#include "kezek/node_parts.h"

namespace kezek::kezekd {
namespace {

using LeafOf = std::map<std::string, std::string>;  // by host

// How Slurm divides its nodes. A block of topology/block may hold several leaves.
struct SlurmLeaves {
  LeafOf of;
  bool blocks = false;
};

constexpr std::size_t kLeavesMost = 4;  // that are named
constexpr const char* kByHand = "scontrol show topology";

// "SwitchName=leaf1 Level=0 LinkSpeed=1 Nodes=n[01-02]" lines; those of other levels have the nodes
// of the leaves below. Or "BlockName=b1 BlockIndex=0 Nodes=n[01-02] BlockSize=2". Nothing: no leaf
// switch is told, or a list of nodes cannot be read.
std::optional<SlurmLeaves> ReadLeafSwitches(const std::string& text) {
  SlurmLeaves leaves;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::map<std::string, std::string> fields;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      const auto equals = word.find('=');
      if (equals != std::string::npos) fields[word.substr(0, equals)] = word.substr(equals + 1);
    }
    const std::string& block = fields["BlockName"];
    const bool is_block = !block.empty() && block.find('[') == std::string::npos;
    if (!is_block && (fields["SwitchName"].empty() || fields["Level"] != "0")) continue;
    const auto hosts = ExpandHostList(fields["Nodes"]);
    if (!hosts) return std::nullopt;
    leaves.blocks |= is_block;
    for (const std::string& host : *hosts) {
      leaves.of[host] = fields[is_block ? "BlockName" : "SwitchName"];
    }
  }
  if (leaves.of.empty()) return std::nullopt;
  return leaves;
}

// The leaves that lie in several of `there`: "leaf1 (n01: s0; n02: s1)"; a few, then a count.
std::string PartedLeaves(const LeafOf& here, const LeafOf& there) {
  std::map<std::string, std::map<std::string, std::vector<std::string>>> parts;
  for (const auto& [host, leaf] : here) parts[leaf][there.at(host)].push_back(host);
  std::string text;
  std::size_t parted = 0;
  for (const auto& [leaf, others] : parts) {
    if (others.size() < 2 || ++parted > kLeavesMost) continue;
    std::string inside;
    std::size_t named = 0;
    for (const auto& [other, hosts] : others) {
      if (++named > kLeavesMost) continue;
      inside += (inside.empty() ? "" : "; ") + CompressHostList(hosts) + ": " + other;
    }
    if (named > kLeavesMost) inside += "; and " + std::to_string(named - kLeavesMost) + " more";
    text += (text.empty() ? "" : ", ") + leaf + " (" + inside + ")";
  }
  if (parted > kLeavesMost) text += " and " + std::to_string(parted - kLeavesMost) + " more";
  return text;
}

}  // namespace

std::vector<Finding> JudgeSlurmTopology(const std::string& text, const std::vector<Node>& topology,
                                        const std::string& topology_file) {
  // With topology/flat, 26.05 writes nothing; 22.05's topology/none says so.
  if (text.empty() || text.find("No topology information") != std::string::npos) {
    return {
        {CheckState::kOk, "Slurm has no leaf switches, and Kezek goes by " + topology_file, ""}};
  }
  const auto told = ReadLeafSwitches(text);
  if (!told) {
    return {{CheckState::kNotLookedAt, "scontrol show topology tells of no leaf switches",
             "compare by hand what it tells with " + topology_file + ": " + kByHand}};
  }
  LeafOf slurm;
  LeafOf kezek;
  std::vector<std::string> without;
  for (const Node& node : topology) {
    const std::string host(HostOf(node.name));
    const auto found = told->of.find(host);
    if (found == told->of.end()) {
      without.push_back(host);
      continue;
    }
    slurm[host] = found->second;
    kezek[host] = node.leaf;
  }
  const std::string mend = "correct the file that is wrong, " + topology_file +
                           " (and start kezekd again) or Slurm's topology.conf: Kezek places by "
                           "its own, and where that is wrong jobs talk over higher switches than "
                           "thought\n" +
                           kByHand;
  std::vector<Finding> findings;
  if (const auto parted = PartedLeaves(kezek, slurm); !parted.empty()) {
    findings.push_back({CheckState::kWarning,
                        "one leaf by " + topology_file + ", several by Slurm: " + parted, mend});
  }
  std::set<std::string> switches;
  for (const auto& [host, leaf] : slurm) switches.insert(leaf);
  // One switch over all says nothing of where the leaves are.
  const bool leaves_told = switches.size() > 1 && !told->blocks;
  if (const auto parted = PartedLeaves(slurm, kezek); leaves_told && !parted.empty()) {
    findings.push_back({CheckState::kWarning,
                        "one leaf by Slurm, several by " + topology_file + ": " + parted, mend});
  }
  if (!without.empty()) {
    findings.push_back({CheckState::kWarning,
                        CompressHostList(without) + ": under no leaf switch of Slurm's",
                        "add them to Slurm's topology.conf"});
  }
  if (!findings.empty()) return findings;
  if (switches.size() < 2) {
    return {{CheckState::kOk,
             "Slurm has all nodes under one switch, and Kezek goes by " + topology_file, ""}};
  }
  return {{CheckState::kOk, "Slurm's leaf switches are the leaves of " + topology_file, ""}};
}

SiteCheck SlurmTopologyCheck(std::vector<Node> topology, const std::string& topology_file) {
  return {"slurm-topology",
          [topology = std::move(topology), topology_file](const auto&) -> std::vector<Finding> {
            const auto told = ShowByScontrol("topology");
            if (!told) {
              return {{CheckState::kNotLookedAt, "there is no scontrol on this host",
                       "where there is one, compare with " + topology_file + ": " + kByHand}};
            }
            if (told->status != 0 && told->output.find("No topology") == std::string::npos) {
              const std::string words = told->output.substr(0, told->output.find('\n'));
              return {{CheckState::kNotLookedAt,
                       std::string(kByHand) + ": " +
                           (words.empty() ? "no answer" : words.substr(0, 200)),
                       "install slurm-client and slurm.conf on kezekd's host"}};
            }
            return JudgeSlurmTopology(told->output, topology, topology_file);
          }};
}

}  // namespace kezek::kezekd

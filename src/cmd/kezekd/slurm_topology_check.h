// The check of Slurm's leaf switches, by what scontrol tells on this host: no version of the REST
// API has them. (The `topology` of a node there is only what slurm.conf or an update names for it.)
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kezek/node.h"
#include "kezek/site_check.h"

namespace kezek::kezekd {

// "slurm-topology": runs `scontrol show topology`. Not looked at where there is no scontrol.
SiteCheck SlurmTopologyCheck(std::vector<Node> topology, const std::string& topology_file);

// Where the leaf switches of Slurm and the leaves of the topology file part the hosts differently.
// `text` is what scontrol wrote; what it does not tell is not judged.
std::vector<Finding> JudgeSlurmTopology(const std::string& text, const std::vector<Node>& topology,
                                        const std::string& topology_file);

}  // namespace kezek::kezekd

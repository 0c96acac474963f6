// Between the cluster's hosts and Kezek's nodes, of which a host with GPUs of several types has
// several (kezek/node_parts.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kezek/node.h"
#include "kezek/resources.h"

namespace kezek::control {

// By host: its nodes, as configured.
using Shares = std::map<std::string, std::vector<Node>>;

// Hosts of several nodes.
Shares SharesOf(const std::vector<Node>& configured);

// The host as it is reported, as nodes: the configured ones, or without any one for each type. The
// CPUs and the memory are divided as those of the configuration are, or by the number of GPUs, all
// of them; what jobs that are not Kezek's have counts where their GPUs are, else on the first node.
std::vector<Node> AsNodes(const Node& host, const Shares& shares);

// The cluster's names to those of the nodes of this type, and back.
void ToNodes(const std::map<std::string, Node>& nodes, const std::string& gpu_type,
             Placement* granted);
Placement OnHosts(Placement placement);

}  // namespace kezek::control

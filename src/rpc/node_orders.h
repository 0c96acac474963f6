// What the cluster is told when an admin takes nodes out or puts them back, and the commands for
// what it could not be told.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "kezek/cluster_nodes.h"
#include "kezek/node.h"
#include "kezek/result.h"
#include "kezek/v1/cluster.pb.h"

namespace kezek::rpc {

struct NodeOrder {
  std::vector<std::string> hosts;  // as the cluster names them, each once
  bool drain = true;               // false: resume
  std::string reason;              // of a drain
};

// What comes of a change of these nodes. The cluster has a switch for whole hosts alone: parts that
// this leaves out are named in `response`, resumed ones where `now` shows the host as drained.
NodeOrder OrderFor(const std::vector<std::string>& names, bool drain, const std::string& reason,
                   const std::map<std::string, Node>& now, v1::NodesChanged* response);

// Leaves of a resumption what the cluster has drained, as it says itself: what Kezek saw last may
// be older than the drain. False: it does not say; the command is in `response`.
bool KeepDrained(ClusterNodes& nodes, NodeOrder* order, v1::NodesChanged* response);

// "n[1-2] to be drained: fan".
std::string OrderText(const NodeOrder& order);

// The command that does it, for a shell.
std::string CommandFor(const NodeOrder& order);

// False: it can be told nothing, or does not answer; the command is in `response`.
bool CanTell(ClusterNodes* nodes, const NodeOrder& order, v1::NodesChanged* response);

// Tells it, host by host; the hosts that it has taken. What was not taken is in `response` as a
// command, with the cluster's words. Blocks; `stopping` ends it between two hosts.
std::vector<std::string> TellCluster(ClusterNodes& nodes, const NodeOrder& order,
                                     const std::atomic<bool>& stopping, v1::NodesChanged* response);

// The command instead, and why.
void LeaveToAdmin(const NodeOrder& order, const std::string& why, v1::NodesChanged* response);

}  // namespace kezek::rpc

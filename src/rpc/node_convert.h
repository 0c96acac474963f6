// Nodes, the cluster and reasons as the API shows them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/desk.h"
#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/reason.h"
#include "kezek/v1/cluster.pb.h"
#include "kezek/v1/common.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// With its code's wire name and the sentence.
v1::Reason ToWire(const Reason& reason);

v1::Cluster ToWire(const View& view, const std::string& cluster);

// What is on the nodes, as far as one caller may see it. Made once for a listing.
class NodeUse {
 public:
  explicit NodeUse(const Caller& caller);
  v1::Node ToWire(const Node& node, const std::string& cluster) const;

 private:
  std::string DedicatedTo(const Node& node) const;

  struct Use {
    std::vector<std::string> jobs;  // that the caller may see
    std::int32_t job_count = 0;
    std::int64_t cpus = 0;
    std::int64_t memory_mib = 0;
    TimeMs ends_by_ms = 0;
  };
  const View& view_;
  std::map<std::string, Use> by_node_;
  const NodeOwners& owners_;
  std::set<AccountId> visible_;  // of what owns nodes
};

}  // namespace kezek::rpc

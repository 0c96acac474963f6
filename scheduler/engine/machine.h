// What is free: the nodes of each pool in the order of their place, with indexes over free GPUs
// per leaf and block. A value, made anew for each tick from nodes and what attempts hold;
// placements are taken from it as they are decided.
//
// The nodes it was made from must outlive it and its copies. Not thread-safe while Take runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "scheduler/engine/pools.h"

namespace kezek::engine {

// What attempts hold of one node.
struct NodeUse {
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::int32_t attempts = 0;
  std::int32_t exclusive = 0;  // of these attempts, how many have the node for themselves
  bool operator==(const NodeUse&) const = default;
};

// Adds (sign 1) or takes back (sign -1) what one placement of `shape` holds.
void AddUse(const Shape& shape, const Placement& placement, std::int32_t sign,
            std::map<std::string, NodeUse>& used);

// Whether the node takes new jobs: up, and not set aside (a time that has passed no longer counts).
bool InService(const Node& node, TimeMs now);

// What new jobs can have of one node. Of a node out of service nothing is free.
struct FreeNode {
  const Node* node = nullptr;
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  bool in_service = false;
  bool idle = false;  // nobody is on it: an exclusive job may have it
};

// Nodes [begin, end) of a pool. `with_free[k]`: nodes in service that have exactly k GPUs free.
// A leaf or block whose name is empty is "not known": it meets no demand for a domain.
struct Leaf {
  std::string name;
  std::size_t block = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::int64_t free_gpus = 0;
  std::vector<std::int32_t> with_free;
  // Nodes in service with at least `gpus` free.
  std::int32_t AtLeast(std::int32_t gpus) const;
};

// Leaves [begin, end) of a pool.
struct Block {
  std::string name;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::int64_t free_gpus = 0;
};

// The nodes of one pool, ordered by block, leaf and name.
struct Pool {
  std::vector<FreeNode> nodes;
  std::vector<Leaf> leaves;
  std::vector<Block> blocks;
  std::int64_t free_gpus = 0;                   // of nodes in service
  std::int64_t capacity_gpus = 0;               // of nodes in service, less foreign use
  std::map<std::string, std::size_t> index_of;  // by node name
};

class Machine {
 public:
  Machine() = default;
  Machine(const std::map<std::string, Node>& nodes, const std::map<std::string, NodeUse>& used,
          TimeMs now, const NodeOwners& owners = {});
  // All configured nodes, in service and empty: what "never fits" is measured against.
  static Machine Configured(const std::map<std::string, Node>& nodes,
                            const NodeOwners& owners = {});

  // Null: the pool has no node.
  const Pool* FindPool(const PoolKey& key) const;
  const std::map<PoolKey, Pool>& pools() const { return pools_; }

  // The placement must fit in this pool: a bug otherwise.
  void Take(const PoolKey& key, const Shape& shape, const Placement& placement);

 private:
  void AddNode(const PoolKey& key, const Node& node, const FreeNode& free);
  void Finish();

  std::map<PoolKey, Pool> pools_;
};

}  // namespace kezek::engine

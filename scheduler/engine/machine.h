// What is free: the nodes of each pool in the order of their place, with indexes over free GPUs in
// every domain. Kept in step with events, each of which costs the nodes it is about times the
// levels of the topology; a copy costs what some vectors of numbers cost, so that every plan has
// its own and placements are taken from it as they are decided. A machine that was kept in step
// equals one made anew.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "scheduler/engine/layout.h"
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

// What one job of `shape` holds of a node that it has so many GPUs of.
NodeUse UseOf(const Shape& shape, std::int32_t gpus);
// Adds (sign 1) or takes back (sign -1) what one placement of `shape` holds.
void AddUse(const Shape& shape, const Placement& placement, std::int32_t sign,
            std::map<std::string, NodeUse>& used);

// Whether the node takes new jobs: up, and not set aside (a time that has passed no longer counts).
bool InService(const Node& node, TimeMs now);

// What new jobs can have of one node. Of a node out of service nothing is free.
struct FreeNode {
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  bool in_service = false;
  bool idle = false;  // nobody is on it: an exclusive job may have it
  bool operator==(const FreeNode&) const = default;
};

// What a node has less foreign use and what attempts hold, in service or not; below 0 where more is
// held than there is.
struct NodeBalance {
  std::int64_t memory_mib = 0;
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int32_t attempts = 0;
  std::int32_t exclusive = 0;
  bool in_service = false;
  bool shared = false;    // with jobs that are not Kezek's, or with another node of the host
  bool promised = false;  // to others, in part
  bool operator==(const NodeBalance&) const = default;

  FreeNode Free() const {
    if (!in_service || exclusive > 0) return {.in_service = in_service};
    return {.gpus = gpus < 0 ? 0 : gpus,
            .cpus = cpus < 0 ? 0 : cpus,
            .memory_mib = memory_mib < 0 ? 0 : memory_mib,
            .in_service = true,
            .idle = attempts == 0 && !shared && !promised};
  }
};

// Holds so much more of a node (sign 1), or gives it back (sign -1).
void Add(NodeBalance& balance, const NodeUse& use, std::int32_t sign);

// The nodes of one pool. Only a Machine changes it.
struct Pool {
  const PoolLayout* layout = nullptr;
  std::vector<NodeBalance> nodes;  // as layout->spots
  // By zone, layout->slots of them each: nodes in service that have exactly so many GPUs free.
  std::vector<std::int32_t> with_free;
  std::vector<std::int64_t> free_in;  // GPUs, by zone
  std::int64_t free_gpus = 0;         // of nodes in service
  std::int64_t capacity_gpus = 0;     // of nodes in service, less foreign use

  const PoolKey& key() const { return layout->key; }
  FreeNode Free(std::size_t node) const { return nodes[node].Free(); }
  // Nodes in service of the zone with exactly, with at least, so many GPUs free.
  std::int32_t Exactly(std::size_t zone, std::int32_t gpus) const;
  std::int32_t AtLeast(std::size_t zone, std::int32_t gpus) const;
  bool operator==(const Pool& other) const;
};

class Machine {
 public:
  Machine() = default;
  Machine(const std::map<std::string, Node>& nodes, const std::map<std::string, NodeUse>& used,
          TimeMs now, const NodeOwners& owners = {});
  // All configured nodes, in service and empty: what "never fits" is measured against.
  static Machine Configured(const std::map<std::string, Node>& nodes,
                            const NodeOwners& owners = {});
  // The same of these nodes.
  Machine AsConfigured() const;
  // Made anew of the same nodes, laid out as they are.
  Machine Anew(const std::map<std::string, Node>& nodes, const std::map<std::string, NodeUse>& used,
               TimeMs now) const;

  // Null: the pool has no node. Stays as long as the machine, and changes with it.
  const Pool* FindPool(const PoolKey& key) const;
  const std::vector<Pool>& pools() const { return pools_; }  // by key
  // Null: there is no such node.
  const Layout::At* Find(const std::string& node) const;
  // None: there is no such node.
  std::optional<FreeNode> FreeOf(const std::string& node) const;

  // The placement must fit in this pool: a bug otherwise.
  void Take(const PoolKey& key, const Shape& shape, const Placement& placement);
  // What an attempt holds, wherever that is, whether it fits or not. Nodes that are not known are
  // left out.
  void Hold(const Shape& shape, const Placement& placement);
  // The inverse of either: of what was taken, or of an attempt that will have ended.
  void GiveBack(const Shape& shape, const Placement& placement);
  // The same of nodes of one pool.
  struct Taking {
    std::size_t pool = 0;
    const Shape& shape;
  };
  void GiveBack(const Taking& taking, const Seating& seats);
  // From now on the node is as it is in another machine of the same layout.
  void Copy(const Machine& from, const Layout::At& at);
  // From now on no more is free of the node than `room`, whose `idle` says whether an exclusive job
  // may have it: as if somebody had taken the rest. So give back first, limit then.
  void Limit(const Layout::At& at, const FreeNode& room);

  // The node is no longer `before` but `after`: health, foreign use. What its layout is made of
  // is as it was.
  void Change(const Node& before, const Node& after, TimeMs now);

  // Also of machines made from other nodes: whether everything is the same.
  bool operator==(const Machine& other) const { return pools_ == other.pools_; }

 private:
  explicit Machine(std::shared_ptr<const Layout> layout);
  void Fill(const std::map<std::string, Node>& nodes, const std::map<std::string, NodeUse>& used,
            TimeMs now);
  void Add(const Layout::At& at, const Shape& shape, std::int32_t gpus, std::int32_t sign);

  std::shared_ptr<const Layout> layout_;
  std::vector<Pool> pools_;
};

}  // namespace kezek::engine

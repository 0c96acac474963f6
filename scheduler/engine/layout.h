// What stays of the machine while jobs come and go: the nodes of each pool in the order of their
// place, and the domains of the topology over them. Made anew when nodes, their places, sizes,
// labels or owners change; until then all copies of a Machine share one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "scheduler/engine/pools.h"

namespace kezek::engine {

inline constexpr std::size_t kNoZone = std::numeric_limits<std::size_t>::max();

// A node of a pool, as configured.
struct Spot {
  std::string name;
  std::vector<std::string> labels;
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::vector<std::string> cleared;  // classifications of data that may be on it
  bool shares_host = false;          // nobody can have the host for himself
  std::size_t leaf = 0;              // its zone of the lowest level
  std::size_t rank = 0;              // among the names of the pool's nodes
  bool operator==(const Spot&) const = default;
};

// What a placement has of a node, by the node's place in the layout of its pool.
struct Seat {
  std::uint32_t spot = 0;
  std::int32_t gpus = 0;
};
using Seating = std::vector<Seat>;

// A domain of the topology: nodes [begin, end) of a pool, and [first, last) of its zones, which are
// those of the level below; a leaf has none. One whose name is empty is "not known": it meets no
// demand for a domain.
struct Zone {
  std::string name;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t parent = kNoZone;
  bool operator==(const Zone&) const = default;
};

struct PoolLayout {
  PoolKey key;
  std::vector<Spot> spots;  // by place, then by name
  std::vector<Zone> zones;  // level by level, the leaves first; the last is the whole pool
  // Zones [first, second) of each level: leaves, blocks…, the whole pool.
  std::vector<std::pair<std::size_t, std::size_t>> levels;
  std::vector<std::size_t> by_name;  // spots
  std::size_t slots = 1;             // numbers of GPUs that a node may have free: 0 … slots - 1
  bool operator==(const PoolLayout&) const = default;

  std::size_t all() const { return zones.size() - 1; }  // the zone of all nodes
  // The zone of this level that the node is in.
  std::size_t ZoneOf(std::size_t spot, std::size_t level) const;
  // None: it is not of this pool.
  std::optional<std::size_t> Find(const std::string& node) const;
};

class Layout {
 public:
  Layout(const std::map<std::string, Node>& nodes, const NodeOwners& owners);
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  const std::vector<PoolLayout>& pools() const { return pools_; }  // by key
  struct At {
    std::size_t pool = 0;
    std::size_t spot = 0;
  };
  // Null: there is no such node.
  const At* Find(const std::string& node) const;

 private:
  std::vector<PoolLayout> pools_;
  std::vector<std::pair<std::string, At>> by_name_;
};

}  // namespace kezek::engine

// One placement on its way: the rule of placement.h on the indexes of a pool.
//
// Zones are asked in the order of a bound that the indexes give: by free GPUs alone, which nodes
// may lack CPUs, memory or labels for. A zone's nodes are looked at when it comes to be the best,
// or its leaves are, once each; so what is placed costs the zones of the level, and the nodes of
// the leaves that are used or that were taken for better than they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/engine/machine.h"
#include "scheduler/engine/placement.h"

namespace kezek::engine {

class Search {
 public:
  // On nodes [begin, end) of the pool.
  Search(const Pool& pool, const Request& request, std::size_t begin, std::size_t end);
  std::optional<Placement> Run();
  bool Fits();  // whether Run would find one; cheaper

 private:
  // Smaller is better: leaves spanned, GPUs left over, free GPUs of the zone, the zone.
  using Score = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::size_t>;
  using Parts = std::vector<std::pair<std::size_t, std::int64_t>>;  // nodes of leaves

  bool Resolve();
  bool Meets(std::size_t zone, std::size_t level) const;
  bool CouldHold(std::size_t zone) const;
  std::pair<std::size_t, std::size_t> ZonesOf(std::size_t level) const;
  std::pair<std::size_t, std::size_t> LeavesOf(std::size_t zone) const;
  bool IsCandidate(std::size_t node) const;
  std::int64_t Spare(std::size_t node) const;
  std::int64_t RoomOf(std::size_t leaf);
  std::int64_t NodesIn(std::size_t zone);
  bool Holds(std::size_t zone, std::int64_t count);
  Score Bound(std::size_t zone, std::int64_t count) const;
  std::int64_t LeavesNeeded(std::size_t zone, std::int64_t count) const;
  Score Weigh(std::size_t zone, std::int64_t count, Parts* parts);
  Score WeighParts(std::size_t zone, std::int64_t count, Parts* parts);
  std::optional<std::size_t> BestOf(const std::vector<std::size_t>& zones, std::int64_t count);
  std::optional<Parts> PartsOf(std::size_t level);
  void Choose(std::size_t leaf, std::int64_t count, std::vector<std::size_t>& chosen) const;
  Placement Grant(const Parts& parts) const;

  const Pool& pool_;
  const PoolLayout& layout_;
  const JobSpec& spec_;
  std::size_t begin_;
  std::size_t end_;
  std::optional<std::size_t> demanded_;  // level that all nodes must be within one zone of
  std::int64_t wanted_;
  std::int64_t rest_;               // of these, not named by the job
  std::vector<std::size_t> named_;  // that it must have
  std::vector<char> listed_;        // by node: may be one of the rest; empty: all
  bool suits_ = false;              // labels or clearance are asked for
  // Of a leaf's nodes, those that can have a member of the gang and that the job does not name; -1:
  // not counted yet. By leaf, and by GPUs that would be left over.
  std::vector<std::int32_t> rooms_;
  std::vector<std::int32_t> with_spare_;
};

}  // namespace kezek::engine

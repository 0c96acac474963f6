#include "scheduler/engine/placement.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/engine/node_fit.h"

namespace kezek::engine {
namespace {

// Nodes of one leaf that could take a member of the gang, the best first; `forced` are those that
// the job names and must have.
struct LeafRoom {
  std::size_t leaf = 0;
  std::vector<std::size_t> nodes;
  std::vector<std::size_t> forced;
  std::size_t size() const { return nodes.size() + forced.size(); }
};

// One placement on its way.
class Search {
 public:
  Search(const Pool& pool, const Request& request, std::size_t begin, std::size_t end)
      : pool_(pool),
        begin_(begin),
        end_(end),
        spec_(*request.spec),
        within_(request.within),
        wanted_(static_cast<std::size_t>(std::max(0, request.spec->shape.nodes))) {}

  std::optional<Placement> Run();
  bool Fits();  // whether Run would find one; cheaper

 private:
  using Chosen = std::vector<std::size_t>;
  // Smaller is better: leaves spanned, GPUs left over on the chosen nodes, free GPUs of the domain.
  using Score = std::tuple<std::size_t, std::int64_t, std::int64_t>;

  void Gather();
  bool Enough(const LeafRoom& last) const;
  LeafRoom RoomIn(std::size_t leaf) const;
  Chosen FromLeaf(const LeafRoom& room, std::size_t count) const;
  std::optional<Chosen> BestLeaf() const;
  std::optional<Chosen> BestBlock() const;
  Chosen FromMachine() const;
  std::size_t Fill(std::vector<const LeafRoom*> rooms, std::size_t count, Chosen& chosen) const;
  std::int64_t LeftOver(const Chosen& chosen) const;
  Placement Grant(const Chosen& chosen) const;
  std::vector<const LeafRoom*> RoomsOf(std::size_t block) const;

  const Pool& pool_;
  std::size_t begin_;  // no other nodes
  std::size_t end_;
  const JobSpec& spec_;
  Domain within_;
  std::size_t wanted_;
  std::vector<LeafRoom> rooms_;
  std::size_t room_ = 0;    // nodes in rooms_
  std::size_t forced_ = 0;  // of these, named by the job
  bool counting_ = false;   // the order of nodes does not matter
};

std::optional<Placement> Search::Run() {
  if (wanted_ == 0) return std::nullopt;
  Gather();
  if (room_ < wanted_) return std::nullopt;
  if (NamesSome(spec_) && forced_ < spec_.nodes.size()) return std::nullopt;
  if (const auto leaf = BestLeaf()) return Grant(*leaf);
  if (within_ == Domain::kLeaf) return std::nullopt;
  if (const auto block = BestBlock()) return Grant(*block);
  if (within_ == Domain::kBlock) return std::nullopt;
  return Grant(FromMachine());
}

bool Search::Fits() {
  counting_ = true;
  if (wanted_ == 0) return false;
  Gather();
  if (room_ < wanted_) return false;
  if (NamesSome(spec_) && forced_ < spec_.nodes.size()) return false;
  if (within_ == Domain::kAny || wanted_ == 1) return true;
  std::map<std::size_t, std::pair<std::size_t, std::size_t>> rooms;  // by block: nodes, forced
  for (const LeafRoom& room : rooms_) {
    const Zone& leaf = pool_.layout->zones[room.leaf];
    if (within_ == Domain::kLeaf) rooms.clear();
    auto& [nodes, forced] = rooms[leaf.parent];
    nodes += room.size();
    forced += room.forced.size();
    const bool named = within_ == Domain::kLeaf ? !leaf.name.empty()
                                                : !pool_.layout->zones[leaf.parent].name.empty();
    if (named && nodes >= wanted_ && forced == forced_) return true;
  }
  return false;
}

void Search::Gather() {
  const std::vector<Zone>& zones = pool_.layout->zones;
  const std::int64_t bound = pool_.AtLeast(zones.size() - 1, spec_.shape.gpus_per_node);
  if (bound < static_cast<std::int64_t>(wanted_)) return;
  for (std::size_t i = pool_.layout->spots[begin_].leaf; i < pool_.layout->levels[0].second; ++i) {
    if (zones[i].begin >= end_) break;
    if (pool_.AtLeast(i, spec_.shape.gpus_per_node) == 0) continue;
    LeafRoom room = RoomIn(i);
    if (room.size() == 0) continue;
    room_ += room.size();
    forced_ += room.forced.size();
    rooms_.push_back(std::move(room));
    if (counting_ && Enough(rooms_.back())) return;
  }
}

// Whether Fits has seen enough with this leaf.
bool Search::Enough(const LeafRoom& last) const {
  if (NamesSome(spec_)) return false;
  if (within_ == Domain::kAny || wanted_ == 1) return room_ >= wanted_;
  const Zone& leaf = pool_.layout->zones[last.leaf];
  return last.size() >= wanted_ && !leaf.name.empty() &&
         !pool_.layout->zones[leaf.parent].name.empty();
}

LeafRoom Search::RoomIn(std::size_t leaf) const {
  LeafRoom room;
  room.leaf = leaf;
  const bool restricted = !Restricting(spec_).empty();
  const bool names_some = NamesSome(spec_);
  const Zone& zone = pool_.layout->zones[leaf];
  for (std::size_t i = std::max(begin_, zone.begin); i < std::min(end_, zone.end); ++i) {
    const Spot& spot = pool_.layout->spots[i];
    if (!HasRoom(pool_.Free(i), spec_.shape)) continue;
    if (restricted && !Allowed(spot, spec_)) continue;
    const bool forced = names_some && IsNamed(spot, spec_);
    (forced ? room.forced : room.nodes).push_back(i);
  }
  if (counting_ || room.nodes.size() < 2) return room;
  const auto fuller = [this](std::size_t a, std::size_t b) {
    const FreeNode x = pool_.Free(a);
    const FreeNode y = pool_.Free(b);
    return std::tie(x.gpus, x.cpus, x.memory_mib) < std::tie(y.gpus, y.cpus, y.memory_mib);
  };
  if (wanted_ == 1) {  // only the best matters
    room.nodes = {*std::min_element(room.nodes.begin(), room.nodes.end(), fuller)};
  } else {
    std::stable_sort(room.nodes.begin(), room.nodes.end(), fuller);
  }
  return room;
}

Search::Chosen Search::FromLeaf(const LeafRoom& room, std::size_t count) const {
  Chosen chosen = room.forced;
  for (std::size_t i = 0; chosen.size() < count; ++i) chosen.push_back(room.nodes[i]);
  return chosen;
}

std::int64_t Search::LeftOver(const Chosen& chosen) const {
  std::int64_t left = 0;
  for (const std::size_t i : chosen) {
    left += spec_.shape.exclusive ? 0 : pool_.Free(i).gpus - spec_.shape.gpus_per_node;
  }
  return left;
}

std::optional<Search::Chosen> Search::BestLeaf() const {
  std::optional<std::pair<Score, Chosen>> best;
  for (const LeafRoom& room : rooms_) {
    if (room.size() < wanted_ || room.forced.size() != forced_) continue;
    if (within_ != Domain::kAny && wanted_ > 1 && pool_.layout->zones[room.leaf].name.empty())
      continue;
    Chosen chosen = FromLeaf(room, wanted_);
    const Score score{1, LeftOver(chosen), pool_.free_in[room.leaf]};
    if (!best || score < best->first) best.emplace(score, std::move(chosen));
  }
  if (!best) return std::nullopt;
  return std::move(best->second);
}

std::vector<const LeafRoom*> Search::RoomsOf(std::size_t block) const {
  std::vector<const LeafRoom*> rooms;
  for (const LeafRoom& room : rooms_) {
    if (pool_.layout->zones[room.leaf].parent == block) rooms.push_back(&room);
  }
  return rooms;
}

// Takes `count` nodes of these leaves, which hold as many: while no leaf holds the rest, all of
// the roomiest one; the rest from the leaf that leaves least over. Gives back the leaves spanned.
std::size_t Search::Fill(std::vector<const LeafRoom*> rooms, std::size_t count,
                         Chosen& chosen) const {
  std::size_t spanned = 0;
  for (; count > 0; ++spanned) {
    std::size_t roomiest = 0;
    std::optional<std::pair<Score, std::size_t>> last;
    for (std::size_t i = 0; i < rooms.size(); ++i) {
      if (rooms[i]->nodes.size() > rooms[roomiest]->nodes.size()) roomiest = i;
      if (rooms[i]->nodes.size() < count) continue;
      const Chosen rest(rooms[i]->nodes.begin(),
                        rooms[i]->nodes.begin() + static_cast<std::ptrdiff_t>(count));
      const Score score{1, LeftOver(rest), pool_.free_in[rooms[i]->leaf]};
      if (!last || score < last->first) last.emplace(score, i);
    }
    const std::size_t taken = last ? last->second : roomiest;
    const std::vector<std::size_t>& nodes = rooms[taken]->nodes;
    const std::size_t part = std::min(count, nodes.size());
    chosen.insert(chosen.end(), nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(part));
    count -= part;
    rooms.erase(rooms.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  return spanned;
}

std::optional<Search::Chosen> Search::BestBlock() const {
  std::optional<std::pair<Score, Chosen>> best;
  const auto [first, last] = pool_.layout->levels[1];
  for (std::size_t b = first; b < last; ++b) {
    if (within_ != Domain::kAny && wanted_ > 1 && pool_.layout->zones[b].name.empty()) continue;
    const std::vector<const LeafRoom*> rooms = RoomsOf(b);
    std::size_t size = 0;
    Chosen chosen;
    for (const LeafRoom* room : rooms) {
      size += room->size();
      chosen.insert(chosen.end(), room->forced.begin(), room->forced.end());
    }
    if (size < wanted_ || chosen.size() != forced_) continue;
    const std::size_t spanned = Fill(rooms, wanted_ - chosen.size(), chosen);
    const Score score{spanned, LeftOver(chosen), pool_.free_in[b]};
    if (!best || score < best->first) best.emplace(score, std::move(chosen));
  }
  if (!best) return std::nullopt;
  return std::move(best->second);
}

// No block holds it: all of the roomiest block, until one holds the rest.
Search::Chosen Search::FromMachine() const {
  Chosen chosen;
  struct BlockRoom {
    std::vector<const LeafRoom*> rooms;
    std::size_t nodes = 0;
    std::int64_t free_gpus = 0;
  };
  std::vector<BlockRoom> blocks;
  const auto [first, last] = pool_.layout->levels[1];
  for (std::size_t b = first; b < last; ++b) {
    BlockRoom block{RoomsOf(b), 0, pool_.free_in[b]};
    for (const LeafRoom* room : block.rooms) {
      block.nodes += room->nodes.size();
      chosen.insert(chosen.end(), room->forced.begin(), room->forced.end());
    }
    if (block.nodes > 0) blocks.push_back(std::move(block));
  }
  while (chosen.size() < wanted_) {
    const std::size_t rest = wanted_ - chosen.size();
    std::size_t taken = 0;
    for (std::size_t i = 1; i < blocks.size(); ++i) {
      const bool holds = blocks[i].nodes >= rest;
      const bool best_holds = blocks[taken].nodes >= rest;
      const bool better = holds && best_holds ? blocks[i].free_gpus < blocks[taken].free_gpus
                                              : blocks[i].nodes > blocks[taken].nodes;
      if (better) taken = i;
    }
    Fill(blocks[taken].rooms, std::min(rest, blocks[taken].nodes), chosen);
    blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  return chosen;
}

Placement Search::Grant(const Chosen& chosen) const {
  Placement placement;
  for (const std::size_t i : chosen) {
    const std::int32_t gpus =
        spec_.shape.exclusive ? pool_.Free(i).gpus : spec_.shape.gpus_per_node;
    placement.push_back({pool_.layout->spots[i].name, gpus, {}});
  }
  std::sort(placement.begin(), placement.end(),
            [](const NodeGrant& a, const NodeGrant& b) { return a.node < b.node; });
  return placement;
}

auto KeyOf(const Request& request) {
  const JobSpec& spec = *request.spec;
  const Shape& shape = spec.shape;
  return std::tie(shape.gpu_type, shape.nodes, shape.gpus_per_node, shape.cpus_per_node,
                  shape.memory_mib_per_node, shape.exclusive, request.within, request.preference,
                  spec.constraints, spec.nodes, spec.exclude_nodes);
}

}  // namespace

std::strong_ordering Request::operator<=>(const Request& other) const {
  return KeyOf(*this) <=> KeyOf(other);
}

Request RequestOf(const JobSpec& spec, TimeMs queued_since_ms, TimeMs now,
                  DurationMs topology_wait_ms) {
  if (spec.within == Domain::kLeaf) return {&spec, Domain::kLeaf, false};
  if (spec.prefer != Domain::kAny && spec.prefer != spec.within &&
      now - queued_since_ms < topology_wait_ms) {
    return {&spec, spec.prefer, true};
  }
  return {&spec, spec.within, false};
}

std::optional<Placement> Place(const Pool& pool, const Request& request) {
  return PlaceAmong(pool, request, 0, pool.nodes.size());
}

std::optional<Placement> PlaceAmong(const Pool& pool, const Request& request, std::size_t begin,
                                    std::size_t end) {
  return Search(pool, request, begin, end).Run();
}

bool Fits(const Pool& pool, const Request& request) {
  return Search(pool, request, 0, pool.nodes.size()).Fits();
}

}  // namespace kezek::engine

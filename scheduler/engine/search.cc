#include "scheduler/engine/search.h"

#include <algorithm>
#include <functional>
#include <string>

#include "scheduler/engine/node_fit.h"

namespace kezek::engine {
namespace {

std::optional<std::size_t> LevelOf(Domain within) {
  if (within == Domain::kAny) return std::nullopt;
  return within == Domain::kLeaf ? 0U : 1U;
}

}  // namespace

Search::Search(const Pool& pool, const Request& request, std::size_t begin, std::size_t end)
    : pool_(pool),
      layout_(*pool.layout),
      spec_(*request.spec),
      begin_(begin),
      end_(end),
      demanded_(LevelOf(request.within)),
      wanted_(request.spec->shape.nodes),
      rest_(wanted_),
      suits_(!spec_.constraints.empty() || !spec_.classification.empty()) {}

// What the lists of nodes say; false: a node that the job must have has no room.
bool Search::Resolve() {
  if (wanted_ <= 0 || begin_ >= end_) return false;
  if (pool_.AtLeast(layout_.all(), spec_.shape.gpus_per_node) < wanted_) return false;
  const std::size_t leaves = layout_.levels[0].second;
  rooms_.assign(leaves, -1);
  with_spare_.assign(leaves * layout_.slots, 0);
  if (spec_.nodes.empty() && spec_.exclude_nodes.empty()) return true;
  const bool some = NamesSome(spec_);
  listed_.assign(pool_.nodes.size(), spec_.nodes.empty() || some ? 1 : 0);
  for (const std::string& name : spec_.nodes) {
    const auto node = layout_.Find(name);
    if (node) listed_[*node] = 1;
    if (!some) continue;
    if (!node || *node < begin_ || *node >= end_) return false;
    named_.push_back(*node);
  }
  for (const std::string& name : spec_.exclude_nodes) {
    if (const auto node = layout_.Find(name)) listed_[*node] = 0;
  }
  std::sort(named_.begin(), named_.end());
  named_.erase(std::unique(named_.begin(), named_.end()), named_.end());
  for (const std::size_t node : named_) {
    if (!IsCandidate(node)) return false;
    listed_[node] = 0;
  }
  rest_ = wanted_ - static_cast<std::int64_t>(named_.size());
  return true;
}

// A single node is in one domain of every level, whichever it is.
bool Search::Meets(std::size_t zone, std::size_t level) const {
  if (!demanded_ || wanted_ == 1) return true;
  for (; level < *demanded_; ++level) zone = layout_.zones[zone].parent;
  return !layout_.zones[zone].name.empty();
}

// By free GPUs, and the nodes that the job must have.
bool Search::CouldHold(std::size_t zone) const {
  if (pool_.AtLeast(zone, spec_.shape.gpus_per_node) < wanted_) return false;
  return named_.empty() ||
         (layout_.zones[zone].begin <= named_.front() && named_.back() < layout_.zones[zone].end);
}

std::pair<std::size_t, std::size_t> Search::ZonesOf(std::size_t level) const {
  return {layout_.ZoneOf(begin_, level), layout_.ZoneOf(end_ - 1, level) + 1};
}

std::pair<std::size_t, std::size_t> Search::LeavesOf(std::size_t zone) const {
  const Zone& of = layout_.zones[zone];
  return {layout_.spots[std::max(begin_, of.begin)].leaf,
          layout_.spots[std::min(end_, of.end) - 1].leaf + 1};
}

bool Search::IsCandidate(std::size_t node) const {
  return HasRoom(pool_.Free(node), spec_.shape) && (listed_.empty() || listed_[node] != 0) &&
         (!suits_ || Suits(layout_.spots[node], spec_));
}

std::int64_t Search::Spare(std::size_t node) const {
  return spec_.shape.exclusive ? 0 : pool_.Free(node).gpus - spec_.shape.gpus_per_node;
}

std::int64_t Search::RoomOf(std::size_t leaf) {
  std::int32_t& room = rooms_[leaf];
  if (room >= 0) return room;
  room = 0;
  if (pool_.AtLeast(leaf, spec_.shape.gpus_per_node) == 0) return room;
  std::int32_t* const with_spare = &with_spare_[leaf * layout_.slots];
  const Zone& zone = layout_.zones[leaf];
  for (std::size_t i = std::max(begin_, zone.begin); i < std::min(end_, zone.end); ++i) {
    if (!IsCandidate(i)) continue;
    ++room;
    ++with_spare[Spare(i)];
  }
  return room;
}

std::int64_t Search::NodesIn(std::size_t zone) {
  const auto [first, last] = LeavesOf(zone);
  std::int64_t nodes = 0;
  for (std::size_t leaf = first; leaf < last; ++leaf) nodes += RoomOf(leaf);
  return nodes;
}

bool Search::Holds(std::size_t zone, std::int64_t count) {
  const auto [first, last] = LeavesOf(zone);
  std::int64_t nodes = 0;
  for (std::size_t leaf = first; leaf < last && nodes < count; ++leaf) nodes += RoomOf(leaf);
  return nodes >= count;
}

// The fewest leaves of the zone that could hold as many.
std::int64_t Search::LeavesNeeded(std::size_t zone, std::int64_t count) const {
  const auto [first, last] = LeavesOf(zone);
  std::vector<std::int64_t> rooms;
  for (std::size_t leaf = first; leaf < last; ++leaf) {
    rooms.push_back(pool_.AtLeast(leaf, spec_.shape.gpus_per_node));
  }
  std::sort(rooms.begin(), rooms.end(), std::greater<>());
  std::int64_t needed = 0;
  std::int64_t nodes = 0;
  for (const std::int64_t room : rooms) {
    if (nodes >= count) break;
    nodes += room;
    ++needed;
  }
  return needed;
}

// At most the score that Weigh will give.
Search::Score Search::Bound(std::size_t zone, std::int64_t count) const {
  const std::int32_t asked = spec_.shape.gpus_per_node;
  const bool leaf = layout_.zones[zone].first == layout_.zones[zone].last;
  const std::int64_t leaves = leaf ? 1 : LeavesNeeded(zone, count);
  std::int64_t left_over = 0;
  const auto slots = static_cast<std::int32_t>(layout_.slots);
  for (std::int32_t free = asked; free < slots && count > 0 && !spec_.shape.exclusive; ++free) {
    const std::int64_t taken = std::min<std::int64_t>(count, pool_.Exactly(zone, free));
    left_over += taken * (free - asked);
    count -= taken;
  }
  return {leaves, left_over, pool_.free_in[zone], zone};
}

// The best of these zones that hold as many; those that cannot by their free GPUs are not among
// them.
std::optional<std::size_t> Search::BestOf(const std::vector<std::size_t>& zones,
                                          std::int64_t count) {
  if (zones.size() == 1 && Holds(zones[0], count)) return zones[0];
  if (zones.size() < 2) return std::nullopt;
  std::vector<Score> bounds;  // a heap, the best at its front
  for (const std::size_t zone : zones) bounds.push_back(Bound(zone, count));
  std::make_heap(bounds.begin(), bounds.end(), std::greater<>());
  std::optional<Score> best;
  for (; !bounds.empty() && (!best || bounds.front() < *best); bounds.pop_back()) {
    const std::size_t zone = std::get<3>(bounds.front());
    if (Holds(zone, count)) {
      const Score score = Weigh(zone, count, nullptr);
      if (!best || score < *best) best = score;
    }
    std::pop_heap(bounds.begin(), bounds.end(), std::greater<>());
  }
  if (!best) return std::nullopt;
  return std::get<3>(*best);
}

// How well `count` nodes come out of a zone that holds them, and which of its leaves they are of.
Search::Score Search::Weigh(std::size_t zone, std::int64_t count, Parts* parts) {
  if (layout_.zones[zone].first != layout_.zones[zone].last) return WeighParts(zone, count, parts);
  if (parts != nullptr) parts->push_back({zone, count});
  RoomOf(zone);
  const std::int32_t* const with_spare = &with_spare_[zone * layout_.slots];
  std::int64_t left_over = 0;
  for (std::int64_t spare = 0; count > 0; ++spare) {
    const std::int64_t taken = std::min<std::int64_t>(count, with_spare[spare]);
    left_over += taken * spare;
    count -= taken;
  }
  return {1, left_over, pool_.free_in[zone], zone};
}

// All of the roomiest part of the zone, while none holds the rest; the rest from the best that
// does.
Search::Score Search::WeighParts(std::size_t zone, std::int64_t count, Parts* parts) {
  const Zone& of = layout_.zones[zone];
  // Less the nodes of a part, first by its free GPUs alone; the roomiest, if it was counted, at the
  // front.
  struct Room {
    std::int64_t less = 0;
    std::size_t part = 0;
    bool counted = false;
    bool operator<(const Room& other) const {
      return std::tie(less, part) < std::tie(other.less, other.part);
    }
  };
  std::vector<Room> rooms;
  for (std::size_t part = of.first; part < of.last; ++part) {
    if (layout_.zones[part].end <= begin_ || layout_.zones[part].begin >= end_) continue;
    const std::int64_t most = pool_.AtLeast(part, spec_.shape.gpus_per_node);
    if (most > 0) rooms.push_back({-most, part, false});
  }
  std::sort(rooms.begin(), rooms.end());
  std::int64_t leaves = 0;
  std::int64_t left_over = 0;
  const auto add = [&](std::size_t part, std::int64_t nodes) {
    const Score score = Weigh(part, nodes, parts);
    leaves += std::get<0>(score);
    left_over += std::get<1>(score);
    count -= nodes;
  };
  for (auto front = rooms.begin(); count > 0;) {
    if (!front->counted) {
      const Room room{-NodesIn(front->part), front->part, true};
      const auto place = std::lower_bound(front + 1, rooms.end(), room);
      *std::move(front + 1, place, front) = room;
    } else if (-front->less < count) {
      add(front->part, -front->less);
      ++front;
    } else {
      std::vector<std::size_t> hold;
      for (auto it = front; it != rooms.end() && -it->less >= count; ++it) hold.push_back(it->part);
      add(*BestOf(hold, count), count);
    }
  }
  return {leaves, left_over, pool_.free_in[zone], zone};
}

// Of the best zone of the level that holds the gang.
std::optional<Search::Parts> Search::PartsOf(std::size_t level) {
  const auto [first, last] = ZonesOf(level);
  std::vector<std::size_t> zones;
  for (std::size_t zone = first; zone < last; ++zone) {
    if (CouldHold(zone) && Meets(zone, level)) zones.push_back(zone);
  }
  const auto best = BestOf(zones, rest_);
  if (!best) return std::nullopt;
  Parts parts;
  Weigh(*best, rest_, &parts);
  return parts;
}

std::optional<Placement> Search::Run() {
  if (!Resolve()) return std::nullopt;
  const std::size_t last = demanded_.value_or(layout_.levels.size() - 1);
  for (std::size_t level = 0; level <= last; ++level) {
    if (const auto parts = PartsOf(level)) return Grant(*parts);
  }
  return std::nullopt;
}

bool Search::Fits() {
  if (!Resolve()) return false;
  const std::size_t level = demanded_ && wanted_ > 1 ? *demanded_ : layout_.levels.size() - 1;
  const auto [first, last] = ZonesOf(level);
  for (std::size_t zone = first; zone < last; ++zone) {
    if (CouldHold(zone) && Meets(zone, level) && Holds(zone, rest_)) return true;
  }
  return false;
}

// The fullest of the leaf's candidates.
void Search::Choose(std::size_t leaf, std::int64_t count, std::vector<std::size_t>& chosen) const {
  const Zone& zone = layout_.zones[leaf];
  const std::int32_t* const with_spare = &with_spare_[leaf * layout_.slots];
  std::int64_t most = 0;  // spare GPUs of the last one
  for (std::int64_t up_to = with_spare[0]; up_to < count; up_to += with_spare[++most]) {
  }
  std::vector<std::tuple<std::int32_t, std::int32_t, std::int64_t, std::size_t>> nodes;
  for (std::size_t i = std::max(begin_, zone.begin); i < std::min(end_, zone.end); ++i) {
    if (!IsCandidate(i) || Spare(i) > most) continue;
    const FreeNode free = pool_.Free(i);
    nodes.push_back({free.gpus, free.cpus, free.memory_mib, i});
  }
  if (count < std::ssize(nodes)) {
    std::nth_element(nodes.begin(), nodes.begin() + count, nodes.end());
  }
  for (std::int64_t i = 0; i < count; ++i) {
    chosen.push_back(std::get<3>(nodes[static_cast<std::size_t>(i)]));
  }
}

Placement Search::Grant(const Parts& parts) const {
  std::vector<std::size_t> chosen = named_;
  for (const auto& [leaf, count] : parts) Choose(leaf, count, chosen);
  std::sort(chosen.begin(), chosen.end(), [this](std::size_t a, std::size_t b) {
    return layout_.spots[a].rank < layout_.spots[b].rank;
  });
  Placement placement;
  placement.reserve(chosen.size());
  for (const std::size_t i : chosen) {
    const std::int32_t gpus =
        spec_.shape.exclusive ? pool_.Free(i).gpus : spec_.shape.gpus_per_node;
    placement.push_back({layout_.spots[i].name, gpus, {}});
  }
  return placement;
}

}  // namespace kezek::engine

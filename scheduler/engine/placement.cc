#include "scheduler/engine/placement.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace kezek::engine {
namespace {

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The field of the spec that bars nodes by name or label; empty: none does.
std::string_view Restricting(const JobSpec& spec) {
  if (!spec.constraints.empty()) return "constraints";
  if (!spec.nodes.empty()) return "nodelist";
  return spec.exclude_nodes.empty() ? "" : "exclude_nodes";
}

// With fewer names than nodes the gang must have all of them, and others.
bool NamesSome(const JobSpec& spec) {
  return !spec.nodes.empty() && spec.nodes.size() < static_cast<std::size_t>(spec.shape.nodes);
}

bool Allowed(const Node& node, const JobSpec& spec) {
  for (const std::string& label : spec.constraints) {
    if (!Contains(node.labels, label)) return false;
  }
  if (Contains(spec.exclude_nodes, node.name)) return false;
  return spec.nodes.empty() || NamesSome(spec) || Contains(spec.nodes, node.name);
}

bool HasRoom(const FreeNode& free, const Shape& shape) {
  return free.in_service && free.gpus >= shape.gpus_per_node && free.cpus >= shape.cpus_per_node &&
         free.memory_mib >= shape.memory_mib_per_node && (!shape.exclusive || free.idle);
}

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
  Search(const Pool& pool, const Request& request)
      : pool_(pool),
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
    const Leaf& leaf = pool_.leaves[room.leaf];
    if (within_ == Domain::kLeaf) rooms.clear();
    auto& [nodes, forced] = rooms[leaf.block];
    nodes += room.size();
    forced += room.forced.size();
    const bool named =
        within_ == Domain::kLeaf ? !leaf.name.empty() : !pool_.blocks[leaf.block].name.empty();
    if (named && nodes >= wanted_ && forced == forced_) return true;
  }
  return false;
}

void Search::Gather() {
  std::int64_t bound = 0;  // by GPUs alone, from the index
  for (const Leaf& leaf : pool_.leaves) bound += leaf.AtLeast(spec_.shape.gpus_per_node);
  if (bound < static_cast<std::int64_t>(wanted_)) return;
  for (std::size_t i = 0; i < pool_.leaves.size(); ++i) {
    if (pool_.leaves[i].AtLeast(spec_.shape.gpus_per_node) == 0) continue;
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
  return last.size() >= wanted_ && !pool_.leaves[last.leaf].name.empty() &&
         !pool_.blocks[pool_.leaves[last.leaf].block].name.empty();
}

LeafRoom Search::RoomIn(std::size_t leaf) const {
  LeafRoom room;
  room.leaf = leaf;
  const bool restricted = !Restricting(spec_).empty();
  const bool names_some = NamesSome(spec_);
  for (std::size_t i = pool_.leaves[leaf].begin; i < pool_.leaves[leaf].end; ++i) {
    const FreeNode& free = pool_.nodes[i];
    if (!HasRoom(free, spec_.shape)) continue;
    if (restricted && !Allowed(*free.node, spec_)) continue;
    const bool forced = names_some && Contains(spec_.nodes, free.node->name);
    (forced ? room.forced : room.nodes).push_back(i);
  }
  if (counting_ || room.nodes.size() < 2) return room;
  const auto fuller = [this](std::size_t a, std::size_t b) {
    const FreeNode& x = pool_.nodes[a];
    const FreeNode& y = pool_.nodes[b];
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
    left += spec_.shape.exclusive ? 0 : pool_.nodes[i].gpus - spec_.shape.gpus_per_node;
  }
  return left;
}

std::optional<Search::Chosen> Search::BestLeaf() const {
  std::optional<std::pair<Score, Chosen>> best;
  for (const LeafRoom& room : rooms_) {
    const Leaf& leaf = pool_.leaves[room.leaf];
    if (room.size() < wanted_ || room.forced.size() != forced_) continue;
    if (within_ != Domain::kAny && wanted_ > 1 && leaf.name.empty()) continue;
    Chosen chosen = FromLeaf(room, wanted_);
    const Score score{1, LeftOver(chosen), leaf.free_gpus};
    if (!best || score < best->first) best.emplace(score, std::move(chosen));
  }
  if (!best) return std::nullopt;
  return std::move(best->second);
}

std::vector<const LeafRoom*> Search::RoomsOf(std::size_t block) const {
  std::vector<const LeafRoom*> rooms;
  for (const LeafRoom& room : rooms_) {
    if (pool_.leaves[room.leaf].block == block) rooms.push_back(&room);
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
      const Score score{1, LeftOver(rest), pool_.leaves[rooms[i]->leaf].free_gpus};
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
  for (std::size_t b = 0; b < pool_.blocks.size(); ++b) {
    if (within_ != Domain::kAny && wanted_ > 1 && pool_.blocks[b].name.empty()) continue;
    const std::vector<const LeafRoom*> rooms = RoomsOf(b);
    std::size_t size = 0;
    Chosen chosen;
    for (const LeafRoom* room : rooms) {
      size += room->size();
      chosen.insert(chosen.end(), room->forced.begin(), room->forced.end());
    }
    if (size < wanted_ || chosen.size() != forced_) continue;
    const std::size_t spanned = Fill(rooms, wanted_ - chosen.size(), chosen);
    const Score score{spanned, LeftOver(chosen), pool_.blocks[b].free_gpus};
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
  for (std::size_t b = 0; b < pool_.blocks.size(); ++b) {
    BlockRoom block{RoomsOf(b), 0, pool_.blocks[b].free_gpus};
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
    const FreeNode& free = pool_.nodes[i];
    const std::int32_t gpus = spec_.shape.exclusive ? free.gpus : spec_.shape.gpus_per_node;
    placement.push_back({free.node->name, gpus, {}});
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

const char* DomainName(Domain domain) { return domain == Domain::kLeaf ? "leaf" : "block"; }

Reason Never(const std::string& field, std::int64_t asked, std::int64_t largest) {
  return {
      ReasonCode::kNeverFitsMachine,
      {{"field", field}, {"asked", std::to_string(asked)}, {"largest", std::to_string(largest)}}};
}

// Largest figures over a pool's nodes, each by itself, and how many nodes pass each test.
Reason WhyNoNode(const Pool& pool, const JobSpec& spec) {
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::int64_t allowed = 0;
  for (const FreeNode& free : pool.nodes) {
    gpus = std::max(gpus, free.gpus);
    cpus = std::max(cpus, free.cpus);
    memory_mib = std::max(memory_mib, free.memory_mib);
    allowed += Allowed(*free.node, spec) ? 1 : 0;
  }
  const Shape& shape = spec.shape;
  if (shape.gpus_per_node > gpus) return Never("shape.gpus_per_node", shape.gpus_per_node, gpus);
  if (shape.cpus_per_node > cpus) return Never("shape.cpus_per_node", shape.cpus_per_node, cpus);
  if (shape.memory_mib_per_node > memory_mib) {
    return Never("shape.memory_per_node_mib", shape.memory_mib_per_node, memory_mib);
  }
  const std::string_view restricting = Restricting(spec);
  if (allowed < shape.nodes && !restricting.empty()) {
    return Never(std::string(restricting), shape.nodes, allowed);
  }
  return {};
}

std::int64_t NodesThatFit(const Pool& pool, const JobSpec& spec) {
  std::int64_t nodes = 0;
  for (const Leaf& leaf : pool.leaves) {
    if (leaf.AtLeast(spec.shape.gpus_per_node) == 0) continue;
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
      const FreeNode& free = pool.nodes[i];
      if (HasRoom(free, spec.shape) && Allowed(*free.node, spec)) ++nodes;
    }
  }
  return nodes;
}

// The most nodes of the shape under one leaf or block.
std::int64_t MostUnderOne(const Pool& pool, const JobSpec& spec) {
  std::map<std::pair<std::string, std::string>, std::int64_t> under;
  for (const FreeNode& free : pool.nodes) {
    const std::string& leaf = spec.within == Domain::kLeaf ? free.node->leaf : free.node->block;
    if (leaf.empty() || !HasRoom(free, spec.shape) || !Allowed(*free.node, spec)) continue;
    ++under[{free.node->block, spec.within == Domain::kLeaf ? leaf : std::string()}];
  }
  std::int64_t most = 0;
  for (const auto& [domain, nodes] : under) most = std::max(most, nodes);
  return most;
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
  return Search(pool, request).Run();
}

bool Fits(const Pool& pool, const Request& request) { return Search(pool, request).Fits(); }

Reason WhyNeverFits(const Machine& configured, const JobSpec& spec, const PoolKey& key) {
  const Pool* pool = configured.FindPool(key);
  if (pool == nullptr) {
    std::set<std::string> known;
    for (const auto& [other, unused] : configured.pools()) known.insert(other.gpu_type);
    // Other pools have all its nodes.
    if (known.contains(key.gpu_type)) return Never("shape.nodes", spec.shape.nodes, 0);
    std::string types;
    for (const std::string& type : known) {
      if (!type.empty()) types += (types.empty() ? "" : ",") + type;
    }
    return {ReasonCode::kNoSuchGpuType, {{"asked", spec.shape.gpu_type}, {"types", types}}};
  }
  if (Fits(*pool, {&spec, spec.within, false})) return {};
  if (Reason reason = WhyNoNode(*pool, spec); reason.code != ReasonCode::kNone) return reason;
  const std::int64_t fit = NodesThatFit(*pool, spec);
  if (fit < spec.shape.nodes) return Never("shape.nodes", spec.shape.nodes, fit);
  if (spec.within != Domain::kAny) {
    Reason reason = Never("topology.within", spec.shape.nodes, MostUnderOne(*pool, spec));
    reason.fields["within"] = DomainName(spec.within);
    return reason;
  }
  return Never("nodelist", spec.shape.nodes, fit);
}

bool IsNever(const Reason& reason) {
  return reason.code == ReasonCode::kNeverFitsMachine || reason.code == ReasonCode::kNoSuchGpuType;
}

Reason WhyNoRoom(const Machine& free, const Machine& configured, const Request& request,
                 const PoolKey& key) {
  const JobSpec& spec = *request.spec;
  Reason never = WhyNeverFits(configured, spec, key);
  if (never.code != ReasonCode::kNone) return never;
  const Pool* pool = free.FindPool(key);
  if (pool == nullptr) return {ReasonCode::kNoSuchGpuType, {}};
  const std::string nodes = std::to_string(spec.shape.nodes);
  if (request.preference && Fits(*pool, {&spec, spec.within, false})) {
    return {ReasonCode::kWaitsForTopology,
            {{"within", DomainName(request.within)}, {"nodes", nodes}}};
  }
  if (spec.within != Domain::kAny && Fits(*pool, {&spec, Domain::kAny, false})) {
    return {ReasonCode::kWaitsForDomain, {{"within", DomainName(spec.within)}, {"nodes", nodes}}};
  }
  std::size_t largest_free = 0;
  for (const Leaf& leaf : pool->leaves) {
    for (std::size_t gpus = largest_free; gpus < leaf.with_free.size(); ++gpus) {
      if (leaf.with_free[gpus] > 0) largest_free = gpus;
    }
  }
  return {ReasonCode::kWaitsForGpus,
          {{"nodes", nodes},
           {"gpus_per_node", std::to_string(spec.shape.gpus_per_node)},
           {"gpu_type", spec.shape.gpu_type},
           {"free", std::to_string(pool->free_gpus)},
           {"largest_free", std::to_string(largest_free)},
           {"nodes_fit", std::to_string(NodesThatFit(*pool, spec))}}};
}

}  // namespace kezek::engine

#include "scheduler/engine/machine.h"

#include <algorithm>

#include "kezek/check.h"

namespace kezek::engine {
namespace {

std::int64_t CapacityOf(const Node& node, bool in_service) {
  return in_service ? std::max(0, node.gpus - node.foreign_gpus) : 0;
}

bool IsForeign(const Node& node) {
  return node.foreign_gpus != 0 || node.foreign_cpus != 0 || node.foreign_memory_mib != 0;
}

NodeBalance BalanceOf(const Node& node, const Spot& spot, const NodeUse& used, TimeMs now) {
  return {.memory_mib = node.memory_mib - node.foreign_memory_mib - used.memory_mib,
          .gpus = node.gpus - node.foreign_gpus - used.gpus,
          .cpus = node.cpus - node.foreign_cpus - used.cpus,
          .attempts = used.attempts,
          .exclusive = used.exclusive,
          .in_service = InService(node, now),
          .shared = spot.shares_host || IsForeign(node)};
}

// Adds a node (sign 1) to the sums of its zones, or takes it out.
void Count(Pool& pool, std::size_t node, const FreeNode& free, std::int32_t sign) {
  if (!free.in_service) return;
  const PoolLayout& layout = *pool.layout;
  const auto slot = static_cast<std::size_t>(free.gpus);
  KEZEK_CHECK(slot < layout.slots, "more GPUs are free than the node has");
  for (std::size_t zone = layout.spots[node].leaf; zone != kNoZone;
       zone = layout.zones[zone].parent) {
    pool.with_free[zone * layout.slots + slot] += sign;
    pool.free_in[zone] += sign * free.gpus;
  }
  pool.free_gpus += sign * free.gpus;
}

void Put(Pool& pool, std::size_t node, const NodeBalance& balance) {
  const FreeNode before = pool.nodes[node].Free();
  const FreeNode after = balance.Free();
  pool.nodes[node] = balance;
  if (before.gpus == after.gpus && before.in_service == after.in_service) return;
  Count(pool, node, before, -1);
  Count(pool, node, after, 1);
}

}  // namespace

NodeUse UseOf(const Shape& shape, std::int32_t gpus) {
  return {.gpus = gpus,
          .cpus = shape.cpus_per_node,
          .memory_mib = shape.memory_mib_per_node,
          .attempts = 1,
          .exclusive = shape.exclusive ? 1 : 0};
}

void AddUse(const Shape& shape, const Placement& placement, std::int32_t sign,
            std::map<std::string, NodeUse>& used) {
  for (const NodeGrant& grant : placement) {
    NodeUse& use = used[grant.node];
    use.gpus += sign * grant.gpus;
    use.cpus += sign * shape.cpus_per_node;
    use.memory_mib += sign * shape.memory_mib_per_node;
    use.attempts += sign;
    if (shape.exclusive) use.exclusive += sign;
    if (use == NodeUse{}) used.erase(grant.node);
  }
}

void Add(NodeBalance& balance, const NodeUse& use, std::int32_t sign) {
  balance.gpus -= sign * use.gpus;
  balance.cpus -= sign * use.cpus;
  balance.memory_mib -= sign * use.memory_mib;
  balance.attempts += sign * use.attempts;
  balance.exclusive += sign * use.exclusive;
}

bool InService(const Node& node, TimeMs now) {
  if (node.health != NodeHealth::kUp) return false;
  if (!node.drained_by_kezek) return true;
  return node.set_aside_until_ms != 0 && node.set_aside_until_ms <= now;
}

std::int32_t Pool::Exactly(std::size_t zone, std::int32_t gpus) const {
  const auto slot = static_cast<std::size_t>(gpus);
  return slot < layout->slots ? with_free[zone * layout->slots + slot] : 0;
}

std::int32_t Pool::AtLeast(std::size_t zone, std::int32_t gpus) const {
  std::int32_t count = 0;
  for (auto slot = static_cast<std::size_t>(gpus); slot < layout->slots; ++slot) {
    count += with_free[zone * layout->slots + slot];
  }
  return count;
}

bool Pool::operator==(const Pool& other) const {
  return *layout == *other.layout && nodes == other.nodes && with_free == other.with_free &&
         free_in == other.free_in && free_gpus == other.free_gpus &&
         capacity_gpus == other.capacity_gpus;
}

// All nodes out of service.
Machine::Machine(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {
  for (const PoolLayout& each : layout_->pools()) {
    Pool& pool = pools_.emplace_back();
    pool.layout = &each;
    pool.nodes.resize(each.spots.size());
    pool.with_free.resize(each.zones.size() * each.slots, 0);
    pool.free_in.resize(each.zones.size(), 0);
  }
}

Machine::Machine(const std::map<std::string, Node>& nodes,
                 const std::map<std::string, NodeUse>& used, TimeMs now, const NodeOwners& owners)
    : Machine(std::make_shared<const Layout>(nodes, owners)) {
  Fill(nodes, used, now);
}

void Machine::Fill(const std::map<std::string, Node>& nodes,
                   const std::map<std::string, NodeUse>& used, TimeMs now) {
  const NodeUse none;
  for (const auto& [name, node] : nodes) {
    const Layout::At* at = Find(name);
    KEZEK_CHECK(at != nullptr, "the layout has no such node");
    const auto use = used.find(name);
    Pool& pool = pools_[at->pool];
    Put(pool, at->spot,
        BalanceOf(node, pool.layout->spots[at->spot], use == used.end() ? none : use->second, now));
    pool.capacity_gpus += CapacityOf(node, InService(node, now));
  }
}

Machine Machine::Anew(const std::map<std::string, Node>& nodes,
                      const std::map<std::string, NodeUse>& used, TimeMs now) const {
  if (layout_ == nullptr) return {};
  Machine machine(layout_);
  machine.Fill(nodes, used, now);
  return machine;
}

Machine Machine::Configured(const std::map<std::string, Node>& nodes, const NodeOwners& owners) {
  return Machine(std::make_shared<const Layout>(nodes, owners)).AsConfigured();
}

Machine Machine::AsConfigured() const {
  if (layout_ == nullptr) return {};
  Machine machine(layout_);
  for (Pool& pool : machine.pools_) {
    for (std::size_t i = 0; i < pool.nodes.size(); ++i) {
      const Spot& spot = pool.layout->spots[i];
      Put(pool, i,
          {.memory_mib = spot.memory_mib,
           .gpus = spot.gpus,
           .cpus = spot.cpus,
           .in_service = true,
           .shared = spot.shares_host});
      pool.capacity_gpus += spot.gpus;
    }
  }
  return machine;
}

const Pool* Machine::FindPool(const PoolKey& key) const {
  const auto found =
      std::lower_bound(pools_.begin(), pools_.end(), key,
                       [](const Pool& pool, const PoolKey& other) { return pool.key() < other; });
  return found == pools_.end() || found->key() != key ? nullptr : &*found;
}

const Layout::At* Machine::Find(const std::string& node) const {
  return layout_ == nullptr ? nullptr : layout_->Find(node);
}

std::optional<FreeNode> Machine::FreeOf(const std::string& node) const {
  const Layout::At* at = Find(node);
  if (at == nullptr) return std::nullopt;
  return pools_[at->pool].Free(at->spot);
}

void Machine::Take(const PoolKey& key, const Shape& shape, const Placement& placement) {
  const Pool* pool = FindPool(key);
  KEZEK_CHECK(pool != nullptr, "placement in a pool that has no nodes");
  for (const NodeGrant& grant : placement) {
    const Layout::At* at = Find(grant.node);
    KEZEK_CHECK(at != nullptr && &pools_[at->pool] == pool,
                "placement on a node that is not of its pool");
    const FreeNode free = pool->Free(at->spot);
    KEZEK_CHECK(free.in_service && free.gpus >= grant.gpus && free.cpus >= shape.cpus_per_node &&
                    free.memory_mib >= shape.memory_mib_per_node,
                "placement takes more than is free");
    Add(*at, shape, grant.gpus, 1);
  }
}

void Machine::Hold(const Shape& shape, const Placement& placement) {
  for (const NodeGrant& grant : placement) {
    if (const Layout::At* at = Find(grant.node)) Add(*at, shape, grant.gpus, 1);
  }
}

void Machine::GiveBack(const Shape& shape, const Placement& placement) {
  for (const NodeGrant& grant : placement) {
    if (const Layout::At* at = Find(grant.node)) Add(*at, shape, grant.gpus, -1);
  }
}

void Machine::GiveBack(const Taking& taking, const Seating& seats) {
  for (const Seat& seat : seats) Add({taking.pool, seat.spot}, taking.shape, seat.gpus, -1);
}

void Machine::Copy(const Machine& from, const Layout::At& at) {
  Put(pools_[at.pool], at.spot, from.pools_[at.pool].nodes[at.spot]);
}

void Machine::Add(const Layout::At& at, const Shape& shape, std::int32_t gpus, std::int32_t sign) {
  NodeBalance balance = pools_[at.pool].nodes[at.spot];
  balance.gpus -= sign * gpus;
  balance.cpus -= sign * shape.cpus_per_node;
  balance.memory_mib -= sign * shape.memory_mib_per_node;
  balance.attempts += sign;
  if (shape.exclusive) balance.exclusive += sign;
  KEZEK_CHECK(balance.attempts >= 0 && balance.exclusive >= 0, "more is given back than was taken");
  Put(pools_[at.pool], at.spot, balance);
}

void Machine::Limit(const Layout::At& at, const FreeNode& room) {
  NodeBalance balance = pools_[at.pool].nodes[at.spot];
  balance.gpus = std::min(balance.gpus, room.gpus);
  balance.cpus = std::min(balance.cpus, room.cpus);
  balance.memory_mib = std::min(balance.memory_mib, room.memory_mib);
  balance.promised |= !room.idle;
  Put(pools_[at.pool], at.spot, balance);
}

void Machine::Change(const Node& before, const Node& after, TimeMs now) {
  const Layout::At* at = Find(after.name);
  KEZEK_CHECK(at != nullptr, "the layout has no such node");
  Pool& pool = pools_[at->pool];
  NodeBalance balance = pool.nodes[at->spot];
  pool.capacity_gpus -= CapacityOf(before, balance.in_service);
  balance.gpus += before.foreign_gpus - after.foreign_gpus;
  balance.cpus += before.foreign_cpus - after.foreign_cpus;
  balance.memory_mib += before.foreign_memory_mib - after.foreign_memory_mib;
  balance.in_service = InService(after, now);
  balance.shared = pool.layout->spots[at->spot].shares_host || IsForeign(after);
  pool.capacity_gpus += CapacityOf(after, balance.in_service);
  Put(pool, at->spot, balance);
}

}  // namespace kezek::engine

// Goal: a machine that is kept in step with events equals one made anew, indexes included. Method:
// random histories by seed: of nodes and holdings told to a world, which is asked at times that go
// on; and of single changes against a map of what is used.

#include "scheduler/engine/machine.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "scheduler/engine/engine.h"
#include "scheduler/engine/world.h"
#include "tests/property/engine_history.h"
#include "tests/property/seeds.h"
#include "tests/property/world_sink.h"
#include "tests/support/random_world.h"

namespace kezek::engine {
namespace {

// Empty: the sums of every zone are those of its nodes.
std::string WrongSums(const Machine& machine) {
  for (const Pool& pool : machine.pools()) {
    const PoolLayout& layout = *pool.layout;
    for (std::size_t z = 0; z < layout.zones.size(); ++z) {
      std::int64_t free = 0;
      std::vector<std::int32_t> with(layout.slots, 0);
      for (std::size_t i = layout.zones[z].begin; i < layout.zones[z].end; ++i) {
        free += pool.Free(i).gpus;
        if (pool.Free(i).in_service) ++with.at(static_cast<std::size_t>(pool.Free(i).gpus));
      }
      std::int32_t at_least = 0;
      for (std::size_t gpus = layout.slots; gpus-- > 0;) {
        at_least += with[gpus];
        const auto count = static_cast<std::int32_t>(gpus);
        if (pool.Exactly(z, count) != with[gpus] || pool.AtLeast(z, count) != at_least) {
          return "zone " + std::to_string(z) + " with " + std::to_string(gpus) + " free";
        }
      }
      if (pool.free_in[z] != free) return "GPUs of zone " + std::to_string(z);
    }
    if (pool.free_gpus != pool.free_in.back()) return "GPUs of the pool";
  }
  return "";
}

TEST(MachineProperty, WhatAWorldKeepsInStepIsWhatItWouldMakeAnew) {
  property::ForEachSeed([](std::uint64_t seed) {
    test::EngineHistory history(seed);
    Engine engine(history.config(), history.directory());
    World world(history.config(), history.directory());
    history.Join(test::SinkOf(engine));
    history.Join(test::SinkOf(world));
    history.Begin();
    for (int step = 0; step < 25; ++step) {
      if (step % 3 != 0) world.Refresh(history.now_ms());
      history.Commit(engine.Decide(history.now_ms()));
      const TimeMs now = world.now_ms();
      const Machine kept = world.MachineAt(now);
      EXPECT_TRUE(kept == Machine(world.nodes(), world.used(), now, world.owners()))
          << "seed " << seed << " step " << step;
      EXPECT_EQ(WrongSums(kept), "") << "seed " << seed << " step " << step;
      if (step % 3 != 0) {
        EXPECT_TRUE(world.configured() == Machine::Configured(world.nodes(), world.owners()));
      }
      history.Step();
    }
  });
}

// A machine, and all that it should be made of.
class MachineHistory {
 public:
  explicit MachineHistory(std::uint64_t seed) : random_(seed) {
    const auto count = static_cast<std::int32_t>(random_.Int(1, 20));
    for (Node& node : random_.Nodes(count)) nodes_[node.name] = std::move(node);
    for (const auto& [name, node] : nodes_) {
      if (random_.Chance(20)) owners_[name] = {AccountId{random_.Int(2, 3)}, {}};
    }
    machine_ = Machine(nodes_, used_, now_ms_, owners_);
  }

  void Step() {
    now_ms_ += random_.Int(0, kHourMs);
    const std::int64_t kind = random_.Int(0, 9);
    if (kind < 5) {
      Hold();
    } else if (kind < 8 && !held_.empty()) {
      const auto i =
          static_cast<std::size_t>(random_.Int(0, static_cast<std::int64_t>(held_.size()) - 1));
      machine_.GiveBack(held_[i].first, held_[i].second);
      AddUse(held_[i].first, held_[i].second, -1, used_);
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      Node& node = Any();
      Node changed = random_.Changed(node, now_ms_);
      changed.gpus = node.gpus;  // a matter of the layout
      machine_.Change(node, changed, now_ms_);
      node = changed;
    }
    for (const auto& [name, node] : nodes_) machine_.Change(node, node, now_ms_);
  }

  std::string Difference() const {
    if (machine_ != Machine(nodes_, used_, now_ms_, owners_)) return "the machine";
    return WrongSums(machine_);
  }

  // What is limited has at most that free, now and less what is then taken.
  std::string WrongLimit() {
    Machine limited = machine_;
    const Node& node = Any();
    const FreeNode room{.gpus = static_cast<std::int32_t>(random_.Int(0, 9)),
                        .cpus = static_cast<std::int32_t>(random_.Int(0, 70)),
                        .memory_mib = random_.Int(0, 2'000'000),
                        .in_service = true,
                        .idle = random_.Chance(50)};
    limited.Limit(*limited.Find(node.name), room);
    const FreeNode before = *machine_.FreeOf(node.name);
    const FreeNode after = *limited.FreeOf(node.name);
    const FreeNode due{.gpus = std::min(before.gpus, room.gpus),
                       .cpus = std::min(before.cpus, room.cpus),
                       .memory_mib = std::min(before.memory_mib, room.memory_mib),
                       .in_service = before.in_service,
                       .idle = before.idle && room.idle};
    if (after != due) return "limited " + node.name;
    const Shape one{.gpus_per_node = 1, .cpus_per_node = 1, .memory_mib_per_node = 1};
    limited.Hold(one, {{node.name, 1, {}}});
    const FreeNode held = *limited.FreeOf(node.name);
    if (held.gpus != std::max(0, due.gpus - 1)) return "held of what is limited";
    limited.GiveBack(one, {{node.name, 1, {}}});
    if (*limited.FreeOf(node.name) != due) return "given back of what is limited";
    return WrongSums(limited);
  }

 private:
  Node& Any() {
    const auto size = static_cast<std::int64_t>(nodes_.size());
    return std::next(nodes_.begin(), random_.Int(0, size - 1))->second;
  }

  void Hold() {
    Shape shape{.gpus_per_node = static_cast<std::int32_t>(random_.Int(0, 8)),
                .cpus_per_node = static_cast<std::int32_t>(random_.Int(0, 64)),
                .memory_mib_per_node = random_.Int(0, 600'000),
                .exclusive = random_.Chance(15)};
    std::map<std::string, std::int32_t> gpus;
    for (std::int64_t nodes = random_.Int(1, 4); nodes > 0; --nodes) {
      const Node& node = Any();
      gpus[node.name] = shape.exclusive ? node.gpus : shape.gpus_per_node;
    }
    Placement placement;
    for (const auto& [name, count] : gpus) placement.push_back({name, count, {}});
    machine_.Hold(shape, placement);
    AddUse(shape, placement, 1, used_);
    held_.push_back({shape, placement});
  }

  test::RandomWorld random_;
  std::map<std::string, Node> nodes_;
  NodeOwners owners_;
  std::map<std::string, NodeUse> used_;
  std::vector<std::pair<Shape, Placement>> held_;
  Machine machine_;
  TimeMs now_ms_ = 1'790'000'000'000;
};

TEST(MachineProperty, ChangesAddUpToWhatIsMadeAnew) {
  property::ForEachSeed([](std::uint64_t seed) {
    MachineHistory history(seed);
    for (int step = 0; step < 60; ++step) {
      history.Step();
      EXPECT_EQ(history.Difference(), "") << "seed " << seed << " step " << step;
      EXPECT_EQ(history.WrongLimit(), "") << "seed " << seed << " step " << step;
    }
  });
}

}  // namespace
}  // namespace kezek::engine

#include "scheduler/engine/engine.h"

#include <utility>

#include "scheduler/engine/machine.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/recount.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

struct Engine::State {
  World world;
};

Engine::Engine(EngineConfig config, std::shared_ptr<const Directory> directory)
    : state_(std::make_unique<State>(State{World(std::move(config), std::move(directory))})) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

void Engine::SetDirectory(std::shared_ptr<const Directory> directory) {
  state_->world.SetDirectory(std::move(directory));
}
void Engine::SetNode(const Node& node) { state_->world.SetNode(node); }
void Engine::RemoveNode(const std::string& name) { state_->world.RemoveNode(name); }
void Engine::SetWaiting(const Waiting& job) { state_->world.SetWaiting(job); }
void Engine::RemoveWaiting(const JobRef& job) { state_->world.RemoveWaiting(job); }
void Engine::SetHolding(const Holding& attempt) { state_->world.SetHolding(attempt); }
void Engine::RemoveHolding(const AttemptRef& attempt) { state_->world.RemoveHolding(attempt); }
void Engine::Book(const UsageBooking& booking) { state_->world.Book(booking); }

Plan Engine::Decide(TimeMs now) const {
  state_->world.Refresh(now);
  return DecideAll(state_->world, now);
}

std::vector<std::string> Engine::Audit(std::int32_t part, std::int32_t parts) const {
  const World& world = state_->world;
  return Recount(world).Differences(world.used(), world.running(), part, parts);
}

const std::map<AttemptRef, Holding>& Engine::holdings() const { return state_->world.holdings(); }

std::map<std::string, std::int32_t> Engine::FreeGpus() const {
  const World& world = state_->world;
  const Machine machine(world.nodes(), world.used(), world.now_ms());
  std::map<std::string, std::int32_t> free;
  for (const auto& [type, pool] : machine.pools()) {
    for (const FreeNode& node : pool.nodes) free[node.node->name] = node.gpus;
  }
  return free;
}

}  // namespace kezek::engine

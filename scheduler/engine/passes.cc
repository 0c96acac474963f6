#include "scheduler/engine/passes.h"

#include <array>
#include <utility>

#include "scheduler/engine/verify.h"

namespace kezek::engine {
namespace {

struct Pass {
  void (*run)(const World& world, Draft& draft);
  bool decides;  // changes starts, victims or reservations: verified at once
};

constexpr std::array kPasses{
    // Who should have how much now: demand without what limits stop, entitlement, idle GPUs kept.
    Pass{&Entitle, false},
    // Who is next, and where: each job in the order of the tree is started on the best-fitting
    // nodes, or passed over by a limit, or blocked by lack of room, with its reason.
    Pass{&WalkInOrder, true},
    // How accounts stand after that, for people.
    Pass{&Stand, false},
};

}  // namespace

Draft::Draft(const World& world, TimeMs now)
    : now_ms(now),
      free(world.nodes(), world.used(), now),
      configured(Machine::Configured(world.nodes())),
      running(world.running()) {}

Plan DecideAll(const World& world, TimeMs now) {
  Draft draft(world, now);
  for (const Pass& pass : kPasses) {
    pass.run(world, draft);
    if (pass.decides) Verify({&world, now, &draft.entitled}, draft.plan);
  }
  return std::move(draft.plan);
}

}  // namespace kezek::engine

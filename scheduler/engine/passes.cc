#include "scheduler/engine/passes.h"

#include <array>
#include <string_view>
#include <utility>

#include "scheduler/engine/verify.h"

namespace kezek::engine {
namespace {

struct Pass {
  std::string_view name;
  void (*run)(const World& world, Draft& draft);
  bool decides;  // changes starts, victims or reservations: verified at once
};

constexpr std::array kPasses{
    // Who starts on nodes that are not everybody's: no guarantee is about them.
    Pass{"apart", &WalkApart, false},
    // Who should have how much now: demand without what limits stop, entitlement, idle GPUs kept.
    Pass{"entitle", &Entitle, false},
    // Who is next, and where: each job in the order of the tree is started on the best-fitting
    // nodes, or passed over by a limit, or blocked by lack of room, with its reason.
    Pass{"walk", &WalkInOrder, true},
    // How accounts stand after that, for people.
    Pass{"stand", &Stand, false},
};

}  // namespace

Draft::Draft(const World& world, TimeMs now)
    : now_ms(now),
      free(world.MachineAt(now)),
      configured(world.configured()),
      running(world.running()) {}

Plan DecideAll(const World& world, TimeMs now) {
  const auto ended = [&world](std::string_view phase) {
    if (world.config().phase_ended) world.config().phase_ended(phase);
  };
  Draft draft(world, now);
  ended("prepare");
  for (const Pass& pass : kPasses) {
    pass.run(world, draft);
    ended(pass.name);
    if (!pass.decides) continue;
    Verify({&world, now, &draft.entitled}, draft.plan);
    ended("verify");
  }
  return std::move(draft.plan);
}

}  // namespace kezek::engine

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
  bool about_promises = false;  // not made where nothing is promised, nor may be
};

constexpr std::array kPasses{
    // What is promised on nodes that are not everybody's.
    Pass{"keep_apart", &KeepApart, true},
    // Who starts on nodes that are not everybody's: no guarantee is about them.
    Pass{"apart", &WalkApart},
    // Who should have how much now: demand without what limits stop, entitlement, idle GPUs kept.
    Pass{"entitle", &Entitle},
    // What is promised is kept, or moved if it must be; what is due starts.
    Pass{"keep", &Keep, true},
    // Who is next, and where: each job in the order of the tree is started on the best-fitting
    // nodes, or passed over by a limit, or blocked by lack of room, with its reason.
    Pass{"walk", &WalkInOrder},
    // Reservations move earlier, where what is left allows it.
    Pass{"improve", &Improve, true},
    // Scavengers leave what is promised to others in time.
    Pass{"clear", &ClearPromised, true},
    // How accounts stand after that, for people.
    Pass{"stand", &Stand},
};

}  // namespace

Draft::Draft(const World& world, TimeMs now)
    : now_ms(now),
      free(world.MachineAt(now)),
      configured(world.configured()),
      running(world.running().Over()) {}

Plan DecideAll(const World& world, TimeMs now) {
  const auto ended = [&world](std::string_view phase) {
    if (world.config().phase_ended) world.config().phase_ended(phase);
  };
  const bool promises = world.LooksAhead();
  const std::string_view last = promises ? "clear" : "walk";
  Draft draft(world, now);
  ended("prepare");
  for (const Pass& pass : kPasses) {
    if (pass.about_promises && !promises) continue;
    pass.run(world, draft);
    ended(pass.name);
    if (pass.name != last) continue;
    for (auto& [row, change] : draft.reservations) draft.plan.reservations.push_back(change);
    Verify({&world, now, &draft.entitled}, draft.plan);
    ended("verify");
  }
  return std::move(draft.plan);
}

}  // namespace kezek::engine

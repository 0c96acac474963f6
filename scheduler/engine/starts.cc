#include <utility>

#include "scheduler/engine/passes.h"
#include "scheduler/engine/reserve.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {

// From here on it counts as what its nodes make of it.
Given AddStart(const World& world, Draft& draft, const PoolKey& key, const Waiting& job,
               std::int32_t nth, Placement placement) {
  draft.free.Take(key, job.spec->shape, placement);
  const auto agenda = draft.agendas.find(key);
  if (agenda != draft.agendas.end()) {
    const Reservation* own = agenda->second.Of(job.ref);
    Stay stay = world.StayOf(job, draft.now_ms);
    if (own != nullptr && own->placement == placement && own->from_ms <= draft.now_ms) {
      stay.gone_by_ms = stay.end_ms = agenda->second.EndOf(*own);  // as it was promised
    }
    agenda->second.Start(job.spec->shape, placement, stay);
    // Room is being made for one element of an array; another one starts elsewhere.
    if (own != nullptr && (own->victims.empty() || own->placement == placement)) {
      Note(world, draft, {*own, ReservationNews::kEnded, {}});
      agenda->second.Withdraw(job.ref);
    }
  }
  Start start{.job = StartableRef(job, nth),
              .row = job.ref,
              .placement = std::move(placement),
              .counted_milli = 0,
              .scavenges = world.ScavengesOf(job.ref)};
  start.counted_milli = world.CountedOn(job.spec->shape, start.placement);
  Given given{world.CountOf(start), world.ExpectedChargeOf(*job.spec, start.counted_milli)};
  Take(world.DrawOf(start, draft.taken), draft.taken);
  draft.running.Add(world.tree(), given.count);
  draft.plan.starts.push_back(std::move(start));
  return given;
}

}  // namespace kezek::engine

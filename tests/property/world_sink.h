// Tells a world what holds nodes, and nothing of what waits.
#pragma once

#include <memory>
#include <utility>

#include "scheduler/engine/world.h"
#include "tests/property/engine_history.h"

namespace kezek::test {

inline EventSink SinkOf(engine::World& world) {
  return {[&world](std::shared_ptr<const Directory> d) { world.SetDirectory(std::move(d)); },
          [&world](const Node& node) { world.SetNode(node); },
          [](const engine::Waiting&) {},
          [](const JobRef&) {},
          [&world](const engine::Holding& attempt) { world.SetHolding(attempt); },
          [&world](const AttemptRef& attempt) { world.RemoveHolding(attempt); },
          [](const engine::UsageBooking&) {},
          [](const EndedRun&) {},
          [](const LedgerEntry&) {}};
}

}  // namespace kezek::test

// The baselines: an order, and what is done when the next in order finds no room.
#pragma once

#include <cstdint>
#include <memory>

#include "scheduler/sim/replay/order.h"
#include "scheduler/sim/replay/policy.h"

namespace kezek::replay {

enum class WhenBlocked : std::uint8_t {
  kStop,      // nothing after it starts
  kPassOver,  // whatever fits starts
  // EASY (Lifka 1995): the first that finds no room is promised a time, the earliest at which it
  // has room by the limits of what runs. A later one starts if by its limit it ends before, or if
  // the first still has room then.
  kBackfill,
};

// `list` must outlive it.
std::unique_ptr<Policy> MakeListPolicy(const JobList& list, std::unique_ptr<Order> order,
                                       WhenBlocked when_blocked);

}  // namespace kezek::replay

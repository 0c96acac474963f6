// Kezek's own engine as a policy of the replay: accounts made of the trace's groups, and the same
// events that the controller would tell.
//
// Every group is a project under the root, with the group's weight. Pooled, its guarantee is
// `guarantee_percent` of its part of the machine, and it may borrow without end. Kept apart, its
// nodes are dedicated to it. What stands for a job's limit is its limit; who outlives it gets
// another as long. Usage is booked in pieces of an hour, as in production.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "kezek/account.h"
#include "scheduler/sim/replay/policy.h"

namespace kezek::replay {

struct KezekRules {
  ProjectRule rule = ProjectRule::kFair;  // of every project
  std::int64_t age_max_s = 24 * 3600;     // EngineConfig's
  std::int32_t guarantee_percent = 0;     // 0…100
  std::int32_t reservations = 0;          // alive in each pool
  // Only who has waited for so long has one; none: for the longest limit, at most for a week.
  std::optional<std::int64_t> reserve_after_s;
  std::int32_t reserve_width_percent = 0;  // only who asks for so much of the machine has one
  std::int64_t grace_s = 300;              // from a preemption to the end
  std::int64_t ask_s = 0;      // decides so often besides, while anything waits; 0: at events only
  std::int64_t foresee_s = 0;  // looks ahead so often, to put first estimates to the test; 0: never
  std::function<void(std::string_view phase)> phase_ended;  // EngineConfig's; may be empty
};

// `list` must outlive it.
std::unique_ptr<Policy> MakeKezekPolicy(const JobList& list, const KezekRules& rules = {});

}  // namespace kezek::replay

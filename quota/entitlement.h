// Entitlement: who should have how many GPUs of a type now.
//
// Level by level down the tree every account gets clamp(lambda x weight, min(guarantee, demand),
// min(demand, cap)), lambda such that the sum is what its parent got, or all that is demanded if
// that is less. Lambda is a fraction, kept exactly; milli-GPUs and whole GPUs are both rounded from
// it by largest remainder, ties by id. Sums never exceed what there is; nobody gets more than its
// demand or cap; the order of siblings does not matter; more weight never gets less.
//
// Idle GPUs (lend_max): an account keeps max(0, guarantee - lend_max - demand) to itself: taken off
// before filling, part of its parent's demand. If what there is falls short of guarantees in demand
// and idle GPUs together, both are scaled in proportion (`scaled`).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "quota/account_tree.h"

namespace kezek::quota {

// One sibling's claim. All milli figures in 0…kMaxMilliGpus, the weight in 1…kMaxWeightMilli.
struct Claim {
  AccountId id;  // breaks ties
  std::int64_t weight_milli = 1000;
  MilliGpus guarantee_milli = 0;
  std::optional<MilliGpus> cap_milli;  // none: no cap
  std::optional<MilliGpus> lend_max_milli;
  MilliGpus demand_milli = 0;
};

// What an entitlement stopped at.
enum class EntitledBy : std::uint8_t {
  kShare,      // its weight's share of what there is
  kGuarantee,  // the floor: its share would be less
  kDemand,     // it asks for no more
  kCap,        // guarantee + borrow_max, or a limit on what runs
  kScaled,     // even guarantees had to be cut
};

struct Entitlement {
  MilliGpus demand_milli = 0;  // with what its children keep idle; children up to their caps
  MilliGpus entitled_milli = 0;
  std::int64_t entitled_gpus = 0;  // whole
  MilliGpus idle_milli = 0;        // kept from others (lend_max)
  EntitledBy by = EntitledBy::kDemand;
  bool operator==(const Entitlement&) const = default;
};

// One level: fills `amount` (in whole GPUs at most `gpus`) among siblings. Results in the order
// given.
std::vector<Entitlement> FillLevel(std::span<const Claim> claims, MilliGpus amount_milli,
                                   std::int64_t gpus);

// The whole tree, by index. `demand` by index, read of childless accounts: running plus queued
// that only GPUs keep from starting, scavengers left out. `capacity` is what serves: GPUs of nodes
// in service less foreign use. Caps are guarantee + borrow_max and the running limit, whichever is
// less.
std::vector<Entitlement> Entitle(const AccountTree& tree, const std::string& gpu_type,
                                 MilliGpus capacity_milli, std::span<const MilliGpus> demand);

}  // namespace kezek::quota

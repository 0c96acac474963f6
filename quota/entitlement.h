// Entitlement: who should have how many GPUs of a type now.
//
// Level by level down the tree every account gets clamp(lambda x weight, min(guarantee, demand),
// min(demand, cap)), lambda such that the sum is what its parent got, or all that is demanded if
// that is less. Lambda is a fraction, kept exactly; milli-GPUs and whole GPUs are both rounded from
// it by largest remainder, ties by id. Sums never exceed what there is; nobody gets more than its
// demand or cap; the order of siblings does not matter; more weight never gets less.
//
// A closed account has no guarantee: what it still runs is borrowed.
//
// Idle GPUs (lend_max): an account keeps max(0, guarantee - lend_max - demand) to itself: taken off
// before filling, part of its parent's demand. One without an open project keeps nothing: nobody
// could use it. If what there is falls short of guarantees in demand and idle GPUs together, both
// are scaled in proportion (`scaled`). What a level's guarantees are scaled to is what counts as
// guarantee wherever "inside the guarantee" is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/resources.h"
#include "quota/account_tree.h"

namespace kezek::quota {

// One sibling's claim. All milli figures in 0…kMaxMilliGpus, the weight in 1…kMaxWeightMilli.
struct Claim {
  AccountId id;  // breaks ties
  std::int64_t weight_milli = 1000;
  MilliGpus guarantee_milli = 0;
  std::optional<MilliGpus> cap_milli;    // guarantee + borrow_max; none: no cap
  std::optional<MilliGpus> limit_milli;  // on what runs; none: no limit
  std::optional<MilliGpus> lend_max_milli;
  MilliGpus demand_milli = 0;
  bool operator==(const Claim&) const = default;
};

struct Entitlement {
  MilliGpus demand_milli = 0;  // with what its children keep idle; children up to their caps
  MilliGpus entitled_milli = 0;
  std::int64_t entitled_gpus = 0;  // whole
  MilliGpus idle_milli = 0;        // kept from others (lend_max)
  EntitledBy by = EntitledBy::kDemand;
  MilliGpus guarantee_milli = 0;  // that counts now: of a scaled level what is entitled
  bool operator==(const Entitlement&) const = default;
};

// One level: fills `amount` (in whole GPUs at most `gpus`) among siblings. Results in the order
// given.
std::vector<Entitlement> FillLevel(std::span<const Claim> claims, MilliGpus amount_milli,
                                   std::int64_t gpus);

// What is known of an earlier call for the same tree and GPU type: what of claims settings say, and
// each level as it was filled. Whoever keeps it drops it when the tree changes.
struct FilledLevels {
  struct Level {
    std::vector<Claim> claims;
    MilliGpus amount_milli = 0;
    std::int64_t gpus = 0;
    std::vector<Entitlement> entitled;
  };
  std::vector<Claim> claims;  // by index, without demand; empty: nothing is known
  std::vector<Level> levels;  // by index of the parent
};

// The whole tree, by index. `demand` by index, read of childless accounts: running plus queued
// that only GPUs keep from starting, scavengers left out. `capacity` is what serves: GPUs of nodes
// in service less foreign use. Caps are guarantee + borrow_max and the running limit, whichever is
// less.
std::vector<Entitlement> Entitle(const AccountTree& tree, const std::string& gpu_type,
                                 MilliGpus capacity_milli, std::span<const MilliGpus> demand);
// The same, with less work where little has changed.
std::vector<Entitlement> Entitle(const AccountTree& tree, const std::string& gpu_type,
                                 MilliGpus capacity_milli, std::span<const MilliGpus> demand,
                                 FilledLevels* known);

// The guarantees that count now, by index.
std::vector<MilliGpus> GuaranteesNow(std::span<const Entitlement> entitled);

// Of guarantees, what others run, by index. What of a guarantee is neither allocated nor kept idle
// (by the account or one below it) is unused. Level by level GPUs that are free (`free_milli`, less
// what is kept idle) make up for what is unused; what is missing is lent, by siblings in proportion
// to what they do not use, by largest remainder, ties by id.
std::vector<MilliGpus> Lent(const AccountTree& tree, std::span<const Entitlement> entitled,
                            std::span<const MilliGpus> allocated, MilliGpus free_milli);

}  // namespace kezek::quota

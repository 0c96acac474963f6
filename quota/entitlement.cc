#include "quota/entitlement.h"

#include <algorithm>
#include <numeric>

#include "kezek/check.h"
#include "quota/wide.h"

namespace kezek::quota {
namespace {

constexpr MilliGpus kGpu = 1000;

// A sibling while its level is filled. Its exact share is `numerator` / the level's denominator,
// in milli-GPUs.
struct Sibling {
  AccountId id;
  std::int64_t weight = 0;
  MilliGpus low = 0;   // min(guarantee, demand)
  MilliGpus high = 0;  // min(demand, cap)
  MilliGpus idle = 0;
  Int128 numerator = 0;
};

std::optional<MilliGpus> Least(std::optional<MilliGpus> a, std::optional<MilliGpus> b) {
  if (!a) return b;
  return b ? std::min(*a, *b) : a;
}

Sibling MakeSibling(const Claim& claim) {
  KEZEK_CHECK(claim.weight_milli >= 1 && claim.weight_milli <= kMaxWeightMilli, "weight");
  KEZEK_CHECK(claim.guarantee_milli >= 0 && claim.demand_milli >= 0, "a negative claim");
  Sibling sibling{.id = claim.id, .weight = claim.weight_milli};
  sibling.high = claim.demand_milli;
  if (const auto cap = Least(claim.cap_milli, claim.limit_milli))
    sibling.high = std::min(sibling.high, std::max<MilliGpus>(0, *cap));
  // A cap below the guarantee (a limit on what runs) lowers the floor too.
  sibling.low = std::min(claim.guarantee_milli, sibling.high);
  if (claim.lend_max_milli) {
    const MilliGpus kept = claim.guarantee_milli - *claim.lend_max_milli - claim.demand_milli;
    sibling.idle = std::max<MilliGpus>(0, kept);
  }
  return sibling;
}

// A value of lambda at which a sibling leaves its floor or reaches its ceiling: milli / weight.
struct Bend {
  MilliGpus milli = 0;
  std::int64_t weight = 1;
  bool leaves_floor = false;
  const Sibling* sibling = nullptr;
};

bool Earlier(const Bend& a, const Bend& b) {
  const Int128 left = static_cast<Int128>(a.milli) * b.weight;
  const Int128 right = static_cast<Int128>(b.milli) * a.weight;
  if (left != right) return left < right;
  return a.leaves_floor && !b.leaves_floor;
}

// lambda = rest / weight, at which the clamped shares add up to `total`.
struct Lambda {
  Int128 rest = 0;
  Int128 weight = 1;
};

// Sum of floors <= total <= sum of ceilings. Walks the bends upwards: between two of them the sum
// is `fixed` + lambda x `weight`.
Lambda FindLambda(const std::vector<Sibling>& siblings, MilliGpus total) {
  std::vector<Bend> bends;
  Int128 fixed = 0;
  for (const Sibling& sibling : siblings) {
    fixed += sibling.low;
    bends.push_back({sibling.low, sibling.weight, true, &sibling});
    bends.push_back({sibling.high, sibling.weight, false, &sibling});
  }
  std::sort(bends.begin(), bends.end(), Earlier);
  Int128 weight = 0;
  for (const Bend& bend : bends) {
    // Is the total reached before this bend?
    if (weight > 0 && weight * bend.milli >= (total - fixed) * bend.weight) break;
    if (weight == 0 && fixed >= total) break;
    if (bend.leaves_floor) {
      fixed -= bend.sibling->low;
      weight += bend.sibling->weight;
    } else {
      fixed += bend.sibling->high;
      weight -= bend.sibling->weight;
    }
  }
  // Weight 0: everybody stands at a floor or a ceiling, and those add up; `rest` 0 keeps floors.
  if (weight > 0) return {.rest = total - fixed, .weight = weight};
  return {};
}

// Adds the `left` units that rounding down left over, one each to the largest remainders.
// `may_grow(i)` says whether i may have one more; the order given is by id.
template <class MayGrow>
void GiveRemainders(const std::vector<Int128>& remainders, Int128 left,
                    std::vector<std::int64_t>* units, MayGrow may_grow) {
  std::vector<std::size_t> order(remainders.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (const std::size_t i : order) {
    if (left <= 0 || remainders[i] == 0) return;
    if (!may_grow(i)) continue;
    ++(*units)[i];
    --left;
  }
}

struct Rounded {
  std::vector<std::int64_t> milli;
  std::vector<std::int64_t> gpus;
};

// `total` milli in all; siblings sorted by id.
Rounded Round(const std::vector<Sibling>& siblings, Int128 denominator, MilliGpus total,
              std::int64_t gpus) {
  Rounded rounded;
  std::vector<Int128> milli_rest;
  std::vector<Int128> gpu_rest;
  Int128 milli_left = total;
  Int128 gpus_left = std::min<std::int64_t>(gpus, total / kGpu);
  for (const Sibling& sibling : siblings) {
    const auto milli = static_cast<std::int64_t>(sibling.numerator / denominator);
    const auto whole = static_cast<std::int64_t>(sibling.numerator / (denominator * kGpu));
    rounded.milli.push_back(milli);
    rounded.gpus.push_back(whole);
    milli_rest.push_back(sibling.numerator % denominator);
    gpu_rest.push_back(sibling.numerator % (denominator * kGpu));
    milli_left -= milli;
    gpus_left -= whole;
  }
  GiveRemainders(milli_rest, milli_left, &rounded.milli, [](std::size_t) { return true; });
  GiveRemainders(gpu_rest, gpus_left, &rounded.gpus,
                 [&](std::size_t i) { return (rounded.gpus[i] + 1) * kGpu <= siblings[i].high; });
  return rounded;
}

EntitledBy BoundOf(const Sibling& sibling, const Claim& claim, Int128 denominator, bool scaled) {
  if (scaled) return EntitledBy::kScaled;
  if (sibling.numerator >= denominator * sibling.high) {
    if (sibling.high >= claim.demand_milli) return EntitledBy::kDemand;
    const bool limit =
        claim.limit_milli && std::max<MilliGpus>(0, *claim.limit_milli) == sibling.high;
    return limit ? EntitledBy::kRunningLimit : EntitledBy::kBorrowMax;
  }
  const bool at_floor = sibling.low > 0 && sibling.numerator == denominator * sibling.low;
  return at_floor ? EntitledBy::kGuarantee : EntitledBy::kShare;
}

// How one level comes out before rounding: numerators set, what they add up to in milli-GPUs.
struct Filled {
  Int128 denominator = 1;
  MilliGpus total = 0;
  bool scaled = false;
};

Filled Fill(std::vector<Sibling>* siblings, MilliGpus amount) {
  Int128 low = 0;
  Int128 high = 0;
  Int128 idle = 0;
  for (const Sibling& sibling : *siblings) {
    low += sibling.low;
    high += sibling.high;
    idle += sibling.idle;
  }
  Filled filled;
  if (low + idle > amount) {
    filled.scaled = true;
    filled.denominator = low + idle;
    filled.total = static_cast<MilliGpus>(low * amount / filled.denominator);
    for (Sibling& sibling : *siblings) {
      sibling.numerator = static_cast<Int128>(sibling.low) * amount;
      sibling.idle =
          static_cast<MilliGpus>(static_cast<Int128>(sibling.idle) * amount / filled.denominator);
    }
    return filled;
  }
  filled.total = static_cast<MilliGpus>(std::min<Int128>(amount - idle, high));
  const Lambda lambda = FindLambda(*siblings, filled.total);
  filled.denominator = lambda.weight;
  for (Sibling& sibling : *siblings) {
    sibling.numerator = std::clamp<Int128>(
        lambda.rest * sibling.weight, lambda.weight * sibling.low, lambda.weight * sibling.high);
  }
  return filled;
}

}  // namespace

std::vector<Entitlement> FillLevel(std::span<const Claim> claims, MilliGpus amount_milli,
                                   std::int64_t gpus) {
  KEZEK_CHECK(amount_milli >= 0 && gpus >= 0, "a negative amount to fill");
  std::vector<std::size_t> order(claims.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return claims[a].id < claims[b].id; });
  std::vector<Sibling> siblings;
  siblings.reserve(claims.size());
  for (const std::size_t i : order) siblings.push_back(MakeSibling(claims[i]));
  const Filled filled = Fill(&siblings, amount_milli);
  const Rounded rounded = Round(siblings, filled.denominator, filled.total, gpus);

  std::vector<Entitlement> entitled(claims.size());
  for (std::size_t at = 0; at < order.size(); ++at) {
    const Claim& claim = claims[order[at]];
    const Sibling& sibling = siblings[at];
    Entitlement& out = entitled[order[at]];
    out.demand_milli = claim.demand_milli;
    out.entitled_milli = rounded.milli[at];
    out.entitled_gpus = rounded.gpus[at];
    out.idle_milli = sibling.idle;
    out.by = BoundOf(sibling, claim, filled.denominator, filled.scaled);
    out.guarantee_milli = filled.scaled ? out.entitled_milli : claim.guarantee_milli;
  }
  return entitled;
}

namespace {

// `amount` in proportion to `shares`, whose sum is at least that: whole units by largest remainder.
std::vector<MilliGpus> Parts(const std::vector<MilliGpus>& shares, MilliGpus amount) {
  std::vector<MilliGpus> parts(shares.size(), 0);
  const Int128 all = std::accumulate(shares.begin(), shares.end(), MilliGpus{0});
  if (all == 0) return parts;
  std::vector<Int128> rest;
  Int128 left = amount;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const Int128 exact = static_cast<Int128>(shares[i]) * amount;
    parts[i] = static_cast<MilliGpus>(exact / all);
    rest.push_back(exact % all);
    left -= parts[i];
  }
  GiveRemainders(rest, left, &parts, [](std::size_t) { return true; });
  return parts;
}

// What settings say of all accounts' claims.
std::vector<Claim> ClaimsSet(const AccountTree& tree, const std::string& gpu_type) {
  std::vector<Claim> claims(static_cast<std::size_t>(tree.size()));
  std::vector<char> open(claims.size(), 0);  // it or one below may start jobs
  for (AccountIndex i = tree.size() - 1; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    if (tree.HoldsJobs(i) && !tree.IsClosed(i)) open[at] = 1;
    const Share& share = tree.share(i, gpu_type);
    Claim& claim = claims[at];
    claim.id = tree.id(i);
    claim.weight_milli = share.weight_milli;
    claim.guarantee_milli = tree.Guarantee(i, gpu_type);
    if (open[at] != 0) claim.lend_max_milli = share.lend_max_milli;
    claim.cap_milli = tree.ShareCap(i, gpu_type);
    claim.limit_milli = tree.account(i).settings.account_limits.running_milli;
    if (i != kRootIndex && open[at] != 0) open[static_cast<std::size_t>(tree.parent(i))] = 1;
  }
  return claims;
}

// Demand and idle GPUs added up from below.
void AddDemand(const AccountTree& tree, std::span<const MilliGpus> demand,
               std::vector<Claim>* claims) {
  for (AccountIndex i = tree.size() - 1; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    Claim& claim = (*claims)[at];
    if (tree.children(i).empty()) claim.demand_milli = demand[at];
    if (i == kRootIndex) continue;
    const Sibling own = MakeSibling(claim);
    (*claims)[static_cast<std::size_t>(tree.parent(i))].demand_milli += own.high + own.idle;
  }
}

// As it is known, if it was filled from the same.
void Fill(FilledLevels::Level* level, std::vector<Claim> claims, MilliGpus amount_milli,
          std::int64_t gpus) {
  if (!claims.empty() && level->amount_milli == amount_milli && level->gpus == gpus &&
      level->claims == claims) {
    return;
  }
  level->entitled = FillLevel(claims, amount_milli, gpus);
  level->claims = std::move(claims);
  level->amount_milli = amount_milli;
  level->gpus = gpus;
}

}  // namespace

std::vector<Entitlement> Entitle(const AccountTree& tree, const std::string& gpu_type,
                                 MilliGpus capacity_milli, std::span<const MilliGpus> demand,
                                 FilledLevels* known) {
  KEZEK_CHECK(demand.size() == static_cast<std::size_t>(tree.size()), "one demand per account");
  if (known->claims.size() != demand.size()) {
    *known = {ClaimsSet(tree, gpu_type), std::vector<FilledLevels::Level>(demand.size())};
  }
  std::vector<Claim> claims = known->claims;
  AddDemand(tree, demand, &claims);
  std::vector<Entitlement> entitled(claims.size());
  if (claims.empty()) return entitled;
  entitled[0] = FillLevel({claims.data(), 1}, capacity_milli, capacity_milli / kGpu)[0];
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    if (tree.children(i).empty()) continue;
    std::vector<Claim> claimed;
    claimed.reserve(tree.children(i).size());
    for (const AccountIndex child : tree.children(i)) {
      claimed.push_back(claims[static_cast<std::size_t>(child)]);
    }
    const Entitlement& above = entitled[static_cast<std::size_t>(i)];
    FilledLevels::Level& level = known->levels[static_cast<std::size_t>(i)];
    Fill(&level, std::move(claimed), above.entitled_milli, above.entitled_gpus);
    for (std::size_t at = 0; at < level.entitled.size(); ++at) {
      entitled[static_cast<std::size_t>(tree.children(i)[at])] = level.entitled[at];
    }
  }
  return entitled;
}

std::vector<Entitlement> Entitle(const AccountTree& tree, const std::string& gpu_type,
                                 MilliGpus capacity_milli, std::span<const MilliGpus> demand) {
  FilledLevels none;
  return Entitle(tree, gpu_type, capacity_milli, demand, &none);
}

std::vector<MilliGpus> GuaranteesNow(std::span<const Entitlement> entitled) {
  std::vector<MilliGpus> guarantees;
  guarantees.reserve(entitled.size());
  for (const Entitlement& one : entitled) guarantees.push_back(one.guarantee_milli);
  return guarantees;
}

std::vector<MilliGpus> Lent(const AccountTree& tree, std::span<const Entitlement> entitled,
                            std::span<const MilliGpus> allocated, MilliGpus free_milli) {
  std::vector<MilliGpus> lent(entitled.size(), 0);
  if (lent.empty()) return lent;
  std::vector<MilliGpus> kept(entitled.size(), 0);  // idle, with what is below
  for (AccountIndex i = tree.size() - 1; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    kept[at] += entitled[at].idle_milli;
    if (i != kRootIndex) kept[static_cast<std::size_t>(tree.parent(i))] += kept[at];
  }
  std::vector<MilliGpus> free(entitled.size(), 0);
  free[0] = std::max<MilliGpus>(0, free_milli - kept[0]);
  for (AccountIndex parent = 0; parent < tree.size(); ++parent) {
    const auto children = tree.children(parent);  // ascending by id
    const MilliGpus here = free[static_cast<std::size_t>(parent)];
    std::vector<MilliGpus> unused;
    for (const AccountIndex child : children) {
      const auto at = static_cast<std::size_t>(child);
      unused.push_back(
          std::max<MilliGpus>(0, entitled[at].guarantee_milli - allocated[at] - kept[at]));
    }
    const MilliGpus all = std::accumulate(unused.begin(), unused.end(), MilliGpus{0});
    const std::vector<MilliGpus> parts = Parts(unused, std::max<MilliGpus>(0, all - here));
    for (std::size_t i = 0; i < unused.size(); ++i) {
      const auto at = static_cast<std::size_t>(children[i]);
      lent[at] = parts[i];
      free[at] = unused[i] - parts[i] + std::max<MilliGpus>(0, here - all);
    }
  }
  return lent;
}

}  // namespace kezek::quota

#include "tests/property/naive_entitlement.h"

#include <algorithm>
#include <functional>

#include "quota/wide.h"

namespace kezek::test {

using quota::AccountIndex;
using quota::Claim;
using quota::Entitlement;
using quota::Int128;

namespace {

// All GPUs in thousandths; a share is `share` / `Level::denominator` of one.
struct Part {
  const Claim* claim = nullptr;
  Int128 low = 0;
  Int128 high = 0;
  Int128 idle = 0;
  Int128 share = 0;
  Int128 milli = 0;
  Int128 gpus = 0;
};

struct Level {
  std::vector<Part> parts;
  Int128 denominator = 1;
  Int128 total = 0;
  bool scaled = false;
};

Part PartOf(const Claim& claim) {
  Part part{.claim = &claim, .high = claim.demand_milli};
  for (const auto& bound : {claim.cap_milli, claim.limit_milli}) {
    if (bound) part.high = std::min<Int128>(part.high, std::max<MilliGpus>(0, *bound));
  }
  part.low = std::min<Int128>(claim.guarantee_milli, part.high);
  if (claim.lend_max_milli) {
    part.idle = std::max<Int128>(
        0, Int128{claim.guarantee_milli} - *claim.lend_max_milli - claim.demand_milli);
  }
  return part;
}

Int128 Sum(const std::vector<Part>& parts, const std::function<Int128(const Part&)>& of) {
  Int128 sum = 0;
  for (const Part& part : parts) sum += of(part);
  return sum;
}

// Shares `level.total` out by weight. Whoever would get less than its floor, or more than its
// ceiling, gets just that, and the others share the rest anew: in each round those are frozen whose
// side is the larger one in sum.
void ShareOut(Level& level) {
  std::vector<Part*> open;
  for (Part& part : level.parts) open.push_back(&part);
  std::vector<std::pair<Part*, Int128>> frozen;  // in whole thousandths
  Int128 left = level.total;
  Int128 weight = 1;
  while (!open.empty()) {
    weight = 0;
    for (const Part* part : open) weight += part->claim->weight_milli;
    Int128 too_little = 0;
    Int128 too_much = 0;
    for (const Part* part : open) {
      const Int128 share = left * part->claim->weight_milli;
      too_little += std::max<Int128>(0, part->low * weight - share);
      too_much += std::max<Int128>(0, share - part->high * weight);
    }
    if (too_little == 0 && too_much == 0) break;
    std::vector<Part*> rest;
    Int128 given = 0;
    for (Part* part : open) {
      const Int128 share = left * part->claim->weight_milli;
      const bool at_floor = too_little >= too_much && share < part->low * weight;
      const bool at_ceiling = too_much >= too_little && share > part->high * weight;
      if (at_floor || at_ceiling) {
        frozen.push_back({part, at_floor ? part->low : part->high});
        given += frozen.back().second;
      } else {
        rest.push_back(part);
      }
    }
    left -= given;
    open = std::move(rest);
  }
  level.denominator = open.empty() ? Int128{1} : weight;
  for (Part* part : open) part->share = left * part->claim->weight_milli;
  for (const auto& [part, milli] : frozen) part->share = milli * level.denominator;
}

// `units` of `size` each: rounded down, then one more to the largest remainders, ties by id.
void RoundTo(Level& level, Int128 size, Int128 units, Int128 Part::*out) {
  const Int128 unit = level.denominator * size;
  std::vector<Part*> order;
  for (Part& part : level.parts) {
    part.*out = part.share / unit;
    units -= part.*out;
    const bool may = size == 1 || (part.*out + 1) * size <= part.high;
    if (may && part.share % unit != 0) order.push_back(&part);
  }
  std::sort(order.begin(), order.end(), [unit](const Part* a, const Part* b) {
    const Int128 left = a->share % unit;
    const Int128 right = b->share % unit;
    return left != right ? left > right : a->claim->id < b->claim->id;
  });
  for (Part* part : order) {
    if (units <= 0) return;
    part->*out += 1;
    --units;
  }
}

EntitledBy BoundOf(const Level& level, const Part& part) {
  if (level.scaled) return EntitledBy::kScaled;
  const Claim& claim = *part.claim;
  if (part.share == part.high * level.denominator) {
    if (part.high == claim.demand_milli) return EntitledBy::kDemand;
    const bool limit = claim.limit_milli && std::max<MilliGpus>(0, *claim.limit_milli) == part.high;
    return limit ? EntitledBy::kRunningLimit : EntitledBy::kBorrowMax;
  }
  const bool floor = part.low > 0 && part.share == part.low * level.denominator;
  return floor ? EntitledBy::kGuarantee : EntitledBy::kShare;
}

}  // namespace

std::vector<Entitlement> NaiveFillLevel(const std::vector<Claim>& claims, MilliGpus amount_milli,
                                        std::int64_t gpus) {
  Level level;
  for (const Claim& claim : claims) level.parts.push_back(PartOf(claim));
  const Int128 low = Sum(level.parts, [](const Part& part) { return part.low; });
  const Int128 high = Sum(level.parts, [](const Part& part) { return part.high; });
  const Int128 idle = Sum(level.parts, [](const Part& part) { return part.idle; });
  level.scaled = low + idle > amount_milli;
  if (level.scaled) {
    level.denominator = low + idle;
    level.total = low * amount_milli / level.denominator;
    for (Part& part : level.parts) {
      part.share = part.low * amount_milli;
      part.idle = part.idle * amount_milli / level.denominator;
    }
  } else {
    level.total = std::min(amount_milli - idle, high);
    ShareOut(level);
  }
  RoundTo(level, 1, level.total, &Part::milli);
  RoundTo(level, 1000, std::min<Int128>(gpus, level.total / 1000), &Part::gpus);
  std::vector<Entitlement> entitled;
  for (const Part& part : level.parts) {
    const auto milli = static_cast<MilliGpus>(part.milli);
    entitled.push_back({.demand_milli = part.claim->demand_milli,
                        .entitled_milli = milli,
                        .entitled_gpus = static_cast<std::int64_t>(part.gpus),
                        .idle_milli = static_cast<MilliGpus>(part.idle),
                        .by = BoundOf(level, part),
                        .guarantee_milli = level.scaled ? milli : part.claim->guarantee_milli});
  }
  return entitled;
}

MilliGpus NaiveGuarantee(const quota::AccountTree& tree, AccountIndex account,
                         const std::string& gpu_type) {
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    if (tree.IsAncestor(i, account) && tree.account(i).closed) return 0;
  }
  return tree.share(account, gpu_type).guarantee_milli;
}

std::vector<Entitlement> NaiveEntitle(const quota::AccountTree& tree, const std::string& gpu_type,
                                      MilliGpus capacity_milli, std::span<const MilliGpus> demand) {
  const std::function<Claim(AccountIndex)> claim_of = [&](AccountIndex i) {
    const Share& share = tree.share(i, gpu_type);
    Claim claim{.id = tree.id(i),
                .weight_milli = share.weight_milli,
                .guarantee_milli = NaiveGuarantee(tree, i, gpu_type),
                .limit_milli = tree.account(i).settings.account_limits.running_milli};
    bool open = false;  // else nobody could use what is kept idle
    for (AccountIndex j = 0; j < tree.size(); ++j) {
      open |= tree.IsAncestor(i, j) && tree.HoldsJobs(j) && !tree.IsClosed(j);
    }
    if (open) claim.lend_max_milli = share.lend_max_milli;
    if (share.borrow_max_milli) claim.cap_milli = claim.guarantee_milli + *share.borrow_max_milli;
    if (tree.children(i).empty()) claim.demand_milli = demand[static_cast<std::size_t>(i)];
    for (const AccountIndex child : tree.children(i)) {
      const Claim below = claim_of(child);
      const Part part = PartOf(below);
      claim.demand_milli += static_cast<MilliGpus>(part.high + part.idle);
    }
    return claim;
  };
  std::vector<Entitlement> entitled(demand.size());
  const std::function<void(AccountIndex)> fill_below = [&](AccountIndex parent) {
    std::vector<Claim> claims;
    for (const AccountIndex child : tree.children(parent)) claims.push_back(claim_of(child));
    const Entitlement above = entitled[static_cast<std::size_t>(parent)];
    const auto filled = NaiveFillLevel(claims, above.entitled_milli, above.entitled_gpus);
    for (std::size_t at = 0; at < claims.size(); ++at) {
      const AccountIndex child = tree.children(parent)[at];
      entitled[static_cast<std::size_t>(child)] = filled[at];
      fill_below(child);
    }
  };
  if (demand.empty()) return entitled;
  entitled[0] = NaiveFillLevel({claim_of(0)}, capacity_milli, capacity_milli / 1000)[0];
  fill_below(0);
  return entitled;
}

}  // namespace kezek::test

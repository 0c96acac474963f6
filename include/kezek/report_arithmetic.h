// What reports say of figures: parts of a whole, causes, how equal shares are. Integers; the same
// figures give the same report.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "kezek/check.h"
#include "kezek/report.h"

namespace kezek {

inline constexpr std::int64_t kMillion = 1'000'000;
__extension__ typedef __int128 WideInt;

// Why an account did not hold what was due to it, or held more. In this order they lead from due to
// entitled, then from entitled to held.
enum class ShareCause : std::uint8_t {
  kNoDemand,       // not asked for
  kLimit,          // asked for by jobs that limits stop
  kBudget,         // asked for by jobs that budgets stop
  kLeftByOthers,   // others asked for less, or were stopped; below 0: rounding, or kept idle
  kFragmentation,  // free, but not in the shape or place that jobs wait for
  kTakenByOthers,  // held by others, scavengers and what was ending
  kStoodStill,     // nothing could be started
  kBorrowed,       // left by others, or asked for while its jobs ran on
};
inline constexpr std::array<std::string_view, 8> kShareCauseCodes = {"NO_DEMAND",
                                                                     "LIMIT",
                                                                     "BUDGET",
                                                                     "LEFT_BY_OTHERS",
                                                                     "FRAGMENTATION",
                                                                     "TAKEN_BY_OTHERS",
                                                                     "SCHEDULING_STOOD_STILL",
                                                                     "BORROWED"};

// By cause, signed. due + all of them = held; due + the first four = entitled.
inline std::array<MilliGpuMs, kShareCauseCodes.size()> CausesOf(const AccountFigures& figures) {
  const MilliGpuMs unasked = figures.no_demand + figures.by_limits + figures.by_budgets;
  const MilliGpuMs missing = figures.unfit + figures.taken + figures.away;
  return {-figures.no_demand,  -figures.by_limits,
          -figures.by_budgets, figures.entitled - figures.due + unasked,
          -figures.unfit,      -figures.taken,
          -figures.away,       figures.held - figures.entitled + missing};
}

// part / whole in millionths, rounded to the nearest; 0 of nothing. Not negative.
inline std::int64_t Ppm(std::int64_t part, std::int64_t whole) {
  if (whole <= 0 || part <= 0) return 0;
  const WideInt doubled = static_cast<WideInt>(part) * (2 * kMillion) + whole;
  return static_cast<std::int64_t>(doubled / (static_cast<WideInt>(whole) * 2));
}

// Each amount's millionths of all together, by largest remainder, ties to the first: they sum to a
// million exactly, or are 0 where all is nothing. Amounts are not negative.
inline std::vector<std::int64_t> PartsPpm(std::span<const std::int64_t> amounts) {
  std::vector<std::int64_t> parts(amounts.size(), 0);
  WideInt whole = 0;
  for (const std::int64_t amount : amounts) {
    KEZEK_CHECK(amount >= 0, "a negative part");
    whole += amount;
  }
  if (whole == 0) return parts;
  std::vector<std::pair<WideInt, std::size_t>> rest;
  std::int64_t left = kMillion;
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    const WideInt exact = static_cast<WideInt>(amounts[i]) * kMillion;
    parts[i] = static_cast<std::int64_t>(exact / whole);
    left -= parts[i];
    rest.emplace_back(-(exact % whole), i);
  }
  std::sort(rest.begin(), rest.end());
  for (std::size_t i = 0; i < static_cast<std::size_t>(left); ++i) ++parts[rest[i].second];
  return parts;
}

struct Satisfaction {
  MilliGpuMs received = 0;
  MilliGpuMs entitled = 0;
};

// Jain's index (sum x)^2 / (n sum x^2) of x = received / entitled, over all of them; x is taken in
// millionths and at most 1000. Of one that was entitled to nothing it is 0 if it got nothing, and
// 1 if it got something all the same. In millionths, rounded down; a million if nobody got
// anything.
inline std::int64_t JainPpm(std::span<const Satisfaction> all) {
  constexpr std::int64_t kMost = 1000 * kMillion;
  WideInt count = 0;
  WideInt sum = 0;
  WideInt squares = 0;
  for (const Satisfaction& one : all) {
    const WideInt x =
        one.entitled > 0
            ? std::min<WideInt>(kMost, static_cast<WideInt>(one.received) * kMillion / one.entitled)
            : WideInt{one.received > 0 ? kMillion : 0};
    ++count;
    sum += x;
    squares += x * x;
  }
  if (squares == 0) return kMillion;
  // x < 2^30, so it fits for n < 2^23.
  return static_cast<std::int64_t>(sum * sum * kMillion / (count * squares));
}

// Mean of |received - target|, to the nearest; 0 of none. As many of one as of the other.
inline std::int64_t PolicyErrorPpm(std::span<const std::int64_t> received,
                                   std::span<const std::int64_t> targets) {
  KEZEK_CHECK(received.size() == targets.size(), "one target for each");
  if (received.empty()) return 0;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < received.size(); ++i) {
    sum += std::max(received[i], targets[i]) - std::min(received[i], targets[i]);
  }
  const auto count = static_cast<std::int64_t>(received.size());
  return (2 * sum + count) / (2 * count);
}

// An amount by the rate of its GPU type (thousandths), rounded down.
inline MilliGpuMs Rated(MilliGpuMs amount, std::int64_t rate_milli) {
  return static_cast<MilliGpuMs>(static_cast<WideInt>(amount) * rate_milli / 1000);
}

}  // namespace kezek

// Usage: sum of pieces x 2^(-age / half_life), exactly, in integers.
//
// Time is cut into periods of one half-life, counted from 1970. A booking in period k adds
// amount x 2^x to that period's sum, where x in [0,1) is how far into the period its date lies:
// what it would have been at the period's start. Usage in period n is the sum over k of
// sum_k / 2^(n-k); what lies 41 periods back or more counts nothing. 2^x comes from one table of
// 2^-y in 32-bit fixed point (257 entries, straight lines between them, error below 10^-6), and
// products are kept whole: taking a booking back leaves exactly nothing, and the order of bookings
// does not matter. Within a period all usages decay alike, so comparing needs the period only.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "quota/account_tree.h"
#include "quota/wide.h"

namespace kezek::quota {

inline constexpr int kUsagePeriods = 41;

class Decay {
 public:
  explicit Decay(DurationMs half_life_ms);  // at least 1 s
  DurationMs half_life_ms() const { return half_life_ms_; }
  std::int64_t PeriodOf(TimeMs date) const;
  // 2^x of the date in its period: [2^32, 2^33).
  std::uint64_t Factor(TimeMs date) const;
  bool operator==(const Decay&) const = default;

 private:
  DurationMs half_life_ms_;
};

// A usage as of one period, scaled by 2^(32+40): to compare and to add to within a tick.
using UsageValue = Int256;

class UsageSum {
 public:
  void Book(const Decay& decay, TimeMs date, MilliGpuMs amount);
  // All that was booked in another sum under the same decay.
  void Add(const UsageSum& other);
  // Dates after `period` count as if they lay in it.
  UsageValue At(std::int64_t period) const;
  bool operator==(const UsageSum&) const = default;

 private:
  std::vector<std::pair<std::int64_t, Int128>> by_period_;  // ascending; no zeros
};

// What a booking of `amount` dated `now` adds to a value of now's period.
UsageValue UsageOfBooking(const Decay& decay, TimeMs now, MilliGpuMs amount);

// a / weight_a against b / weight_b; weights in 1…kMaxWeightMilli.
std::strong_ordering CompareUsagePerWeight(const UsageValue& a, std::int64_t weight_a,
                                           const UsageValue& b, std::int64_t weight_b);

// Decayed to `now`, for people; decides nothing.
double UsageGpuHours(const Decay& decay, const UsageSum& sum, TimeMs now);
// The same of many sums.
class UsageInGpuHours {
 public:
  UsageInGpuHours(const Decay& decay, TimeMs now);
  double Of(const UsageSum& sum) const;

 private:
  std::int64_t period_;
  double since_start_;  // 2^x, for people
};

// The usages of one GPU type.
class UsageBook {
 public:
  explicit UsageBook(DurationMs half_life_ms) : decay_(half_life_ms) {}
  // To the project, to the user in it and to every account above it as the tree is now: when an
  // account moves later, it takes its own usage along and both parents keep theirs. A project that
  // is not in the tree keeps its own figure only.
  void Book(const AccountTree& tree, AccountId project, UserId user, TimeMs date,
            MilliGpuMs amount);
  // The same at each date.
  void Book(const AccountTree& tree, AccountId project, UserId user,
            std::span<const std::pair<TimeMs, MilliGpuMs>> dated);
  // To these accounts above the project instead.
  void Book(std::span<const AccountId> above, AccountId project, UserId user,
            std::span<const std::pair<TimeMs, MilliGpuMs>> dated);
  const UsageSum& OfAccount(AccountId account) const;
  const UsageSum& OfUser(AccountId project, UserId user) const;
  // Of every account that has any. What is once there stays where it is.
  const std::map<AccountId, UsageSum>& accounts() const { return accounts_; }
  // Of every project and user that have any. Likewise.
  const std::map<std::pair<AccountId, UserId>, UsageSum>& users() const { return users_; }
  const Decay& decay() const { return decay_; }
  bool operator==(const UsageBook&) const = default;

 private:
  Decay decay_;
  std::map<AccountId, UsageSum> accounts_;
  std::map<std::pair<AccountId, UserId>, UsageSum> users_;
};

}  // namespace kezek::quota

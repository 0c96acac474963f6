#include "quota/usage.h"

#include <array>
#include <iterator>
#include <vector>

#include "kezek/check.h"
#include "kezek/time.h"

namespace kezek::quota {
namespace {

constexpr int kSteps = 256;  // of the table, a power of two

constexpr UInt128 SquareRoot(UInt128 value) {
  UInt128 root = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const UInt128 trial = root | (static_cast<UInt128>(1) << bit);
    if (trial * trial <= value) root = trial;
  }
  return root;
}

// 2^(-i/256) in 32-bit fixed point, i = 0…256. Made from square roots of 1/2 in 62-bit fixed point:
// 2^(-1/2), 2^(-1/4)… are multiplied as the bits of i say.
constexpr std::array<std::uint64_t, kSteps + 1> MakeTable() {
  constexpr int kBits = 62;
  std::array<UInt128, 9> factor{};  // 2^(-2^b / 256)
  factor[8] = static_cast<UInt128>(1) << (kBits - 1);
  for (std::size_t b = 8; b-- > 0;) factor[b] = SquareRoot(factor[b + 1] << kBits);
  std::array<std::uint64_t, kSteps + 1> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    UInt128 value = static_cast<UInt128>(1) << kBits;
    for (std::size_t b = 0; b < factor.size(); ++b) {
      if ((i >> b) & 1U) value = (value * factor[b]) >> kBits;
    }
    table[i] = static_cast<std::uint64_t>((value + (1U << (kBits - 33))) >> (kBits - 32));
  }
  return table;
}

constexpr std::array<std::uint64_t, kSteps + 1> kTable = MakeTable();
static_assert(kTable[0] == std::uint64_t{1} << 32 && kTable[kSteps] == std::uint64_t{1} << 31);
static_assert(kTable[128] == 3'037'000'500);  // 2^32 / sqrt(2)

const UsageSum kNoUsage;

// Most bookings are of the last periods.
template <class Sums>
auto FirstFrom(Sums& sums, std::int64_t period) {
  auto at = sums.end();
  while (at != sums.begin() && std::prev(at)->first >= period) --at;
  return at;
}

}  // namespace

Decay::Decay(DurationMs half_life_ms) : half_life_ms_(half_life_ms) {
  KEZEK_CHECK(half_life_ms >= kSecondMs && half_life_ms <= 36600 * kDayMs,
              "a half-life is from a second to a hundred years");
}

std::int64_t Decay::PeriodOf(TimeMs date) const {
  const std::int64_t period = date / half_life_ms_;
  return date % half_life_ms_ < 0 ? period - 1 : period;
}

std::uint64_t Decay::Factor(TimeMs date) const {
  // 2^x = 2 x 2^-(1-x): the way left to the period's end, looked up in the table.
  const std::int64_t left = half_life_ms_ - (date - PeriodOf(date) * half_life_ms_);
  const Int128 scaled = static_cast<Int128>(left) * kSteps;
  const auto step = static_cast<std::size_t>(scaled / half_life_ms_);
  const std::int64_t rest = static_cast<std::int64_t>(scaled % half_life_ms_);
  if (rest == 0) return 2 * kTable[step];
  const std::uint64_t drop = kTable[step] - kTable[step + 1];
  const auto part =
      static_cast<std::uint64_t>(static_cast<UInt128>(drop) * static_cast<UInt128>(rest) /
                                 static_cast<UInt128>(half_life_ms_));
  return 2 * (kTable[step] - part);
}

void UsageSum::Book(const Decay& decay, TimeMs date, MilliGpuMs amount) {
  if (amount == 0) return;
  const std::int64_t period = decay.PeriodOf(date);
  auto at = FirstFrom(by_period_, period);
  if (at == by_period_.end() || at->first != period) at = by_period_.insert(at, {period, 0});
  at->second += static_cast<Int128>(amount) * static_cast<Int128>(decay.Factor(date));
  if (at->second == 0) by_period_.erase(at);
}

void UsageSum::Add(const UsageSum& other) {
  for (const auto& [period, amount] : other.by_period_) {
    auto at = FirstFrom(by_period_, period);
    if (at == by_period_.end() || at->first != period) at = by_period_.insert(at, {period, 0});
    at->second += amount;
    if (at->second == 0) by_period_.erase(at);
  }
}

UsageValue UsageSum::At(std::int64_t period) const {
  UsageValue value;
  auto at = FirstFrom(by_period_, period - kUsagePeriods + 1);
  for (; at != by_period_.end(); ++at) {
    const std::int64_t age = at->first > period ? 0 : period - at->first;
    UsageValue part{at->second};
    part <<= static_cast<unsigned>(kUsagePeriods - 1 - age);
    value += part;
  }
  return value;
}

UsageValue UsageOfBooking(const Decay& decay, TimeMs now, MilliGpuMs amount) {
  UsageValue value{static_cast<Int128>(amount) * static_cast<Int128>(decay.Factor(now))};
  value <<= static_cast<unsigned>(kUsagePeriods - 1);
  return value;
}

std::strong_ordering CompareUsagePerWeight(const UsageValue& a, std::int64_t weight_a,
                                           const UsageValue& b, std::int64_t weight_b) {
  if (a.HasHigh() && b.HasHigh()) {  // these nearly always tell: what is below adds less than 1
    const Int128 low_a = static_cast<Int128>(a.High()) * weight_b;
    const Int128 low_b = static_cast<Int128>(b.High()) * weight_a;
    if (low_a + weight_b <= low_b) return std::strong_ordering::less;
    if (low_b + weight_a <= low_a) return std::strong_ordering::greater;
  }
  UsageValue left = a;
  UsageValue right = b;
  left *= static_cast<std::uint64_t>(weight_b);
  right *= static_cast<std::uint64_t>(weight_a);
  return left <=> right;
}

// A figure for people.
double UsageGpuHours(const Decay& decay, const UsageSum& sum, TimeMs now) {
  return UsageInGpuHours(decay, now).Of(sum);
}

// Likewise for people.
UsageInGpuHours::UsageInGpuHours(const Decay& decay, TimeMs now)
    : period_(decay.PeriodOf(now)),
      since_start_(static_cast<double>(decay.Factor(now)) / 4294967296.0) {}

// Likewise for people.
double UsageInGpuHours::Of(const UsageSum& sum) const {
  const double scale = 4294967296.0 * 1099511627776.0;  // 2^(32+40)
  return sum.At(period_).ToDouble() / scale / since_start_ / 1000.0 / static_cast<double>(kHourMs);
}

void UsageBook::Book(const AccountTree& tree, AccountId project, UserId user, TimeMs date,
                     MilliGpuMs amount) {
  const std::pair<TimeMs, MilliGpuMs> one{date, amount};
  Book(tree, project, user, {&one, 1});
}

void UsageBook::Book(const AccountTree& tree, AccountId project, UserId user,
                     std::span<const std::pair<TimeMs, MilliGpuMs>> dated) {
  std::vector<AccountId> above;
  AccountIndex i = tree.IndexOf(project);
  if (i != kNoAccount) i = tree.parent(i);
  for (; i != kNoAccount; i = tree.parent(i)) above.push_back(tree.id(i));
  Book(above, project, user, dated);
}

void UsageBook::Book(std::span<const AccountId> above, AccountId project, UserId user,
                     std::span<const std::pair<TimeMs, MilliGpuMs>> dated) {
  UsageSum sum;
  for (const auto& [date, amount] : dated) sum.Book(decay_, date, amount);
  users_[{project, user}].Add(sum);
  accounts_[project].Add(sum);
  for (const AccountId account : above) accounts_[account].Add(sum);
}

const UsageSum& UsageBook::OfAccount(AccountId account) const {
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? kNoUsage : found->second;
}

const UsageSum& UsageBook::OfUser(AccountId project, UserId user) const {
  const auto found = users_.find({project, user});
  return found == users_.end() ? kNoUsage : found->second;
}

}  // namespace kezek::quota

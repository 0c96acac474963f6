#include "quota/history.h"

#include <algorithm>
#include <optional>

#include "kezek/check.h"
#include "quota/entitlement.h"

namespace kezek::quota {
namespace {

std::size_t At(AccountIndex i) { return static_cast<std::size_t>(i); }

std::optional<MilliGpus> CapOf(const AccountTree& tree, AccountIndex i, const std::string& type) {
  const std::optional<MilliGpus> share = tree.ShareCap(i, type);
  const std::optional<MilliGpus> limit = tree.account(i).settings.account_limits.running_milli;
  if (!share) return limit;
  return limit ? std::min(*share, *limit) : share;
}

// What is asked for, from below: clipped to each account's cap. What a cap cuts off is among what
// limits stop.
struct Asked {
  std::vector<MilliGpus> demanded;
  std::vector<MilliGpus> by_limits;
  std::vector<MilliGpus> by_budgets;
};

Asked AskedOf(const AccountTree& tree, const PoolStanding& pool) {
  Asked asked;
  for (auto* figures : {&asked.demanded, &asked.by_limits, &asked.by_budgets}) {
    figures->assign(At(tree.size()), 0);
  }
  for (AccountIndex i = tree.size() - 1; i >= 0; --i) {
    const auto at = At(i);
    if (tree.children(i).empty()) {
      asked.demanded[at] = pool.demanded[at];
      asked.by_limits[at] = pool.by_limits[at];
      asked.by_budgets[at] = pool.by_budgets[at];
    }
    const MilliGpus cap = CapOf(tree, i, pool.gpu_type).value_or(asked.demanded[at]);
    asked.by_limits[at] += std::max<MilliGpus>(0, asked.demanded[at] - cap);
    asked.demanded[at] = std::max(pool.held[at], std::min(asked.demanded[at], cap));
    if (i == kRootIndex) continue;
    const auto above = At(tree.parent(i));
    asked.demanded[above] += asked.demanded[at];
    asked.by_limits[above] += asked.by_limits[at];
    asked.by_budgets[above] += asked.by_budgets[at];
  }
  return asked;
}

}  // namespace

std::vector<MilliGpus> DueShares(const AccountTree& tree, const std::string& gpu_type,
                                 MilliGpus capacity_milli) {
  std::vector<MilliGpus> demand(At(tree.size()), 0);
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    if (tree.HoldsJobs(i) && !tree.IsClosed(i)) demand[At(i)] = capacity_milli;
  }
  std::vector<MilliGpus> due;
  due.reserve(demand.size());
  for (const Entitlement& one : Entitle(tree, gpu_type, capacity_milli, demand)) {
    due.push_back(one.entitled_milli);
  }
  return due;
}

std::vector<AccountFigures> FiguresOf(const AccountTree& tree, const PoolStanding& pool) {
  for (const auto* figures : {&pool.due, &pool.entitled, &pool.held, &pool.guarantee, &pool.lent,
                              &pool.apart, &pool.demanded, &pool.by_limits, &pool.by_budgets}) {
    KEZEK_CHECK(figures->size() == At(tree.size()), "one figure per account");
  }
  const Asked asked = AskedOf(tree, pool);
  std::vector<AccountFigures> all(At(tree.size()));
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    const auto at = At(i);
    AccountFigures& one = all[at];
    one.due = pool.due[at];
    one.entitled = pool.entitled[at];
    one.held = pool.held[at];
    one.demanded = asked.demanded[at];
    one.borrowed = std::max<MilliGpus>(0, one.held - pool.guarantee[at]);
    one.lent = pool.lent[at];
    one.apart = pool.apart[at];
    MilliGpus gap = std::max<MilliGpus>(0, one.due - one.demanded);
    one.by_limits = std::min(gap, asked.by_limits[at]);
    gap -= one.by_limits;
    one.by_budgets = std::min(gap, asked.by_budgets[at]);
    one.no_demand = gap - one.by_budgets;
    const MilliGpus missing = std::max<MilliGpus>(0, one.entitled - one.held);
    one.away = pool.away ? missing : 0;
    one.unfit = std::min(missing - one.away, std::max<MilliGpus>(0, pool.free_milli));
    one.taken = missing - one.away - one.unfit;
  }
  return all;
}

void History::Advance(TimeMs now) {
  while (at_ms_ < now) {
    const TimeMs hour = at_ms_ / kHourMs * kHourMs;
    const TimeMs until = std::min(now, hour + kHourMs);
    for (const AccountHour& row : standing_) {
      auto [sum, first] =
          hours_[hour].try_emplace({row.account, row.gpu_type}, Sum{{}, row.versions});
      if (!first) sum->second.versions += row.versions;
      for (const auto member : kAccountFigures) {
        sum->second.figures.*member += row.figures.*member * (until - at_ms_);
      }
    }
    at_ms_ = until;
  }
}

HistoryChange History::Take() {
  HistoryChange change;
  if (at_ms_ == until_ms_) return change;
  for (auto& [hour, rows] : hours_) {
    for (auto& [whose, sum] : rows) {
      if (sum.figures == AccountFigures{}) continue;
      change.hours.push_back({whose.first, whose.second, hour, sum.figures, sum.versions});
    }
  }
  hours_.clear();
  until_ms_ = at_ms_;
  change.until_ms = until_ms_;
  return change;
}

}  // namespace kezek::quota

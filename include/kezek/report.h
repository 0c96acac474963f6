// What reports are made from: how accounts stood hour by hour, and sums over what was charged, ran
// and waited. Integers throughout.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

// One account and GPU type: milli-GPUs at a moment, or integrated over time milli-GPU-milliseconds.
// Scavengers are in none of it. At every moment, and so for every sum,
//   due - no_demand - by_limits - by_budgets + (what others leave) = entitled
//   entitled - unfit - taken - away + (what nobody else was entitled to) = held <= demanded
// where both parts in brackets are what is missing to the sum.
struct AccountFigures {
  std::int64_t due = 0;       // entitled to, if everybody asked for all that caps allow
  std::int64_t entitled = 0;  // by what is asked for: see quota/entitlement.h
  std::int64_t held = 0;      // by what ran on shared nodes, starting included
  std::int64_t demanded = 0;  // held, and asked for by jobs that only GPUs keep from starting
  std::int64_t borrowed = 0;  // of what was held: above the guarantee that counted
  std::int64_t lent = 0;      // of the guarantee: held by others, see quota::Lent
  // Due, and not demanded.
  std::int64_t no_demand = 0;   // nobody asked
  std::int64_t by_limits = 0;   // jobs asked that limits stop
  std::int64_t by_budgets = 0;  // jobs asked that budgets stop
  // Entitled, and not held.
  std::int64_t unfit = 0;  // so many were free: not in the shape or place that jobs wait for
  std::int64_t taken = 0;  // held by others, scavengers and what was ending
  std::int64_t away = 0;   // nothing could be started: the cluster, or the scheduler stood still
  // Ran besides on dedicated nodes and lanes of classes: in no guarantee, and in no figure above.
  std::int64_t apart = 0;
  bool operator==(const AccountFigures&) const = default;
};

// All members, in the order in which they are stored.
inline constexpr std::array kAccountFigures = {
    &AccountFigures::due,       &AccountFigures::entitled,  &AccountFigures::held,
    &AccountFigures::demanded,  &AccountFigures::borrowed,  &AccountFigures::lent,
    &AccountFigures::no_demand, &AccountFigures::by_limits, &AccountFigures::by_budgets,
    &AccountFigures::unfit,     &AccountFigures::taken,     &AccountFigures::away,
    &AccountFigures::apart};

inline AccountFigures& operator+=(AccountFigures& sum, const AccountFigures& more) {
  for (const auto member : kAccountFigures) sum.*member += more.*member;
  return sum;
}

// Of the settings that the ticks behind figures used, first and last; 0: not known.
struct VersionRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  bool operator==(const VersionRange&) const = default;
};

inline VersionRange& operator+=(VersionRange& all, const VersionRange& more) {
  all = {std::min(all.first, more.first), std::max(all.last, more.last)};
  return all;
}

// Of the hour (or, where hours have been put together, the day) that begins at `from_ms`, UTC.
struct AccountHour {
  AccountId account;
  std::string gpu_type;
  TimeMs from_ms = 0;
  AccountFigures figures;
  VersionRange versions = {};
  bool operator==(const AccountHour&) const = default;
};

// What a step adds to the history.
struct HistoryChange {
  std::vector<AccountHour> hours;  // added to what is there; each account, type and hour once
  TimeMs until_ms = 0;             // all before is in; 0: there is nothing new
  TimeMs to_days_before_ms = 0;    // hours before are put together to days; 0: none
  bool operator==(const HistoryChange&) const = default;
};

// Into what time is cut: the label of each part is "2026-11-21", "2026-11" or "".
enum class ReportPeriod : std::uint8_t { kNone, kDay, kMonth };

// How far the history goes, and how finely it is kept: by the day before `days_before_ms`.
struct HistoryKept {
  TimeMs until_ms = 0;  // all before is in
  TimeMs days_before_ms = 0;
  bool operator==(const HistoryKept&) const = default;
};

// Which hours: those that lie in [since, until) as a whole; before HistoryKept::days_before_ms
// both are the beginnings of days.
struct HistoryQuery {
  std::vector<AccountId> accounts;
  std::string gpu_type;  // empty: all
  TimeMs since_ms = 0;
  TimeMs until_ms = 0;
  ReportPeriod period = ReportPeriod::kNone;
};

struct HistoryRow {
  AccountId account;
  std::string gpu_type;
  std::string period;
  AccountFigures figures;
  VersionRange versions = {};
  bool operator==(const HistoryRow&) const = default;
};

// What happened to jobs of these projects in [since, until): entries booked, jobs ended or started,
// attempts ended.
struct ReportQuery {
  // Each with the number of the group that its figures go to.
  std::vector<std::pair<AccountId, std::int32_t>> projects;
  std::string gpu_type;  // empty: all
  TimeMs since_ms = 0;
  TimeMs until_ms = 0;
  std::int64_t last_ledger_seq = 0;  // nothing booked after it; 0: all
  bool by_user = false;
  bool by_class = false;
  bool by_gpu_type = false;
  bool by_kind = false;
  ReportPeriod period = ReportPeriod::kNone;
};

// What is not asked for is the same in all keys.
struct ReportKey {
  std::int32_t group = 0;
  UserId user;
  std::string job_class;
  std::string gpu_type;
  std::string kind;
  std::string period;
  auto operator<=>(const ReportKey&) const = default;
};

// From submission to the first start. A percentile is the least wait that so many do not exceed.
struct WaitSums {
  std::int64_t jobs = 0;
  std::int64_t sum_ms = 0;
  std::int64_t p50_ms = 0;
  std::int64_t p95_ms = 0;
  std::int64_t max_ms = 0;
  bool operator==(const WaitSums&) const = default;
};

struct ReportSums {
  std::int64_t jobs = 0;       // ended
  std::int64_t failed = 0;     // of these: failed, or timed out
  std::int64_t preempted = 0;  // attempts
  MilliGpuMs charged = 0;      // refunds not taken off
  MilliGpuMs refunded = 0;
  MilliGpuMs foreign = 0;  // of what was charged: by what ran beside Kezek
  MilliGpuMs used = 0;     // counted GPUs x time of what was settled, without rate and factor
  MilliGpuMs lost = 0;     // of that, by attempts that preemption and faults ended
  // Of the groups' accounts' budgets; not told apart by user, class or kind.
  MilliGpuMs expired = 0;
  WaitSums waits;
  bool operator==(const ReportSums&) const = default;
};

struct ReportFigures {
  std::map<ReportKey, ReportSums> rows;
  WaitSums waits;  // of all rows together
  // Of the ledger's entries in that time, whoever's; 0: there are none.
  std::int64_t first_ledger_seq = 0;
  std::int64_t last_ledger_seq = 0;
  bool operator==(const ReportFigures&) const = default;
};

// How often admins put their will in the place of the rules, in jobs of a project.
struct OverrideCount {
  AccountId project;
  std::string kind;  // of kOverrides
  std::int64_t count = 0;
  bool operator==(const OverrideCount&) const = default;
};

}  // namespace kezek

// Nodes that an admin keeps for somebody, or for maintenance: once, or again and again.
//
// Its occurrences are [begin, end), each as long as the first; times are UTC, so that "every week"
// is every seven days of 24 hours. Pure functions; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/time.h"

namespace kezek {

struct AdminReservation {
  std::string name;  // unique
  TimeMs start_ms = 0;
  DurationMs duration_ms = 0;
  DurationMs repeat_every_ms = 0;   // 0: once; else no less than the duration
  TimeMs repeat_until_ms = 0;       // last begin; 0: without end
  std::vector<std::string> nodes;   // sorted; those chosen, where only a number was asked for
  std::int32_t node_count = 0;      // as asked for; 0: nodes were named
  std::string gpu_type;             // likewise
  std::vector<AccountId> accounts;  // that may use it, with all below them
  std::vector<UserId> users;        // that may use it, whatever their project
  std::string reason;
  std::string actor;  // who made or changed it last
  std::int64_t version = 0;

  // Nobody may use it.
  bool IsMaintenance() const { return accounts.empty() && users.empty(); }
  bool operator==(const AdminReservation&) const = default;
};

struct Occurrence {
  TimeMs begin_ms = 0;
  TimeMs end_ms = 0;
  bool operator==(const Occurrence&) const = default;
};

// The first that ends after `time`. None: it is over by then.
inline std::optional<Occurrence> NextOccurrence(const AdminReservation& reservation, TimeMs time) {
  TimeMs begin = reservation.start_ms;
  const DurationMs length = reservation.duration_ms;
  const DurationMs every = reservation.repeat_every_ms;
  if (every > 0 && time >= begin + length) begin += ((time - begin - length) / every + 1) * every;
  const bool repeats = every > 0 && begin != reservation.start_ms;
  const TimeMs last = reservation.repeat_until_ms;
  if (begin + length <= time || (repeats && last != 0 && begin > last)) return std::nullopt;
  return Occurrence{begin, begin + length};
}

inline bool IsOver(const AdminReservation& reservation, TimeMs now) {
  return !NextOccurrence(reservation, now).has_value();
}

// The first that shares a moment with [from, until).
inline std::optional<Occurrence> FirstIn(const AdminReservation& reservation, TimeMs from,
                                         TimeMs until) {
  const auto next = NextOccurrence(reservation, from);
  return next && next->begin_ms < until ? next : std::nullopt;
}

// Whether [from, until) lies in one occurrence.
inline bool Covers(const AdminReservation& reservation, TimeMs from, TimeMs until) {
  const auto next = NextOccurrence(reservation, from);
  return next && next->begin_ms <= from && until <= next->end_ms;
}

inline bool HasNode(const AdminReservation& reservation, const std::string& node) {
  return std::binary_search(reservation.nodes.begin(), reservation.nodes.end(), node);
}

// Whether jobs of the user in the project may run in it.
inline bool MayUse(const AdminReservation& reservation,
                   const std::map<AccountId, Account>& accounts, AccountId project, UserId user) {
  const auto& users = reservation.users;
  if (std::find(users.begin(), users.end(), user) != users.end()) return true;
  const auto& listed = reservation.accounts;
  std::size_t most = accounts.size();  // levels above it
  for (auto at = accounts.find(project); at != accounts.end() && most > 0; --most) {
    if (std::find(listed.begin(), listed.end(), at->first) != listed.end()) return true;
    at = accounts.find(at->second.parent);
  }
  return false;
}

}  // namespace kezek

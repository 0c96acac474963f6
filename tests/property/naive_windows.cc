// Admins' reservations by their rule: occurrences counted up one by one, each node by itself.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "tests/property/naive_engine.h"
#include "tests/property/naive_tick.h"

namespace kezek::test {
namespace {

struct Time {
  TimeMs begin = 0;
  TimeMs end = 0;
};

// Those that are not over and begin before `until`.
std::vector<Time> TimesOf(const AdminReservation& reservation, TimeMs now, TimeMs until) {
  std::vector<Time> times;
  TimeMs begin = reservation.start_ms;
  while (begin < until) {
    const bool again = begin > reservation.start_ms;
    if (again && reservation.repeat_until_ms != 0 && begin > reservation.repeat_until_ms) break;
    if (begin + reservation.duration_ms > now)
      times.push_back({begin, begin + reservation.duration_ms});
    if (reservation.repeat_every_ms == 0) break;
    begin += reservation.repeat_every_ms;
  }
  return times;
}

bool Lists(const AdminReservation& reservation, const std::string& node) {
  return std::count(reservation.nodes.begin(), reservation.nodes.end(), node) > 0;
}

}  // namespace

// Under maintenance.
bool NaiveEngine::IsClosed(const std::string& node, TimeMs now) const {
  for (const auto& [name, one] : directory_->reservations) {
    if (!one.accounts.empty() || !one.users.empty() || !Lists(one, node)) continue;
    if (!TimesOf(one, now, now + 1).empty()) return true;
  }
  return false;
}

// It may start late, and is gone when what it can be charged for is over: its limit in whole
// minutes, and the time to kill it.
TimeMs NaiveEngine::EndOf(const engine::Waiting& job, TimeMs now) const {
  const DurationMs limit = job.spec->time_limit_ms;
  const DurationMs minutes = (limit + kMinuteMs - 1) / kMinuteMs;
  return now + minutes * kMinuteMs + config_.charge.kill_margin_ms + config_.late_ms;
}

bool NaiveEngine::MayUse(const AdminReservation& one, const engine::Waiting& job) const {
  if (std::count(one.users.begin(), one.users.end(), job.user) > 0) return true;
  return std::any_of(one.accounts.begin(), one.accounts.end(), [&](const AccountId& account) {
    return tree_->IsAncestor(tree_->IndexOf(account), tree_->IndexOf(job.spec->project));
  });
}

bool NaiveEngine::IsOpen(const std::string& node, const engine::Waiting& job, TimeMs now) const {
  const TimeMs end = EndOf(job, now);
  bool inside = job.spec->reservation.empty();
  for (const auto& [name, one] : directory_->reservations) {
    if (!Lists(one, node)) continue;
    const bool own = name == job.spec->reservation && MayUse(one, job);
    for (const Time& time : TimesOf(one, now, end)) {
      if (!own) return false;
      inside |= time.begin <= now && end <= time.end;
    }
  }
  return inside;
}

NaiveNodes NaiveEngine::OpenTo(const Tick& tick, const engine::Waiting& job) const {
  NaiveNodes open;
  for (const NaiveNode& node : Of(tick.free, tick.pool)) {
    if (IsOpen(node.node.name, job, tick.now)) open.push_back(node);
  }
  return open;
}

NaiveCrossed NaiveEngine::Crossed(const Tick& tick, const engine::Waiting& job) const {
  NaiveCrossed crossed;
  for (const auto& [name, one] : directory_->reservations) {
    const NaiveNodes nodes = Of(tick.free, tick.pool);
    const bool here = std::any_of(nodes.begin(), nodes.end(), [&of = one](const NaiveNode& node) {
      return Lists(of, node.node.name);
    });
    if (here) crossed.occurrences += TimesOf(one, tick.now, EndOf(job, tick.now)).size();
  }
  crossed.inside = !job.spec->reservation.empty() && !OpenTo(tick, job).empty();
  return crossed;
}

// Why it has no room: what admins have reserved, if it would have any without that.
Reason NaiveEngine::Reserved(const Tick& tick, const engine::Waiting& job, Domain within,
                             Reason otherwise) const {
  const JobSpec& spec = *job.spec;
  const bool never = otherwise.code == ReasonCode::kNeverFitsMachine ||
                     otherwise.code == ReasonCode::kNoSuchGpuType;
  if (never) return otherwise;
  if (!spec.reservation.empty()) {
    return {ReasonCode::kWaitsForReservation,
            {{"reservation", spec.reservation}, {"nodes", std::to_string(spec.shape.nodes)}}};
  }
  const NaiveNodes nodes = Of(tick.free, tick.pool);
  if (!NaivePlace(nodes, spec, within)) return otherwise;
  const AdminReservation* first = nullptr;
  TimeMs begin = 0;
  for (const auto& [name, one] : directory_->reservations) {
    const bool here = std::any_of(nodes.begin(), nodes.end(), [&of = one](const NaiveNode& node) {
      return Lists(of, node.node.name);
    });
    if (!here) continue;
    for (const Time& time : TimesOf(one, tick.now, EndOf(job, tick.now))) {
      if (first != nullptr && begin <= time.begin) continue;
      first = &one;
      begin = time.begin;
    }
  }
  if (first == nullptr) return otherwise;
  Reason reason{ReasonCode::kReservedByAdmin,
                {{"reservation", first->name}, {"at_ms", std::to_string(begin)}}};
  if (!first->reason.empty()) reason.fields["text"] = first->reason;
  return reason;
}

}  // namespace kezek::test

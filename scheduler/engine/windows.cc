#include "scheduler/engine/windows.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "scheduler/engine/engine.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {
namespace {

// So far ahead times are looked for between occurrences; what is barred is known for ever.
constexpr DurationMs kLookAhead = 60 * kDayMs;

// What a job is in that asks for what there is not, or may not use it: no node is of it.
const AdminReservation kNowhere;

std::string Text(std::int64_t value) { return std::to_string(value); }

Reason OfReservation(ReasonCode code, const JobSpec& spec) {
  return {code, {{"reservation", spec.reservation}}};
}

// With the longest limit that would do, if any would.
Reason TooShort(const JobSpec& spec, DurationMs room) {
  Reason reason = OfReservation(ReasonCode::kReservationTooShort, spec);
  const DurationMs fits = room / kMinuteMs * kMinuteMs;
  if (fits >= kMinuteMs) reason.fields["fits"] = Text(fits);
  return reason;
}

}  // namespace

PoolWindows::PoolWindows(const Directory& directory, const Machine& machine, std::size_t pool,
                         TimeMs now, Cells& cells)
    : now_(now) {
  for (const auto& [name, reservation] : directory.reservations) {
    if (IsOver(reservation, now)) continue;
    Seating seats;
    for (const std::string& node : reservation.nodes) {
      const Layout::At* at = machine.Find(node);
      if (at == nullptr || at->pool != pool) continue;
      seats.push_back({static_cast<std::uint32_t>(at->spot), 0});
    }
    if (seats.empty()) continue;
    const std::size_t place = reserved_.size();
    reserved_.push_back(&reservation);
    for (const auto& [cell, gpus] : cells.Cover(seats)) cells.at(cell).windows.push_back(place);
    for (auto next = FirstIn(reservation, now, now + kLookAhead); next;
         next = FirstIn(reservation, next->end_ms, now + kLookAhead)) {
      ahead_.push_back({*next, place});
    }
  }
  std::sort(ahead_.begin(), ahead_.end(), [](const Ahead& a, const Ahead& b) {
    return std::pair(a.when.begin_ms, a.of) < std::pair(b.when.begin_ms, b.of);
  });
}

bool PoolWindows::Bar(const Cell& cell, TimeMs from, const Stay& stay) const {
  if (stay.within != nullptr) {
    const bool of_it = std::any_of(cell.windows.begin(), cell.windows.end(),
                                   [&](std::size_t at) { return reserved_[at] == stay.within; });
    if (!of_it || !Covers(*stay.within, from, stay.end_ms)) return true;
  }
  return std::any_of(cell.windows.begin(), cell.windows.end(), [&](std::size_t at) {
    return reserved_[at] != stay.within && FirstIn(*reserved_[at], from, stay.end_ms).has_value();
  });
}

std::pair<std::size_t, std::size_t> PoolWindows::CrossedBy(const Stay& stay) const {
  const auto after = std::partition_point(ahead_.begin(), ahead_.end(), [&](const Ahead& ahead) {
    return ahead.when.begin_ms < stay.end_ms;
  });
  const auto crossed = static_cast<std::size_t>(after - ahead_.begin());
  if (stay.within == nullptr) return {crossed, 0};
  const auto place = std::find(reserved_.begin(), reserved_.end(), stay.within);
  if (place == reserved_.end() || !Covers(*stay.within, now_, stay.end_ms)) return {crossed, 1};
  return {crossed, 2 + static_cast<std::size_t>(place - reserved_.begin())};
}

void PoolWindows::AddBarred(const Cell& cell, DurationMs stays,
                            std::vector<std::pair<TimeMs, TimeMs>>& barred) const {
  if (cell.windows.empty()) return;
  for (const Ahead& ahead : ahead_) {
    if (std::find(cell.windows.begin(), cell.windows.end(), ahead.of) == cell.windows.end()) {
      continue;
    }
    barred.push_back({ahead.when.begin_ms - stays + 1, ahead.when.end_ms});
  }
}

void PoolWindows::AddEnds(std::vector<TimeMs>& times) const {
  for (const Ahead& ahead : ahead_) times.push_back(ahead.when.end_ms);
}

std::optional<std::pair<const AdminReservation*, TimeMs>> PoolWindows::FirstAhead(
    const Stay& stay) const {
  for (const Ahead& ahead : ahead_) {
    if (ahead.when.begin_ms >= stay.end_ms) break;
    if (reserved_[ahead.of] == stay.within) continue;
    return std::pair(reserved_[ahead.of], ahead.when.begin_ms);
  }
  return std::nullopt;
}

Reason WhyNeverInside(const Directory& directory, const JobSpec& spec, UserId user,
                      DurationMs stays, TimeMs now) {
  if (spec.reservation.empty()) return {};
  const auto found = directory.reservations.find(spec.reservation);
  if (found == directory.reservations.end() || IsOver(found->second, now)) {
    return OfReservation(ReasonCode::kNoSuchReservation, spec);
  }
  const AdminReservation& reservation = found->second;
  if (!MayUse(reservation, directory.accounts, spec.project, user)) {
    return OfReservation(ReasonCode::kReservationNotAllowed, spec);
  }
  if (stays <= reservation.duration_ms) return {};
  return TooShort(spec, reservation.duration_ms - (stays - spec.time_limit_ms));
}

WindowTurn TurnOf(const Directory& directory, const JobSpec& spec, UserId user, DurationMs stays,
                  TimeMs now) {
  if (spec.reservation.empty()) return {};
  if (Reason never = WhyNeverInside(directory, spec, user, stays, now);
      never.code != ReasonCode::kNone) {
    return {std::move(never), 0};
  }
  const AdminReservation& reservation = directory.reservations.at(spec.reservation);
  const Occurrence next = *NextOccurrence(reservation, now);
  if (next.begin_ms <= now && now + stays <= next.end_ms) return {{}, next.end_ms - stays + 1};
  std::optional<Occurrence> later = next;
  if (next.begin_ms <= now) later = NextOccurrence(reservation, next.end_ms);
  if (!later) {
    return {TooShort(spec, next.end_ms - now - (stays - spec.time_limit_ms)), next.end_ms};
  }
  Reason waits = OfReservation(ReasonCode::kWaitsForReservation, spec);
  waits.fields["at_ms"] = Text(later->begin_ms);
  return {std::move(waits), later->begin_ms};
}

Reason ReservedByAdmin(const AdminReservation& reservation, TimeMs ms) {
  Reason reason{ReasonCode::kReservedByAdmin, {{"reservation", reservation.name}}};
  if (ms != 0) reason.fields["at_ms"] = Text(ms);
  if (!reservation.reason.empty()) reason.fields["text"] = reservation.reason;
  return reason;
}

Reason WaitsForNodesOf(const JobSpec& spec) {
  Reason reason = OfReservation(ReasonCode::kWaitsForReservation, spec);
  reason.fields["nodes"] = Text(spec.shape.nodes);
  return reason;
}

bool World::HasWindows() const {
  const auto& reservations = directory_->reservations;
  return std::any_of(reservations.begin(), reservations.end(),
                     [this](const auto& one) { return !IsOver(one.second, now_ms_); });
}

bool World::LooksAhead() const {
  return config_.reservations > 0 || config_.reclaim || !reservations_.empty() || HasWindows();
}

const AdminReservation* World::Named(const JobSpec& spec) const {
  if (spec.reservation.empty()) return nullptr;
  const auto found = directory_->reservations.find(spec.reservation);
  return found == directory_->reservations.end() ? &kNowhere : &found->second;
}

const AdminReservation* World::WithinOf(const Waiting& job) const {
  const AdminReservation* named = Named(*job.spec);
  if (named == nullptr) return nullptr;
  const bool may = MayUse(*named, directory_->accounts, job.spec->project, job.user);
  return may ? named : &kNowhere;
}

// GPUs of shared nodes in service that are in nobody's use now: maintenance.
MilliGpus World::ClosedMilli(const std::string& gpu_type) const {
  std::set<std::string> closed;
  for (const auto& [name, reservation] : directory_->reservations) {
    if (!reservation.IsMaintenance() || !FirstIn(reservation, now_ms_, now_ms_ + 1)) continue;
    closed.insert(reservation.nodes.begin(), reservation.nodes.end());
  }
  MilliGpus milli = 0;
  for (const std::string& name : closed) {
    const auto node = nodes_.find(name);
    if (node == nodes_.end() || node->second.gpu_type != gpu_type || owners_.contains(name) ||
        !InService(node->second, now_ms_)) {
      continue;
    }
    milli += std::max(0, node->second.gpus - node->second.foreign_gpus) * MilliGpus{1000};
  }
  return milli;
}

}  // namespace kezek::engine

// What holds nodes, and the lists and totals of it that are kept with each event.

#include <algorithm>

#include "kezek/check.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {
namespace {

template <class T, class Is>
void Drop(std::vector<T>& list, const Is& is) {
  const auto found = std::find_if(list.begin(), list.end(), is);
  KEZEK_CHECK(found != list.end(), "an attempt that is in no list");
  *found = list.back();
  list.pop_back();
}

}  // namespace

void World::List(const Holding& attempt) {
  const quota::JobCount count = CountOf(attempt);
  runs_[{attempt.project, attempt.shape.gpu_type}].push_back(
      {&attempt, attempt.counted_milli, attempt.counts, count.scavenger, count.apart});
  of_user_[attempt.user].push_back(&attempt);
}

void World::Unlist(const Holding& attempt) {
  const auto runs = runs_.find({attempt.project, attempt.shape.gpu_type});
  Drop(runs->second, [&](const Run& run) { return run.attempt == &attempt; });
  if (runs->second.empty()) runs_.erase(runs);
  const auto of_user = of_user_.find(attempt.user);
  Drop(of_user->second, [&](const Holding* one) { return one == &attempt; });
  if (of_user->second.empty()) of_user_.erase(of_user);
}

// Anew: accounts have moved, or what counts has changed.
void World::CountHoldings() {
  running_ = {};
  runs_.clear();
  of_user_.clear();
  for (const auto& [ref, attempt] : holdings_) {
    List(attempt);
    if (attempt.counts) running_.Add(tree_, CountOf(attempt));
  }
}

void World::SetHolding(const Holding& attempt) {
  RemoveHolding(attempt.attempt);
  ++free_version_;
  List(holdings_.emplace(attempt.attempt, attempt).first->second);
  AddUse(attempt.shape, attempt.placement, 1, used_);
  if (!types_stale_) machine_.Hold(attempt.shape, attempt.placement);
  if (attempt.counts) running_.Add(tree_, CountOf(attempt));
  TouchDemand(attempt.project);
  TouchBlocks(attempt);
  if (attempt.start_ms != 0) runs_since_[attempt.project].insert(attempt.start_ms);
  ends_[attempt.shape.gpu_type].insert({KnownEnd(attempt), attempt.attempt});
  for (const NodeGrant& grant : attempt.placement) on_[grant.node].insert(attempt.attempt);
  if (KeepsSeats()) {
    const Holding& held = holdings_.at(attempt.attempt);
    seats_.Set(SeatsSource(), held, KnownEnd(held));
  }
}

void World::RemoveHolding(const AttemptRef& attempt) {
  const auto found = holdings_.find(attempt);
  if (found == holdings_.end()) return;
  ++free_version_;
  if (KeepsSeats()) seats_.Remove(attempt);
  Unlist(found->second);
  AddUse(found->second.shape, found->second.placement, -1, used_);
  if (!types_stale_) machine_.GiveBack(found->second.shape, found->second.placement);
  if (found->second.counts) running_.Remove(tree_, CountOf(found->second));
  TouchDemand(found->second.project);
  TouchBlocks(found->second);
  if (found->second.start_ms != 0) {
    const auto runs = runs_since_.find(found->second.project);
    runs->second.extract(found->second.start_ms);
    if (runs->second.empty()) runs_since_.erase(runs);
  }
  ends_[found->second.shape.gpu_type].erase({KnownEnd(found->second), attempt});
  for (const NodeGrant& grant : found->second.placement) {
    const auto on = on_.find(grant.node);
    if (on == on_.end()) continue;
    on->second.erase(attempt);
    if (on->second.empty()) on_.erase(on);
  }
  holdings_.erase(found);
}

void World::SetReservation(const Reservation& reservation) {
  const Reservation& known = reservations_[reservation.row] = reservation;
  if (KeepsSeats()) seats_.Set(SeatsSource(), known);
}

void World::RemoveReservation(const JobRef& row) {
  if (KeepsSeats()) seats_.Remove(row);
  reservations_.erase(row);
}

const Seats& World::seats() const {
  KEZEK_CHECK(!types_stale_, "nodes are looked for on a machine that is not made yet");
  if (seats_.known()) return seats_;
  seats_.Begin(SeatsSource());
  for (const auto& [ref, attempt] : holdings_)
    seats_.Set(SeatsSource(), attempt, KnownEnd(attempt));
  for (const auto& [row, promise] : reservations_) seats_.Set(SeatsSource(), promise);
  return seats_;
}

// What limits allow a user may have changed wherever the user waits.
void World::TouchBlocks(const Holding& attempt) {
  if (!limits_users_) return;
  const auto waits = waits_of_.find(attempt.user);
  if (waits == waits_of_.end()) return;
  for (const auto& [project, rows] : waits->second) blocks_.Touch(project);
}

const std::set<AttemptRef>& World::on(const std::string& node) const {
  const auto found = on_.find(node);
  return found == on_.end() ? nobody_ : found->second;
}

const std::vector<const Holding*>& World::of_user(UserId user) const {
  const auto found = of_user_.find(user);
  return found == of_user_.end() ? no_runs_ : found->second;
}

}  // namespace kezek::engine

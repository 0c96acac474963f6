#include "tests/property/agenda_twin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kezek/reason_text.h"
#include "scheduler/engine/world.h"

namespace kezek::test {

using engine::Agenda;
using engine::Plan;
using engine::ReservationChange;
using engine::ReservationNews;
using engine::Start;
using engine::Waiting;

std::optional<DurationMs> AgendaTwin::LeavesWithin(const JobSpec& spec) const {
  const ClassRules& rules = directory_->classes.at(spec.job_class);
  return rules.scavenger ? std::optional(rules.grace_max_ms) : std::nullopt;
}

void AgendaTwin::CompareTimes(const Tick& tick) {
  if (dice_.Chance(30)) Compare(tick, tick.promised, {});
}

void AgendaTwin::CheckPlan(const Tick& tick, const Plan& plan) {
  std::map<JobRef, Reservation> promised = tick.promised;
  for (const ReservationChange& change : plan.reservations) {
    const Reservation& one = change.reservation;
    if (change.news == ReservationNews::kEnded) {
      promised.erase(one.row);
    } else {
      promised[one.row] = one;
    }
  }
  const NaiveAgenda naive = Compare(tick, promised, plan);
  for (const auto& [row, promise] : promised) {
    EXPECT_TRUE(naive.Keeps(promise)) << ToText(row) << " is delayed";
  }
  CheckBlocked(tick, plan, naive);
}

// Beside these promises, and what the plan has started and ended.
NaiveAgenda AgendaTwin::Compare(const Tick& tick, const std::map<JobRef, Reservation>& promised,
                                const Plan& plan) {
  engine::World world(config_, directory_);
  NaiveAgenda naive(config_, tick.nodes, tick.now_ms);
  std::map<AttemptRef, DurationMs> grace_ms;
  for (const Node& node : tick.nodes) world.SetNode(node);
  for (const engine::Holding& attempt : tick.running) {
    world.SetHolding(attempt);
    naive.Hold(attempt, directory_->classes.at(attempt.job_class).scavenger);
    grace_ms[attempt.attempt] = attempt.grace_ms;
  }
  for (const auto& [row, promise] : promised) world.SetReservation(promise);
  world.Refresh(tick.now_ms);
  const engine::PoolKey key{"h200", {}, {}};
  engine::Machine free = world.MachineAt(tick.now_ms);
  Agenda agenda(world, key, free, tick.now_ms);
  for (const auto& [row, promise] : world.reservations()) {
    agenda.Promise(promise);
    naive.Promise(promise);
  }
  for (const engine::Preempt& preempt : plan.preempts) {
    const TimeMs by = tick.now_ms + grace_ms.at(preempt.victim);
    agenda.End(preempt.victim, by);
    naive.End(preempt.victim, by);
  }
  for (const Start& start : plan.starts) {
    const Waiting& job = tick.jobs.at(start.row);
    free.Take(key, job.spec->shape, start.placement);
    const auto own = tick.promised.find(start.row);
    if (own != tick.promised.end() && own->second.placement == start.placement &&
        own->second.from_ms <= tick.now_ms) {
      const TimeMs end = agenda.EndOf(own->second);
      agenda.Start(job.spec->shape, start.placement, {end, end});
      naive.StartAsPromised(own->second);
    } else {
      agenda.Start(job.spec->shape, start.placement, world.StayOf(job, tick.now_ms));
      naive.Start(*job.spec, start.placement, LeavesWithin(*job.spec));
    }
  }
  CompareSome(tick, agenda, naive);
  return naive;
}

// One on average.
void AgendaTwin::CompareSome(const Tick& tick, Agenda& agenda, const NaiveAgenda& naive) {
  for (const JobRef& row : tick.waiting) {
    if (dice_.Roll(1, static_cast<std::int64_t>(tick.waiting.size())) > 1) continue;
    const JobSpec& spec = *tick.jobs.at(row).spec;
    const auto slot = agenda.Earliest({&spec, spec.within, false}, spec.time_limit_ms, row,
                                      tick.now_ms, std::numeric_limits<TimeMs>::max());
    const auto expected = naive.Earliest(spec, row);
    ++times_;
    ASSERT_EQ(slot.has_value(), expected.has_value()) << ToText(row);
    if (!slot) continue;
    EXPECT_EQ(slot->from_ms - tick.now_ms, expected->from_ms - tick.now_ms) << ToText(row);
    EXPECT_EQ(slot->placement, expected->placement) << ToText(row);
  }
}

// What has moved or started elsewhere in this tick was in the way of those that were looked at
// before.
void AgendaTwin::CheckBlocked(const Tick& tick, const Plan& plan, const NaiveAgenda& naive) {
  const bool moved = std::any_of(
      plan.reservations.begin(), plan.reservations.end(),
      [](const ReservationChange& change) { return change.news != ReservationNews::kGiven; });
  if (moved || plan.more) return;
  for (const auto& [row, standing] : plan.waiting.All()) {
    const ReasonCode code = standing.reason.code;
    const bool looked_at =
        code == ReasonCode::kWaitsForGpus || code == ReasonCode::kWaitsForDomain ||
        code == ReasonCode::kReservationAhead || code == ReasonCode::kReservedAt ||
        code == ReasonCode::kGuaranteeFragmented;
    if (!looked_at || !dice_.Chance(10)) continue;
    ++blocked_;
    const JobSpec& spec = *tick.jobs.at(row).spec;
    EXPECT_FALSE(naive.Now(spec, row, LeavesWithin(spec)).has_value())
        << ToText(row) << " could start and delay none: " << Sentence(standing.reason);
  }
}

}  // namespace kezek::test

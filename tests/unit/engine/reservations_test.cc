// Goal: who waits is promised nodes when, and only when, a later job is about to start past it, and
// scavengers are where others' promises allow it. Method: narrated cases on two nodes of eight
// GPUs, one of them in use for an hour.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

class ReservationsTest : public testing::Test {
 protected:
  ReservationsTest() {
    for (const std::int64_t project : {2, 3}) tree.Add(project, 1);
  }
  void Waits(std::int64_t job, JobSpec spec, DurationMs limit_ms) {
    spec.time_limit_ms = limit_ms;
    waiting.push_back(Queued(job, std::move(spec)));
  }
  // "11@n1,n2": what is promised to whom.
  std::string Promised() {
    Engine engine(config, tree.Make());
    for (const char* node : {"n1", "n2"}) engine.SetNode(H200(node));
    const Waiting row = Queued(1, Gang(2, 1, 8));
    engine.SetHolding(HoldingOf(
        {.job = row.ref, .row = row.ref, .placement = {{"n1", 8, {}}}, .counted_milli = 8000},
        row));
    for (const Waiting& job : waiting) engine.SetWaiting(job);
    plan = engine.Decide(kNoon + kMinuteMs);
    EXPECT_TRUE(plan.dropped.empty());
    std::string text;
    for (const ReservationChange& change : plan.reservations) {
      text += (text.empty() ? "" : " ") + ToText(change.reservation.row);
      for (const NodeGrant& grant : change.reservation.placement) {
        text += (&grant == &change.reservation.placement.front() ? "@" : ",") + grant.node;
      }
    }
    return text;
  }

  SmallTree tree;
  EngineConfig config{.reservations = 8};
  std::vector<Waiting> waiting;
  Plan plan;
};

TEST_F(ReservationsTest, NobodyPassesNobodyIsPromised) {
  Waits(11, Gang(2, 2, 8), kHourMs);
  EXPECT_EQ(Promised(), "");
  EXPECT_EQ(ReasonOf(plan, 11).code, ReasonCode::kWaitsForGpus);
}

TEST_F(ReservationsTest, WhoIsAboutToBePassedIsPromisedAndNotDelayed) {
  Waits(11, Gang(2, 2, 8), kHourMs);
  Waits(12, Gang(3, 1, 8), 3 * kHourMs);
  EXPECT_EQ(Promised(), "11@n1,n2");
  EXPECT_EQ(StartsText(plan), "");
  EXPECT_EQ(ReasonOf(plan, 11).code, ReasonCode::kReservedAt);
  EXPECT_EQ(ReasonOf(plan, 12).code, ReasonCode::kReservationAhead);
}

TEST_F(ReservationsTest, WhoEndsInTimeStarts) {
  Waits(11, Gang(2, 2, 8), kHourMs);
  Waits(12, Gang(3, 1, 8), 30 * kMinuteMs);
  EXPECT_EQ(Promised(), "11@n1,n2");
  EXPECT_EQ(StartsText(plan), "12@n2");
}

TEST_F(ReservationsTest, WhoHasNotWaitedForLongIsPassed) {
  config.reserve_after_ms = kHourMs;
  Waits(11, Gang(2, 2, 8), kHourMs);
  Waits(12, Gang(3, 1, 8), 3 * kHourMs);
  EXPECT_EQ(Promised(), "");
  EXPECT_EQ(StartsText(plan), "12@n2");
}

// One of two nodes, the one that is not free.
TEST_F(ReservationsTest, WhoIsNotWideEnoughIsPassed) {
  JobSpec spec = Gang(2, 1, 8);
  spec.nodes = {"n1"};
  Waits(11, spec, kHourMs);
  Waits(12, Gang(3, 1, 8), 3 * kHourMs);
  config.reserve_width_percent = 51;
  EXPECT_EQ(Promised(), "");
  config.reserve_width_percent = 50;
  EXPECT_EQ(Promised(), "11@n1");
}

TEST_F(ReservationsTest, AsManyAsThereArePlaces) {
  config.reservations = 1;
  Waits(11, Gang(2, 2, 8), kHourMs);
  Waits(13, Gang(2, 2, 8), kHourMs);
  Waits(14, Gang(3, 1, 8), 30 * kMinuteMs);
  EXPECT_EQ(Promised(), "11@n1,n2");
  EXPECT_EQ(ReasonOf(plan, 13).code, ReasonCode::kWaitsForGpus);
}

// Of the places at least half are for those outside their guarantees, whoever comes first.
TEST_F(ReservationsTest, WhoIsOutsideGetsAPlaceBehindManyInside) {
  config.reservations = 2;
  tree.Add(2, 1, 100);
  for (std::int64_t job = 11; job < 15; ++job) Waits(job, Gang(2, 2, 8), kHourMs);
  Waits(15, Gang(3, 2, 8), kHourMs);
  Waits(16, Gang(3, 1, 8), 10 * kHourMs);
  EXPECT_EQ(Promised(), "11@n1,n2 15@n1,n2");
}

// Who waits has n1 and n2 from the moment at which what runs on n1 is gone. On n2 scavengers may
// run until then.
class ScavengersTest : public testing::Test {
 protected:
  ScavengersTest() {
    for (const std::int64_t project : {2, 3}) tree.Add(project, 1);
    Runs(1, Gang(2, 1, 8), {{"n1", 8, {}}});
    const Waiting gang = Queued(11, Gang(3, 2, 8));
    waiting.push_back(gang);
    promise = {.row = gang.ref,
               .from_ms = kNoon + kHourMs + charge.kill_margin_ms,
               .limit_ms = kHourMs,
               .shape = gang.spec->shape,
               .placement = {{"n1", 8, {}}, {"n2", 8, {}}},
               .counted_milli = 16'000,
               .given_ms = kNoon};
  }
  void Runs(std::int64_t job, JobSpec spec, Placement placement, DurationMs grace_ms = 0) {
    const Waiting row = Queued(job, std::move(spec));
    Holding attempt = HoldingOf({.job = row.ref,
                                 .row = row.ref,
                                 .placement = std::move(placement),
                                 .counted_milli = 1000 * row.spec->shape.gpus_per_node},
                                row);
    attempt.grace_ms = grace_ms;
    running.push_back(attempt);
  }
  static JobSpec Scavenger(std::int32_t gpus) {
    JobSpec spec = Gang(2, 1, gpus);
    spec.job_class = "scavenger";
    spec.time_limit_ms = 10 * kHourMs;
    return spec;
  }
  Plan Decide(TimeMs now) {
    Engine engine({.reservations = 8, .reclaim = true, .charge = charge}, tree.Make());
    for (const char* node : {"n1", "n2"}) engine.SetNode(H200(node));
    for (const Holding& attempt : running) engine.SetHolding(attempt);
    for (const Waiting& job : waiting) engine.SetWaiting(job);
    engine.SetReservation(promise);
    for (const Reservation& other : promised) engine.SetReservation(other);
    for (const auto& [budget, balance] : budgets) engine.SetBudget(budget, balance);
    Plan plan = engine.Decide(now);
    EXPECT_TRUE(plan.dropped.empty()) << plan.dropped.front().second;
    return plan;
  }

  SmallTree tree;
  quota::ChargeRules charge;
  std::vector<Holding> running;
  std::vector<Waiting> waiting;
  Reservation promise;
  std::vector<Reservation> promised;  // besides
  std::map<BudgetRef, BudgetBalance> budgets;
};

TEST_F(ScavengersTest, StartsAcrossAPromiseIfItCanLeaveInTime) {
  waiting.push_back(Queued(12, Scavenger(4)));
  EXPECT_EQ(StartsText(Decide(promise.from_ms - 6 * kMinuteMs)), "12@n2");
  EXPECT_EQ(StartsText(Decide(promise.from_ms - 4 * kMinuteMs)), "");
}

TEST_F(ScavengersTest, NobodyStartsWhereOthersAreToldToLeave) {
  Runs(2, Scavenger(4), {{"n2", 4, {}}}, 5 * kMinuteMs);
  waiting.push_back(Queued(12, Scavenger(4)));
  const Plan plan = Decide(promise.from_ms - 5 * kMinuteMs - 2 * kSecondMs);
  EXPECT_EQ(StartsText(plan), "");
  ASSERT_EQ(plan.preempts.size(), 1U);
  EXPECT_EQ(plan.preempts[0].victim.job, JobRef{JobId{2}});
  EXPECT_EQ(plan.preempts[0].for_row, promise.row);
  ASSERT_EQ(plan.reservations.size(), 1U);
  EXPECT_EQ(plan.reservations[0].reservation.from_ms, promise.from_ms);
}

TEST_F(ScavengersTest, ToldTooLateTheyMoveWhatIsPromisedBehindToo) {
  Runs(2, Scavenger(4), {{"n2", 4, {}}}, 5 * kMinuteMs);
  const Waiting next = Queued(13, Gang(3, 1, 8));
  waiting.push_back(next);
  Reservation behind = promise;
  behind.row = next.ref;
  behind.shape = next.spec->shape;
  behind.placement = {{"n2", 8, {}}};
  behind.from_ms = promise.from_ms + EngineConfig{}.late_ms + kHourMs + charge.kill_margin_ms;
  promised.push_back(behind);
  const Plan plan = Decide(promise.from_ms - 5 * kMinuteMs + 10 * kSecondMs);
  EXPECT_EQ(plan.preempts.size(), 1U);
  ASSERT_EQ(plan.reservations.size(), 2U);
  for (const ReservationChange& change : plan.reservations) {
    const Reservation& before = change.reservation.row == promise.row ? promise : behind;
    EXPECT_EQ(change.news, ReservationNews::kLater);
    EXPECT_EQ(change.reason.fields.at("why"), "grace");
    EXPECT_EQ(change.reservation.from_ms, before.from_ms + 10 * kSecondMs);
  }
}

// A job for which room is being made draws on its budgets as if it ran: the next one of its project
// is stopped by them, and no start past that one is out of order.
TEST_F(ScavengersTest, AReclaimUnderWayDrawsOnBudgets) {
  const MilliGpuMs hours = 10'000;  // for one job of 8 GPUs for an hour and two minutes
  tree.Add(3, 1, 16).budgets = {
      {.name = "q4", .milli_gpu_hours = hours, .start_ms = 0, .end_ms = 2 * kNoon}};
  budgets[{AccountId{3}, "q4"}] = {.granted = hours * kHourMs, .left = hours * kHourMs};
  waiting = {Queued(11, Gang(3, 1, 8)), Queued(12, Gang(3, 1, 8)), Queued(13, Scavenger(8))};
  promise.shape = waiting[0].spec->shape;
  promise.placement = {{"n1", 8, {}}};
  promise.counted_milli = 8000;
  promise.victims = {running[0].attempt};
  running[0].ends_by_ms = promise.from_ms;
  const Plan plan = Decide(kNoon + kMinuteMs);
  EXPECT_EQ(ReasonOf(plan, 11).code, ReasonCode::kReclaimUnderWay);
  EXPECT_EQ(ReasonOf(plan, 12).code, ReasonCode::kBudgetExhausted);
  EXPECT_EQ(StartsText(plan), "13@n2");
}

// An array starts an element on the nodes that are promised to it, and is promised others for the
// next one; another row of it is promised its own earlier. What was promised to either stood in the
// way of who is before them in the order: verify does not mix them up.
TEST_F(ScavengersTest, RowsOfOneArrayHavePromisesOfTheirOwn) {
  running.clear();
  Runs(1, Gang(2, 1, 4), {{"n2", 4, {}}});
  tree.Add(5, 1, 8, "institution");
  tree.Add(6, 5);
  JobSpec array = Gang(3, 1, 8);
  array.array = ArraySpec{.indices = {{1, 3, 2}}};
  JobSpec brief = Gang(3, 1, 4);
  brief.time_limit_ms = 10 * kMinuteMs;
  waiting = {Queued(39, Gang(6, 1, 8)), Queued(42, array), Queued(42, array), Queued(50, brief)};
  waiting[2].ref.element = 2;
  waiting[2].elements.clear();
  promise.row = waiting[1].ref;
  promise.from_ms = kNoon + 30 * kMinuteMs;
  promise.shape = array.shape;
  promise.placement = {{"n1", 8, {}}};
  promised = {promise};
  promised[0].row = waiting[2].ref;
  promised[0].from_ms = kNoon + 3 * kHourMs;
  promised[0].placement = {{"n2", 8, {}}};
  const Plan plan = Decide(kNoon + kMinuteMs);
  EXPECT_EQ(StartsText(plan), "42_1@n1 50@n2");
  EXPECT_EQ(plan.reservations.size(), 3U) << "39 has one now, 42 another, and 42_2 an earlier one";
}

// What starts may do so a little later than it was planned.
TEST_F(ScavengersTest, ALaunchDelaysNothingUnlessItTakesLong) {
  running[0].start_ms = 0;
  promise.from_ms += EngineConfig{}.late_ms;  // given when it was planned, at noon
  EXPECT_TRUE(Decide(kNoon + 20 * kSecondMs).reservations.empty());
  const Plan late = Decide(kNoon + 40 * kSecondMs);
  ASSERT_EQ(late.reservations.size(), 1U);
  EXPECT_EQ(late.reservations[0].news, ReservationNews::kLater);
  EXPECT_EQ(late.reservations[0].reason.fields.at("why"), "late");
}

}  // namespace
}  // namespace kezek::engine

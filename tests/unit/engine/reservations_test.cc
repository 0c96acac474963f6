// Goal: who waits is promised nodes when, and only when, a later job is about to start past it.
// Method: narrated cases on two nodes of eight GPUs, one of them in use for an hour.

#include <gtest/gtest.h>

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

TEST_F(ReservationsTest, AsManyAsThereArePlaces) {
  config.reservations = 1;
  Waits(11, Gang(2, 2, 8), kHourMs);
  Waits(13, Gang(2, 2, 8), kHourMs);
  Waits(14, Gang(3, 1, 8), 30 * kMinuteMs);
  EXPECT_EQ(Promised(), "11@n1,n2");
  EXPECT_EQ(ReasonOf(plan, 13).code, ReasonCode::kWaitsForGpus);
}

}  // namespace
}  // namespace kezek::engine

// Goal: what an admin reserves is checked before it stands, stored with an event, and known after a
// restart; nodes drain towards it; a job that asks for it waits until it begins and runs in it.
// Method: a controller driven by hand on eight nodes of eight GPUs.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class WindowsTest : public ::testing::Test {
 protected:
  WindowsTest() { desk.Up(); }

  // In two hours, for four; of no more than the test needs.
  PutReservation Maint(std::vector<std::string> nodes = {"n1", "n2"}) const {
    PutReservation put;
    put.reservation = {.name = "maint",
                       .start_ms = desk.now + 2 * kHourMs,
                       .duration_ms = 4 * kHourMs,
                       .nodes = std::move(nodes),
                       .reason = "firmware"};
    return put;
  }
  JobId Whole(DurationMs limit_ms, const std::string& reservation = {}) {
    return desk.Submit([&](JobSpec& spec) {
      spec.shape = {1, 8, "h200", 16, 256'000, false};
      spec.time_limit_ms = limit_ms;
      spec.reservation = reservation;
    });
  }
  std::string NodeOf(JobId job) const {
    const auto found = desk.store.attempts().find({{job}, 1});
    return found == desk.store.attempts().end() ? "" : found->second.placement.front().node;
  }
  static std::string Refusal(const Result<CommandOutcome>& outcome) {
    return outcome ? "" : outcome.error().details.at(0).reason;
  }

  DeskOfOne desk;
};

TEST_F(WindowsTest, NodesDrainTowardsItAndComeBackWithItsEnd) {
  ASSERT_EQ(Refusal(desk.Do(CommandBody{Maint()})), "");
  std::set<std::string> used;
  for (int i = 0; i < 6; ++i) {
    const JobId job = Whole(3 * kHourMs);
    desk.Running(job, 900 + i);
    used.insert(NodeOf(job));
  }
  EXPECT_EQ(used, (std::set<std::string>{"n3", "n4", "n5", "n6", "n7", "n8"}));
  const JobId waits = Whole(3 * kHourMs);
  desk.Tick();
  const Reason reason = desk.WaitsFor(waits);
  EXPECT_EQ(reason.code, ReasonCode::kReservedByAdmin);
  EXPECT_EQ(reason.fields.at("reservation"), "maint");
  EXPECT_EQ(reason.fields.at("text"), "firmware");
  const JobId brief = Whole(kHourMs);
  desk.Tick();
  EXPECT_NE(NodeOf(brief), "");
  EXPECT_EQ(NodeOf(waits), "");
  desk.Begin();  // nothing of it is forgotten
  desk.Up();
  EXPECT_EQ(desk.controller->view()->directory->reservations.size(), 1U);
  desk.Tick();
  EXPECT_EQ(NodeOf(waits), "");
  ASSERT_EQ(Refusal(desk.Do(CommandBody{DeleteReservation{"maint", "done"}})), "");
  desk.Tick();
  EXPECT_NE(NodeOf(waits), "");
  EXPECT_TRUE(desk.store.admin_reservations().empty());
}

TEST_F(WindowsTest, WhoAsksForItWaitsUntilItBeginsAndRunsInIt) {
  PutReservation course = Maint({"n3"});
  course.reservation.name = "course";
  course.reservation.accounts = {DeskOfOne::kProject};
  course.reservation.duration_ms = kHourMs;
  course.reservation.repeat_every_ms = 7 * kDayMs;
  ASSERT_EQ(Refusal(desk.Do(CommandBody{course})), "");
  const JobId lesson = Whole(30 * kMinuteMs, "course");
  const JobId other = Whole(30 * kMinuteMs, "nothing");
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(lesson).code, ReasonCode::kWaitsForReservation);
  EXPECT_EQ(desk.WaitsFor(lesson).fields.at("at_ms"), std::to_string(course.reservation.start_ms));
  EXPECT_EQ(desk.WaitsFor(other).code, ReasonCode::kNoSuchReservation);
  desk.now = course.reservation.start_ms;
  desk.Tick();
  EXPECT_EQ(NodeOf(lesson), "n3");
  // What would not end in what is left of it waits for the next one.
  desk.now += 35 * kMinuteMs;
  const JobId late = Whole(30 * kMinuteMs, "course");
  desk.Tick();
  EXPECT_EQ(desk.WaitsFor(late).fields.at("at_ms"),
            std::to_string(course.reservation.start_ms + 7 * kDayMs));
}

TEST_F(WindowsTest, WhatStandsInItsWayRefusesIt) {
  const JobId runs = Whole(3 * kHourMs);
  desk.Running(runs, 900);
  const std::string node = NodeOf(runs);
  PutReservation put = Maint({node});
  EXPECT_EQ(Refusal(desk.Do(CommandBody{put})), "RUNNING_BEYOND");
  put.allow_running = true;
  const auto made = desk.Do(CommandBody{put});
  ASSERT_EQ(Refusal(made), "");
  EXPECT_EQ(made->reservation.version, 1);
  EXPECT_EQ(Refusal(desk.Do(CommandBody{put})), "NAME_TAKEN");
  PutReservation other = put;
  other.reservation.name = "other";
  EXPECT_EQ(Refusal(desk.Do(CommandBody{other})), "NODES_RESERVED");
  other.reservation.nodes = {"n99"};
  EXPECT_EQ(Refusal(desk.Do(CommandBody{other})), "NODE_NOT_FOUND");
  other.reservation.version = 4;
  EXPECT_EQ(Refusal(desk.Do(CommandBody{other})), "RESERVATION_NOT_FOUND");
  put.reservation.version = 2;
  EXPECT_EQ(Refusal(desk.Do(CommandBody{put})), "VERSION_CHANGED");
  put.reservation.version = 1;
  put.reservation.repeat_every_ms = kHourMs;
  EXPECT_EQ(Refusal(desk.Do(CommandBody{put})), "FIELD_INVALID");
  put.reservation.repeat_every_ms = 0;
  put.reservation.start_ms = desk.now - 5 * kHourMs;
  EXPECT_EQ(Refusal(desk.Do(CommandBody{put})), "FIELD_INVALID");
  EXPECT_EQ(Refusal(desk.Do(CommandBody{DeleteReservation{"other", "x"}})),
            "RESERVATION_NOT_FOUND");
  // More time for what runs there, into the next one, is refused, too.
  PutReservation next = Maint({node == "n8" ? "n7" : "n8"});
  next.reservation.name = "next";
  ASSERT_EQ(Refusal(desk.Do(CommandBody{next})), "");
}

TEST_F(WindowsTest, ALongerLimitDoesNotReachIntoIt) {
  const JobId runs = Whole(kHourMs);
  desk.Running(runs, 900);
  ASSERT_EQ(Refusal(desk.Do(CommandBody{Maint({NodeOf(runs)})})), "");
  UpdateJobs longer;
  longer.jobs = {{runs}};
  longer.time_limit_ms = 3 * kHourMs;
  const auto refused = desk.Do(JobChange{longer});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().details.at(0).reason, "RESERVATION_AHEAD");
  longer.time_limit_ms = 90 * kMinuteMs;
  EXPECT_TRUE(desk.Do(JobChange{longer}).has_value());
  longer.time_limit_ms = 3 * kHourMs;
  longer.allow_delay = true;
  EXPECT_TRUE(desk.Do(JobChange{longer}).has_value());
}

TEST_F(WindowsTest, NodesAreChosenOnceAndWholeLeavesFirst) {
  const JobId runs = Whole(3 * kHourMs);  // on leaf1
  desk.Running(runs, 900);
  PutReservation put = Maint({});
  put.reservation.node_count = 4;
  put.reservation.gpu_type = "h200";
  const auto made = desk.Do(CommandBody{put});
  ASSERT_EQ(Refusal(made), "");
  EXPECT_EQ(made->reservation.nodes, (std::vector<std::string>{"n5", "n6", "n7", "n8"}));
  put.reservation.version = 1;
  put.reservation.duration_ms = kHourMs;
  const auto changed = desk.Do(CommandBody{put});
  ASSERT_EQ(Refusal(changed), "");
  EXPECT_EQ(changed->reservation.nodes, made->reservation.nodes);
  PutReservation more = put;
  more.reservation.name = "more";
  more.reservation.version = 0;
  more.reservation.node_count = 5;
  EXPECT_EQ(Refusal(desk.Do(CommandBody{more})), "TOO_FEW_NODES");
}

}  // namespace
}  // namespace kezek::control

// Goal: the controller keeps how accounts stand, exact between ticks, in the commits it makes
// anyway: a crash loses at most what was not committed, and nothing is in the history twice.
// Method: one controller on a store in memory, by hand; its hours against what was held when.

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() { desk.Up(); }

  AccountFigures Of(AccountId account) const {
    AccountFigures sum;
    for (const auto& [key, figures] : desk.store.hours()) {
      if (std::get<1>(key) == account) sum += figures;
    }
    return sum;
  }
  // Two GPUs from now on, for hours: when it was planned.
  TimeMs Running() {
    const JobId job = desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 12 * kHourMs; });
    return desk.Of(desk.Running(job, 700)).planned_ms;
  }
  // Ticks for so long.
  void Pass(DurationMs time) {
    for (DurationMs passed = 0; passed < time; passed += desk.config.heartbeat_ms) desk.Tick();
  }

  DeskOfOne desk;
};

TEST_F(HistoryTest, HoldsWhatRanOverTimeAndAtFullHours) {
  const TimeMs begun = desk.now;
  const TimeMs planned = Running();
  while (desk.now < (begun / kHourMs + 1) * kHourMs + kMinuteMs) desk.Tick();
  std::set<TimeMs> hours;
  for (const auto& [key, figures] : desk.store.hours()) hours.insert(std::get<0>(key));
  EXPECT_EQ(hours.size(), 2U);
  for (const TimeMs hour : hours) EXPECT_EQ(hour % kHourMs, 0);
  const AccountFigures first =
      desk.store.hours().at({begun / kHourMs * kHourMs, DeskOfOne::kProject, "h200"});
  EXPECT_EQ(first.held % 2000, 0);
  EXPECT_EQ(first.held, 2000 * ((begun / kHourMs + 1) * kHourMs - planned))
      << "two GPUs from the tick that planned it to the full hour, to the millisecond";
  EXPECT_EQ(first.demanded, first.held);
  EXPECT_GT(first.due, first.held);
  EXPECT_EQ(Of(DeskOfOne::kProject).held, Of(kRootAccount).held);
}

TEST_F(HistoryTest, ACrashLosesTheOpenIntervalAndNothingIsTwice) {
  Running();
  Pass(5 * kMinuteMs);
  const AccountFigures before = Of(DeskOfOne::kProject);
  ASSERT_GT(before.held, 0);
  desk.Tick();
  desk.Begin();  // what was not committed is gone
  EXPECT_EQ(Of(DeskOfOne::kProject), before);
  desk.now -= kMinuteMs;  // and a clock behind the last one's adds nothing before its time
  desk.Begin();
  desk.Up();
  const TimeMs again = desk.now;
  Pass(5 * kMinuteMs);
  EXPECT_LE(Of(DeskOfOne::kProject).held, before.held + 2000 * (desk.now - again));
}

TEST_F(HistoryTest, NothingIsCommittedMoreThanOnceAMinuteForIt) {
  Running();
  int commits = 0;
  const TimeMs begun = desk.now;
  for (int i = 0; i < 60; ++i) commits += desk.Tick().changes.history.until_ms > 0 ? 1 : 0;
  EXPECT_GE(commits, 1);
  EXPECT_LE(commits, (desk.now - begun) / kMinuteMs + 1) << "and one at a full hour";
}

TEST_F(HistoryTest, OldHoursArePutTogetherOnceADay) {
  int asked = 0;
  TimeMs before = 0;
  for (int i = 0; i < 60; ++i) {
    const HistoryChange change = desk.Step(kHourMs).changes.history;
    if (change.to_days_before_ms == 0) continue;
    ++asked;
    EXPECT_GT(change.to_days_before_ms, before);
    before = change.to_days_before_ms;
    EXPECT_EQ(before % kDayMs, 0);
    EXPECT_LE(before, desk.now - desk.config.history_hours_ms);
  }
  EXPECT_GE(asked, 2);
  EXPECT_LE(asked, 4);
}

}  // namespace
}  // namespace kezek::control

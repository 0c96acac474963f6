// Goal: what people are shown says which settings it was worked out with, and how users' usage
// stands. Method: one controller on a store in memory, by hand.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

TEST(ViewTest, FiguresNameTheSettingsOfTheirTick) {
  DeskOfOne desk;
  desk.Up();
  desk.Tick();
  const auto shown = [&desk] { return desk.controller->view(); };
  const std::int64_t before = shown()->directory->settings_version;
  EXPECT_EQ(shown()->settings_version, before);
  PutAccounts put;
  put.reason = "order 1";
  put.accounts.push_back({shown()->directory->accounts.at(DeskOfOne::kProject), ""});
  put.accounts.front().account.title = "another";
  ASSERT_TRUE(desk.Do(std::move(put)).has_value());
  ASSERT_EQ(shown()->directory->settings_version, before + 1);
  EXPECT_EQ(shown()->settings_version, before) << "no tick has used it yet";
  desk.Tick();
  EXPECT_EQ(shown()->settings_version, before + 1);
}

TEST(ViewTest, UsageOfUsersIsThatOfTheirProjectTogether) {
  DeskOfOne desk;
  desk.Up();
  const JobId job = desk.Submit();
  desk.Tick();
  ASSERT_EQ(desk.Row(job).state, JobState::kStarting);
  for (int i = 0; i < 4; ++i) desk.Tick();  // it is worked out every ten seconds
  const auto view = desk.controller->view();
  ASSERT_TRUE(view->user_usage != nullptr);
  ASSERT_EQ(view->user_usage->size(), 1U);
  const auto& [who, gpu_hours] = *view->user_usage->begin();
  EXPECT_EQ(who.project, DeskOfOne::kProject);
  EXPECT_EQ(who.user, DeskOfOne::kUser);
  EXPECT_NEAR(gpu_hours, view->standings.at({who.project, who.gpu_type}).usage_gpu_hours,
              gpu_hours / 100);
  EXPECT_GT(gpu_hours, 0);
}

TEST(ViewTest, AStartOnANodeOfOneOwnerSaysWhoseItIs) {
  DeskOfOne desk;
  desk.Up();
  Account project = desk.controller->view()->directory->accounts.at(DeskOfOne::kProject);
  project.settings.dedicated_nodes = {sim::SimNodes().front().name};
  ASSERT_TRUE(desk.Do(PutAccounts{{{project, ""}}, "given"}).has_value());
  for (int jobs = 0; jobs < 5; ++jobs) desk.Submit();  // of 2 GPUs each: one on a shared node
  desk.Tick();
  int own = 0;
  int shared = 0;
  for (const Event& event : desk.store.events()) {
    if (event.reason.code != ReasonCode::kPlanned) continue;
    event.reason.fields.contains("dedicated") ? ++own : ++shared;
  }
  EXPECT_EQ(own, 4);
  EXPECT_EQ(shared, 1);
}

// What is decayed is worked out from what was booked: a new process comes to the same figure, to
// the last bit, however many half-lives have passed.
TEST(ViewTest, UsageAfterARestartIsWhatItWasBefore) {
  const auto usage = [](bool restarts) {
    DeskOfOne desk;
    desk.Up();
    const AttemptRef ref = desk.Running(desk.Submit(), 700);
    ClusterJob ended = desk.Seen(ref, 700, ClusterJobState::kCompleted);
    ended.end_ms = desk.now += 40 * kMinuteMs;
    desk.Offer(Observed{ended});
    desk.Step();
    desk.now += 3 * desk.config.engine.half_life_ms / 2;
    if (restarts) desk.Begin();
    desk.Up();
    desk.Tick();
    return std::pair{
        desk.now,
        desk.controller->view()->standings.at({DeskOfOne::kProject, "h200"}).usage_gpu_hours};
  };
  EXPECT_GT(usage(false).second, 0);
  EXPECT_EQ(usage(true), usage(false));
}

}  // namespace
}  // namespace kezek::control

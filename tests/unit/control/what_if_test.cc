// Goal: trying settings on the queue is checked as applying them is, changes nothing, and tells
// what applying then does, budgets included. Method: one controller on a store in memory, by hand;
// the same settings tried and then applied.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class WhatIfTest : public testing::Test {
 protected:
  WhatIfTest() { desk.Up(); }

  // The project's settings, changed.
  PutAccounts Put(const std::function<void(AccountSettings&)>& change) const {
    PutAccounts put;
    put.reason = "order 1";
    Account account = desk.controller->view()->directory->accounts.at(DeskOfOne::kProject);
    change(account.settings);
    put.accounts.push_back({std::move(account), ""});
    return put;
  }
  PutAccounts Budget(std::int64_t hours) const {
    return Put([&](AccountSettings& settings) {
      settings.budgets = {{.name = "q4",
                           .milli_gpu_hours = hours * 1000,
                           .start_ms = desk.now - kHourMs,
                           .end_ms = desk.now + 90 * kDayMs}};
    });
  }
  Result<CommandOutcome> Try(PutAccounts put) {
    put.plan_only = true;
    put.what_if = true;
    return desk.Do(std::move(put));
  }
  // What the project's row has of the one GPU type.
  static WhatIfRow RowOf(const WhatIf& what_if, AccountId account = DeskOfOne::kProject) {
    for (const WhatIfRow& row : what_if.rows) {
      if (row.account == account) return row;
    }
    return {};
  }
  // Two GPUs for 58 minutes: two GPU-hours are held.
  JobId Submit() {
    return desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 58 * kMinuteMs; });
  }

  DeskOfOne desk;
};

TEST_F(WhatIfTest, TellsWhatApplyingThenDoes) {
  ASSERT_TRUE(desk.Do(Budget(1)).has_value());
  const JobId job = Submit();
  desk.Tick();
  ASSERT_EQ(desk.WaitsFor(job).code, ReasonCode::kBudgetExhausted);
  const std::int64_t version = desk.controller->view()->directory->settings_version;
  const std::size_t events = desk.store.events().size();

  const auto tried = Try(Budget(3));
  ASSERT_TRUE(tried.has_value());
  ASSERT_TRUE(tried->what_if != nullptr);
  const WhatIf what_if = tried->what_if();
  EXPECT_EQ(RowOf(what_if).starts, std::vector<JobRef>{{job}});
  EXPECT_EQ(RowOf(what_if).entitled_before_milli, 0);
  EXPECT_EQ(RowOf(what_if).entitled_after_milli, 2000);
  EXPECT_EQ(what_if.paths.at(DeskOfOne::kProject), "sector0/project0");

  desk.Tick();
  EXPECT_EQ(desk.controller->view()->directory->settings_version, version);
  EXPECT_EQ(desk.store.events().size(), events) << "nothing has happened";
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.store.Budgets().Of({DeskOfOne::kProject, "q4"}).granted, 1000 * kHourMs);

  ASSERT_TRUE(desk.Do(Budget(3)).has_value());
  desk.Tick();
  EXPECT_EQ(desk.Row(job).state, JobState::kStarting);
}

TEST_F(WhatIfTest, TheAnswerIsOfItsMomentWheneverItIsWorkedOut) {
  ASSERT_TRUE(desk.Do(Budget(1)).has_value());
  const JobId job = Submit();
  desk.Tick();
  const auto tried = Try(Budget(3));
  ASSERT_TRUE(tried.has_value());
  const TimeMs then = desk.now;
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{job}}}).has_value());  // the controller goes on
  desk.Tick();
  const WhatIf what_if = tried->what_if();
  EXPECT_EQ(what_if.now_ms, then);
  EXPECT_EQ(RowOf(what_if).starts, std::vector<JobRef>{{job}});
}

TEST_F(WhatIfTest, IsRefusedAsApplyingIs) {
  const PutAccounts put =
      Put([](AccountSettings& settings) { settings.shares["h200"].guarantee_milli = 17'000; });
  const auto applied = desk.Do(put);
  const auto tried = Try(put);
  ASSERT_FALSE(applied.has_value());
  ASSERT_FALSE(tried.has_value());
  EXPECT_EQ(tried.error().details.at(0).reason, "ABOVE_PARENT");
  EXPECT_EQ(tried.error().details.at(0).field, applied.error().details.at(0).field);
  EXPECT_EQ(tried.error().message, applied.error().message);
}

TEST_F(WhatIfTest, OnlyThoseWhoAskAreTold) {
  PutAccounts put = Budget(3);
  put.plan_only = true;
  EXPECT_TRUE(desk.Do(put)->what_if == nullptr);
  put.plan_only = false;
  EXPECT_TRUE(desk.Do(put)->what_if == nullptr);
}

}  // namespace
}  // namespace kezek::control

// Goal: what an admin does to another's job besides the rules is marked in its event, once for each
// job named, by kind; what an owner does is not. Method: a controller driven by hand; the events of
// the store.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class OverridesTest : public testing::Test {
 protected:
  OverridesTest() { desk.Up(); }

  // By kind, of all that has happened.
  std::map<std::string, int> Counted() const {
    std::map<std::string, int> counted;
    for (const Event& event : desk.store.events()) {
      const auto found = event.reason.fields.find(kOverrideField);
      if (found != event.reason.fields.end()) ++counted[found->second];
    }
    return counted;
  }
  using Counts = std::map<std::string, int>;
  DeskOfOne desk;
};

TEST_F(OverridesTest, AnAdminsHoldAndItsEndCountOnceForAnArray) {
  const JobId array = desk.Submit([](JobSpec& spec) {
    spec.array = ArraySpec{{{0, 9, 1}}, 2};
    spec.begin_ms = 0;
  });
  desk.Tick();  // two elements have rows of their own
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{array}}, .by_admin = true, .text = "a test"}).has_value());
  EXPECT_EQ(Counted(), (Counts{{"hold", 1}}));
  ASSERT_TRUE(
      desk.Do(ReleaseJobs{.jobs = {{array}}, .by_admin = true, .text = "it is over"}).has_value());
  EXPECT_EQ(Counted(), (Counts{{"hold", 2}}));
  EXPECT_FALSE(desk.Row(array).hold_reason.fields.contains(kOverrideField));
}

TEST_F(OverridesTest, WhatDoesNothingIsNotCounted) {
  const JobId job = desk.Submit([](JobSpec& spec) { spec.within = Domain::kLeaf; });
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{job}}, .by_admin = true, .text = "x"}).has_value());
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{job}}, .by_admin = true, .text = "x"}).has_value());
  EXPECT_EQ(Counted(), (Counts{{"hold", 1}}));
}

TEST_F(OverridesTest, LimitsAndPrioritiesCountAndNamesDoNot) {
  const JobId job = desk.Submit();
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{job}}}).has_value());  // the owner's
  UpdateJobs update{.jobs = {{job}},
                    .time_limit_ms = 2 * kHourMs,
                    .user_priority = 5,
                    .name = "renamed",
                    .by_admin = true,
                    .text = "for the exam"};
  ASSERT_TRUE(desk.Do(update).has_value());
  EXPECT_EQ(Counted(), (Counts{{"limit", 1}, {"priority", 1}}));
  update.job_class = "debug";
  update.time_limit_ms = kHourMs;
  ASSERT_TRUE(desk.Do(update).has_value());
  EXPECT_EQ(Counted(), (Counts{{"limit", 2}, {"priority", 2}})) << "5 was the priority already";
}

TEST_F(OverridesTest, WhatAnOwnerDoesIsNone) {
  const JobId job = desk.Submit();
  ASSERT_TRUE(desk.Do(HoldJobs{.jobs = {{job}}}).has_value());
  ASSERT_TRUE(desk.Do(UpdateJobs{.jobs = {{job}}, .user_priority = 3}).has_value());
  ASSERT_TRUE(desk.Do(ReleaseJobs{.jobs = {{job}}}).has_value());
  EXPECT_EQ(Counted(), Counts{});
}

}  // namespace
}  // namespace kezek::control

// Goal: whatever people change at the same time is committed, each row once; and the events say why
// it was changed. Method: a controller driven by hand on a store that takes no row twice.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "kezek/reason_text.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

Token TokenOf(UserId user) {
  return {.user = user, .label = "robot", .hash = {1}, .expires_ms = kHourMs};
}

TEST(RecordTest, WhatComesTogetherAboutOneUserOrTokenIsOneRow) {
  DeskOfOne desk;
  desk.Up();
  const auto made = desk.Do(PutToken{TokenOf(DeskOfOne::kUser)});
  ASSERT_TRUE(made.has_value());
  const Token token = desk.controller->view()->directory->tokens.begin()->second;
  Token revoked = token;
  revoked.revoked_ms = desk.now;
  const auto offer = [&desk](CommandBody body) {
    desk.controller->Offer(CommandInput{1, {DeskOfOne::kUser, "a", std::move(body)}});
  };
  offer(PutToken{revoked});
  offer(PutToken{revoked});
  offer(PutUsers{{{.id = DeskOfOne::kUser, .display_name = "One"}}, ""});
  offer(PutUsers{{{.id = DeskOfOne::kUser, .disabled = true}}, ""});
  const Ready ready = desk.Step();
  ASSERT_EQ(ready.replies.size(), 4U);
  for (const auto& reply : ready.replies) EXPECT_TRUE(reply.outcome.has_value());
  ASSERT_EQ(ready.changes.tokens.size(), 1U);
  EXPECT_NE(ready.changes.tokens[0].revoked_ms, 0);
  ASSERT_EQ(ready.changes.users.size(), 1U);
  EXPECT_EQ(ready.changes.users[0].display_name, "One");
  EXPECT_TRUE(ready.changes.users[0].disabled);
}

class WhyTest : public ::testing::Test {
 protected:
  WhyTest() { desk_.Up(); }
  // What the command's one event says: its sentence.
  std::string Said(CommandBody body) {
    desk_.controller->Offer(CommandInput{1, {DeskOfOne::kUser, "a", std::move(body)}});
    const Ready ready = desk_.Step();
    EXPECT_TRUE(ready.replies.at(0).outcome.has_value());
    EXPECT_EQ(ready.changes.events.size(), 1U);
    return ready.changes.events.empty() ? "" : Sentence(ready.changes.events[0].reason);
  }
  DeskOfOne desk_;
};

TEST_F(WhyTest, EventsHaveTheReasonsThatWereGiven) {
  const JobRef job{desk_.Submit([](JobSpec& spec) { spec.begin_ms = 100 * kDayMs; })};
  desk_.Step();
  EXPECT_EQ(Said(ChangeJobs{{HoldJobs{{job}, true, "power"}}}), "Held by an administrator: power.");
  EXPECT_EQ(Said(ChangeJobs{{ReleaseJobs{{job}, true, "power is back"}}}),
            "Released: power is back.");
  UpdateJobs update{.jobs = {job}, .user_priority = 5, .text = "asked for"};
  EXPECT_EQ(Said(ChangeJobs{{update}}), "Changed: user_priority from 0 to 5: asked for.");
  ASSERT_TRUE(desk_.Do(PutToken{TokenOf(DeskOfOne::kUser)}).has_value());
  Token token = desk_.controller->view()->directory->tokens.begin()->second;
  token.revoked_ms = desk_.now;
  EXPECT_EQ(Said(PutToken{token, "leaked"}), "Changed: token to revoked: leaked.");
}

}  // namespace
}  // namespace kezek::control

// Goal: what a controller makes of commands that come together is a commit that the database takes.
// Method: a controller on a database of its own, several commands in one step.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "scheduler/control/controller.h"
#include "scheduler/sim/workload.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

using test::Sql;

TEST(CommandsTest, SeveralCommandsAboutOneUserAndTokenAreCommitted) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  const auto snapshot = store.Lead();
  ASSERT_TRUE(snapshot.has_value());
  control::ControlConfig config = sim::SimConfig();
  control::Controller controller(config, *snapshot, 1000);
  const UserId user{1};
  const auto together = [&](std::vector<CommandBody> bodies) {
    for (CommandBody& body : bodies) {
      controller.Offer(control::CommandInput{1, {user, "a", std::move(body)}});
    }
    const control::Ready ready = controller.Step(1000);
    for (const auto& reply : ready.replies) EXPECT_TRUE(reply.outcome.has_value());
    const auto committed = store.Commit(ready.changes);
    EXPECT_TRUE(committed.has_value()) << committed.error().message;
    controller.CommitDone();
  };
  together({PutUsers{{{.name = "u"}}, ""}});
  together({PutToken{{.user = user, .label = "robot", .expires_ms = 5000}, ""}});
  Token token = controller.view()->directory->tokens.begin()->second;
  token.revoked_ms = 1000;
  const std::vector<RoleGrant> roles = {{Role::kResearcher, kRootAccount}};
  together({PutToken{token, "x"}, PutToken{token, "x"},
            PutUsers{{{.id = user, .display_name = "One", .give = roles}}, ""},
            PutUsers{{{.id = user, .disabled = true}}, ""}});
  EXPECT_EQ(Sql(database.admin, "select display_name from users where disabled").at(0), "One");
  EXPECT_EQ(Sql(database.admin, "select revoked_ms from tokens").at(0), "1000");
}

}  // namespace
}  // namespace kezek::postgres

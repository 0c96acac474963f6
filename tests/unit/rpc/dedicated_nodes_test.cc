// Goal: nodes are dedicated by those who have them to give, and go back with the account that they
// were divided from. Method: changes of accounts are planned in the tree of the tests; no server.

#include "rpc/dedicated_nodes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rpc/account_plan.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

Caller As(const World& world, const std::string& user) {
  auto caller =
      Authorise("/kezek.v1.QuotaService/ApplyAccounts", world.Bearer(user), world.MakeView(), 1);
  KEZEK_CHECK(caller.has_value(), user + " may not apply");
  return std::move(*caller);
}

v1::AccountChange Change(const std::string& path) {
  v1::AccountChange change;
  change.set_path(path);
  return change;
}

std::string Outcome(const World& world, const std::string& user,
                    const v1::ApplyAccountsRequest& request) {
  const auto plan = PlanAccounts(As(world, user), request);
  if (plan) return "ok";
  const FieldError& detail = plan.error().details.at(0);
  return detail.field + " " + detail.reason;
}

TEST(DedicatedNodes, OfAnInstitutionAreDividedByItsAdmins) {
  World world;
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu/nlp");
  request.mutable_changes(0)->mutable_settings()->add_dedicated_nodes("n[1-2]");
  const std::string refused = "changes[0].settings.dedicated_nodes NOT_ADMINISTRATOR";
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), refused);
  EXPECT_EQ(Outcome(world, "root@kezek", request), "ok");
  const AccountId kaznu = world.directory.accounts.at(World::kNlp).parent;
  std::vector<std::string>& given = world.directory.accounts.at(kaznu).settings.dedicated_nodes;
  given = {"n1"};
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), refused) << "n2 was not given";
  given = {"n1", "n2", "n3"};
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), "ok");
  given.clear();
  std::vector<std::string>& of_all =
      world.directory.accounts.at(world.directory.accounts.at(kaznu).parent)
          .settings.dedicated_nodes;
  of_all = {"n1", "n2"};
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), refused) << "the sector's, not one's own";
  of_all.clear();
  world.directory.accounts.at(World::kNlp).settings.dedicated_nodes = {"n1", "n2"};
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), "ok") << "as it is";
}

TEST(DedicatedNodes, OfAClosedAccountAreEverybodysWhenItOpensAgain) {
  World world;
  Account& nlp = world.directory.accounts.at(World::kNlp);
  nlp.closed = true;
  nlp.settings.dedicated_nodes = {"n1"};
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu/nlp");
  request.mutable_changes(0)->clear_settings();
  request.mutable_changes(0)->set_closed(false);
  EXPECT_EQ(Outcome(world, "chief@kaznu", request),
            "changes[0].settings.dedicated_nodes NOT_ADMINISTRATOR");
  EXPECT_EQ(Outcome(world, "root@kezek", request), "ok");
  world.directory.accounts.at(nlp.parent).settings.dedicated_nodes = {"n1"};
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), "ok") << "the institution has it";
}

// universities/kaznu had n1 to n3 and gave n1 and n2 to nlp, which is closed.
TEST(DedicatedNodes, AreTakenBackFromThoseBelow) {
  World world;
  Account& nlp = world.directory.accounts.at(World::kNlp);
  nlp.settings.dedicated_nodes = {"n1", "n2"};
  nlp.closed = true;
  world.directory.accounts.at(nlp.parent).settings.dedicated_nodes = {"n1", "n2", "n3"};
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu");
  request.mutable_changes(0)->mutable_settings()->add_dedicated_nodes("n[2-3]");
  const auto nodes_of_nlp = [&]() -> std::vector<std::string> {
    const auto plan = PlanAccounts(As(world, "root@kezek"), request);
    if (!plan) return {plan.error().message};
    for (const PutAccounts::Item& item : plan->command.accounts) {
      if (item.account.id == World::kNlp) return item.account.settings.dedicated_nodes;
    }
    return {"as they were"};
  };
  EXPECT_EQ(nodes_of_nlp(), (std::vector<std::string>{"n2"}));
  *request.add_changes() = Change("universities/kaznu/nlp");
  v1::AccountChange& own = *request.mutable_changes(1);
  own.clear_settings();
  own.set_title("Language");
  EXPECT_EQ(nodes_of_nlp(), (std::vector<std::string>{"n2"})) << "named, but not its nodes";
  own.mutable_settings()->add_dedicated_nodes("n[1-2]");
  own.clear_title();
  EXPECT_EQ(nodes_of_nlp(), (std::vector<std::string>{"as they were"})) << "given to it directly";
  request.mutable_changes()->DeleteSubrange(1, 1);
  request.mutable_changes(0)->mutable_settings()->clear_dedicated_nodes();
  request.mutable_changes(0)->mutable_settings()->add_dedicated_nodes("n[1-3]");
  request.mutable_changes(0)->set_title("KazNU");
  EXPECT_EQ(nodes_of_nlp(), (std::vector<std::string>{"as they were"}));
}

}  // namespace
}  // namespace kezek::rpc

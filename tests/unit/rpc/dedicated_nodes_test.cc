// Goal: nodes are dedicated by those who have them to give, and go back with the account that they
// were divided from. Method: changes of accounts are planned in the tree of the tests; no server.

#include "rpc/dedicated_nodes.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
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

// Of universities/kaznu/cv and what is below it, which had n1, all by a request of its admin.
class NodesOfTheClosed : public testing::Test {
 protected:
  static constexpr AccountId kDeep{20};
  static constexpr AccountId kDeeper{21};

  NodesOfTheClosed() {
    Account& cv = At(World::kCv);
    cv.kind = "group";
    cv.closed = true;
    Add(kDeep, World::kCv, "deep");
    Add(kDeeper, kDeep, "deeper");
  }
  Account& At(AccountId id) { return world_.directory.accounts.at(id); }
  void Add(AccountId id, AccountId parent, const std::string& name) {
    world_.directory.accounts[id] = {.id = id, .parent = parent, .name = name, .kind = "group"};
    world_.directory.account_by_path[PathOf(world_.directory, id)] = id;
  }
  v1::ApplyAccountsRequest Moved(const std::string& path, const std::string& to) const {
    v1::ApplyAccountsRequest request;
    request.add_changes()->set_path(path);
    request.mutable_changes(0)->set_move_to(to);
    return request;
  }
  v1::ApplyAccountsRequest Given(const std::string& path) const {
    v1::ApplyAccountsRequest request;
    request.add_changes()->set_path(path);
    request.mutable_changes(0)->mutable_settings()->add_dedicated_nodes("n1");
    return request;
  }
  std::string OfChief(const v1::ApplyAccountsRequest& request) const {
    return Outcome(world_, "chief@kaznu", request);
  }

  const std::string cv_ = "universities/kaznu/cv";
  const std::string refused_ = "changes[0].settings.dedicated_nodes NOT_ADMINISTRATOR";
  World world_;
};

TEST_F(NodesOfTheClosed, AreNotGivenOn) {
  At(World::kCv).settings.dedicated_nodes = {"n1"};
  EXPECT_EQ(OfChief(Given(cv_ + "/deep")), refused_) << "by what is closed";
  At(kDeep).settings.dedicated_nodes = {"n1"};
  EXPECT_EQ(OfChief(Given(cv_ + "/deep/deeper")), refused_) << "by what is below it";
  EXPECT_EQ(OfChief(Given(cv_ + "/deep")), "ok") << "as it is, and nobody's";
  v1::ApplyAccountsRequest request = Given(cv_ + "/deep/deeper");
  request.add_changes()->set_path(cv_);
  request.mutable_changes(1)->set_closed(false);
  EXPECT_NE(OfChief(request), "ok") << "opened by the same request";
  At(World::kKaznu).settings.dedicated_nodes = {"n1"};
  EXPECT_EQ(OfChief(Given(cv_ + "/deep/deeper")), "ok") << "the institution has it";
  At(World::kKaznu).settings.dedicated_nodes.clear();
  At(World::kCv).closed = false;
  EXPECT_EQ(OfChief(Given(cv_ + "/deep/deeper")), "ok");
  request.mutable_changes(1)->set_closed(true);
  EXPECT_EQ(OfChief(request), refused_) << "closed by the same request";
}

TEST_F(NodesOfTheClosed, AreNotMovedOut) {
  At(kDeep).settings.dedicated_nodes = {"n1"};
  const auto out = Moved(cv_ + "/deep", "universities/kaznu/deep");
  EXPECT_EQ(OfChief(out), refused_);
  EXPECT_EQ(Outcome(world_, "root@kezek", out), "ok");
  std::swap(At(kDeep).settings.dedicated_nodes, At(kDeeper).settings.dedicated_nodes);
  EXPECT_EQ(OfChief(out), refused_) << "below what is moved";
  EXPECT_EQ(OfChief(Moved(cv_, "universities/kaznu/seeing")), "ok") << "it stays closed";
  At(kDeeper).closed = true;
  EXPECT_EQ(OfChief(out), "ok") << "as does this";
  At(kDeeper).closed = false;
  At(World::kCv).closed = false;
  EXPECT_EQ(OfChief(out), "ok") << "nothing was closed";
}

TEST_F(NodesOfTheClosed, AreNotBroughtBack) {
  At(kDeeper).settings.dedicated_nodes = {"n1"};
  auto past = world_.directory.accounts;
  past.at(World::kCv).closed = false;
  const auto reason = [&](const std::string& user) -> std::string {
    const auto plan = PlanRevert(As(world_, user), World::kCv, past, {});
    return plan ? "ok" : plan.error().details.at(0).field;
  };
  EXPECT_EQ(reason("chief@kaznu"), "account.settings.dedicated_nodes");
  EXPECT_EQ(reason("root@kezek"), "ok");
  At(World::kKaznu).settings.dedicated_nodes = {"n1"};
  EXPECT_EQ(reason("chief@kaznu"), "ok");
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

// One change for each account: the desk takes no second one of what the first has changed.
TEST(DedicatedNodes, AreTakenBackFromWhatIsClosedWithThem) {
  World world;
  world.directory.accounts.at(World::kNlp).settings.dedicated_nodes = {"n1", "n2"};
  world.directory.accounts.at(World::kKaznu).settings.dedicated_nodes = {"n1", "n2"};
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu");
  request.mutable_changes(0)->mutable_settings()->add_dedicated_nodes("n2");
  request.set_complete_below("universities/kaznu");
  const auto plan = PlanAccounts(As(world, "root@kezek"), request);
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  const auto& items = plan->command.accounts;
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[1].account.id, World::kCv);
  EXPECT_EQ(items[2].account.id, World::kNlp);
  EXPECT_TRUE(items[2].account.closed);
  EXPECT_EQ(items[2].account.settings.dedicated_nodes, std::vector<std::string>{"n2"});
}

}  // namespace
}  // namespace kezek::rpc

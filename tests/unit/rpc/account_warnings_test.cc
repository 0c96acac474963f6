// Goal: an admin is told of settings that are taken and cannot hold what they promise.
// Method: commands on the tests' tree; every warning with its fields, and what warns of nothing.

#include "rpc/account_warnings.h"

#include <gtest/gtest.h>

#include "kezek/node_owners.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

class AccountWarnings : public testing::Test {
 protected:
  std::vector<v1::Reason> Of(Account account, const std::string& parent_path = "") const {
    PutAccounts command;
    command.accounts.push_back({std::move(account), parent_path});
    auto view = *world_.MakeView();
    view.now_ms = 100 * kDayMs;
    return WarningsOf(view, command);
  }
  Account Kaznu() const { return world_.directory.accounts.at(World::kKaznu); }

  World world_;
};

TEST_F(AccountWarnings, AGuaranteeAboveWhatIsInService) {
  Account kaznu = Kaznu();
  kaznu.settings.shares["h200"].guarantee_milli = 64'000;
  EXPECT_TRUE(Of(kaznu).empty());
  world_.nodes.at("n01").health = NodeHealth::kDown;
  world_.nodes.at("n02").foreign_gpus = 2;
  const auto warnings = Of(kaznu);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].code(), "GUARANTEE_ABOVE_CAPACITY");
  EXPECT_EQ(warnings[0].fields().at("account"), "universities/kaznu");
  EXPECT_EQ(warnings[0].fields().at("capacity"), "54");
  EXPECT_EQ(
      warnings[0].sentence(),
      "The guarantee of universities/kaznu, 64 h200, is above the 54 on shared nodes in service"
      " now: it cannot be kept in full.");
  kaznu.closed = true;
  EXPECT_TRUE(Of(kaznu).empty());
  kaznu.closed = false;
  kaznu.id = {};
  kaznu.name = "new";
  EXPECT_EQ(Of(kaznu, "universities")[0].fields().at("account"), "universities/new");
}

// Guarantees are about shared nodes: what has an owner, now or by the change itself, is no
// capacity.
TEST_F(AccountWarnings, NodesOfOneOwnerKeepNoGuarantee) {
  Account kaznu = Kaznu();
  kaznu.settings.shares["h200"].guarantee_milli = 64'000;
  ASSERT_TRUE(Of(kaznu).empty());
  kaznu.settings.dedicated_nodes = {"n01"};
  const auto own = Of(kaznu);
  ASSERT_EQ(own.size(), 1U);
  EXPECT_EQ(own[0].code(), "GUARANTEE_ABOVE_CAPACITY");
  EXPECT_EQ(own[0].fields().at("capacity"), "56");
  kaznu.settings.dedicated_nodes.clear();
  world_.directory.classes["debug"].nodes = {"n01", "n02"};
  const auto lane = Of(kaznu);
  ASSERT_EQ(lane.size(), 1U);
  EXPECT_EQ(lane[0].fields().at("capacity"), "48");
}

TEST_F(AccountWarnings, ABudgetThatEndsSoonWithNoneAfterIt) {
  Account kaznu = Kaznu();
  const auto budget = [](const std::string& name, TimeMs start_day, TimeMs end_day,
                         const std::string& type = "") {
    BudgetSpec spec;
    spec.name = name;
    spec.gpu_type = type;
    spec.milli_gpu_hours = 1'000;
    spec.start_ms = start_day * kDayMs;
    spec.end_ms = end_day * kDayMs;
    return spec;
  };
  kaznu.settings.budgets = {budget("over", 10, 90), budget("now", 90, 120)};
  const auto warnings = Of(kaznu);
  ASSERT_EQ(warnings.size(), 1U) << "nobody is told of what is over";
  EXPECT_EQ(warnings[0].code(), "BUDGET_HAS_NO_NEXT");
  EXPECT_EQ(warnings[0].fields().at("budget"), "now");
  kaznu.settings.budgets.push_back(budget("other", 120, 400, "a100"));
  EXPECT_EQ(Of(kaznu).size(), 1U) << "of another GPU type";
  kaznu.settings.budgets.push_back(budget("next", 120, 400));
  EXPECT_TRUE(Of(kaznu).empty());
  kaznu.settings.budgets = {budget("far", 90, 132)};
  EXPECT_TRUE(Of(kaznu).empty()) << "more than a month away";
}

TEST_F(AccountWarnings, ABudgetWithoutHours) {
  Account kaznu = Kaznu();
  kaznu.settings.budgets = {{.name = "none", .start_ms = 0, .end_ms = 400 * kDayMs}};
  const auto warnings = Of(kaznu);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].code(), "BUDGET_IS_EMPTY");
  EXPECT_EQ(warnings[0].sentence(),
            "Budget none of universities/kaznu has 0 GPU-hours: nothing can be held of it but what "
            "is carried over.");
  kaznu.settings.budgets[0].end_ms = 90 * kDayMs;
  EXPECT_TRUE(Of(kaznu).empty()) << "it is over";
}

// The desk refuses it; what comes before must come to an end.
TEST_F(AccountWarnings, AreNoneOfWhatIsNoTree) {
  Account kaznu = Kaznu();
  kaznu.settings.shares["h200"].guarantee_milli = 100'000;
  kaznu.settings.dedicated_nodes = {"n01"};
  ASSERT_EQ(Of(kaznu).size(), 1U);
  EXPECT_TRUE(Of(kaznu, "universities/kaznu").empty()) << "below itself";
  EXPECT_TRUE(Of(kaznu, "universities/none").empty());
  kaznu.parent = World::kNlp;  // which is below it
  EXPECT_TRUE(Of(kaznu).empty());
  auto accounts = world_.directory.accounts;
  accounts.at(World::kKaznu) = kaznu;
  accounts.at(World::kBot).settings.dedicated_nodes = {"n02"};
  const NodeOwners owners = OwnersOf(accounts, {});
  EXPECT_EQ(owners.size(), 1U) << "what is below itself owns nothing";
  EXPECT_EQ(owners.at("n02").account, World::kBot);
}

}  // namespace
}  // namespace kezek::rpc

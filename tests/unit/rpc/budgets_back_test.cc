// Goal: a revert past budgets brings back what it can, keeps what is booked and says so.
// Method: plans on the tests' tree with balances of every sort; nothing is carried out.
#include "rpc/budgets_back.h"

#include <gtest/gtest.h>

#include <map>

#include "kezek/check.h"
#include "rpc/account_plan.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

Caller As(const World& world, const std::string& user) {
  auto caller =
      Authorise("/kezek.v1.QuotaService/RevertAccounts", world.Bearer(user), world.MakeView(), 1);
  KEZEK_CHECK(caller.has_value(), user + " may not revert");
  return std::move(*caller);
}

// Version 1 had weight 1; since then it got another one and budgets, some of which were used.
class RevertPastBudgets : public ::testing::Test {
 protected:
  static constexpr TimeMs kNow = 1'000;  // of the World's view

  static BudgetSpec Period(const std::string& name, TimeMs start, TimeMs end) {
    return {.name = name, .milli_gpu_hours = 5'000, .start_ms = start, .end_ms = end};
  }
  static BudgetStanding Standing(const BudgetSpec& spec, MilliGpuMs spent) {
    BudgetStanding standing{{World::kNlp, spec.name}, spec, {}};
    standing.balance.spent = spent;
    return standing;
  }
  void Today(const std::vector<BudgetStanding>& standings) {
    Account& account = world.directory.accounts.at(World::kNlp);
    account.version = world.directory.settings_version = 2;
    account.settings.shares["h200"].weight_milli = 3'000;
    account.settings.budgets.clear();
    for (const auto& standing : standings) account.settings.budgets.push_back(standing.spec);
    const auto view = world.MakeView();
    auto seen = std::make_shared<View>(*view);
    seen->budgets = std::make_shared<const std::vector<BudgetStanding>>(standings);
    caller = As(world, "root@kezek");
    caller.view = seen;
  }
  AccountPlan Revert() {
    auto plan = PlanRevert(caller, kRootAccount, past, {});
    EXPECT_TRUE(plan.has_value());
    return *plan;
  }
  static std::vector<std::string> Warnings(const AccountPlan& plan) {
    std::vector<std::string> warnings;
    for (const v1::Reason& warning : plan.warnings) {
      warnings.push_back(warning.code() + " " + warning.fields().at("budget"));
    }
    return warnings;
  }

  World world;
  std::map<AccountId, Account> past = world.directory.accounts;
  Caller caller = As(world, "root@kezek");
};

TEST_F(RevertPastBudgets, BringsTheWeightBackAndKeepsTheBudgetThatWasDrawnOn) {
  const BudgetSpec used = Period("used", 0, 9'000);
  Today({Standing(used, 7), Standing(Period("idle", 9'000, 10'000), 0)});
  const AccountPlan plan = Revert();
  ASSERT_EQ(plan.command.accounts.size(), 1U);
  const AccountSettings& settings = plan.command.accounts[0].account.settings;
  EXPECT_TRUE(settings.shares.empty()) << "as before";
  EXPECT_EQ(settings.budgets, std::vector<BudgetSpec>{used}) << "nobody has drawn on the other";
  EXPECT_EQ(Warnings(plan), std::vector<std::string>{"BUDGET_KEPT used"});
  EXPECT_EQ(plan.warnings[0].sentence(),
            "Budget used of universities/kaznu/nlp stays as it is today: it has been drawn on or "
            "carried into, or is over.");
}

TEST_F(RevertPastBudgets, KeepsWhatWasRaisedAndWhatIsOverAndLeavesOutWhatIsInTheWay) {
  BudgetSpec small = Period("used", 0, 5'000);
  small.milli_gpu_hours = 1'000;
  const BudgetSpec later = Period("later", 8'000, 9'000);
  past.at(World::kNlp).settings.budgets = {small, Period("next", 5'000, 8'000), later,
                                           Period("old", 100, 200)};
  const BudgetSpec used = Period("used", 500, 7'000);
  const BudgetSpec over = Period("over", 200, kNow / 2);
  Today({Standing(used, 7), Standing(over, 0)});
  const AccountPlan plan = Revert();
  EXPECT_EQ(plan.command.accounts.at(0).account.settings.budgets,
            (std::vector<BudgetSpec>{used, later, over}));
  EXPECT_EQ(Warnings(plan), (std::vector<std::string>{"BUDGET_KEPT used", "BUDGET_LEFT_OUT next",
                                                      "BUDGET_LEFT_OUT old", "BUDGET_KEPT over"}));
}

TEST_F(RevertPastBudgets, WhereOnlyBudgetsDifferThatStayThereIsNothingToDoButToSaySo) {
  Today({Standing(Period("used", 0, 9'000), 7)});
  past.at(World::kNlp).settings.shares["h200"].weight_milli = 3'000;
  const AccountPlan plan = Revert();
  EXPECT_TRUE(plan.command.accounts.empty());
  EXPECT_EQ(Warnings(plan), std::vector<std::string>{"BUDGET_KEPT used"});
}

TEST_F(RevertPastBudgets, NamesNoBudgetToThoseWhoDoNotSeeIt) {
  Today({Standing(Period("used", 0, 9'000), 7)});
  past.at(World::kNlp).settings.shares["h200"].weight_milli = 3'000;
  const auto view = caller.view;
  world.directory.users.at(World::kDana).roles = {{Role::kInstitutionAdmin, World::kAcme}};
  caller = As(world, "dana@acme");
  caller.view = view;
  EXPECT_TRUE(Revert().warnings.empty());
}

}  // namespace
}  // namespace kezek::rpc

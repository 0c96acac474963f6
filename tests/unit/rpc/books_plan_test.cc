// Goal: the plan names what a project's attempts lack in the cluster's books, once, in an order in
// which it can be made, and nothing that nobody would use. Method: the tree of the tests against
// books made by hand.

#include "rpc/books_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

using Texts = std::vector<std::string>;

class BooksPlanTest : public testing::Test {
 protected:
  BooksPlanTest() {
    Settings(World::kKaznu).slurm_account = "KazNU";  // as its admin wrote it
    Settings(World::kBot).slurm_account = "acme";
    Settings(World::kCv).slurm_qos = "high";
    books_.cluster = "demo";
    books_.qos = {"normal"};
  }
  AccountSettings& Settings(AccountId account) {
    return world_.directory.accounts.at(account).settings;
  }
  // As if it had been made.
  void Take(const MissingBooking& missing) {
    using enum MissingBooking::Kind;
    if (missing.kind == kAccount) {
      books_.accounts.insert(missing.account);
      books_.members[{missing.account, ""}] = {"normal"};
    } else if (missing.kind == kUser || missing.kind == kMember) {
      books_.users.insert(missing.user);
      books_.members[{missing.account, missing.user}] = books_.members[{missing.account, ""}];
    } else if (missing.kind == kQos) {
      books_.qos.insert(missing.qos);
    } else if (missing.kind == kQosAllowed) {
      for (auto& [key, qos] : books_.members) {
        if (key.first == missing.account) qos.insert(missing.qos);
      }
    }
  }
  Texts Plan() {
    Texts texts;
    for (const auto& missing : PlanBooks(world_.directory, books_)) {
      texts.push_back(BookingText(missing));
    }
    return texts;
  }

  World world_;
  ClusterAccounts books_;
};

TEST_F(BooksPlanTest, AnEmptyBookLacksAllThatIsUsedAndNothingElse) {
  EXPECT_EQ(Plan(),
            (Texts{"account kaznu", "account acme", "user kz-aizhan in account kaznu",
                   "user kz-bolat in account kaznu", "user kz-both in account kaznu",
                   "user kz-dana in account acme", "qos high", "qos high for account kaznu"}))
      << "no admins of institutions, and nobody without a Unix account";
}

TEST_F(BooksPlanTest, WhenAllIsMadeNothingLacks) {
  for (const auto& missing : PlanBooks(world_.directory, books_)) Take(missing);
  EXPECT_EQ(Plan(), Texts{});
}

TEST_F(BooksPlanTest, WhoHasLeftAndWhatIsClosedWantsNothing) {
  for (const auto& missing : PlanBooks(world_.directory, books_)) Take(missing);
  books_.members.erase({"acme", "kz-dana"});
  EXPECT_EQ(Plan(), Texts{"user kz-dana in account acme"});
  world_.directory.users.at(World::kDana).disabled = true;
  EXPECT_EQ(Plan(), Texts{});
  world_.directory.users.at(World::kDana).disabled = false;
  world_.directory.accounts.at(World::kBot).closed = true;
  EXPECT_EQ(Plan(), Texts{});
}

TEST_F(BooksPlanTest, AUserThatIsThereGetsTheAssociationAlone) {
  for (const auto& missing : PlanBooks(world_.directory, books_)) Take(missing);
  books_.members.erase({"kaznu", "kz-aizhan"});
  const auto plan = PlanBooks(world_.directory, books_);
  ASSERT_EQ(plan.size(), 1U);
  EXPECT_EQ(plan[0].kind, MissingBooking::Kind::kMember);
}

TEST_F(BooksPlanTest, WhoHasTheirOwnQosIsNamedAlone) {
  for (const auto& missing : PlanBooks(world_.directory, books_)) Take(missing);
  books_.members[{"kaznu", "kz-both"}] = {"normal"};
  EXPECT_EQ(Plan(), Texts{"qos high for user kz-both in account kaznu"});
  books_.members[{"kaznu", "kz-both"}] = {};
  EXPECT_EQ(Plan(), Texts{}) << "not told is not missing";
}

TEST_F(BooksPlanTest, AProjectThatNamesNoAccountWantsUsersToHaveOne) {
  Settings(World::kBot).slurm_account.clear();
  books_.members[{"kaznu", ""}] = {"normal", "high"};
  books_.qos.insert("high");
  for (const char* user : {"kz-aizhan", "kz-bolat", "kz-both"}) {
    books_.members[{"kaznu", user}] = {"normal", "high"};
  }
  EXPECT_EQ(Plan(), Texts{"any account for user kz-dana, and project firms/acme/bot names no "
                          "slurm_account"});
  books_.members[{"other", "kz-dana"}] = {};
  EXPECT_EQ(Plan(), Texts{});
}

TEST_F(BooksPlanTest, EachHasACommandThatAShellTakes) {
  Texts commands;
  for (const auto& missing : PlanBooks(world_.directory, books_)) {
    commands.push_back(CommandFor(missing, "demo"));
  }
  EXPECT_EQ(commands[0],
            "sacctmgr -i add account kaznu cluster=demo description=universities/kaznu/nlp "
            "organization=kezek");
  EXPECT_EQ(commands[2], "sacctmgr -i add user kz-aizhan account=kaznu cluster=demo");
  EXPECT_EQ(commands[6], "sacctmgr -i add qos high");
  EXPECT_EQ(commands[7], "sacctmgr -i modify account where name=kaznu cluster=demo set qos+=high");
  EXPECT_EQ(CommandFor({MissingBooking::Kind::kMember, "nlp", "o'k $(x)", "", ""}, "demo"),
            "sacctmgr -i add user 'o'\\''k $(x)' account=nlp cluster=demo");
}

}  // namespace
}  // namespace kezek::rpc

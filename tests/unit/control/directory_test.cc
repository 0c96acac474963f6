// Goal: changes of accounts, users and tokens are checked whole before anything changes. Method: a
// small directory; good and bad commands.

#include "scheduler/control/directory.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/control/places.h"
#include "scheduler/sim/workload.h"

namespace kezek::control {
namespace {

class DirectoryTest : public ::testing::Test {
 protected:
  DirectoryTest() {
    Snapshot snapshot;
    snapshot.accounts = sim::SimAccounts();
    snapshot.users = sim::SimUsers();
    directory = MakeDirectory(config, snapshot);
    std::map<std::string, Node> nodes;
    for (const Node& node : sim::SimNodes()) nodes[node.name] = node;
    rules = RulesOf(config, nodes);
  }
  static Account Named(std::string name, std::string kind = "project") {
    Account account;
    account.name = std::move(name);
    account.kind = std::move(kind);
    return account;
  }
  ControlConfig config = sim::SimConfig();
  Directory directory;
  quota::TreeRules rules;
};

TEST_F(DirectoryTest, AnEmptyDatabaseGetsARoot) {
  const Directory empty = MakeDirectory(config, Snapshot{});
  EXPECT_TRUE(empty.accounts.contains(kRootAccount));
  EXPECT_EQ(empty.account_by_path.at(""), kRootAccount);
}

TEST_F(DirectoryTest, AParentMayBeMadeInTheSameCommand) {
  PutAccounts put;
  put.accounts = {{Named("firms", "sector"), ""}, {Named("agro"), "firms"}};
  const auto accounts = PrepareAccounts(directory, put, rules);
  ASSERT_TRUE(accounts.has_value()) << accounts.error().message;
  EXPECT_EQ(accounts->at(0).parent, kRootAccount);
  EXPECT_EQ(accounts->at(1).parent, accounts->at(0).id);
  EXPECT_EQ(accounts->at(0).version, directory.settings_version + 1);
  EXPECT_EQ(accounts->at(1).version, directory.settings_version + 1) << "one version for all";
}

TEST_F(DirectoryTest, AccountsMoveAndExchangeTheirNames) {
  const Account project = directory.accounts.at(AccountId{5});
  Account moved = project;
  moved.parent = {};
  moved.settings = {};  // the new sector has no guarantee to give
  PutAccounts put;
  put.accounts = {{Named("firms", "sector"), ""}, {moved, "firms"}};
  auto accounts = PrepareAccounts(directory, put, rules);
  ASSERT_TRUE(accounts.has_value()) << accounts.error().message;
  EXPECT_EQ(accounts->at(1).parent, accounts->at(0).id);
  EXPECT_EQ(accounts->at(1).id, project.id) << "with its history";

  Account other = directory.accounts.at(AccountId{6});
  ASSERT_EQ(other.parent, project.parent);
  moved = project;
  std::swap(moved.name, other.name);
  put.accounts = {{moved, ""}, {other, ""}};
  accounts = PrepareAccounts(directory, put, rules);
  ASSERT_TRUE(accounts.has_value()) << accounts.error().message;
  EXPECT_EQ(accounts->at(1).name, project.name);
  put.accounts = {{moved, ""}};
  EXPECT_EQ(PrepareAccounts(directory, put, rules).error().details.at(0).reason, "NAME_TAKEN");
}

// A project is moved from one sector to another by version 7, and back by version 9.
TEST_F(DirectoryTest, UsageCountsForTheAccountsAboveWhenItWasPlanned) {
  const AccountId project{5};
  const AccountId old_parent = directory.accounts.at(project).parent;
  const AccountId new_parent{50};
  directory.accounts[new_parent] = {.id = new_parent, .parent = kRootAccount, .name = "new"};
  Places live;
  EXPECT_TRUE(live.Above(directory, project, 3).empty()) << "nothing was moved: as the tree is";
  for (const auto& [version, parent] : {std::pair{7, new_parent}, std::pair{9, old_parent}}) {
    const Account before = directory.accounts.at(project);
    Account& now = directory.accounts.at(project);
    now.parent = parent;
    now.version = version;
    live.Note(before, now);
  }
  const Places restarted(
      {{project, 1, old_parent}, {project, 7, new_parent}, {project, 9, old_parent}});
  for (const Places& places : {live, restarted}) {
    const auto first = [&](std::int64_t version) {
      return places.Above(directory, project, version).front();
    };
    EXPECT_EQ(first(0), old_parent);
    EXPECT_EQ(first(6), old_parent);
    EXPECT_EQ(first(7), new_parent);
    EXPECT_EQ(first(8), new_parent);
    EXPECT_EQ(first(9), old_parent);
    EXPECT_EQ(places.Above(directory, project, 8),
              (std::vector<AccountId>{new_parent, kRootAccount}));
  }
}

TEST_F(DirectoryTest, NothingIsMovedBelowItself) {
  PutAccounts put;
  Account sector = directory.accounts.at(AccountId{2});
  sector.parent = AccountId{5};
  sector.kind = "sector";
  put.accounts = {{sector, ""}};
  const auto refused = PrepareAccounts(directory, put, rules);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
}

TEST_F(DirectoryTest, WhatConfigurationHasBrokenElsewhereBlocksNoChange) {
  directory.accounts.at(AccountId{5}).settings.classes = {"left"};  // the configuration
  PutAccounts put;
  Account other = directory.accounts.at(AccountId{4});
  other.title = "new title";
  put.accounts = {{other, ""}};
  EXPECT_TRUE(PrepareAccounts(directory, put, rules).has_value());
  Account own = directory.accounts.at(AccountId{5});
  own.title = "new title";
  put.accounts = {{own, ""}};
  const auto refused = PrepareAccounts(directory, put, rules);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().details.at(0).reason, "NO_SUCH_CLASS");
  own.settings.classes.clear();
  put.accounts = {{own, ""}};
  EXPECT_TRUE(PrepareAccounts(directory, put, rules).has_value());
  other.settings.classes = {"none"};
  put.accounts = {{other, ""}};
  EXPECT_FALSE(PrepareAccounts(directory, put, rules).has_value()) << "a new one is refused";
}

// Each of an account's problems is looked at: one that stood does not hide another.
TEST_F(DirectoryTest, AClassThatLeftHidesNoOtherThatIsTakenAway) {
  const AccountId parent = directory.accounts.at(AccountId{5}).parent;
  directory.accounts.at(parent).settings.classes = {"normal", "debug"};
  directory.accounts.at(AccountId{5}).settings.classes = {"left", "normal"};
  PutAccounts put;
  Account above = directory.accounts.at(parent);
  above.settings.classes = {"debug"};
  put.accounts = {{above, ""}};
  const auto refused = PrepareAccounts(directory, put, rules);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().details.at(0).reason, "CLASS_NOT_ALLOWED");
  EXPECT_EQ(refused.error().details.at(0).values.at("class"), "normal");
}

TEST_F(DirectoryTest, WhatIsAboveTheMachineMayBeLessened) {
  Share& share = directory.accounts.at(kRootAccount).settings.shares["h200"];
  const MilliGpus machine = rules.configured_milli.at("h200");
  share.guarantee_milli = machine + 16'000;
  PutAccounts put;
  const auto outcome = [&](MilliGpus guarantee) {
    Account root = directory.accounts.at(kRootAccount);
    root.settings.shares["h200"].guarantee_milli = guarantee;
    put.accounts = {{root, ""}};
    return PrepareAccounts(directory, put, rules).has_value();
  };
  EXPECT_TRUE(outcome(machine + 8'000));
  EXPECT_TRUE(outcome(machine));
  EXPECT_FALSE(outcome(machine + 24'000));
}

TEST_F(DirectoryTest, AChangeKeepsTheParent) {
  PutAccounts put;
  Account account = directory.accounts.at(AccountId{5});
  account.parent = {};
  account.title = "new title";
  put.accounts = {{account, ""}};
  EXPECT_EQ(PrepareAccounts(directory, put, rules)->at(0).parent, AccountId{2});
}

TEST_F(DirectoryTest, BadAccountsNameTheField) {
  const auto error = [&](Account account, std::string parent) {
    PutAccounts put;
    put.accounts = {{std::move(account), std::move(parent)}};
    return PrepareAccounts(directory, put, rules).error();
  };
  EXPECT_EQ(error(Named("x"), "nowhere").details.at(0).field, "path");
  EXPECT_EQ(error(Named("project0"), "sector0").code, Code::kAlreadyExists);
  Account greedy = Named("greedy");
  greedy.settings.shares["h200"].guarantee_milli = 20'000;
  EXPECT_EQ(error(greedy, "sector0").code, Code::kInvalidArgument);
  Account unknown = Named("x");
  unknown.id = AccountId{99};
  EXPECT_EQ(error(unknown, "").code, Code::kNotFound);
}

TEST_F(DirectoryTest, UnixAccountsAreUniqueAndNoSystemUsers) {
  const auto result = [&](const std::string& unix_account, std::int64_t uid) {
    const UserChange user{.name = "new@sim", .unix_account = unix_account, .unix_uid = uid};
    return PrepareUsers(directory, PutUsers{{user}, ""}, 1500);
  };
  EXPECT_TRUE(result("kz-new", 5000).has_value());
  EXPECT_TRUE(result("", 0).has_value()) << "may come later";
  EXPECT_EQ(result("root", 0).error().code, Code::kInvalidArgument);
  EXPECT_EQ(result("kz-new", 1499).error().code, Code::kInvalidArgument) << "as configured";
  EXPECT_TRUE(result("kz-new", 1500).has_value());
  EXPECT_EQ(result("kz-user1", 5000).error().code, Code::kAlreadyExists);
  EXPECT_EQ(result("kz-new", 2001).error().code, Code::kAlreadyExists);
}

TEST_F(DirectoryTest, ARaisedMinUidStandsInNoOthersWay) {
  const UserId user{1};
  const std::int64_t min_uid = directory.users.at(user).unix_uid + 1;
  const auto disabled =
      PrepareUsers(directory, PutUsers{{{.id = user, .disabled = true}}, ""}, min_uid);
  ASSERT_TRUE(disabled.has_value()) << disabled.error().message;
  EXPECT_TRUE(disabled->at(0).disabled);
}

TEST_F(DirectoryTest, ChangesOfAUserAreMadeOnTopOfEachOther) {
  const UserId user{1};
  User& now = directory.users.at(user);
  const User seen = now;  // by two people, before either changes anything
  ASSERT_FALSE(seen.roles.empty());
  const auto make = [&](const UserChange& change) {
    const auto users = PrepareUsers(directory, PutUsers{{change}, ""}, kDefaultMinUid);
    ASSERT_TRUE(users.has_value());
    now = users->at(0);
  };
  make({.id = user, .take = seen.roles});
  make({.id = user, .unix_account = ""});
  make({.id = user, .display_name = "Another name"});
  User wanted = seen;
  wanted.disabled = true;
  make(ChangeBetween(seen, wanted));
  EXPECT_TRUE(now.roles.empty()) << "a role that was taken came back";
  EXPECT_EQ(now.unix_account, "") << "a Unix account that was taken came back";
  EXPECT_EQ(now.unix_uid, 0);
  EXPECT_EQ(now.display_name, "Another name");
  EXPECT_TRUE(now.disabled);
}

TEST_F(DirectoryTest, TwoAdminsCannotRemoveEachOther) {
  const RoleGrant admin{Role::kClusterAdmin, kRootAccount};
  directory.users[UserId{1}].roles = {admin};
  directory.users[UserId{2}].roles = {admin};
  const auto take = [&](std::int64_t from) {
    return PrepareUsers(directory, PutUsers{{{.id = UserId{from}, .take = {admin}}}, ""},
                        kDefaultMinUid);
  };
  const auto first = take(1);
  ASSERT_TRUE(first.has_value());
  directory.users[UserId{1}] = first->at(0);
  EXPECT_EQ(take(2).error().details.at(0).reason, "LAST_ADMIN");
}

TEST_F(DirectoryTest, AnAdminIsLeftWhoCanSignIn) {
  const RoleGrant admin{Role::kClusterAdmin, kRootAccount};
  for (const std::int64_t id : {1, 2}) {
    directory.users[UserId{id}].roles = {admin};
    directory.users[UserId{id}].unix_account.clear();
    Token token;
    token.id = TokenId{id};
    token.user = UserId{id};
    token.hash[0] = static_cast<std::uint8_t>(id);
    directory.tokens[token.hash] = token;
  }
  for (auto& [hash, token] : directory.tokens) {
    if (token.user == UserId{1}) token.revoked_ms = 5;
  }
  const auto take = [&](std::int64_t from) {
    return PrepareUsers(directory, PutUsers{{{.id = UserId{from}, .take = {admin}}}, ""},
                        kDefaultMinUid);
  };
  EXPECT_TRUE(take(1).has_value()) << "who cannot sign in anyway";
  EXPECT_EQ(take(2).error().details.at(0).reason, "LAST_ADMIN");
}

TEST_F(DirectoryTest, TokensGetNumbersAndOwners) {
  Token token;
  token.user = UserId{1};
  token.hash[0] = 7;
  const auto made = PrepareToken(directory, PutToken{token});
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->id, TokenId{1});
  directory.tokens[made->hash] = *made;
  EXPECT_EQ(PrepareToken(directory, PutToken{token}).error().code, Code::kAlreadyExists);
  token.hash[0] = 8;
  directory.users.at(UserId{1}).disabled = true;
  EXPECT_EQ(PrepareToken(directory, PutToken{token}).error().details.at(0).reason, "USER_DISABLED");
  token.user = UserId{99};
  EXPECT_FALSE(PrepareToken(directory, PutToken{token}).has_value());
  token = *made;
  token.revoked_ms = 5;
  EXPECT_TRUE(PrepareToken(directory, PutToken{token}).has_value());
}

}  // namespace
}  // namespace kezek::control

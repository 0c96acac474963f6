// Goal: who gives which role, sets which Unix account and signs in as whom is as the rules say;
// calls above the rate are put off; a sync with a directory plans exactly the differences.
// Method: tables on the world of the tests, with Unix accounts from a map; no server.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "rpc/rate_limiter.h"
#include "rpc/sign_in.h"
#include "rpc/sync_plan.h"
#include "rpc/user_rules.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

class Accounts final : public UnixAccounts {
 public:
  std::map<std::string, std::int64_t> uids = {
      {"kz-aizhan", 2011}, {"kz-dana", 2014}, {"fresh", 2500}, {"daemon", 1}, {"slurm", 999}};
  Result<std::int64_t> FindUid(const std::string& name) override {
    const auto found = uids.find(name);
    if (found == uids.end()) return Error{Code::kNotFound, "none", {}};
    return found->second;
  }
};

Caller As(const World& world, const std::string& user, const std::string& method) {
  auto caller =
      Authorise("/kezek.v1.AccessService/" + method, world.Bearer(user), world.MakeView(), 1);
  KEZEK_CHECK(caller.has_value(), user + " may not call " + method);
  return std::move(*caller);
}

std::string ReasonOf(const Error& error) {
  return error.details.empty() ? error.message : error.details.front().reason;
}

TEST(Roles, NobodyGivesOneThatReachesFurtherThanTheOwn) {
  const World world;
  struct Row {
    const char* giver;
    v1::Role role;
    const char* account;
    const char* outcome;
  };
  const std::vector<Row> rows = {
      {"bolat@kaznu", v1::ROLE_RESEARCHER, "universities/kaznu/nlp", "ok"},
      {"bolat@kaznu", v1::ROLE_PROJECT_LEAD, "universities/kaznu/nlp", "ok"},
      {"bolat@kaznu", v1::ROLE_RESEARCHER, "universities/kaznu/cv", "ACCOUNT_NOT_FOUND"},
      {"bolat@kaznu", v1::ROLE_INSTITUTION_ADMIN, "universities/kaznu", "NOT_ADMINISTRATOR"},
      {"bolat@kaznu", v1::ROLE_CLUSTER_ADMIN, "", "NOT_ADMINISTRATOR"},
      {"chief@kaznu", v1::ROLE_RESEARCHER, "universities/kaznu/cv", "ok"},
      {"chief@kaznu", v1::ROLE_INSTITUTION_ADMIN, "universities/kaznu", "ok"},
      {"chief@kaznu", v1::ROLE_INSTITUTION_ADMIN, "universities", "NOT_ADMINISTRATOR"},
      {"chief@kaznu", v1::ROLE_RESEARCHER, "firms/acme/bot", "ACCOUNT_NOT_FOUND"},
      {"chief@kaznu", v1::ROLE_RESEARCHER, "firms/acme/nothing", "ACCOUNT_NOT_FOUND"},
      {"chief@kaznu", v1::ROLE_AUDITOR, "", "NOT_ADMINISTRATOR"},
      {"chief@kaznu", v1::ROLE_RESEARCHER, "universities/kaznu", "NOT_A_LEAF"},
      {"root@kezek", v1::ROLE_RESEARCHER, "firms/acme/bot", "ok"},
      {"root@kezek", v1::ROLE_CLUSTER_ADMIN, "", "ok"},
  };
  for (const auto& row : rows) {
    v1::RoleGrant wire;
    wire.set_role(row.role);
    wire.set_account(row.account);
    const auto grant = ReadGrant(As(world, row.giver, "ChangeRoles"), wire, "give[0]");
    EXPECT_EQ(grant ? "ok" : ReasonOf(grant.error()), row.outcome)
        << row.giver << " " << row.role << " " << row.account;
  }
}

TEST(Home, IsTheAccountNearestToTheRootThatBearsTheName) {
  World world;
  const auto home = [&](const char* user) { return HomeOf(world.directory, user); };
  EXPECT_EQ(home("aizhan@kaznu"), World::kKaznu);
  EXPECT_EQ(home("x@cv"), World::kCv);
  EXPECT_EQ(home("x@kezek"), AccountId{});
  EXPECT_EQ(home("x@"), AccountId{});
  const auto add = [&](AccountId id, const char* name, const char* path) {
    world.directory.accounts[id] = {.id = id, .name = name};
    world.directory.account_by_path[path] = id;
  };
  add(AccountId{30}, "kaznu", "firms/acme/kaznu");
  EXPECT_EQ(home("aizhan@kaznu"), World::kKaznu);
  add(AccountId{31}, "kaznu", "firms/kaznu");
  EXPECT_EQ(home("aizhan@kaznu"), AccountId{}) << "which of the two?";
}

TEST(UnixAccount, IsSetByClusterAdminsOnlyAndIsNobodyElsesNorTheSystems) {
  const World world;
  Accounts accounts;
  const auto outcome = [&](const char* admin, const std::string& name,
                           std::int64_t min_uid = 1000) {
    // An institution admin reaches the rules by CreateUser and SyncUsers.
    const auto checked =
        CheckUnixAccount(As(world, admin, "CreateUser"), name, World::kAizhan, min_uid, &accounts);
    return checked ? std::to_string(*checked) : ReasonOf(checked.error());
  };
  EXPECT_EQ(outcome("chief@kaznu", "fresh"), "NOT_ADMINISTRATOR");
  EXPECT_EQ(outcome("chief@kaznu", "nobody-knows"), "NOT_ADMINISTRATOR") << "nor is it asked for";
  EXPECT_EQ(outcome("root@kezek", "fresh"), "2500");
  EXPECT_EQ(outcome("root@kezek", "kz-aizhan"), "2011") << "the own stays";
  EXPECT_EQ(outcome("root@kezek", "kz-dana"), "UNIX_ACCOUNT_TAKEN");
  EXPECT_EQ(outcome("root@kezek", "daemon"), "UNIX_ACCOUNT_SYSTEM");
  EXPECT_EQ(outcome("root@kezek", "slurm"), "UNIX_ACCOUNT_SYSTEM");
  EXPECT_EQ(outcome("root@kezek", "fresh", 3000), "UNIX_ACCOUNT_SYSTEM");
  EXPECT_EQ(outcome("root@kezek", "root"), "UNIX_ACCOUNT_UNKNOWN");
  for (const char* bad : {"", "a b", "../etc", "-x", "UPPER", "a;id", "a\n"}) {
    EXPECT_EQ(outcome("root@kezek", bad), "FIELD_INVALID") << bad;
  }
}

TEST(SeenUsers, OfOneNotReachedOnlyTheNameIsShown) {
  const World world;
  const User& dana = world.directory.users.at(World::kDana);
  const auto chief = ToWire(As(world, "chief@kaznu", "ChangeRoles"), dana);
  EXPECT_EQ(chief.name(), "dana@acme");
  EXPECT_EQ(chief.unix_account(), "");
  EXPECT_EQ(chief.roles_size(), 0);
  const auto root = ToWire(As(world, "root@kezek", "ChangeRoles"), dana);
  EXPECT_EQ(root.unix_account(), "kz-dana");
  EXPECT_EQ(root.roles(0).account(), "firms/acme/bot");
}

TEST(SignInTest, AChallengeIsTakenBackOnceHereAndForAMinute) {
  SignIn here("installation-a");
  SignIn there("installation-a");
  const TimeMs now = 1'000'000;
  const auto taken = [](SignIn& sign_in, const std::string& payload, TimeMs at) {
    const auto result = sign_in.TakeBack(payload, at);
    return result ? "ok" : ReasonOf(result.error());
  };
  const std::string challenge = here.Challenge(now);
  EXPECT_TRUE(challenge.starts_with("kezek-sign-in/1 installation-a ")) << challenge;
  EXPECT_EQ(taken(there, challenge, now), "CREDENTIAL_INVALID") << "another process";
  EXPECT_EQ(taken(here, challenge, now + 1), "ok");
  EXPECT_EQ(taken(here, challenge, now + 2), "CREDENTIAL_USED");
  EXPECT_EQ(taken(here, here.Challenge(now), now + kMinuteMs), "CREDENTIAL_EXPIRED");
  for (const std::string& bad :
       {std::string(), std::string("x"), challenge.substr(0, challenge.size() - 1),
        "kezek-sign-in/1 installation-b " + challenge.substr(31), challenge + "A"}) {
    EXPECT_EQ(taken(here, bad, now), "CREDENTIAL_INVALID") << bad;
  }
}

TEST(SignInTest, AUidIsTheUserWhoseAccountHasItStill) {
  World world;
  Accounts accounts;
  const auto who = [&](std::int64_t uid) {
    const auto user = UserOfUid(world.directory, uid, 1000, &accounts);
    return user ? world.directory.users.at(*user).name : ReasonOf(user.error());
  };
  EXPECT_EQ(who(2011), "aizhan@kaznu");
  EXPECT_EQ(who(0), "NO_UNIX_ACCOUNT") << "root is nobody here";
  EXPECT_EQ(who(999), "NO_UNIX_ACCOUNT");
  EXPECT_EQ(who(2500), "NO_UNIX_ACCOUNT");
  accounts.uids["kz-aizhan"] = 3000;
  EXPECT_EQ(who(2011), "NO_UNIX_ACCOUNT") << "the uid is another account's now";
  world.directory.users.at(World::kDana).disabled = true;
  EXPECT_EQ(who(2014), "USER_DISABLED");
}

TEST(RateLimiterTest, PutsOffWhatIsAboveTheRateAndOnlyThat) {
  RateLimiter limiter({.per_second = 10, .burst = 5});
  const UserId one{1};
  TimeMs now = 1'000'000;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.Take(one, now)) << i;
  const auto refused = limiter.Take(one, now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().details.at(0).values.at("retry_after_ms"), "100");
  EXPECT_TRUE(limiter.Take(UserId{2}, now)) << "another user's bucket is another";
  EXPECT_FALSE(limiter.Take(one, now + 99));
  EXPECT_TRUE(limiter.Take(one, now + 100));
  EXPECT_FALSE(limiter.Take(one, now - kHourMs)) << "a clock that goes back fills nothing";
  int taken = 0;
  for (now += 100; now <= 1'010'000; now += 10) taken += limiter.Take(one, now) ? 1 : 0;
  EXPECT_GE(taken, 98);
  EXPECT_LE(taken, 100);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.Take(one, now + kDayMs));
  EXPECT_FALSE(limiter.Take(one, now + kDayMs)) << "no more than the burst is saved";
  // Nor does who is not signed in spend another address's.
  const TimeMs later = now + kDayMs;
  for (int i = 0; i < 5; ++i) {
    const std::string peer = "ipv4:10.0.0.1:4000" + std::to_string(i);
    EXPECT_TRUE(limiter.TakeOfPeer(peer, later)) << i;
  }
  EXPECT_FALSE(limiter.TakeOfPeer("ipv4:10.0.0.1:50000", later)) << "whatever the port";
  EXPECT_TRUE(limiter.TakeOfPeer("ipv4:10.0.0.2:50000", later));
  EXPECT_TRUE(limiter.TakeOfPeer("ipv6:%5B::1%5D:50000", later));
  RateLimiter none(CallRate{});
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(none.Take(one, now));
  for (std::int64_t i = 0; i < 5'000; ++i)
    EXPECT_TRUE(limiter.Take(UserId{i + 10}, now + i * 1000));
}

v1::DirectoryUser Person(const std::string& name, const std::vector<std::string>& projects,
                         const std::string& unix_account = "") {
  v1::DirectoryUser user;
  user.set_name(name);
  user.set_unix_account(unix_account);
  for (const auto& project : projects) user.add_projects(project);
  return user;
}

std::string Text(const v1::SyncUsersResponse& response) {
  std::string text;
  for (const auto& change : response.changes()) {
    text += change.user() + " " + change.reason().sentence() + "\n";
  }
  return text;
}

class Sync : public testing::Test {
 protected:
  Result<SyncPlan> Plan(const char* admin, const std::string& account,
                        const std::vector<v1::DirectoryUser>& users) {
    v1::SyncUsersRequest request;
    request.set_account(account);
    for (const auto& user : users) *request.add_users() = user;
    return PlanSync(As(world_, admin, "SyncUsers"), request, {}, &accounts_);
  }
  std::string Reason(const char* admin, const std::string& account,
                     const std::vector<v1::DirectoryUser>& users) {
    const auto plan = Plan(admin, account, users);
    return plan ? "ok" : ReasonOf(plan.error());
  }
  // The user as the change leaves it.
  User After(const UserChange& change) const {
    return Changed(change.id ? world_.directory.users.at(change.id) : User{}, change);
  }
  const std::string nlp_ = "universities/kaznu/nlp";
  const std::string cv_ = "universities/kaznu/cv";
  const std::vector<v1::DirectoryUser> as_it_is_ = {
      Person("aizhan@kaznu", {nlp_}), Person("bolat@kaznu", {nlp_}),
      Person("both@kaznu", {nlp_, cv_}), Person("bare@kaznu", {nlp_})};
  World world_;
  Accounts accounts_;
};

TEST_F(Sync, WhatIsInLineChangesNothing) {
  const auto plan = Plan("chief@kaznu", "universities/kaznu", as_it_is_);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(Text(plan->response), "");
  EXPECT_TRUE(plan->users.empty());
}

TEST_F(Sync, PlansJoiningMovingAndLeaving) {
  const auto plan = Plan("chief@kaznu", "universities/kaznu",
                         {Person("aizhan@kaznu", {cv_}), Person("bolat@kaznu", {nlp_}),
                          Person("both@kaznu", {cv_}), Person("new@kaznu", {nlp_})});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(Text(plan->response),
            "aizhan@kaznu leaves universities/kaznu/nlp\n"
            "aizhan@kaznu joins universities/kaznu/cv\n"
            "both@kaznu leaves universities/kaznu/nlp\n"
            "new@kaznu joins\n"
            "new@kaznu joins universities/kaznu/nlp\n"
            "bare@kaznu leaves: loses the access; queued jobs are held\n");
  ASSERT_EQ(plan->users.size(), 4U);
  EXPECT_TRUE(After(plan->users.back()).disabled);
  EXPECT_TRUE(After(plan->users.back()).roles.empty());
  EXPECT_FALSE(plan->too_many_leavers);
  // The same question has the same answer; another one, or a changed world, another hash.
  const std::string hash = plan->response.plan();
  const auto other = Plan("chief@kaznu", "universities/kaznu", as_it_is_);
  EXPECT_NE(other->response.plan(), hash);
}

TEST_F(Sync, WhoHasRolesElsewhereKeepsThem) {
  world_.directory.users.at(World::kBare).roles.push_back({Role::kResearcher, World::kBot});
  auto staying = as_it_is_;
  staying.pop_back();
  const auto plan = Plan("chief@kaznu", "universities/kaznu", staying);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->users.size(), 1U);
  EXPECT_FALSE(After(plan->users[0]).disabled);
  EXPECT_EQ(After(plan->users[0]).roles,
            (std::vector<RoleGrant>{{Role::kResearcher, World::kBot}}));
}

TEST_F(Sync, WhoLeftAndIsBackGetsTheAccessButNotWhomAnAdminHasShutOut) {
  User& bare = world_.directory.users.at(World::kBare);
  bare.disabled = true;
  const auto shut_out = Plan("chief@kaznu", "universities/kaznu", as_it_is_);
  ASSERT_TRUE(shut_out);
  EXPECT_TRUE(shut_out->users.empty()) << "disabled by hand, with roles";
  bare.roles.clear();
  const auto back = Plan("chief@kaznu", "universities/kaznu", as_it_is_);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->users.size(), 1U);
  EXPECT_FALSE(After(back->users[0]).disabled);
  EXPECT_TRUE(Text(back->response).starts_with("bare@kaznu returns"));
}

TEST_F(Sync, StaysInsideWhatTheAdminAdministers) {
  EXPECT_EQ(Reason("chief@kaznu", "", as_it_is_), "NOT_ADMINISTRATOR");
  EXPECT_EQ(Reason("chief@kaznu", "universities", as_it_is_), "NOT_ADMINISTRATOR");
  EXPECT_EQ(Reason("chief@kaznu", "firms/acme", {}), "ACCOUNT_NOT_FOUND");
  EXPECT_EQ(Reason("chief@kaznu", "universities/kaznu", {Person("x@kaznu", {"firms/acme/bot"})}),
            "ACCOUNT_NOT_FOUND");
  EXPECT_EQ(Reason("chief@kaznu", "universities/kaznu", {Person("x@kaznu", {nlp_}, "fresh")}),
            "NOT_ADMINISTRATOR");
  EXPECT_EQ(Reason("root@kezek", nlp_, {Person("x@kaznu", {cv_})}), "FIELD_INVALID");
  EXPECT_EQ(Reason("root@kezek", "", {Person("X", {})}), "FIELD_INVALID");
  EXPECT_EQ(Reason("root@kezek", "", {Person("x@y", {}), Person("x@y", {})}), "FIELD_INVALID");
  const auto plan = Plan("chief@kaznu", "universities/kaznu", {});
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->too_many_leavers);
  EXPECT_TRUE(std::none_of(plan->users.begin(), plan->users.end(), [](const UserChange& user) {
    return user.id == World::kChief || user.id == World::kDana || user.id == World::kRoot;
  })) << "neither the admin nor anybody outside";
}

TEST_F(Sync, ClusterAdminsSetUnixAccounts) {
  const auto plan = Plan("root@kezek", "universities/kaznu/cv",
                         {Person("both@kaznu", {cv_}), Person("new@kaznu", {cv_}, "fresh")});
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->users.size(), 1U);
  EXPECT_EQ(After(plan->users[0]).unix_uid, 2500);
  EXPECT_EQ(Reason("root@kezek", cv_, {Person("new@kaznu", {cv_}, "kz-dana")}),
            "UNIX_ACCOUNT_TAKEN");
  EXPECT_EQ(Reason("root@kezek", cv_,
                   {Person("a@kaznu", {cv_}, "fresh"), Person("b@kaznu", {cv_}, "fresh")}),
            "FIELD_INVALID");
}

}  // namespace
}  // namespace kezek::rpc

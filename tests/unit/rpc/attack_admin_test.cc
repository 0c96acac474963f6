// Goal: an admin of one institution reaches nothing of another through what admins may do: tokens,
// users, roles, accounts. Method: the server of attack_test; admins ask for what is another's, and
// for what never was, and are answered alike.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kezek/v1/access.pb.h"
#include "kezek/v1/quota.pb.h"
#include "tests/unit/rpc/attack.h"

namespace kezek::rpc {
namespace {

using google::protobuf::Message;

TEST_F(Attack, TokensOfOthersAreNeitherSeenNorRevoked) {
  v1::RevokeTokenRequest revoke;
  revoke.set_id(std::to_string(World::kAizhan.value));
  const auto others = Call("dana@acme", "/kezek.v1.AccessService/RevokeToken", revoke);
  EXPECT_EQ(Reason(others.status), "TOKEN_NOT_FOUND");
  ExpectNothingOfKaznu("RevokeToken", others);
  v1::CreateTokenRequest create;
  create.set_user("aizhan@kaznu");
  EXPECT_EQ(Reason(Call("dana@acme", "/kezek.v1.AccessService/CreateToken", create).status),
            "USER_NOT_FOUND");
  EXPECT_EQ(Reason(Call("bolat@kaznu", "/kezek.v1.AccessService/CreateToken", create).status),
            "USER_NOT_FOUND")
      << "leads make no tokens for members";
  EXPECT_TRUE(desk_.commands().empty());
}

// A user whom another institution let go keeps the jobs run there, and the Unix account.
TEST_F(Attack, WhoHasAnothersUserIsNotGivenWhatTheUserMay) {
  const std::int64_t job = MarkedJob();
  World world;
  world.directory.users.at(World::kAizhan).roles = {{Role::kResearcher, World::kBot}};
  world.directory.users.at(World::kBoth).name = "both@acme";
  world.directory.users.at(World::kBoth).roles = {{Role::kResearcher, World::kBot}};
  world.directory.user_by_name["both@acme"] = World::kBoth;
  world.directory.users.at(World::kDana).roles = {{Role::kInstitutionAdmin, World::kAcme}};
  desk_.SetView(world.MakeView());
  const std::string method = "/kezek.v1.AccessService/CreateToken";
  v1::CreateTokenRequest create;
  const auto outcome = [&](const char* user) {
    create.set_user(user);
    const auto answer = Call("dana@acme", method, create);
    if (user != std::string("aizhan@kaznu")) ExpectNothingOfKaznu(method, answer);
    return Reason(answer.status);
  };
  const auto owned_by = [&](UserId owner) {
    store_.Change(
        Ref(job), [&](JobRecord& record) { record.job.user = owner; }, "queued", "queued");
  };
  owned_by(World::kBolat);
  EXPECT_EQ(outcome("aizhan@kaznu"), "NOT_OWNER") << "of another institution, with jobs or without";
  owned_by(World::kBoth);
  EXPECT_EQ(outcome("both@acme"), "NOT_OWNER") << "has jobs elsewhere";
  EXPECT_TRUE(desk_.commands().empty());
  owned_by(World::kBolat);
  EXPECT_EQ(outcome("both@acme"), "OK");
  const auto commands = desk_.commands();
  ASSERT_EQ(commands.size(), 1U);
  const auto& put = std::get<PutToken>(commands.front().body);
  EXPECT_EQ(put.token.limits.projects, std::vector<AccountId>{World::kAcme});
}

TEST_F(Attack, AnothersUsersAnswerAsThoseThatNeverWere) {
  World world;
  world.directory.users.at(World::kDana).roles = {{Role::kInstitutionAdmin, World::kAcme}};
  // Nor does an account that is called like the other institution make its people one's own.
  world.directory.accounts[AccountId{30}] = {
      .id = AccountId{30}, .parent = World::kAcme, .name = "kaznu", .kind = "project"};
  world.directory.account_by_path["firms/acme/kaznu"] = AccountId{30};
  desk_.SetView(world.MakeView());
  const auto said = [&](const std::string& method, const Message& request) {
    return Reason(Call("dana@acme", "/kezek.v1.AccessService/" + method, request).status);
  };
  for (const std::string name : {"aizhan@kaznu", "nobody@kaznu", "root@kezek", "x@kezek"}) {
    v1::ChangeRolesRequest change;
    change.set_name(name);
    change.add_give()->set_role(v1::ROLE_RESEARCHER);
    change.mutable_give(0)->set_account("firms/acme/bot");
    EXPECT_EQ(said("ChangeRoles", change), "USER_NOT_FOUND") << name;
    v1::CreateUserRequest create;
    create.set_name(name);
    EXPECT_EQ(said("CreateUser", create), "NOT_ADMINISTRATOR") << name;
    v1::SyncUsersRequest sync;
    sync.set_account("firms/acme");
    sync.add_users()->set_name(name);
    EXPECT_EQ(said("SyncUsers", sync), "NOT_ADMINISTRATOR") << name;
  }
  EXPECT_TRUE(desk_.commands().empty());
}

TEST_F(Attack, OnlyClusterAdminsSayUnderWhichAccountOfSlurm) {
  World world;
  world.directory.users.at(World::kDana).roles = {{Role::kInstitutionAdmin, World::kAcme}};
  desk_.SetView(world.MakeView());
  const auto said = [&](const char* user, const std::string& slurm_account) {
    v1::ApplyAccountsRequest apply;
    apply.set_reason("x");
    apply.add_changes()->set_path("firms/acme/bot");
    apply.mutable_changes(0)->mutable_settings()->set_slurm_account(slurm_account);
    return Reason(Call(user, "/kezek.v1.QuotaService/ApplyAccounts", apply).status);
  };
  EXPECT_EQ(said("dana@acme", "kaznu"), "NOT_ADMINISTRATOR");
  EXPECT_EQ(said("dana@acme", ""), "OK") << "as it is";
  EXPECT_EQ(said("root@kezek", "acme-2.x"), "OK");
  for (const std::string& bad :
       {std::string("a\nb"), std::string("a b"), std::string("-a"), std::string(64, 'x')}) {
    EXPECT_EQ(said("root@kezek", bad), "FIELD_INVALID") << bad;
  }
}

TEST_F(Attack, ChangesOfAccountsDoNotTellWhichThereAre) {
  World world;
  world.directory.users.at(World::kDana).roles = {{Role::kInstitutionAdmin, World::kAcme}};
  desk_.SetView(world.MakeView());
  const auto said = [&](const std::string& path) {
    v1::ApplyAccountsRequest apply;
    apply.set_reason("x");
    apply.add_changes()->set_path(path);
    apply.mutable_changes(0)->set_kind("project");
    return Reason(Call("dana@acme", "/kezek.v1.QuotaService/ApplyAccounts", apply).status);
  };
  for (const char* path :
       {"", "universities", "universities/kaznu", "universities/kaznu/nlp",
        "universities/kaznu/none", "universities/none/x", "none/x/y", "firms/acme"}) {
    EXPECT_EQ(said(path), "NOT_ADMINISTRATOR") << path;
  }
  EXPECT_EQ(said("firms/acme/fresh"), "OK");
  EXPECT_EQ(said("firms/acme/none/x"), "ACCOUNT_NOT_FOUND");
}

}  // namespace
}  // namespace kezek::rpc

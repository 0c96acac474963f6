// Goal: a limited token may do what it says and nothing besides, wherever the limit is met, and
// makes no token wider than itself.
// Method: tables: scopes against the rpcs of the access table; what is reached with projects; pairs
// of a token and one made with it.

#include "rpc/token_limits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rpc/access_table.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

// The world, with limits on one user's token.
World Limited(const std::string& user, const TokenLimits& limits) {
  World world;
  world.directory.tokens.at(HashToken("kzk_" + user)).limits = limits;
  return world;
}

Result<Caller> Call(const World& world, const std::string& user, std::string_view method) {
  return Authorise(method, world.Bearer(user), world.MakeView(), 1);
}

TEST(TokenLimits, ATokenCallsOnlyWhatItsScopesCover) {
  struct Row {
    std::vector<Scope> scopes;
    std::vector<Scope> covered;
  };
  using enum Scope;
  const std::vector<Row> rows = {
      {{}, {kRead, kSubmit, kManage, kAdmin, kMetrics}},
      {{kRead}, {kRead, kMetrics}},
      {{kSubmit}, {kSubmit, kMetrics}},
      {{kRead, kSubmit}, {kRead, kSubmit, kMetrics}},
      {{kManage}, {kRead, kManage, kMetrics}},
      {{kAdmin}, {kRead, kManage, kAdmin, kMetrics}},
      {{kMetrics}, {kMetrics}},
  };
  for (const auto& row : rows) {
    const World world = Limited("root@kezek", {.scopes = row.scopes, .projects = {}});
    for (const auto& rpc : AccessTable()) {
      if (!rpc.signed_in) continue;
      const auto caller = Call(world, "root@kezek", rpc.method);
      const bool covered =
          std::find(row.covered.begin(), row.covered.end(), rpc.scope) != row.covered.end();
      EXPECT_EQ(caller.has_value(), covered) << rpc.method;
      if (!caller) {
        EXPECT_EQ(caller.error().details.at(0).reason, "TOKEN_TOO_NARROW");
      }
    }
  }
}

TEST(TokenLimits, ScopesNeverGiveWhatTheRoleDoesNot) {
  const World world = Limited("aizhan@kaznu", {.scopes = {Scope::kAdmin}, .projects = {}});
  const auto caller = Call(world, "aizhan@kaznu", "/kezek.v1.ClusterService/DrainNodes");
  ASSERT_FALSE(caller);
  EXPECT_EQ(caller.error().details.at(0).reason, "ROLE_MISSING");
}

TEST(TokenLimits, AProjectIsAllThatIsReached) {
  const std::string get = "/kezek.v1.JobService/Get";
  const auto both =
      Call(Limited("both@kaznu", {.scopes = {}, .projects = {World::kCv}}), "both@kaznu", get);
  ASSERT_TRUE(both);
  EXPECT_TRUE(both->Reaches(World::kAizhan, World::kCv));
  EXPECT_FALSE(both->Reaches(World::kAizhan, World::kNlp));
  EXPECT_FALSE(both->Reaches(World::kBoth, World::kNlp)) << "not even the own";
  EXPECT_TRUE(both->Reaches(World::kBoth, World::kCv));
  EXPECT_FALSE(FindVisibleAccount(*both, "universities/kaznu/nlp", "a"));
  // Of an admin of everything only that project is left.
  const auto root =
      Call(Limited("root@kezek", {.scopes = {}, .projects = {World::kNlp}}), "root@kezek", get);
  ASSERT_TRUE(root);
  EXPECT_FALSE(root->everywhere);
  EXPECT_TRUE(root->Reaches(World::kAizhan, World::kNlp));
  EXPECT_FALSE(root->Reaches(World::kDana, World::kBot));
  // A project of somebody else's gives nothing.
  const auto dana =
      Call(Limited("dana@acme", {.scopes = {}, .projects = {World::kNlp}}), "dana@acme", get);
  ASSERT_TRUE(dana);
  EXPECT_FALSE(dana->Reaches(World::kAizhan, World::kNlp));
  EXPECT_FALSE(dana->Reaches(World::kDana, World::kBot));
}

TEST(TokenLimits, JobsAndProjectsOfSubmissionsAreWithinThem) {
  const auto caller =
      Call(Limited("both@kaznu", {.scopes = {}, .projects = {World::kCv}, .job_milli = 8000}),
           "both@kaznu", "/kezek.v1.JobService/Submit");
  ASSERT_TRUE(caller);
  EXPECT_TRUE(CheckProject(*caller, World::kCv));
  EXPECT_FALSE(CheckProject(*caller, World::kNlp));
  EXPECT_TRUE(CheckJobSize(*caller, 8000));
  const auto large = CheckJobSize(*caller, 8001);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::kPermissionDenied);
  EXPECT_EQ(large.error().details.at(0).values.at("limit"), "8");
  EXPECT_EQ(large.error().details.at(0).values.at("asked"), "8.001");
}

TEST(TokenLimits, ATokenMakesNoneWiderThanItself) {
  using enum Scope;
  const auto caller =
      Call(Limited("both@kaznu",
                   {.scopes = {kRead, kManage}, .projects = {World::kCv}, .job_milli = 8000}),
           "both@kaznu", "/kezek.v1.AccessService/CreateToken");
  ASSERT_TRUE(caller);
  struct Row {
    TokenLimits limits;
    TimeMs expires_ms;
    std::string field;  // of the refusal; "": it may be made
  };
  const TimeMs end = World::kExpiresMs;
  const std::vector<Row> rows = {
      {{{kRead}, {World::kCv}, 8000}, end, ""},
      {{{kRead, kManage}, {World::kCv}, 1000}, end - 1, ""},
      {{{}, {World::kCv}, 8000}, end, "limits.scopes"},
      {{{kSubmit}, {World::kCv}, 8000}, end, "limits.scopes"},
      {{{kRead}, {}, 8000}, end, "limits.projects"},
      {{{kRead}, {World::kCv, World::kNlp}, 8000}, end, "limits.projects"},
      {{{kRead}, {World::kCv}, 0}, end, "limits.job_milli_gpus"},
      {{{kRead}, {World::kCv}, 8001}, end, "limits.job_milli_gpus"},
      {{{kRead}, {World::kCv}, 8000}, end + 1, "lifetime_ms"},
  };
  for (const auto& row : rows) {
    const auto checked =
        CheckNoWider(*caller, {.expires_ms = row.expires_ms, .limits = row.limits});
    ASSERT_EQ(checked.has_value(), row.field.empty()) << row.field;
    if (!checked) {
      EXPECT_EQ(checked.error().details.at(0).field, row.field);
    }
  }
}

TEST(TokenLimits, WhatAnAdminMakesForAnotherReachesNoFurtherThanTheAdmin) {
  const World world;
  const auto caller = Call(world, "chief@kaznu", "/kezek.v1.AccessService/CreateToken");
  ASSERT_TRUE(caller);
  TokenLimits limits;
  ASSERT_TRUE(Confine(*caller, &limits));
  EXPECT_EQ(limits.projects, std::vector<AccountId>{World::kKaznu});
  limits.projects = {World::kCv};
  ASSERT_TRUE(Confine(*caller, &limits));
  EXPECT_EQ(limits.projects, std::vector<AccountId>{World::kCv});
  limits.projects = {World::kCv, World::kBot};
  EXPECT_EQ(Confine(*caller, &limits).error().details.at(0).reason, "TOKEN_WIDER");
}

TEST(TokenLimits, AreReadFromTheWireOrRefused) {
  const World world;
  const auto caller = Call(world, "both@kaznu", "/kezek.v1.AccessService/CreateToken");
  ASSERT_TRUE(caller);
  v1::TokenLimits wire;
  for (const char* scope : {"submit", "read", "read"}) wire.add_scopes(scope);
  wire.add_projects("cv");
  wire.set_job_milli_gpus(2500);
  const auto limits = ReadLimits(*caller, wire);
  ASSERT_TRUE(limits) << limits.error().message;
  EXPECT_EQ(*limits, (TokenLimits{{Scope::kRead, Scope::kSubmit}, {World::kCv}, 2500}));
  const v1::TokenLimits back = ToWire(world.directory, *limits);
  EXPECT_EQ(back.scopes(1), "submit");
  EXPECT_EQ(back.projects(0), "universities/kaznu/cv");
  wire.set_job_milli_gpus(-1);
  EXPECT_FALSE(ReadLimits(*caller, wire));
  wire.set_job_milli_gpus(0);
  wire.add_projects("firms/acme/bot");
  EXPECT_EQ(ReadLimits(*caller, wire).error().code, Code::kNotFound);
  wire.add_scopes("root");
  EXPECT_EQ(ReadLimits(*caller, wire).error().details.at(0).field, "limits.scopes[3]");
}

}  // namespace
}  // namespace kezek::rpc

// Goal: every rpc of the API has its row in the access table and every row its rpc, and a role
// reaches in each exactly what the row says.
// Method: the services' descriptors against the table; then all roles times all rows through
// Authorise, with users that hold one role each.

#include "rpc/access_table.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "kezek/v1/access.pb.h"
#include "kezek/v1/cluster.pb.h"
#include "kezek/v1/job_service.pb.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/caller.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

std::set<std::string> MethodsOfTheApi() {
  std::set<std::string> methods;
  for (const auto* file :
       {v1::SubmitRequest::descriptor()->file(), v1::GetAccountRequest::descriptor()->file(),
        v1::GetClusterRequest::descriptor()->file(), v1::WhoAmIRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        methods.insert("/" + service->full_name() + "/" + service->method(m)->name());
      }
    }
  }
  return methods;
}

TEST(AccessTable, HasARowForEveryRpcAndNoOther) {
  std::set<std::string> rows;
  for (const auto& row : AccessTable()) {
    EXPECT_TRUE(rows.insert(std::string(row.method)).second) << "twice: " << row.method;
  }
  const std::set<std::string> methods = MethodsOfTheApi();
  EXPECT_EQ(methods.size(), 54U) << "four services; if the API has grown, so must this figure";
  for (const auto& method : methods) EXPECT_TRUE(rows.contains(method)) << "no row: " << method;
  for (const auto& row : rows) {
    EXPECT_TRUE(methods.contains(row) || row == kReadMetrics) << "no rpc: " << row;
  }
}

TEST(AccessTable, NobodyMayCallWhatHasNoRow) {
  EXPECT_EQ(FindAccess("/kezek.v1.JobService/Nothing"), nullptr);
  const World world;
  const auto caller =
      Authorise("/kezek.v1.JobService/Nothing", world.Bearer("root@kezek"), world.MakeView(), 1);
  ASSERT_FALSE(caller);
  EXPECT_EQ(caller.error().code, Code::kPermissionDenied);
}

struct OneRole {
  const char* user;
  Role role;
  AccountId account;
};

const OneRole kUsers[] = {{"aizhan@kaznu", Role::kResearcher, World::kNlp},
                          {"bolat@kaznu", Role::kProjectLead, World::kNlp},
                          {"chief@kaznu", Role::kInstitutionAdmin, World::kKaznu},
                          {"root@kezek", Role::kClusterAdmin, kRootAccount},
                          {"audit@kezek", Role::kAuditor, kRootAccount},
                          {"meter@kezek", Role::kMetricsReader, kRootAccount}};

TEST(AccessTable, EveryRoleReachesWhatItsRowSays) {
  const World world;
  for (const auto& row : AccessTable()) {
    if (!row.signed_in) continue;
    for (const auto& one : kUsers) {
      SCOPED_TRACE(std::string(row.method) + " by " + one.user);
      const Reach reach = row.reach[static_cast<std::size_t>(one.role)];
      const auto caller = Authorise(row.method, world.Bearer(one.user), world.MakeView(), 1);
      const bool may = row.everybody || reach != Reach::kNone;
      ASSERT_EQ(caller.has_value(), may);
      if (!may) {
        EXPECT_EQ(caller.error().code, Code::kPermissionDenied);
        EXPECT_EQ(caller.error().details.at(0).reason, "ROLE_MISSING");
        continue;
      }
      EXPECT_EQ(caller->own, row.everybody || reach != Reach::kNone);
      EXPECT_EQ(caller->everywhere, reach == Reach::kAll);
      EXPECT_EQ(caller->accounts.contains(one.account), reach == Reach::kAccount);
      // A job of another institution is reached from everywhere only.
      EXPECT_EQ(caller->Reaches(World::kDana, World::kBot), reach == Reach::kAll);
      EXPECT_TRUE(caller->Reaches(caller->user, World::kBot)) << "one's own, wherever it is";
    }
  }
}

TEST(AccessTable, ChangersNeverReachFurtherThanReaders) {
  const auto* get = FindAccess("/kezek.v1.JobService/Get");
  for (const auto* method : {"Cancel", "Update", "Requeue", "ReportCheckpoint", "Logs"}) {
    const auto* row = FindAccess("/kezek.v1.JobService/" + std::string(method));
    ASSERT_NE(row, nullptr);
    for (std::size_t i = 0; i < kRoles; ++i) {
      EXPECT_LE(row->reach[i], get->reach[i]) << method << " by role " << i;
    }
  }
}

TEST(AccessTable, AStandbyAnswersReadsAndNamesTheLeaderForTheRest) {
  const World world;
  View standing_by = *world.MakeView();
  standing_by.leads = false;
  standing_by.leader_address = "k1:7443";
  const auto view = std::make_shared<const View>(standing_by);
  int answered = 0;
  for (const auto& row : AccessTable()) {
    SCOPED_TRACE(row.method);
    const auto caller = Authorise(row.method, world.Bearer("root@kezek"), view, 1);
    answered += caller.has_value() ? 1 : 0;
    EXPECT_EQ(caller.has_value(), OnStandby(row.method));
    if (caller) continue;
    EXPECT_EQ(caller.error().code, Code::kUnavailable);
    EXPECT_EQ(caller.error().details.at(0).reason, "NOT_LEADER");
    EXPECT_EQ(caller.error().details.at(0).values.at("leader"), "k1:7443");
  }
  EXPECT_EQ(answered, 12) << "every read on a standby has a row";
  // It may not have heard of a new token, so it does not refuse one.
  const auto unknown = Authorise("/kezek.v1.JobService/Get", "Bearer kzk_new", view, 1);
  EXPECT_EQ(unknown.error().details.at(0).reason, "NOT_LEADER");
}

TEST(AccessTable, TokensThatDoNotHoldAreRefused) {
  World world;
  const auto reason = [&](const std::string& authorization, TimeMs now) {
    const auto caller = Authorise("/kezek.v1.JobService/Get", authorization, world.MakeView(), now);
    return caller ? std::string("none") : caller.error().details.at(0).reason;
  };
  EXPECT_EQ(reason("", 1), "TOKEN_MISSING");
  EXPECT_EQ(reason("Basic abc", 1), "TOKEN_INVALID");
  EXPECT_EQ(reason("Bearer ", 1), "TOKEN_INVALID");
  EXPECT_EQ(reason("Bearer kzk_nobody", 1), "TOKEN_INVALID");
  EXPECT_EQ(reason(world.Bearer("aizhan@kaznu"), 1), "none");
  EXPECT_EQ(reason(world.Bearer("aizhan@kaznu"), World::kExpiresMs), "TOKEN_EXPIRED");
  world.directory.users.at(World::kAizhan).disabled = true;
  EXPECT_EQ(reason(world.Bearer("aizhan@kaznu"), 1), "USER_DISABLED");
}

}  // namespace
}  // namespace kezek::rpc

// Goal: in a project everybody sees how its own usage stands, and who leads it how its users share
// it; the figures are those of the tick whose settings version the answer names.
// Method: a server on fakes; usage, running and queued jobs of two users put into the view.

#include "kezek/v1/quota.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class UsageByUser : public Served {
 protected:
  void SetUp() override {
    World world;
    world.directory.rate_milli = {{"h200", 1000}};
    world.directory.settings_version = 7;
    world.directory.owners["n01"] = {World::kNlp, {}};
    View view = *world.MakeView();
    view.settings_version = 6;  // a change that no tick has seen yet
    view.user_usage =
        std::make_shared<const UserUsage>(UserUsage{{{World::kNlp, World::kAizhan, "h200"}, 3.0},
                                                    {{World::kNlp, World::kBolat, "h200"}, 1.0},
                                                    {{World::kNlp, World::kBolat, "a100"}, 9.0},
                                                    {{World::kBot, World::kDana, "h200"}, 5.0}});
    Alive alive{.user = World::kBare, .project = World::kNlp, .counted_milli = 2000};
    alive.shape.gpu_type = "h200";
    alive.placement = {{"n02", 2, {}}};
    Alive apart = alive;
    apart.placement = {{"n01", 8, {}}};
    apart.counted_milli = 8000;
    view.alive = std::make_shared<const std::vector<Alive>>(std::vector<Alive>{alive, apart});
    view.queued_of_user = {{{World::kNlp, World::kBolat}, 4}, {{World::kKaznu, World::kBolat}, 4}};
    desk_.SetView(std::make_shared<const View>(std::move(view)));
    Start();
    quota_ = v1::QuotaService::NewStub(channel_);
  }

  v1::GetUsageResponse Ask(const std::string& user, const std::string& account) {
    v1::GetUsageRequest request;
    request.set_account(account);
    request.set_by_user(true);
    v1::GetUsageResponse response;
    const auto status = quota_->GetUsage(As(user).get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  static std::vector<std::string> Users(const v1::GetUsageResponse& response) {
    std::vector<std::string> users;
    for (const auto& row : response.rows()) {
      if (!row.user().empty()) users.push_back(row.user());
    }
    return users;
  }

  std::unique_ptr<v1::QuotaService::Stub> quota_;
};

TEST_F(UsageByUser, WhoLeadsSeesAllAndOthersThemselves) {
  using Names = std::vector<std::string>;
  const std::string nlp = "universities/kaznu/nlp";
  const Names all = {"bare@kaznu", "bolat@kaznu", "aizhan@kaznu"};
  for (const char* user : {"bolat@kaznu", "chief@kaznu", "root@kezek", "audit@kezek"}) {
    EXPECT_EQ(Users(Ask(user, nlp)), all) << user << ": least usage first";
  }
  EXPECT_EQ(Users(Ask("aizhan@kaznu", nlp)), Names{"aizhan@kaznu"});
  EXPECT_EQ(Users(Ask("both@kaznu", nlp)), Names{}) << "has nothing there";
  EXPECT_EQ(Users(Ask("chief@kaznu", "universities/kaznu")), all) << "of projects below it";
}

TEST_F(UsageByUser, FiguresAreTheUsersOwn) {
  const auto response = Ask("bolat@kaznu", "universities/kaznu/nlp");
  EXPECT_EQ(response.settings_version(), 6) << "what the tick used, not what is set by now";
  std::map<std::string, v1::UsageRow> rows;
  for (const auto& row : response.rows()) rows[row.user()] = row;
  const v1::UsageRow& bolat = rows.at("bolat@kaznu");
  EXPECT_EQ(bolat.account(), "universities/kaznu/nlp");
  EXPECT_EQ(bolat.usage_milli_gpu_ms(), 1000 * kHourMs);
  EXPECT_EQ(bolat.usage_ppm(), 250'000) << "of the project's";
  EXPECT_EQ(bolat.jobs_queued(), 4);
  EXPECT_FALSE(bolat.has_entitlement());
  EXPECT_EQ(rows.at("aizhan@kaznu").usage_ppm(), 750'000);
  EXPECT_EQ(rows.at("bare@kaznu").running_milli_gpus(), 2000);
  EXPECT_EQ(rows.at("bare@kaznu").apart_milli_gpus(), 8000) << "on a node of the project";
  EXPECT_EQ(rows.at("bare@kaznu").jobs_running(), 2);
  v1::GetEntitlementResponse entitlement;
  ASSERT_TRUE(quota_->GetEntitlement(As("root@kezek").get(), {}, &entitlement).ok());
  EXPECT_EQ(entitlement.settings_version(), 6);
}

}  // namespace
}  // namespace kezek::rpc

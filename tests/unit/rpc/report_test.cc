// Goal: reports say what the store has summed up, in the groups asked for, and no more than the
// caller may know: rows add up to the total, names of others are not told, small groups are put
// together, targets come down the tree, causes lead from due to held.
// Method: a server on fakes; hours and sums put into the store by hand; each report by several
// roles. Grouping by itself on a tree of the test's own.

#include <algorithm>
#include <numeric>

#include "kezek/v1/quota.grpc.pb.h"
#include "rpc/report_groups.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

HistoryRow Hours(AccountId account, std::int64_t entitled, std::int64_t held, std::int64_t asked) {
  HistoryRow row{.account = account, .gpu_type = "h200"};
  AccountFigures& figures = row.figures;
  figures.due = entitled * kGpuHour;
  figures.entitled = entitled * kGpuHour;
  figures.held = held * kGpuHour;
  figures.demanded = asked * kGpuHour;
  figures.taken = std::max<MilliGpuMs>(0, figures.entitled - figures.held);
  return row;
}

class ReportService : public Served {
 protected:
  void SetUp() override {
    World world;
    world.directory.rate_milli = {{"h200", 1000}};
    auto& accounts = world.directory.accounts;
    accounts.at(World::kUniversities).settings.shares["h200"].target_ppm = 700'000;
    accounts.at(World::kKaznu).attributes["ownership"] = "state";
    accounts.at(World::kAcme).attributes["ownership"] = "private";
    desk_.SetView(world.MakeView());
    clock_.now_ms = 100 * kHourMs + 5;
    store_.hours = {Hours(kRootAccount, 100, 90, 120), Hours(World::kUniversities, 60, 45, 60),
                    Hours(World::kKaznu, 60, 45, 60),  Hours(World::kNlp, 40, 30, 40),
                    Hours(World::kCv, 20, 15, 20),     Hours(World::kFirms, 40, 45, 60),
                    Hours(World::kAcme, 40, 45, 60),   Hours(World::kBot, 40, 45, 60)};
    store_.report = [](const ReportQuery& query) {
      ReportFigures figures;
      for (const auto& [project, group] : query.projects) {
        if (project != World::kNlp && project != World::kCv && project != World::kBot) continue;
        ReportKey key;
        key.group = group;
        if (query.by_user) key.user = project == World::kBot ? World::kDana : World::kAizhan;
        ReportSums& sums = figures.rows[key];
        sums.jobs += 1;
        sums.charged += project.value * kGpuHour;
        sums.used += project.value * kGpuHour;
        sums.waits = {sums.jobs, 60'000 * sums.jobs, 60'000, 60'000, 60'000};
        figures.waits = {3, 180'000, 60'000, 60'000, 60'000};
      }
      figures.first_ledger_seq = 7;
      figures.last_ledger_seq = 70;
      return figures;
    };
    Start();
    quota_ = v1::QuotaService::NewStub(channel_);
  }

  v1::ReportUsageResponse Usage(const std::string& user, const std::string& account,
                                const std::vector<v1::ReportGroup>& by) {
    v1::ReportUsageRequest request;
    request.set_account(account);
    for (const auto group : by) request.add_group_by(group);
    v1::ReportUsageResponse response;
    const auto status = quota_->ReportUsage(As(user).get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::ReportEquityResponse Equity(const std::string& user, v1::ReportGroup by,
                                  bool anonymous = false) {
    v1::ReportEquityRequest request;
    request.set_group_by(by);
    request.set_anonymous(anonymous);
    v1::ReportEquityResponse response;
    const auto status = quota_->ReportEquity(As(user).get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  std::string UsageRefused(const std::function<void(v1::ReportUsageRequest&)>& change) {
    v1::ReportUsageRequest request;
    change(request);
    v1::ReportUsageResponse response;
    return Reason(quota_->ReportUsage(As("root@kezek").get(), request, &response));
  }

  std::unique_ptr<v1::QuotaService::Stub> quota_;
};

TEST_F(ReportService, RowsAddUpToTheTotal) {
  for (const auto& by : std::vector<std::vector<v1::ReportGroup>>{
           {},
           {v1::REPORT_GROUP_SECTOR},
           {v1::REPORT_GROUP_INSTITUTION},
           {v1::REPORT_GROUP_PROJECT, v1::REPORT_GROUP_OWNERSHIP},
           {v1::REPORT_GROUP_USER}}) {
    const auto response = Usage("audit@kezek", "", by);
    std::int64_t charged = 0;
    std::int64_t entitled = 0;
    std::int64_t jobs = 0;
    for (const auto& row : response.rows()) {
      EXPECT_EQ(row.group_size(), static_cast<int>(by.size()));
      charged += row.charged_milli_gpu_ms();
      entitled += row.entitled_milli_gpu_ms();
      jobs += row.jobs();
    }
    EXPECT_EQ(charged, (4 + 5 + 8) * kGpuHour);
    EXPECT_EQ(charged, response.total().charged_milli_gpu_ms());
    EXPECT_EQ(response.total().entitled_milli_gpu_ms(), 100 * kGpuHour)
        << "the root's, however it is grouped";
    EXPECT_EQ(jobs, response.total().jobs());
    const bool by_user = !by.empty() && by[0] == v1::REPORT_GROUP_USER;
    EXPECT_EQ(entitled, by_user ? 0 : 100 * kGpuHour) << "at every level the same";
    EXPECT_EQ(response.basis().first_ledger_seq(), 7);
    EXPECT_EQ(response.basis().last_ledger_seq(), 70);
    EXPECT_EQ(response.basis().settings_version(), 1);
  }
  const auto rows = Usage("audit@kezek", "universities", {v1::REPORT_GROUP_PROJECT});
  ASSERT_EQ(rows.rows_size(), 2);
  EXPECT_EQ(rows.rows(0).group(0), "universities/kaznu/cv");
  EXPECT_EQ(rows.rows(1).charged_milli_gpu_ms(), 4 * kGpuHour);
  EXPECT_EQ(rows.rows(1).entitled_milli_gpu_ms(), 40 * kGpuHour);
}

TEST_F(ReportService, ALeadAndAnInstitutionsAdminSeeTheirOwn) {
  const auto lead = Usage("bolat@kaznu", "", {v1::REPORT_GROUP_PROJECT});
  ASSERT_EQ(lead.rows_size(), 1);
  EXPECT_EQ(lead.rows(0).group(0), "universities/kaznu/nlp");
  const auto chief = Usage("chief@kaznu", "", {v1::REPORT_GROUP_SECTOR});
  ASSERT_EQ(chief.rows_size(), 1);
  EXPECT_EQ(chief.total().entitled_milli_gpu_ms(), 60 * kGpuHour) << "nothing above its own";
  v1::ReportUsageRequest request;
  request.set_account("universities");
  v1::ReportUsageResponse response;
  EXPECT_EQ(Reason(quota_->ReportUsage(As("chief@kaznu").get(), request, &response)),
            "ACCOUNT_NOT_FOUND")
      << "its name is known, its figures are not";
}

TEST_F(ReportService, BadQuestionsAreRefusedByField) {
  EXPECT_EQ(UsageRefused([](auto& r) { r.add_group_by(v1::REPORT_GROUP_UNSPECIFIED); }),
            "FIELD_INVALID");
  EXPECT_EQ(UsageRefused([](auto& r) {
              r.add_group_by(v1::REPORT_GROUP_DAY);
              r.add_group_by(v1::REPORT_GROUP_MONTH);
            }),
            "FIELD_INVALID");
  EXPECT_EQ(UsageRefused([](auto& r) {
              r.add_group_by(v1::REPORT_GROUP_USER);
              r.add_group_by(v1::REPORT_GROUP_USER);
            }),
            "FIELD_INVALID");
  EXPECT_EQ(UsageRefused([](auto& r) {
              r.mutable_time()->set_since_ms(10);
              r.mutable_time()->set_until_ms(10);
            }),
            "FIELD_INVALID");
  EXPECT_EQ(UsageRefused([](auto& r) { r.set_gpu_type("b300"); }), "NO_SUCH_GPU_TYPE");
  EXPECT_EQ(UsageRefused([](auto& r) { r.set_account("nobody"); }), "ACCOUNT_NOT_FOUND");
  v1::ReportEquityRequest equity;
  equity.set_group_by(v1::REPORT_GROUP_USER);
  v1::ReportEquityResponse answer;
  EXPECT_EQ(Reason(quota_->ReportEquity(As("root@kezek").get(), equity, &answer)), "FIELD_INVALID");
  v1::ExplainShareResponse share;
  EXPECT_EQ(Reason(quota_->ExplainShare(As("root@kezek").get(), {}, &share)), "FIELD_INVALID");
}

TEST_F(ReportService, EquityComparesTargetEntitledAndReceived) {
  const auto response = Equity("audit@kezek", v1::REPORT_GROUP_UNSPECIFIED);
  ASSERT_EQ(response.rows_size(), 2);
  const v1::EquityRow& firms = response.rows(0);
  EXPECT_EQ(firms.group(), "firms");
  EXPECT_EQ(firms.target_ppm(), 300'000) << "what the other's target leaves";
  EXPECT_EQ(firms.entitled_ppm(), 400'000);
  EXPECT_EQ(firms.received_ppm(), 500'000);
  EXPECT_EQ(firms.off_ppm(), 200'000);
  EXPECT_EQ(firms.unmet_ppm(), 250'000);
  const v1::EquityRow& universities = response.rows(1);
  EXPECT_EQ(universities.target_ppm(), 700'000);
  EXPECT_EQ(universities.off_ppm(), -200'000);
  EXPECT_EQ(universities.received_milli_gpu_ms(), 45 * kGpuHour);
  EXPECT_EQ(universities.waits().jobs(), 2);
  EXPECT_EQ(response.policy_error_ppm(), 200'000);
  EXPECT_EQ(response.institutions(), 2);
  // x = 0.75 and 1.125: 1.875^2 / (2 x 1.828125)
  EXPECT_EQ(response.jain_ppm(), 961'538);
  EXPECT_EQ(response.basis().time().until_ms(), 100 * kHourMs) << "full hours";
}

TEST_F(ReportService, AnInstitutionStarvedToNothingLowersTheIndexThatCountsIt) {
  store_.hours = {Hours(World::kKaznu, 60, 60, 60), Hours(World::kAcme, 0, 0, 60)};
  const auto response = Equity("audit@kezek", v1::REPORT_GROUP_INSTITUTION);
  EXPECT_EQ(response.institutions(), 2);
  EXPECT_EQ(response.jain_ppm(), 500'000) << "1 and 0: 1^2 / (2 x 1)";
}

TEST_F(ReportService, EquityCountsWhatAdminsDidByHand) {
  store_.overrides = {{World::kNlp, "hold", 3}, {World::kBot, "limit", 2}};
  const auto all = Equity("audit@kezek", v1::REPORT_GROUP_SECTOR).overrides();
  EXPECT_EQ(all.at("hold"), 3);
  EXPECT_EQ(all.at("priority"), 0);
  EXPECT_EQ(all.at("limit"), 2);
  EXPECT_EQ(all.at("reservation"), 0);
  const auto own = Equity("chief@kaznu", v1::REPORT_GROUP_SECTOR).overrides();
  EXPECT_EQ(own.at("hold"), 3);
  EXPECT_EQ(own.at("limit"), 0) << "another institution's";
}

TEST_F(ReportService, EquityTellsAnInstitutionNoOthersNames) {
  for (const auto by :
       {v1::REPORT_GROUP_SECTOR, v1::REPORT_GROUP_INSTITUTION, v1::REPORT_GROUP_OWNERSHIP}) {
    const auto response = Equity("chief@kaznu", by);
    ASSERT_EQ(response.rows_size(), 2);
    EXPECT_EQ(response.rows(1).group(), "others");
    EXPECT_EQ(response.rows(1).received_ppm(), 500'000);
    EXPECT_EQ(response.ShortDebugString().find("acme"), std::string::npos);
    EXPECT_EQ(response.ShortDebugString().find("firms"), std::string::npos);
    EXPECT_EQ(response.ShortDebugString().find("private"), std::string::npos);
  }
}

TEST_F(ReportService, EquityForThePublicNamesNobodyAndIsReproducible) {
  const auto institutions = Equity("audit@kezek", v1::REPORT_GROUP_INSTITUTION, true);
  ASSERT_EQ(institutions.rows_size(), 2);
  EXPECT_EQ(institutions.rows(0).group(), "institution 1");
  EXPECT_EQ(institutions.rows(1).group(), "institution 2");
  const auto sectors = Equity("audit@kezek", v1::REPORT_GROUP_SECTOR, true);
  ASSERT_EQ(sectors.rows_size(), 1) << "of one institution each";
  EXPECT_EQ(sectors.rows(0).group(), "others");
  EXPECT_EQ(sectors.rows(0).received_ppm(), 1'000'000);
  clock_.now_ms += kMinuteMs;
  auto again = Equity("root@kezek", v1::REPORT_GROUP_INSTITUTION, true);
  again.mutable_basis()->set_made_ms(institutions.basis().made_ms());
  EXPECT_EQ(again.DebugString(), institutions.DebugString());
}

TEST_F(ReportService, ExplainsAShareWithCausesThatAddUp) {
  AccountVersion version;
  version.account = World().directory.accounts.at(World::kUniversities);
  version.account.version = 9;
  version.time_ms = kHourMs;
  AccountVersion other = version;
  other.account = World().directory.accounts.at(World::kFirms);
  other.account.version = 10;
  store_.history = {version, other};
  store_.hours[2].figures.no_demand = 10 * kGpuHour;
  store_.hours[2].figures.due = 75 * kGpuHour;
  v1::ExplainShareRequest request;
  request.set_account("kaznu");
  v1::ExplainShareResponse response;
  ASSERT_TRUE(quota_->ExplainShare(As("chief@kaznu").get(), request, &response).ok());
  EXPECT_EQ(response.account().group(0), "universities/kaznu");
  EXPECT_EQ(response.account().charged_milli_gpu_ms(), 9 * kGpuHour);
  EXPECT_EQ(response.due_milli_gpu_ms(), 75 * kGpuHour);
  EXPECT_EQ(response.held_milli_gpu_ms(), 45 * kGpuHour);
  std::int64_t sum = response.due_milli_gpu_ms();
  std::string codes;
  for (const auto& cause : response.causes()) {
    sum += cause.milli_gpu_ms();
    codes += cause.reason().code() + " ";
    EXPECT_FALSE(cause.reason().sentence().empty());
  }
  EXPECT_EQ(sum, response.held_milli_gpu_ms());
  EXPECT_EQ(codes, "NO_DEMAND LEFT_BY_OTHERS TAKEN_BY_OTHERS ");
  ASSERT_EQ(response.settings_versions_size(), 1) << "its own and those above it";
  EXPECT_EQ(response.settings_versions(0), 9);
}

TEST_F(ReportService, SiblingsThatTheCallerMayNotSeeAreNotNamed) {
  v1::ExplainShareRequest request;
  request.set_account("universities/kaznu/nlp");
  v1::ExplainShareResponse response;
  ASSERT_TRUE(quota_->ExplainShare(As("bolat@kaznu").get(), request, &response).ok());
  ASSERT_EQ(response.siblings_size(), 1);
  EXPECT_EQ(response.siblings(0).group(0), "another 1");
  EXPECT_EQ(response.siblings(0).charged_milli_gpu_ms(), 0);
  EXPECT_EQ(response.siblings(0).entitled_milli_gpu_ms(), 20 * kGpuHour);
  ASSERT_TRUE(quota_->ExplainShare(As("chief@kaznu").get(), request, &response).ok());
  EXPECT_EQ(response.siblings(0).group(0), "universities/kaznu/cv");
}

TEST(ReportGroups, SmallOnesArePutTogetherUntilTheyAreThree) {
  Directory directory;
  std::int64_t next = 1;
  const auto add = [&](AccountId parent, const std::string& name, const std::string& kind) {
    const AccountId id{next++};
    directory.accounts[id] = {.id = id, .parent = parent, .name = name, .kind = kind};
    return id;
  };
  const AccountId root = add({}, "", "cluster");
  for (const int institutions : {5, 1, 3, 4}) {
    const AccountId sector = add(root, "s" + std::to_string(institutions), "sector");
    for (int i = 0; i < institutions; ++i) add(sector, "i" + std::to_string(i), "institution");
  }
  auto groups = GroupAccounts(directory, {root}, {v1::REPORT_GROUP_SECTOR});
  EXPECT_EQ(groups.labels.size(), 5U) << "the root's own among them";
  DropEmpty(&groups);
  MergeSmall(directory, 3, &groups);
  std::vector<std::string> labels;
  for (const auto& label : groups.labels) labels.push_back(label.at(0));
  std::sort(labels.begin(), labels.end());
  EXPECT_EQ(labels, (std::vector<std::string>{"others", "s4", "s5"}))
      << "one alone would be known by what is missing";
  const auto targets = TargetsPpm(directory, "h200");
  std::int64_t sum = 0;
  for (const auto& [id, account] : directory.accounts) {
    if (account.kind == "institution") sum += targets.at(id);
  }
  EXPECT_NEAR(static_cast<double>(sum), 1e6, 10);
}

}  // namespace
}  // namespace kezek::rpc

// Goal: a report comes out the same, to the byte, when it is asked for again by its basis, whatever
// has become of the tree, the rates and the ledger since; and it tells nobody more than now's tree
// lets them see.
// Method: a server on fakes; a report, then another tree (weights, targets, names, an institution
// and a project moved), another rate and later bookings; the same question by its basis.

#include "kezek/v1/quota.grpc.pb.h"
#include "rpc/caller.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class ReportOfThePast : public Served {
 protected:
  void SetUp() override {
    World world;
    world.directory.rate_milli = {{"h200", 1000}, {"a100", 400}};
    world.directory.accounts.at(World::kUniversities).settings.shares["h200"].target_ppm = 700'000;
    Keep(world, 1);
    clock_.now_ms = 100 * kDayMs + 10 * kHourMs + 5;
    for (const AccountId id : {kRootAccount, World::kUniversities, World::kKaznu, World::kNlp,
                               World::kCv, World::kFirms, World::kAcme, World::kBot}) {
      for (const char* type : {"h200", "a100"}) {
        HistoryRow row{.account = id, .gpu_type = type};
        row.figures.entitled = (10 + id.value) * kGpuHour;
        row.figures.held = (12 - id.value) * kGpuHour;
        row.figures.demanded = 20 * kGpuHour;
        store_.hours.push_back(row);
      }
    }
    store_.report = [this](const ReportQuery& query) { return FiguresFor(query); };
    Start();
    quota_ = v1::QuotaService::NewStub(channel_);
  }

  // The tree of this version is now's, and in the history.
  void Keep(World& world, std::int64_t version) {
    world.directory.settings_version = version;
    world.directory.account_by_path.clear();
    for (auto& [id, account] : world.directory.accounts) {
      world.directory.account_by_path[PathOf(world.directory, id)] = id;
      account.version = version;
      store_.history.push_back({.account = account, .time_ms = version * kHourMs});
    }
    desk_.SetView(world.MakeView());
  }

  ReportFigures FiguresFor(const ReportQuery& query) const {
    ReportFigures figures;
    figures.first_ledger_seq = 7;
    const bool all = query.last_ledger_seq == 0;
    figures.last_ledger_seq = all ? booked_ : std::min(booked_, query.last_ledger_seq);
    for (const auto& [project, group] : query.projects) {
      ReportKey key;
      key.group = group;
      ReportSums& sums = figures.rows[key];
      sums.charged += figures.last_ledger_seq * project.value;
      sums.expired += project.value;
      sums.waits.jobs += 1;
    }
    return figures;
  }

  void ChangeEverything() {
    World world;
    world.directory.rate_milli = {{"h200", 3000}, {"a100", 500}};
    auto& accounts = world.directory.accounts;
    accounts.at(World::kUniversities).settings.shares["h200"].target_ppm = 100'000;
    accounts.at(World::kFirms).settings.shares["h200"].weight_milli = 9000;
    accounts.at(World::kAcme).name = "acme2";
    accounts.at(World::kAcme).parent = World::kUniversities;
    accounts.at(World::kCv).parent = World::kAcme;
    Keep(world, 2);
    booked_ = 99;
    clock_.now_ms += 5 * kMinuteMs;
  }

  template <class Response, class Request>
  Response Ask(const Request& request, const std::string& user = "audit@kezek") {
    Response response;
    grpc::Status status;
    if constexpr (std::is_same_v<Request, v1::ReportUsageRequest>) {
      status = quota_->ReportUsage(As(user).get(), request, &response);
    } else {
      status = quota_->ReportEquity(As(user).get(), request, &response);
    }
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  template <class Request>
  static Request ByBasis(Request request, const v1::ReportBasis& basis) {
    *request.mutable_time() = basis.time();
    request.set_settings_version(basis.settings_version());
    request.set_last_ledger_seq(basis.last_ledger_seq());
    *request.mutable_rates_milli() = basis.rates_milli();
    return request;
  }
  // When it was made is the one thing that differs.
  template <class Response>
  static std::string Bytes(Response response) {
    response.mutable_basis()->clear_made_ms();
    return response.DebugString();
  }

  std::int64_t booked_ = 70;
  std::unique_ptr<v1::QuotaService::Stub> quota_;
};

TEST_F(ReportOfThePast, EquityAndUsageComeOutTheSameByTheirBasis) {
  v1::ReportEquityRequest equity;
  equity.mutable_time()->set_since_ms(kDayMs);
  v1::ReportUsageRequest usage;
  usage.mutable_time()->set_since_ms(kDayMs);
  usage.add_group_by(v1::REPORT_GROUP_SECTOR);
  usage.add_group_by(v1::REPORT_GROUP_PROJECT);
  std::vector<v1::ReportEquityResponse> first;
  for (const auto by : {v1::REPORT_GROUP_SECTOR, v1::REPORT_GROUP_INSTITUTION}) {
    for (const bool anonymous : {false, true}) {
      equity.set_group_by(by);
      equity.set_anonymous(anonymous);
      first.push_back(Ask<v1::ReportEquityResponse>(equity));
    }
  }
  const auto used = Ask<v1::ReportUsageResponse>(usage);
  EXPECT_EQ(used.basis().settings_version(), 1);
  EXPECT_EQ(used.basis().last_ledger_seq(), 70);
  EXPECT_EQ(used.basis().rates_milli().at("a100"), 400);
  EXPECT_EQ(used.total().expired_milli_gpu_ms(), 36) << "1 + 2 + … + 8";
  ChangeEverything();
  std::size_t at = 0;
  for (const auto by : {v1::REPORT_GROUP_SECTOR, v1::REPORT_GROUP_INSTITUTION}) {
    for (const bool anonymous : {false, true}) {
      equity.set_group_by(by);
      equity.set_anonymous(anonymous);
      const v1::ReportEquityResponse& before = first[at++];
      const auto now = Ask<v1::ReportEquityResponse>(equity);
      EXPECT_NE(Bytes(now), Bytes(before)) << "what has changed shows";
      const auto again = Ask<v1::ReportEquityResponse>(ByBasis(equity, before.basis()));
      EXPECT_EQ(Bytes(again), Bytes(before));
    }
  }
  EXPECT_NE(Bytes(Ask<v1::ReportUsageResponse>(usage)), Bytes(used));
  EXPECT_EQ(Bytes(Ask<v1::ReportUsageResponse>(ByBasis(usage, used.basis()))), Bytes(used));
}

TEST_F(ReportOfThePast, TellsNoMoreThanTheTreeOfNow) {
  v1::ReportUsageRequest usage;
  usage.add_group_by(v1::REPORT_GROUP_PROJECT);
  EXPECT_NE(Ask<v1::ReportUsageResponse>(usage, "chief@kaznu").DebugString().find("kaznu/cv"),
            std::string::npos);
  ChangeEverything();
  usage.set_settings_version(1);
  const auto past = Ask<v1::ReportUsageResponse>(usage, "chief@kaznu").DebugString();
  EXPECT_EQ(past.find("kaznu/cv"), std::string::npos) << "it is another's by now";
  EXPECT_NE(past.find("kaznu/nlp"), std::string::npos);
}

TEST_F(ReportOfThePast, RefusesWhatCannotComeOutTheSame) {
  const auto refused = [&](auto change) {
    v1::ReportUsageRequest request;
    request.mutable_time()->set_since_ms(50 * kDayMs);
    change(request);
    v1::ReportUsageResponse response;
    return Reason(quota_->ReportUsage(As("audit@kezek").get(), request, &response));
  };
  EXPECT_EQ(refused([](auto& r) { r.set_settings_version(9); }), "VERSION_NOT_FOUND");
  EXPECT_EQ(refused([](auto& r) { r.set_settings_version(-1); }), "FIELD_INVALID");
  EXPECT_EQ(refused([](auto& r) { r.set_last_ledger_seq(-1); }), "FIELD_INVALID");
  EXPECT_EQ(refused([](auto& r) { (*r.mutable_rates_milli())["b300"] = 1; }), "NO_SUCH_GPU_TYPE");
  EXPECT_EQ(refused([](auto& r) { (*r.mutable_rates_milli())["h200"] = -1; }), "FIELD_INVALID");
  store_.kept.days_before_ms = 60 * kDayMs;
  EXPECT_EQ(refused([](auto&) {}), "OK") << "from midnight to now";
  EXPECT_EQ(refused([](auto& r) { r.mutable_time()->set_since_ms(50 * kDayMs + kHourMs); }),
            "CUTS_A_DAY");
  EXPECT_EQ(refused([](auto& r) { r.mutable_time()->set_until_ms(51 * kDayMs + kHourMs); }),
            "CUTS_A_DAY");
  EXPECT_EQ(refused([](auto& r) { r.mutable_time()->set_since_ms(60 * kDayMs + kHourMs); }), "OK");
}

TEST_F(ReportOfThePast, EquityEndsWhereTheHistoryDoes) {
  store_.kept.until_ms = 100 * kDayMs + 3 * kHourMs + 7;
  const auto response = Ask<v1::ReportEquityResponse>(v1::ReportEquityRequest());
  EXPECT_EQ(response.basis().time().until_ms(), 100 * kDayMs + 3 * kHourMs);
}

}  // namespace
}  // namespace kezek::rpc

// Goal: /metrics shows its figures to those who may read them and to nobody else; /livez and
// /readyz say, part by part, what works. Method: the daemon's HTTP side on loopback, over a desk
// and a store that a test switches; every role of the access table asks.

#include "cmd/kezekd/web.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/raw_client.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::kezekd {
namespace {

using rpc::World;

class SwitchedDesk final : public Desk {
 public:
  Result<JobSpec> Admit(JobSpec spec) const override { return spec; }
  Result<void> TakePlaces(UserId, const JobSpec&) override { return {}; }
  void GiveBackPlaces(UserId, const JobSpec&) override {}
  MilliGpus Counted(const JobSpec&) const override { return 0; }
  MilliGpuMs ChargeSoFar(const Attempt&, TimeMs) const override { return 0; }
  void Do(Command, std::function<void(Result<CommandOutcome>)>) override {}
  std::shared_ptr<const View> view() const override { return shown; }
  std::shared_ptr<const View> shown;
};

class SwitchedStore final : public ReadStore, public Reader {
 public:
  void Read(std::function<void(Reader&)> work) override {
    ++asked;
    if (silent) return waiting.push_back(std::move(work));
    work(*this);
  }
  Result<std::int64_t> LastEventSeq() override {
    if (fails) return Away();
    return 7;
  }
  static Error Away() { return {Code::kUnavailable, "host=db.secret password=x", {}}; }
  Result<std::vector<JobRecord>> ListJobs(const JobQuery&) override { return Away(); }
  Result<JobRecord> GetJob(const JobRef&) override { return Away(); }
  Result<std::string> GetScript(JobId) override { return Away(); }
  Result<std::vector<Event>> Events(std::int64_t, std::int32_t) override { return Away(); }
  Result<std::vector<Event>> ListEvents(const EventQuery&) override { return Away(); }
  Result<std::vector<Event>> JobEvents(const std::vector<JobRef>&) override { return Away(); }
  Result<std::optional<KnownKey>> FindKey(UserId, const std::string&) override { return Away(); }
  Result<std::vector<ChargeTotal>> ChargeTotals(const std::vector<AccountId>&) override {
    return Away();
  }
  Result<std::vector<LedgerEntry>> Ledger(const JobRef&) override { return Away(); }
  Result<std::vector<LedgerRow>> ListLedger(const LedgerQuery&) override { return Away(); }
  Result<Correction> GetCorrection(std::int64_t) override { return Away(); }
  Result<std::vector<Correction>> ListCorrections(const CorrectionQuery&) override {
    return Away();
  }
  Result<std::map<BudgetRef, MilliGpuMs>> SpentSince(const std::vector<BudgetRef>&,
                                                     TimeMs) override {
    return Away();
  }
  Result<std::vector<AccountVersion>> AccountHistory() override { return Away(); }
  Result<std::vector<Event>> RoleChanges(TimeMs, TimeMs) override { return Away(); }
  Result<ReportFigures> Report(const ReportQuery&) override { return Away(); }
  Result<HistoryKept> Kept() override { return Away(); }
  Result<std::vector<HistoryRow>> History(const HistoryQuery&) override { return Away(); }
  Result<std::vector<OverrideCount>> Overrides(TimeMs, TimeMs) override { return Away(); }

  bool fails = false;
  bool silent = false;
  int asked = 0;
  std::vector<std::function<void(Reader&)>> waiting;
};

class FixedClock final : public Clock {
 public:
  TimeMs Now() override { return now; }
  TimeMs now = 1'500;
};

class WebTest : public testing::Test {
 protected:
  void Start(bool token = true) {
    config::HttpConfig config;
    config.listen = "127.0.0.1:0";
    config.metrics_token = token;
    auto started = Web::Start(config, {},
                              {.metrics = &metrics_,
                               .desk = &desk_,
                               .read = &store_,
                               .clock = &clock_,
                               .schema_version = 4});
    ASSERT_TRUE(started) << started.error().message;
    web_ = *std::move(started);
  }
  std::string Get(const std::string& path, const std::string& token = "") {
    std::string request = "GET " + path + " HTTP/1.1\r\nHost: k\r\nConnection: close\r\n";
    if (!token.empty()) request += "Authorization: " + token + "\r\n";
    return test::Ask(web_->port(), request + "\r\n");
  }
  static std::string Status(const std::string& answer) { return answer.substr(9, 3); }
  static std::string Body(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }

  World world_;
  metrics::Metrics metrics_{"0.1", 1};
  SwitchedDesk desk_;
  SwitchedStore store_;
  FixedClock clock_;
  std::unique_ptr<Web> web_;
};

TEST_F(WebTest, ShowsMetricsToWhoMayReadThem) {
  desk_.shown = world_.MakeView();
  Start();
  web_->SetLeads(true);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "401"},
      {"Bearer wrong", "401"},
      {"Basic bWV0ZXI6", "401"},
      {world_.Bearer("aizhan@kaznu"), "403"},
      {world_.Bearer("bolat@kaznu"), "403"},
      {world_.Bearer("chief@kaznu"), "403"},
      {world_.Bearer("root@kezek"), "200"},
      {world_.Bearer("audit@kezek"), "200"},
      {world_.Bearer("meter@kezek"), "200"}};
  for (const auto& [token, status] : cases) {
    const std::string answer = Get("/metrics", token);
    EXPECT_EQ(Status(answer), status) << token;
    EXPECT_EQ(answer.find("kaznu") != std::string::npos, status == "200") << token;
  }
  EXPECT_NE(Get("/metrics").find("WWW-Authenticate: Bearer"), std::string::npos);
  const std::string text = Get("/metrics", world_.Bearer("meter@kezek"));
  EXPECT_NE(text.find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  EXPECT_NE(text.find("kezek_leader 1\n"), std::string::npos);
  EXPECT_NE(text.find("kezek_schema_version 4\n"), std::string::npos);
  EXPECT_NE(text.find("kezek_http_requests_total{code=\"403\",route=\"/metrics\"} 3\n"),
            std::string::npos);
}

TEST_F(WebTest, CannotTellTokensBeforeItHasLoaded) {
  Start();
  EXPECT_EQ(Status(Get("/metrics", world_.Bearer("meter@kezek"))), "503");
}

TEST_F(WebTest, ShowsMetricsToAllIfTheConfigurationSaysSo) {
  Start(false);
  const std::string text = Get("/metrics");
  EXPECT_EQ(Status(text), "200");
  EXPECT_NE(text.find("kezek_leader 0\n"), std::string::npos);
}

TEST_F(WebTest, IsLiveUnlessAWorkerIsStuck) {
  Start();
  EXPECT_EQ(Status(Get("/livez")), "200");
  metrics_.Begins(Worker::kCommitter);
  EXPECT_EQ(Body(Get("/livez")), "controller: ok\ncommitter: ok\nfollower: ok\n");
  const Health stuck = Liveness({{Worker::kCommitter, 61 * kSecondMs}, {Worker::kFollower, 5}});
  EXPECT_FALSE(stuck.good);
  EXPECT_EQ(stuck.text,
            "controller: ok\ncommitter: at the same piece of work for 61 s\nfollower: ok\n");
}

TEST_F(WebTest, SaysWhatIsNotReady) {
  Start();
  EXPECT_EQ(Body(Get("/readyz")),
            "leader: another kezekd leads, or none can; nothing is served yet\n"
            "controller: not loaded yet\ndatabase: ok\n");
  desk_.shown = world_.MakeView();
  std::string answer = Get("/readyz");
  EXPECT_EQ(Status(answer), "200") << "a standby with something to read";
  EXPECT_EQ(Body(answer), "leader: ok\ncontroller: ok\ndatabase: ok\n");
  web_->SetLeads(true);
  clock_.now = desk_.shown->now_ms + 61 * kSecondMs;
  answer = Get("/readyz");
  EXPECT_EQ(Status(answer), "503");
  EXPECT_EQ(Body(answer), "leader: ok\ncontroller: last round 61 s ago\ndatabase: ok\n");
  EXPECT_EQ(store_.asked, 1) << "the database is asked at most once a second";
}

TEST_F(WebTest, SaysThatTheDatabaseIsAwayAndNothingElseOfIt) {
  desk_.shown = world_.MakeView();
  store_.fails = true;
  Start();
  const std::string answer = Get("/readyz");
  EXPECT_EQ(Status(answer), "503");
  EXPECT_EQ(Body(answer), "leader: ok\ncontroller: ok\ndatabase: does not answer\n");
}

TEST_F(WebTest, DoesNotWaitForADatabaseThatIsSilent) {
  desk_.shown = world_.MakeView();
  store_.silent = true;
  Start();
  const std::string answer = Get("/readyz");
  EXPECT_EQ(Status(answer), "503");
  EXPECT_EQ(Body(answer), "leader: ok\ncontroller: ok\ndatabase: no answer in time\n");
  EXPECT_EQ(Status(Get("/livez")), "200");
  web_.reset();
  for (const auto& work : store_.waiting) work(store_);
}

TEST_F(WebTest, ServesNothingWhereItIsOff) {
  config::HttpConfig config;
  config.listen.clear();
  const auto off = Web::Start(config, {}, {.metrics = &metrics_, .desk = &desk_, .read = &store_});
  ASSERT_TRUE(off);
  EXPECT_EQ((*off)->port(), 0);
}

}  // namespace
}  // namespace kezek::kezekd

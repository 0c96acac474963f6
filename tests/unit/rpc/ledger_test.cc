// Goal: a listing shows the budgets and the entries that were asked for, none that are not the
// caller's to see, and budgets with their balance and forecast. Method: calls through gRPC; the
// view has budgets at each level, the store keeps the queries it was given.

#include <vector>

#include "kezek/v1/quota.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

// Knows of the ledger only, and keeps what it was asked for. Reads at once.
class Ledgers final : public ReadStore, public Reader {
 public:
  void Read(std::function<void(Reader&)> work) override { work(*this); }
  Result<std::vector<LedgerRow>> ListLedger(const LedgerQuery& query) override {
    asked = query;
    return rows;
  }
  Result<std::map<BudgetRef, MilliGpuMs>> SpentSince(const std::vector<BudgetRef>& budgets,
                                                     TimeMs since_ms) override {
    spent_since = since_ms;
    spent_of = budgets;
    return spent;
  }
  LedgerQuery asked;
  std::vector<LedgerRow> rows;
  std::map<BudgetRef, MilliGpuMs> spent;
  std::vector<BudgetRef> spent_of;
  TimeMs spent_since = 0;

 private:
  static Error Nothing() { return {Code::kInternal, "a budget has nothing to do with it", {}}; }
  Result<std::vector<JobRecord>> ListJobs(const JobQuery&) override { return Nothing(); }
  Result<JobRecord> GetJob(const JobRef&) override { return Nothing(); }
  Result<std::string> GetScript(JobId) override { return Nothing(); }
  Result<std::vector<Event>> Events(std::int64_t, std::int32_t) override { return Nothing(); }
  Result<std::vector<Event>> ListEvents(const EventQuery&) override { return Nothing(); }
  Result<std::vector<Event>> JobEvents(const std::vector<JobRef>&) override { return Nothing(); }
  Result<std::int64_t> LastEventSeq() override { return Nothing(); }
  Result<std::optional<KnownKey>> FindKey(UserId, const std::string&) override { return Nothing(); }
  Result<std::vector<ChargeTotal>> ChargeTotals(const std::vector<AccountId>&) override {
    return Nothing();
  }
  Result<std::vector<LedgerEntry>> Ledger(const JobRef&) override { return Nothing(); }
  Result<Correction> GetCorrection(std::int64_t) override { return Nothing(); }
  Result<std::vector<Correction>> ListCorrections(const CorrectionQuery&) override {
    return Nothing();
  }
  Result<std::vector<AccountVersion>> AccountHistory() override { return Nothing(); }
  Result<std::vector<Event>> RoleChanges(TimeMs, TimeMs) override { return Nothing(); }
  Result<ReportFigures> Report(const ReportQuery&) override { return Nothing(); }
  Result<HistoryKept> Kept() override { return Nothing(); }
  Result<std::vector<HistoryRow>> History(const HistoryQuery&) override { return Nothing(); }
  Result<std::vector<OverrideCount>> Overrides(TimeMs, TimeMs) override { return Nothing(); }
};

class LedgerTest : public Served {
 protected:
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->read = &ledgers_; }
  void SetUp() override {
    Served::SetUp();
    View view = *desk_.view();
    now_ = view.now_ms = 100 * kDayMs;
    std::vector<BudgetStanding> budgets;
    const auto add = [&](AccountId account, const char* name, TimeMs start, TimeMs end,
                         const BudgetBalance& balance) {
      BudgetSpec spec{.name = name, .start_ms = start, .end_ms = end, .carry_over_percent = 50};
      budgets.push_back({{account, name}, spec, balance});
    };
    add(kRootAccount, "root", now_ - kDayMs, now_ + kDayMs, {});
    add(World::kKaznu, "past", 0, now_, {});
    add(World::kKaznu, "kaznu", now_, now_ + kDayMs, {});
    add(World::kNlp, "nlp", now_ - 10 * kDayMs, now_ + 10 * kDayMs,
        {.granted = 90 * kGpuHour,
         .carried_in = 10 * kGpuHour,
         .left = 60 * kGpuHour,
         .held = 20 * kGpuHour,
         .spent = 20 * kGpuHour,
         .refunded = kGpuHour,
         .warned_percent = 80});
    add(World::kNlp, "next", now_ + 10 * kDayMs, now_ + 20 * kDayMs, {});
    add(World::kCv, "cv", now_, now_ + 1, {});
    add(World::kAcme, "acme", now_, now_ + 1, {});
    view.waiting_for_budget = {{{World::kNlp, "nlp"}, 3}, {{World::kAcme, "acme"}, 5}};
    view.budgets = std::make_shared<const std::vector<BudgetStanding>>(std::move(budgets));
    desk_.SetView(std::make_shared<const View>(std::move(view)));
    ledgers_.spent[{World::kNlp, "nlp"}] = 20 * kGpuHour;
  }

  // Names of the budgets that are shown.
  std::vector<std::string> Budgets(const std::string& user,
                                   const std::function<void(v1::ListBudgetsRequest&)>& fill) {
    v1::ListBudgetsRequest request;
    fill(request);
    v1::ListBudgetsResponse response;
    const auto status = Stub()->ListBudgets(As(user).get(), request, &response);
    if (!status.ok()) return {Reason(status)};
    std::vector<std::string> names;
    for (const v1::Budget& budget : response.budgets()) names.push_back(budget.spec().name());
    shown_ = response;
    return names;
  }
  // The query that a listing of the ledger comes to; its reason if it is refused.
  std::string Listing(const std::string& user, const v1::ListLedgerRequest& request) {
    v1::ListLedgerResponse response;
    return Reason(Stub()->ListLedger(As(user).get(), request, &response));
  }
  std::unique_ptr<v1::QuotaService::Stub> Stub() { return v1::QuotaService::NewStub(channel_); }

  Ledgers ledgers_;
  TimeMs now_ = 0;
  v1::ListBudgetsResponse shown_;
};

using Names = std::vector<std::string>;

TEST_F(LedgerTest, BudgetsOfThePathUpAreShown) {
  const auto own = [](auto&) {};
  EXPECT_EQ(Budgets("root@kezek", own), (Names{"root", "kaznu", "nlp", "cv", "acme"}));
  const auto of = [](const char* account) {
    return [account](auto& request) { request.set_account(account); };
  };
  EXPECT_EQ(Budgets("root@kezek", of("universities/kaznu/nlp")), (Names{"root", "kaznu", "nlp"}));
  EXPECT_EQ(Budgets("root@kezek", of("universities/kaznu")), (Names{"root", "kaznu"}));
  EXPECT_EQ(Budgets("root@kezek",
                    [](auto& request) {
                      request.set_account("universities/kaznu");
                      request.set_below(true);
                    }),
            (Names{"root", "kaznu", "nlp", "cv"}));
  EXPECT_EQ(Budgets("root@kezek",
                    [](auto& request) {
                      request.set_account("universities/kaznu/nlp");
                      request.set_all_periods(true);
                    }),
            (Names{"root", "past", "kaznu", "nlp", "next"}));
  EXPECT_EQ(Budgets("root@kezek", of("universities/none")), Names{"ACCOUNT_NOT_FOUND"});
}

TEST_F(LedgerTest, NobodySeesBudgetsOfAnotherInstitution) {
  for (const char* user : {"aizhan@kaznu", "bolat@kaznu", "chief@kaznu"}) {
    for (const bool below : {false, true}) {
      const Names seen = Budgets(user, [below](auto& request) {
        request.set_below(below);
        request.set_all_periods(true);
      });
      EXPECT_EQ(std::count(seen.begin(), seen.end(), "acme"), 0) << user;
    }
  }
  EXPECT_EQ(Budgets("dana@acme", [](auto& r) { r.set_account("universities/kaznu/nlp"); }),
            Names{"ACCOUNT_NOT_FOUND"});
}

TEST_F(LedgerTest, ABudgetHasItsBalanceAndItsForecast) {
  ASSERT_EQ(Budgets("root@kezek", [](auto& r) { r.set_account("universities/kaznu/nlp"); }).size(),
            3U);
  const v1::Budget& nlp = shown_.budgets(2);
  EXPECT_EQ(nlp.account(), "universities/kaznu/nlp");
  EXPECT_EQ(nlp.granted_milli_gpu_ms(), 100 * kGpuHour) << "with what was carried in";
  EXPECT_EQ(nlp.left_milli_gpu_ms(), 60 * kGpuHour);
  EXPECT_EQ(nlp.held_milli_gpu_ms(), 20 * kGpuHour);
  EXPECT_EQ(nlp.spent_milli_gpu_ms(), 20 * kGpuHour);
  EXPECT_EQ(nlp.refunded_milli_gpu_ms(), kGpuHour);
  EXPECT_EQ(nlp.warned_percent(), 80);
  // 20 in ten days, and ten days to come: 60 stay, and half of that is carried over.
  EXPECT_EQ(nlp.runs_out_ms(), 0);
  EXPECT_EQ(nlp.will_expire_milli_gpu_ms(), 30 * kGpuHour);
  EXPECT_EQ(ledgers_.spent_since, now_ - 14 * kDayMs);
  EXPECT_EQ(ledgers_.spent_of,
            (std::vector<BudgetRef>{
                {kRootAccount, "root"}, {World::kKaznu, "kaznu"}, {World::kNlp, "nlp"}}))
      << "nobody else's";
  EXPECT_EQ(nlp.jobs_waiting(), 3);
}

TEST_F(LedgerTest, AListingAsksForWhatTheCallerMaySee) {
  v1::ListLedgerRequest request;
  request.add_kinds(v1::LEDGER_KIND_REFUND);
  request.add_kinds(v1::LEDGER_KIND_CORRECTION);
  request.set_book(v1::LEDGER_BOOK_CHARGE);
  request.mutable_time()->set_since_ms(5);
  request.mutable_time()->set_until_ms(9);
  request.mutable_page()->set_size(10);
  ASSERT_EQ(Listing("root@kezek", request), "OK");
  EXPECT_TRUE(ledgers_.asked.accounts.empty()) << "all";
  EXPECT_EQ(ledgers_.asked.kinds, (std::vector{EntryKind::kRefund, EntryKind::kAdjustment}));
  EXPECT_EQ(ledgers_.asked.books, std::vector{Book::kCharge});
  EXPECT_EQ(ledgers_.asked.since_ms, 5);
  EXPECT_EQ(ledgers_.asked.until_ms, 9);
  EXPECT_EQ(ledgers_.asked.limit, 11) << "one more, to know of a next page";
  request.set_account("universities/kaznu");
  ASSERT_EQ(Listing("root@kezek", request), "OK");
  EXPECT_EQ(ledgers_.asked.accounts, (std::vector{World::kKaznu, World::kNlp, World::kCv}));
  ASSERT_EQ(Listing("chief@kaznu", {}), "OK");
  EXPECT_EQ(ledgers_.asked.accounts, (std::vector{World::kKaznu, World::kNlp, World::kCv}));
  ASSERT_EQ(Listing("bolat@kaznu", {}), "OK") << "a lead: of the project";
  EXPECT_EQ(ledgers_.asked.accounts, std::vector{World::kNlp});
  EXPECT_TRUE(ledgers_.asked.users.empty());
  ASSERT_EQ(Listing("aizhan@kaznu", {}), "OK") << "others: their own";
  EXPECT_TRUE(ledgers_.asked.accounts.empty());
  EXPECT_EQ(ledgers_.asked.users, std::vector{World::kAizhan});
  v1::ListLedgerRequest others;
  others.set_user("bolat@kaznu");
  EXPECT_EQ(Listing("aizhan@kaznu", others), "ACCOUNT_NOT_FOUND");
  others.set_user("nobody@kaznu");
  ASSERT_EQ(Listing("root@kezek", others), "OK");
  EXPECT_EQ(ledgers_.asked.users, std::vector{UserId{-1}}) << "nobody's entries, not all";
}

TEST_F(LedgerTest, WhoRanWhatBesideKezekIsToldToClusterAdminsAlone) {
  LedgerRow row;
  row.entry.kind = EntryKind::kForeign;
  row.entry.project = World::kNlp;
  row.entry.amount = kGpuHour;
  row.entry.foreign_job = 70;
  row.foreign_unix_account = "somebody";
  ledgers_.rows = {row};
  for (const char* user : {"root@kezek", "audit@kezek", "chief@kaznu", "bolat@kaznu"}) {
    v1::ListLedgerResponse response;
    ASSERT_TRUE(Stub()->ListLedger(As(user).get(), {}, &response).ok()) << user;
    ASSERT_EQ(response.entries_size(), 1) << user;
    const v1::LedgerEntry& entry = response.entries(0);
    const bool admin = user == std::string("root@kezek");
    EXPECT_EQ(entry.kind(), v1::LEDGER_KIND_FOREIGN);
    EXPECT_EQ(entry.amount_milli_gpu_ms(), kGpuHour);
    EXPECT_EQ(entry.slurm_job_id(), admin ? 70 : 0) << user;
    EXPECT_EQ(entry.slurm_user(), admin ? "somebody" : "") << user;
    EXPECT_TRUE(entry.job().empty());
    EXPECT_EQ(response.SerializeAsString().find("somebody") != std::string::npos, admin) << user;
  }
}

}  // namespace
}  // namespace kezek::rpc

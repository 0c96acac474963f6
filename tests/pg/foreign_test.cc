// Goal: what ran beside Kezek is in the database once, whatever commits it twice, in one
// transaction with its ledger entries and with how far was read; a new leader finds what stands;
// the listing, the report and an auditor's sums tell it; a lost copy of the database books it
// again, once. Method: a controller on a database of its own, and commits by hand where two would
// collide.

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "postgres/attempt_archive.h"
#include "postgres/read_pool.h"
#include "scheduler/control/controller.h"
#include "scheduler/sim/workload.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

constexpr TimeMs kNow = 1'790'000'100 * kSecondMs;  // the clock's own time

class ForeignStoreTest : public testing::Test {
 protected:
  ForeignStoreTest() {
    config_.foreign_account = "others";
    Begin();
    Account account;
    account.parent = kRootAccount;
    account.name = "others";
    account.kind = "project";
    EXPECT_TRUE(Do(PutAccounts{{{account, ""}}, "for what is not Kezek's"}));
    NodesObserved nodes{sim::SimNodes()};
    for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
    controller_->Offer(nodes);
    Step();
  }

  // A process that begins: nothing is known but what is stored.
  void Begin() {
    controller_.reset();
    store_.reset();
    store_ = std::make_unique<PostgresStore>(
        StoreOptions{.conninfo = database_.app, .usage_horizon_ms = 400 * kDayMs}, clock_,
        std::vector<CommitObserver*>{});
    auto snapshot = store_->Lead();
    // The server may not have noticed yet that the one before has hung up.
    for (int i = 0; i < 500 && !snapshot; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      snapshot = store_->Lead();
    }
    ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
    controller_ = std::make_unique<control::Controller>(config_, *snapshot, now_);
    read_ = snapshot->foreign_read;
  }
  control::Ready Step() {
    control::Ready ready = controller_->Step(now_);
    if (!ready.changes.empty()) {
      const auto committed = store_->Commit(ready.changes);
      EXPECT_TRUE(committed.has_value()) << committed.error().message;
    }
    controller_->CommitDone();
    return ready;
  }
  bool Do(CommandBody body) {
    controller_->Offer(control::CommandInput{1, {UserId{}, "kezek", std::move(body)}});
    const control::Ready ready = Step();
    for (const auto& reply : ready.replies) {
      EXPECT_TRUE(reply.outcome.has_value()) << reply.outcome.error().message;
    }
    return !ready.replies.empty() && ready.replies.at(0).outcome.has_value();
  }
  // Two GPUs for an hour and a half.
  BookedRun Ran(std::int64_t id, DurationMs ago = kMinuteMs) const {
    BookedRun run;
    run.cluster_job_id = id;
    run.unix_account = "somebody";
    run.end_ms = now_ - ago;
    run.start_ms = run.end_ms - 90 * kMinuteMs;
    run.granted = {{"n1", 2, {}}};
    run.gpus = 2;
    run.cpus = 2;
    return run;
  }
  double Usage() {
    now_ += 5 * kSecondMs;
    Step();
    for (const auto& [whose, standing] : controller_->view()->standings) {
      const auto& directory = *controller_->view()->directory;
      if (whose.first == directory.account_by_path.at("others")) return standing.usage_gpu_hours;
    }
    return 0;
  }
  std::string Ask(const std::string& sql) { return test::Sql(database_.admin, sql).at(0); }
  std::string Charged() {
    return Ask(
        "select count(*) || ' ' || coalesce(sum(amount), 0) from ledger"
        " where book = 'charge'");
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  control::ControlConfig config_ = sim::SimConfig();
  TimeMs now_ = kNow;
  ForeignRead read_;
  std::unique_ptr<PostgresStore> store_;
  std::unique_ptr<control::Controller> controller_;
};

const std::string kOnce = "1 " + std::to_string(3 * kGpuHour);

TEST_F(ForeignStoreTest, OnceAndAfterARestartToo) {
  ASSERT_TRUE(Do(BookForeign{}));
  now_ += 3 * kHourMs;
  const BookedRun run = Ran(70);
  ASSERT_TRUE(Do(BookForeign{{run}, now_ - kMinuteMs}));
  EXPECT_EQ(Charged(), kOnce);
  const double before = Usage();
  EXPECT_NEAR(before, 3, 0.1);
  const TimeMs until = now_;
  Begin();
  EXPECT_EQ(read_.since_ms, kNow);
  EXPECT_LT(read_.until_ms, until);
  EXPECT_NEAR(Usage(), before, 0.001) << "but for some seconds of decay";
  ASSERT_TRUE(Do(BookForeign{{run}, now_}));
  EXPECT_EQ(Charged(), kOnce);
  EXPECT_EQ(Ask("select cluster_job_id || ' ' || unix_account || ' ' || counted_milli || ' ' ||"
                " rate_milli || ' ' || nodes[1] from foreign_runs"),
            "70 somebody 2000 1000 n1");
}

TEST_F(ForeignStoreTest, TheDatabaseRefusesASecondChargeWhoeverBringsIt) {
  ASSERT_TRUE(Do(BookForeign{}));
  now_ += 3 * kHourMs;
  controller_->Offer(control::CommandInput{1, {UserId{}, "kezek", BookForeign{{Ran(70)}, now_}}});
  const control::Ready ready = controller_->Step(now_);
  ASSERT_TRUE(store_->Commit(ready.changes).has_value());
  EXPECT_FALSE(store_->Commit(ready.changes).has_value()) << "its row is there";
  Changes without_row = ready.changes;
  without_row.foreign.clear();
  EXPECT_FALSE(store_->Commit(without_row).has_value()) << "its entries are";
  EXPECT_EQ(Charged(), kOnce);
}

TEST_F(ForeignStoreTest, AFailedCommitLeavesNothing) {
  ASSERT_TRUE(Do(BookForeign{}));
  const std::string read = Ask("select foreign_until_ms from leader");
  now_ += 3 * kHourMs;
  controller_->Offer(control::CommandInput{1, {UserId{}, "kezek", BookForeign{{Ran(70)}, now_}}});
  Changes broken = controller_->Step(now_).changes;
  broken.foreign.push_back(broken.foreign.front());
  EXPECT_FALSE(store_->Commit(broken).has_value());
  EXPECT_EQ(Charged(), "0 0");
  EXPECT_EQ(Ask("select foreign_until_ms from leader"), read);
}

TEST_F(ForeignStoreTest, ALostCopyBooksAgainWhatItLacksAndNothingTwice) {
  ASSERT_TRUE(Do(BookForeign{}));
  now_ += 3 * kHourMs;
  const BookedRun early = Ran(70);
  ASSERT_TRUE(Do(BookForeign{{early}, now_}));
  // What the copy has; then time goes on, and the copy comes back.
  const ForeignRead copied = {kNow, now_};
  now_ += 3 * kHourMs;
  const BookedRun late = Ran(71);
  ASSERT_TRUE(Do(BookForeign{{early, late}, now_}));
  for (const char* sql : {"alter table ledger disable trigger only_grows",
                          "alter table foreign_runs disable trigger only_grows",
                          "delete from ledger where foreign_job = 71",
                          "delete from foreign_runs where cluster_job_id = 71",
                          "alter table ledger enable trigger only_grows",
                          "alter table foreign_runs enable trigger only_grows"}) {
    test::Sql(database_.admin, sql);
  }
  test::Sql(database_.admin,
            "update leader set foreign_until_ms = " + std::to_string(copied.until_ms));
  Begin();
  EXPECT_EQ(read_, copied);
  ASSERT_TRUE(Do(BookForeign{{early, late}, now_}));
  EXPECT_EQ(Charged(), "2 " + std::to_string(6 * kGpuHour));
}

TEST_F(ForeignStoreTest, TheListingTheReportAndTheSumsTellIt) {
  ASSERT_TRUE(Do(BookForeign{}));
  now_ += 3 * kHourMs;
  ASSERT_TRUE(Do(BookForeign{{Ran(70)}, now_}));
  ReadPool pool({.conninfo = database_.app, .threads = 1}, clock_);
  const AccountId account = controller_->view()->directory->account_by_path.at("others");
  std::promise<void> done;
  pool.Read([&](Reader& reader) {
    LedgerQuery query;
    query.accounts = {account};
    query.kinds = {EntryKind::kForeign};
    const auto rows = reader.ListLedger(query);
    EXPECT_TRUE(rows.has_value());
    EXPECT_EQ(rows->size(), 3U) << "the charge, and two pieces of usage";
    for (const LedgerRow& row : *rows) {
      EXPECT_EQ(row.entry.foreign_job, 70);
      EXPECT_EQ(row.foreign_unix_account, "somebody");
      EXPECT_EQ(row.rate_milli, 1000);
      EXPECT_EQ(row.factor_milli, 1000);
    }
    ReportQuery report;
    report.projects = {{account, 0}};
    report.until_ms = now_ + kDayMs;
    report.by_class = true;
    report.by_kind = true;
    const auto figures = reader.Report(report);
    EXPECT_TRUE(figures.has_value()) << figures.error().message;
    EXPECT_EQ(figures->rows.size(), 1U);
    const auto& [key, sums] = *figures->rows.begin();
    EXPECT_EQ(key.job_class, "foreign");
    EXPECT_EQ(key.kind, "foreign");
    EXPECT_EQ(sums.charged, 3 * kGpuHour);
    EXPECT_EQ(sums.foreign, 3 * kGpuHour);
    EXPECT_EQ(sums.used, 3 * kGpuHour);
    EXPECT_EQ(sums.jobs, 0);
    const auto totals = reader.ChargeTotals({account});
    EXPECT_TRUE(totals.has_value());
    EXPECT_EQ(totals->at(0).charged, 3 * kGpuHour);
    done.set_value();
  });
  done.get_future().wait();
  EXPECT_EQ(Ask("select sum(amount) filter (where book = 'usage')"
                " = sum(amount) filter (where book = 'charge') from ledger"),
            "t");
  EXPECT_EQ(Ask("select count(*) from budget_postings"), "0");
}

TEST_F(ForeignStoreTest, TheArchiveKnowsAttemptsByTheIdOfTheirRun) {
  PostgresArchive archive(database_.app);
  const auto none = archive.RunAs({70, 71});
  ASSERT_TRUE(none.has_value()) << none.error().message;
  EXPECT_TRUE(none->empty());
  EXPECT_TRUE(archive.RunAs({})->empty());
  ASSERT_TRUE(Do(BookForeign{}));
  now_ += 3 * kHourMs;
  ASSERT_TRUE(Do(BookForeign{{Ran(70)}, now_}));
  const auto reading = archive.Open(0, now_);
  ASSERT_TRUE(reading.has_value());
  const auto charged = (*reading)->Foreign(0, now_);
  ASSERT_TRUE(charged.has_value()) << charged.error().message;
  EXPECT_EQ(charged->read, (ForeignRead{kNow, now_}));
  ASSERT_EQ(charged->runs.size(), 1U);
  EXPECT_EQ(charged->runs.begin()->cluster_job_id, 70);
}

}  // namespace
}  // namespace kezek::postgres

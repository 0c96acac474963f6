// Goal: a database that has been in use under an older schema is brought forward with all it holds,
// and its first leader finds everything: nothing is charged twice, no version of the settings is
// lost, and budgets can be granted. Method: migrate to the last schema before budgets, fill it by
// the SQL of that time, migrate to the present one, lead, and compare.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "kezek/names.h"
#include "postgres/migrations.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

constexpr int kBeforeBudgets = 10;

// A sector with a project that has had three versions of its settings; one job that runs, one that
// has ended and is charged, and one that has ended and is not settled yet.
const char* const kData = R"(
insert into accounts values
  (2, 1, 'universities', 'sector', 'Universities', '{"country": "KZ"}', false, 2),
  (3, 2, 'nlp', 'project', 'Language', '{}', false, 5);
insert into account_settings values
  (2, 2, '{"shares": {"h200": {"weight_milli": 3000}}}', 0, 100, 'set up'),
  (3, 3, '{}', 0, 110, 'a new project'),
  (3, 4, '{"shares": {"h200": {"weight_milli": 500}}}', 1, 120, 'less'),
  (3, 5, '{"shares": {"h200": {"weight_milli": 2000}}}', 1, 130, 'more');
insert into users values (1, 'aizhan@kaznu', 'Aizhan', 'kz-aizhan', 4001, false);
insert into user_roles values (1, 'researcher', 3);
insert into jobs select id, -1, 1, 3, 'train', 'normal',
    '{"name": "train", "project": 3, "shape": {"nodes": 1, "gpus_per_node": 8,
      "gpu_type": "h200"}, "job_class": "normal", "time_limit_ms": 7200000}',
    '{}', state, 'none', '{}', '[]', 200, 200, 0, ended, 1, 0, 0, 0, '{}', 300
  from (values (1, 'running', 0), (2, 'succeeded', 3600300), (3, 'succeeded', 3600300))
    as j (id, state, ended);
insert into attempts select id, -1, 1, state, outcome, 'none', '[]', '{}', 40 + id, true, 250, 260,
    300, ended, 300, 0, false, 0, 0, 7200000, 8000, 1000, 1000, 5, 1, '{}', settled
  from (values (1, 'running', 'none', 0, false), (2, 'ended', 'succeeded', 3600300, true),
               (3, 'ended', 'succeeded', 3600300, false))
    as a (id, state, outcome, ended, settled);
insert into ledger (seq, time_ms, book, kind, job_id, element, attempt, project_id, user_id, contra,
                    job_class, gpu_type, date_ms, amount, settings_version)
  select seq, 900, book, kind, job, -1, 1, 3, 1,
    'machine', 'normal', 'h200', 1789999000000, amount, 5
  from (values (1, 'usage', 'piece', 1, 800), (2, 'usage', 'piece', 2, 700),
               (3, 'usage', 'piece', 3, 600), (4, 'usage', 'correction', 2, -100),
               (5, 'charge', 'settlement', 2, 600)) as l (seq, book, kind, job, amount);
)";

std::vector<std::string> Rows(const std::string& conninfo, const char* sql) {
  return test::Sql(conninfo, sql);
}

class UpgradeTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto older = Migrations().first(kBeforeBudgets);
    const auto made = Migrate(database_.owner, clock_, older);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    test::Sql(database_.owner, kData);
    before_ = Rows(database_.admin, kLedger);
    const auto upgraded = Migrate(database_.owner, clock_);
    ASSERT_TRUE(upgraded.has_value()) << upgraded.error().message;
    EXPECT_EQ(upgraded->from, kBeforeBudgets);
  }

  static constexpr const char* kLedger =
      "select format('%s %s %s %s %s %s', seq, book, kind, job_id, date_ms, amount) from ledger"
      " order by seq";
  test::Database database_ = test::EmptyDatabase(test::ServerFolder());
  test::StepClock clock_;
  std::vector<std::string> before_;
};

TEST_F(UpgradeTest, LedgerStaysAsItWas) {
  EXPECT_EQ(before_.size(), 5U);
  EXPECT_EQ(Rows(database_.admin, kLedger), before_);
  EXPECT_EQ(Rows(database_.admin, "select count(*) from ledger where budget <> '' or pot <> ''"),
            std::vector<std::string>{"0"});
  EXPECT_EQ(Rows(database_.admin, "select count(*) from budget_totals"),
            std::vector<std::string>{"0"});
  EXPECT_EQ(Rows(database_.admin,
                 "select format('%s %s %s %s %s', project_id, user_id, gpu_type,"
                 " amount, entries) from charge_totals"),
            std::vector<std::string>{"3 1 h200 600 1"});
  // What was charged before is not charged again under the new key of settlements.
  EXPECT_THROW(test::Sql(database_.app,
                         "insert into ledger (seq, time_ms, book, kind, job_id, element, attempt,"
                         " project_id, user_id, contra, job_class, gpu_type, date_ms, amount,"
                         " settings_version) values (6, 950, 'charge', 'settlement', 2, -1, 1, 3,"
                         " 1, 'machine', 'normal', 'h200', 950, 600, 5)"),
               pqxx::unique_violation);
}

// Where an account hung in versions that did not say so is not known: they get the present place.
TEST_F(UpgradeTest, EveryVersionOfTheSettingsIsKept) {
  EXPECT_EQ(
      Rows(database_.admin,
           "select format('%s %s %s %s %s %s', version, account_id, parent_id, name, kind,"
           " reason) from account_settings order by version"),
      (std::vector<std::string>{
          "1 1 0 cluster cluster the root of a new tree", "2 2 1 universities sector set up",
          "3 3 2 nlp project a new project", "4 3 2 nlp project less", "5 3 2 nlp project more"}));
}

TEST_F(UpgradeTest, LeaderFindsEverything) {
  PostgresStore store{{.conninfo = database_.app}, clock_, {}};
  const auto snapshot = store.Lead();
  ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
  ASSERT_EQ(snapshot->accounts.size(), 3U);
  const auto project = std::find_if(snapshot->accounts.begin(), snapshot->accounts.end(),
                                    [](const Account& account) { return account.id.value == 3; });
  ASSERT_NE(project, snapshot->accounts.end());
  EXPECT_EQ(project->version, 5);
  EXPECT_EQ(project->settings.shares.at("h200").weight_milli, 2000);
  EXPECT_TRUE(project->settings.budgets.empty());
  ASSERT_EQ(snapshot->jobs.size(), 1U);
  EXPECT_EQ(snapshot->jobs[0].ref.id, JobId{1});
  ASSERT_EQ(snapshot->attempts.size(), 2U);  // alive, and not settled
  for (const Attempt& attempt : snapshot->attempts) EXPECT_FALSE(attempt.as_scavenger);
  EXPECT_TRUE(snapshot->budgets.empty());
  EXPECT_TRUE(snapshot->holds.empty());
  EXPECT_TRUE(snapshot->places.empty());
  EXPECT_EQ(snapshot->last_correction, 0);
  MilliGpuMs booked = 0;
  for (const LedgerEntry& entry : snapshot->usage) booked += entry.amount;
  EXPECT_EQ(booked, 800 + 600) << "of the attempts that are not settled";
  using Settled = std::map<UsageOwner, DatedUsage>;
  EXPECT_EQ(snapshot->settled_usage,
            (Settled{{{AccountId{3}, UserId{1}, "h200", 5}, {{1'789'999'000'000, 600}}}}))
      << "700 and a correction of 100, as one";
}

// The first budget of an old database: its grant and a hold of it are entries like any other.
TEST_F(UpgradeTest, BudgetsWorkFromThenOn) {
  PostgresStore store{{.conninfo = database_.app}, clock_, {}};
  ASSERT_TRUE(store.Lead().has_value());
  LedgerEntry grant;
  grant.book = Book::kBudget;
  grant.kind = EntryKind::kGrant;
  grant.project = AccountId{3};
  grant.contra = NameOf(Pot::kGrants);
  grant.pot = Pot::kLeft;
  grant.budget = {AccountId{3}, "2026"};
  grant.amount = 100;
  LedgerEntry hold = grant;
  hold.kind = EntryKind::kHold;
  hold.contra = NameOf(Pot::kLeft);
  hold.pot = Pot::kHeld;
  hold.amount = 70;
  Changes changes;
  changes.ledger = {grant, hold};
  const auto committed = store.Commit(changes);
  ASSERT_TRUE(committed.has_value()) << committed.error().message;
  EXPECT_EQ(Rows(database_.admin, "select format('%s %s', left_amount, held) from budget_balances"),
            std::vector<std::string>{"30 70"});
  EXPECT_EQ(Rows(database_.admin, "select max(seq) from ledger"), std::vector<std::string>{"7"});
}

}  // namespace
}  // namespace kezek::postgres

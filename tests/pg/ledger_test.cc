// Goal: totals, spending and the range of a report cost no walk through the ledger, and are what it
// says: totals of charges are its sums after whatever was booked, nobody who runs the daemon may
// change them, and a time's first and last entry are those of the lowest and the highest number.
// Method: random bookings against sums made here and by SQL; plans of the very statements on a
// ledger of 100,000 entries.

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <pqxx/pqxx>
#include <tuple>

#include "postgres/ledger_query.h"
#include "postgres/read_pool.h"
#include "tests/pg/store_fixture.h"
#include "tests/support/random_values.h"

namespace kezek::postgres {
namespace {

constexpr AccountId kProject{4};

class LedgerStoreTest : public testing::Test {
 protected:
  LedgerStoreTest() { EXPECT_TRUE(store_.Lead().has_value()); }

  void Commit(const Changes& changes) {
    const auto committed = store_.Commit(changes);
    ASSERT_TRUE(committed.has_value()) << committed.error().message;
  }
  std::vector<ChargeTotal> Totals(const std::vector<AccountId>& projects) {
    std::promise<Result<std::vector<ChargeTotal>>> promise;
    pool_.Read([&](Reader& reader) { promise.set_value(reader.ChargeTotals(projects)); });
    const auto totals = promise.get_future().get();
    EXPECT_TRUE(totals.has_value()) << totals.error().message;
    return totals ? *totals : std::vector<ChargeTotal>();
  }
  std::string Ask(const std::string& sql) { return test::Sql(database_.admin, sql).at(0); }

  // As the role that reads.
  pqxx::result Run(const Sql& sql) {
    pqxx::connection connection(database_.app);
    pqxx::nontransaction work(connection);
    work.exec("set search_path = kezek, pg_catalog; set jit = off");
    return work.exec_params(sql.text, pqxx::prepare::make_dynamic_params(sql.params));
  }
  // What the server would do.
  std::string Plan(const Sql& sql) {
    std::string plan;
    for (const auto& row : Run({"explain " + sql.text, sql.params})) {
      plan += std::string(row[0].c_str()) + "\n";
    }
    return plan;
  }
  std::string Range(const Sql& sql) {
    const auto row = Run(sql)[0];
    return row[0].as<std::string>() + " " + row[1].as<std::string>();
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  PostgresStore store_{{.conninfo = database_.app}, clock_, {}};
  ReadPool pool_{{.conninfo = database_.app, .threads = 1}, clock_};
};

// One that charges, takes back or corrects; settled are always other attempts.
LedgerEntry RandomEntry(test::RandomValues& random, std::int32_t number) {
  LedgerEntry entry = random.Entry();
  entry.book = random.Chance(80) ? Book::kCharge : Book::kUsage;
  entry.attempt = {{JobId{1}, kNoElement}, number};
  entry.project = AccountId{random.Int(4, 6)};
  entry.user = UserId{random.Int(0, 2)};
  entry.gpu_type = random.Chance(70) ? "h200" : "a100";
  entry.amount = random.Int(1, 1'000'000);
  if (entry.book == Book::kUsage) return entry;
  switch (random.Int(0, 2)) {
    case 0:
      entry.kind = EntryKind::kSettlement;
      break;
    case 1:
      entry.kind = EntryKind::kRefund;
      entry.amount = -entry.amount;
      break;
    default:
      entry.kind = EntryKind::kCorrection;  // beyond what was held: the operator's
      entry.contra = "overrun";
      entry.amount = -entry.amount;
  }
  return entry;
}

// Two people's decision, and what follows from it.
LedgerEntry Decide(test::RandomValues& random, std::int64_t id, PostgresStore& store) {
  Correction correction;
  correction.id = id;
  correction.budget.account = kProject;
  correction.gpu_type = "h200";
  correction.amount = random.Int(-1000, 1000);
  correction.reason = "a meter was wrong";
  correction.proposed_by = "aida";
  Changes changes;
  changes.corrections = {correction};
  EXPECT_TRUE(store.Commit(changes).has_value());
  correction.state = CorrectionState::kBooked;
  correction.decided_by = "berik";
  LedgerEntry entry;
  entry.kind = EntryKind::kAdjustment;
  entry.project = kProject;
  entry.contra = "operator";
  entry.gpu_type = "h200";
  entry.amount = correction.amount;
  entry.correction = id;
  changes.corrections = {correction};
  changes.ledger = {entry};
  EXPECT_TRUE(store.Commit(changes).has_value());
  return entry;
}

TEST_F(LedgerStoreTest, TotalsAreTheSumsOfWhateverWasBooked) {
  test::RandomValues random(17);
  using Key = std::tuple<AccountId, UserId, std::string>;
  std::map<Key, MilliGpuMs> sums;
  const auto add = [&](const LedgerEntry& entry) {
    if (IsCharge(entry)) sums[{entry.project, entry.user, entry.gpu_type}] += entry.amount;
  };
  std::int32_t number = 0;
  for (std::int64_t step = 1; step <= 30; ++step) {
    Changes changes;
    for (auto i = random.Int(1, 6); i > 0; --i) {
      changes.ledger.push_back(RandomEntry(random, ++number));
      add(changes.ledger.back());
    }
    Commit(changes);
    if (random.Chance(30)) add(Decide(random, step, store_));
  }
  EXPECT_EQ(Ask("select count(*) from charge_totals t full join"
                " (select project_id, user_id, gpu_type, sum(amount) as amount,"
                " count(*) as entries from ledger where book = 'charge' group by 1, 2, 3) s"
                " using (project_id, user_id, gpu_type)"
                " where (t.amount, t.entries) is distinct from (s.amount, s.entries)"),
            "0");
  std::vector<ChargeTotal> expected;
  for (const auto& [key, sum] : sums) {
    if (std::get<0>(key) == AccountId{6}) continue;
    expected.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), sum});
  }
  EXPECT_GE(expected.size(), 10U);
  EXPECT_EQ(Totals({AccountId{4}, AccountId{5}, AccountId{99}}), expected);
  EXPECT_TRUE(Totals({}).empty()) << "none are not all";
  for (const char* sql : {"update kezek.charge_totals set amount = 1",
                          "insert into kezek.charge_totals values (9, 9, 'x', 1, 1)",
                          "delete from kezek.charge_totals"}) {
    EXPECT_ANY_THROW(test::Sql(database_.app, sql)) << sql;
  }
}

// Every quarter an entry of each book and kind that matters, one each ten minutes for two years.
constexpr const char* kManyEntries = R"(
set session_replication_role = replica;
insert into ledger (seq, time_ms, book, kind, job_id, element, attempt, project_id, user_id, contra,
    job_class, gpu_type, date_ms, amount, settings_version, budget_account_id, budget, pot)
  select seq, seq * 600000, (array['charge', 'usage', 'budget', 'budget'])[seq % 4 + 1],
    (array['settlement', 'piece', 'hold', 'settlement'])[seq % 4 + 1], seq / 4, -1, 1, seq % 50 + 2,
    seq % 300, (array['machine', 'machine', 'left', 'held'])[seq % 4 + 1], 'normal', 'h200',
    seq * 600000, seq, 1, case when seq % 4 > 1 then seq % 50 + 2 else 0 end,
    case when seq % 4 > 1 then '2026-q4' else '' end,
    (array['', '', 'held', 'spent'])[seq % 4 + 1]
  from generate_series(1::bigint, 100000) as seq;
analyze ledger;
)";
constexpr TimeMs kLast = TimeMs{100'000} * 600'000;

TEST_F(LedgerStoreTest, WhatPeopleLookAtOftenWalksNoLedger) {
  test::Sql(database_.admin, kManyEntries);
  const std::string totals = Plan(ChargeTotalsSql({kProject, AccountId{5}}));
  EXPECT_EQ(totals.find("ledger"), std::string::npos) << totals;
  const std::string spent =
      Plan(SpentSinceSql({{kProject, "2026-q4"}, {AccountId{5}, "2026-q4"}}, kLast - 14 * kDayMs));
  EXPECT_EQ(spent.find("Seq Scan on ledger"), std::string::npos) << spent;
  EXPECT_NE(spent.find("ledger_spent_of_budget"), std::string::npos) << spent;
  for (const TimeMs since : {kLast - 30 * kDayMs, 30 * kDayMs}) {
    const std::string range = Plan(LedgerRangeSql(since, since + kDayMs, 0));
    EXPECT_EQ(range.find("Seq Scan on ledger"), std::string::npos) << range;
    EXPECT_EQ(range.find("ledger_pkey"), std::string::npos) << range;
    EXPECT_EQ(range.find("Sort"), std::string::npos) << range;
    EXPECT_NE(range.find("ledger_charge_by_time"), std::string::npos) << range;
  }
}

// Whoever asks for an account, or for users, gets their entries as if the whole ledger were read.
TEST_F(LedgerStoreTest, AListingReadsOnlyWhatIsAskedFor) {
  test::Sql(database_.admin, kManyEntries);
  test::Sql(database_.admin,  // one whose entries all are old, and few
            "set session_replication_role = replica;"
            "update ledger set project_id = 77, user_id = 777 where seq in (4, 8, 12)");
  const auto shown = [this](const LedgerQuery& query) {
    std::string numbers;
    for (const auto& row : Run(LedgerListSql(query, "l.seq"))) {
      numbers += std::string(row[0].c_str()) + " ";
    }
    return numbers;
  };
  const auto expected = [this](const std::string& condition, int limit) {
    return Ask(
        "select coalesce(string_agg(seq || ' ', '' order by seq desc), '') from (select seq"
        " from ledger where " +
        condition + " order by seq desc limit " + std::to_string(limit) + ") s");
  };
  const std::string two = "(project_id in (4, 77) or budget_account_id in (4, 77))";
  EXPECT_EQ(shown({.accounts = {kProject, AccountId{77}}, .limit = 50}), expected(two, 50));
  EXPECT_EQ(shown({.accounts = {AccountId{77}}}), "12 8 4 ");
  EXPECT_EQ(shown({.users = {UserId{777}}, .limit = 2}), "12 8 ");
  EXPECT_EQ(shown({.accounts = {kProject, AccountId{77}},
                   .users = {UserId{777}, UserId{2}},
                   .books = {Book::kCharge, Book::kBudget},
                   .since_ms = TimeMs{600'000} * 5,
                   .until_ms = TimeMs{600'000} * 90'000,
                   .before_seq = 80'000,
                   .limit = 30}),
            expected(two + " and user_id in (777, 2) and book in ('charge', 'budget')"
                           " and seq >= 5 and seq < 80000",
                     30));
  EXPECT_EQ(shown({.accounts = {AccountId{77}}, .job = JobRef{JobId{2}, kNoElement}}), "8 ");
  for (const LedgerQuery& query :
       {LedgerQuery{.accounts = {kProject, AccountId{77}}}, LedgerQuery{.users = {UserId{777}}},
        LedgerQuery{.accounts = {AccountId{77}}, .job = JobRef{JobId{2}, kNoElement}}}) {
    const std::string plan = Plan(LedgerListSql(query, "l.seq"));
    EXPECT_EQ(plan.find("Seq Scan on ledger"), std::string::npos) << plan;
    EXPECT_EQ(plan.find("ledger_pkey"), std::string::npos) << "everybody's: " << plan;
  }
}

TEST_F(LedgerStoreTest, EndsOfATimeAreItsLowestAndHighestNumber) {
  test::RandomValues random(3);
  Changes changes;
  TimeMs time_ms = 1000;
  for (std::int32_t number = 1; number <= 60; ++number) {
    LedgerEntry& entry = changes.ledger.emplace_back(RandomEntry(random, number));
    entry.time_ms = time_ms += random.Int(0, 3);  // several at one moment, too
  }
  Commit(changes);
  for (int i = 0; i < 200; ++i) {
    const TimeMs since = random.Int(995, time_ms + 5);
    const TimeMs until = random.Int(since, time_ms + 10);
    const std::int64_t last = random.Chance(50) ? 0 : random.Int(1, 60);
    const std::string least_and_most =
        Ask("select format('%s %s', coalesce(min(seq), 0), coalesce(max(seq), 0)) from ledger"
            " where book = 'charge' and time_ms >= " +
            std::to_string(since) + " and time_ms < " + std::to_string(until) +
            (last == 0 ? "" : " and seq <= " + std::to_string(last)));
    EXPECT_EQ(Range(LedgerRangeSql(since, until, last)), least_and_most)
        << since << " " << until << " " << last;
  }
}

}  // namespace
}  // namespace kezek::postgres

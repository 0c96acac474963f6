// Goal: the schema is brought forward once, by whoever comes first, and refused when it does not
// fit; the application's role cannot rewrite history. Method: a database of its own per test on a
// real server; edited and longer lists of migrations; statements tried as each role.

#include "postgres/migrations.h"

#include <gtest/gtest.h>

#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

#include "postgres/array_literal.h"
#include "tests/support/postgres_server.h"
#include "tests/support/random_values.h"

namespace kezek::postgres {
namespace {

using test::EmptyDatabase;
using test::FreshDatabase;
using test::ServerFolder;
using test::Sql;
using test::StepClock;

std::vector<Migration> Known() { return {Migrations().begin(), Migrations().end()}; }

std::string ReasonOf(const Error& error) {
  return error.details.empty() ? "" : error.details[0].reason;
}

TEST(MigrationsTest, AreNumberedFromOneWithoutGaps) {
  int expected = 1;
  for (const Migration& migration : Migrations()) EXPECT_EQ(migration.version, expected++);
}

TEST(MigrationsTest, SecondRunDoesNothing) {
  const auto database = EmptyDatabase(ServerFolder());
  StepClock clock;
  const auto first = Migrate(database.owner, clock);
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->from, 0);
  EXPECT_EQ(first->to, static_cast<int>(Migrations().size()));
  const auto second = Migrate(database.owner, clock);
  ASSERT_TRUE(second.has_value()) << second.error().message;
  EXPECT_EQ(second->from, second->to);
  EXPECT_TRUE(CheckSchema(database.app).has_value());
}

TEST(MigrationsTest, ManyAtOnceWaitForEachOther) {
  const auto database = EmptyDatabase(ServerFolder());
  StepClock clock;
  std::vector<std::string> failures(8);
  std::vector<std::thread> threads;
  for (std::string& failure : failures) {
    threads.emplace_back([&] {
      const auto migrated = Migrate(database.owner, clock);
      if (!migrated) failure = migrated.error().message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
  EXPECT_EQ(Sql(database.admin, "select count(*) from installation").at(0), "1");
}

TEST(MigrationsTest, NewerSchemaIsRefused) {
  const auto database = EmptyDatabase(ServerFolder());
  StepClock clock;
  auto longer = Known();
  longer.push_back({static_cast<int>(longer.size()) + 1, "later", "cafe", "create table later ()"});
  ASSERT_TRUE(Migrate(database.owner, clock, longer).has_value());
  const auto refused = Migrate(database.owner, clock);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ReasonOf(refused.error()), "SCHEMA_NEWER");
  EXPECT_EQ(ReasonOf(CheckSchema(database.app).error()), "SCHEMA_NEWER");
}

TEST(MigrationsTest, OlderSchemaIsNamed) {
  const auto database = EmptyDatabase(ServerFolder());
  StepClock clock;
  auto shorter = Known();
  shorter.pop_back();
  ASSERT_TRUE(Migrate(database.owner, clock, shorter).has_value());
  EXPECT_EQ(ReasonOf(CheckSchema(database.app).error()), "SCHEMA_OLDER");
  ASSERT_TRUE(Migrate(database.owner, clock).has_value());
  EXPECT_TRUE(CheckSchema(database.app).has_value());
}

TEST(MigrationsTest, EditedMigrationIsRefused) {
  const auto database = FreshDatabase(ServerFolder());
  StepClock clock;
  auto edited = Known();
  edited[0].checksum = "0000";
  const auto refused = Migrate(database.owner, clock, edited);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ReasonOf(refused.error()), "MIGRATION_EDITED");
  EXPECT_EQ(ReasonOf(CheckSchema(database.app, edited).error()), "MIGRATION_EDITED");
}

TEST(MigrationsTest, FailedMigrationLeavesNothing) {
  const auto database = EmptyDatabase(ServerFolder());
  StepClock clock;
  auto broken = Known();
  broken.push_back({static_cast<int>(broken.size()) + 1, "broken", "dead",
                    "create table half (); select 1 / 0"});
  const auto failed = Migrate(database.owner, clock, broken);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, Code::kInternal);
  EXPECT_EQ(Sql(database.admin, "select to_regclass('kezek.half') is null").at(0), "t");
  EXPECT_TRUE(CheckSchema(database.app).has_value());
}

TEST(MigrationsTest, NoDatabaseIsUnavailable) {
  StepClock clock;
  const auto failed = Migrate("host=127.0.0.1 port=1 dbname=x user=y", clock);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
}

// History is written once. The application lacks the right, and the owner meets the trigger.
TEST(RolesTest, NobodyChangesEventsOrLedger) {
  const auto database = FreshDatabase(ServerFolder());
  const std::string event =
      "insert into events values (1, 1, 'job', 1, -1, 0, '', 1, 1, '', 'queued', '{}', 'a')";
  const std::string entry =
      "insert into ledger values (1, 1, 'charge', 'settlement', 1, -1, 1, 1, 1, 'machine',"
      " 'normal', 'h200', 1, 5, 1)";
  Sql(database.app, event);
  Sql(database.app, entry);
  for (const std::string& role : {database.app, database.owner}) {
    for (const char* statement :
         {"update events set actor = 'b'", "delete from events", "truncate events",
          "update ledger set amount = 0", "delete from ledger", "truncate ledger",
          "update account_settings set reason = ''", "delete from account_settings",
          "truncate account_settings"}) {
      EXPECT_THROW(Sql(role, statement), pqxx::insufficient_privilege) << role << ": " << statement;
    }
  }
  for (const char* statement : {"drop table events", "alter table ledger disable trigger all",
                                "create table kezek.mine ()", "delete from jobs"}) {
    EXPECT_THROW(Sql(database.app, statement), pqxx::sql_error) << statement;
  }
  EXPECT_EQ(Sql(database.admin, "select actor from events").at(0), "a");
  EXPECT_EQ(Sql(database.admin, "select amount from ledger").at(0), "5");
}

TEST(LedgerTableTest, RefusesWhatDoesNotAddUp) {
  const auto database = FreshDatabase(ServerFolder());
  const std::string tail = "1, -1, 1, 1, 1, 'machine', 'normal', 'h200', 1, 5, 1)";
  Sql(database.app, "insert into ledger values (1, 1, 'charge', 'settlement', " + tail);
  // Charged twice.
  EXPECT_THROW(
      Sql(database.app, "insert into ledger values (2, 1, 'charge', 'settlement', " + tail),
      pqxx::unique_violation);
  EXPECT_THROW(Sql(database.app, "insert into ledger values (2, 1, 'gift', 'refund', " + tail),
               pqxx::check_violation);
  EXPECT_THROW(Sql(database.app, "insert into ledger values (1, 1, 'charge', 'refund', " + tail),
               pqxx::unique_violation);
}

TEST(ArrayLiteralOnServerTest, RandomTextsComeBackEqual) {
  const auto database = EmptyDatabase(ServerFolder());
  pqxx::connection connection(database.app);
  pqxx::nontransaction work(connection);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    test::RandomValues random(seed);
    ArrayLiteral literal;
    std::vector<std::string> texts(40);
    for (std::string& text : texts) literal.AddText(text = random.Text());
    const auto rows = work.exec_params("select unnest($1::text[])", literal.Text());
    ASSERT_EQ(rows.size(), texts.size()) << "seed " << seed;
    for (pqxx::result::size_type i = 0; i < rows.size(); ++i) {
      ASSERT_FALSE(rows[i][0].is_null()) << "seed " << seed;
      EXPECT_EQ(rows[i][0].as<std::string>(), texts[i]) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace kezek::postgres

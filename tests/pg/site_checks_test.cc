// Goal: the checks of the database name each thing that could lose or change what is on record, and
// say how to mend it; and attempts are read with what was settled of them, in the order of their
// ends. Method: a database of its own per test on a real server, broken by its owner; looks as the
// application's role and as the superuser.

#include "postgres/site_checks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "postgres/attempt_archive.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

class WallClock final : public Clock {
 public:
  TimeMs Now() override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
               .count() +
           shift_ms;
  }
  DurationMs shift_ms = 0;
};

class SiteChecksTest : public testing::Test {
 protected:
  std::vector<Finding> Look(const std::string& conninfo, const std::string& name,
                            int connections = 12) {
    for (const SiteCheck& check : DatabaseChecks(conninfo, connections, clock_)) {
      if (check.name == name) return check.look(nullptr);
    }
    ADD_FAILURE() << "no check " << name;
    return {};
  }
  std::vector<Finding> Look(const std::string& name) { return Look(database_.app, name); }
  void ExpectOk(const std::string& name) {
    const auto findings = Look(name);
    ASSERT_EQ(findings.size(), 1U) << findings[0].found;
    EXPECT_EQ(findings[0].state, CheckState::kOk) << findings[0].found;
  }
  void Break(const std::string& sql) {
    test::Sql(database_.admin, "set search_path = kezek; " + sql);
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  WallClock clock_;
};

TEST_F(SiteChecksTest, AFreshDatabaseIsAsItShouldBe) {
  for (const char* name : {"database-server", "database-role", "database-guards", "database-schema",
                           "database-clock"}) {
    SCOPED_TRACE(name);
    ExpectOk(name);
  }
}

TEST_F(SiteChecksTest, SettingsThatLoseCommitsAreNamed) {
  Break("alter database " + test::Sql(database_.admin, "select current_database()").at(0) +
        " set synchronous_commit = off");
  const auto findings = Look("database-settings");
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const Finding& one) {
    return one.state == CheckState::kProblem &&
           one.found.starts_with("synchronous_commit is off") &&
           one.mend.starts_with("psql -c 'alter database ");
  }));
  const auto many = Look(database_.app, "database-settings", 100'000);
  EXPECT_TRUE(std::any_of(many.begin(), many.end(), [](const Finding& one) {
    return one.found.find("kezekd wants 100000") != std::string::npos;
  }));
}

TEST_F(SiteChecksTest, RightsBeyondWhatIsNeededAreNamed) {
  Break("grant update on ledger to kezek_app");
  const auto findings = Look("database-role");
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].state, CheckState::kProblem);
  EXPECT_NE(findings[0].found.find("may UPDATE ledger"), std::string::npos) << findings[0].found;
  Break("revoke update on ledger from kezek_app");
  ExpectOk("database-role");
  const auto as_admin = Look(database_.admin, "database-role");
  EXPECT_NE(as_admin[0].found.find("has superuser"), std::string::npos) << as_admin[0].found;
}

TEST_F(SiteChecksTest, RightsThatLackAreNamed) {
  Break("revoke insert on events from kezek_app");
  const auto findings = Look("database-role");
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_NE(findings[0].found.find("may not INSERT events"), std::string::npos);
}

TEST_F(SiteChecksTest, AGuardThatIsOffOrGoneIsNamed) {
  Break("alter table events disable trigger only_grows");
  Break("drop trigger only_grows_whole on ledger");
  const auto findings = Look("database-guards");
  ASSERT_EQ(findings.size(), 2U);
  for (const Finding& one : findings) EXPECT_EQ(one.state, CheckState::kProblem);
  EXPECT_NE(findings[0].found.find("only_grows is off"), std::string::npos) << findings[0].found;
  EXPECT_NE(findings[1].found.find("only_grows_whole is gone"), std::string::npos);
}

TEST_F(SiteChecksTest, ClocksThatDifferAreNamed) {
  clock_.shift_ms = -10 * kSecondMs;
  const auto ahead = Look("database-clock");
  EXPECT_EQ(ahead.at(0).state, CheckState::kWarning);
  EXPECT_NE(ahead.at(0).found.find("ahead"), std::string::npos);
  clock_.shift_ms = kHourMs;
  EXPECT_EQ(Look("database-clock").at(0).state, CheckState::kProblem);
}

TEST_F(SiteChecksTest, NoServerIsAProblemOnceAndElsewhereNotLookedAt) {
  const std::string nowhere = "host=127.0.0.1 port=1 dbname=x user=x password=topsecret";
  EXPECT_EQ(Look(nowhere, "database-server").at(0).state, CheckState::kProblem);
  for (const char* name : {"database-role", "database-guards", "database-schema",
                           "database-settings", "database-clock", "database-backup"}) {
    const auto findings = Look(nowhere, name);
    EXPECT_EQ(findings.at(0).state, CheckState::kNotLookedAt) << name;
    EXPECT_EQ(findings.at(0).found.find("topsecret"), std::string::npos) << name;
  }
}

// Attempts of three jobs, of which one has not ended.
class ArchiveTest : public testing::Test {
 protected:
  ArchiveTest() {
    EXPECT_TRUE(store_.Lead().has_value());
    Changes changes;
    changes.users.push_back({.id = UserId{7}, .name = "ann@site", .unix_account = "kz-ann"});
    for (std::int64_t id = 1; id <= 3; ++id) {
      JobSpec spec;
      spec.project = AccountId{1};
      Job job;
      job.ref = {JobId{id}, kNoElement};
      job.user = UserId{7};
      job.spec = std::make_shared<const JobSpec>(spec);
      changes.jobs.push_back(job);
      Attempt attempt;
      attempt.ref = {job.ref, 1};
      attempt.cluster_job_id = 40 + id;
      attempt.start_ms = 1000;
      const bool ended = id < 3;
      attempt.state = ended ? AttemptState::kEnded : AttemptState::kRunning;
      attempt.outcome = ended ? AttemptOutcome::kSucceeded : AttemptOutcome::kNone;
      attempt.end_ms = ended ? 10'000 - 1000 * id : 0;
      changes.attempts.push_back(attempt);
      for (const EntryKind kind : {EntryKind::kSettlement, EntryKind::kRefund}) {
        LedgerEntry entry;
        entry.book = Book::kCharge;
        entry.kind = kind;
        entry.attempt = attempt.ref;
        entry.project = AccountId{1};
        entry.contra = "machine";
        entry.user = UserId{7};
        entry.amount = kind == EntryKind::kSettlement ? 100 * id : -5;
        if (ended) changes.ledger.push_back(entry);
      }
    }
    const auto committed = store_.Commit(changes);
    EXPECT_TRUE(committed.has_value()) << committed.error().message;
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  PostgresStore store_{{.conninfo = database_.app}, clock_, {}};
};

TEST_F(ArchiveTest, EndedAttemptsComeByTheirEndsWithWhatWasSettled) {
  PostgresArchive archive(database_.app);
  const auto reading = archive.Open(0, 100'000);
  ASSERT_TRUE(reading) << reading.error().message;
  const auto first = (*reading)->Next(1);
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_EQ(first->size(), 1U);
  EXPECT_EQ(first->at(0).attempt.ref.job.id.value, 2);
  EXPECT_EQ(first->at(0).attempt.cluster_job_id, 42);
  EXPECT_EQ(first->at(0).unix_account, "kz-ann");
  EXPECT_EQ(first->at(0).project, AccountId{1});
  EXPECT_EQ(first->at(0).settled, 200) << "without what was given back";
  EXPECT_EQ(first->at(0).settlements, 1);
  EXPECT_EQ((*reading)->Next(10)->at(0).attempt.ref.job.id.value, 1);
  EXPECT_TRUE((*reading)->Next(10)->empty());
  EXPECT_EQ((*reading)->Find({{JobId{3}, kNoElement}, 1})->attempt.state, AttemptState::kRunning);
  EXPECT_EQ((*reading)->Find({{JobId{9}, kNoElement}, 1}).error().code, Code::kNotFound);
}

// Who copies the tag of an own job of Kezek's runs under another id than that job has.
TEST_F(ArchiveTest, AttemptsAreKnownByTheirNames) {
  PostgresArchive archive(database_.app);
  const AttemptRef running{{JobId{3}, kNoElement}, 1};
  const AttemptRef ended{{JobId{2}, kNoElement}, 1};
  const AttemptRef unknown{{JobId{2}, kNoElement}, 2};
  auto named = archive.Named({ended, unknown});
  ASSERT_TRUE(named) << named.error().message;
  ASSERT_EQ(named->size(), 1U);
  EXPECT_EQ(named->at(0).attempt.ref, ended);
  EXPECT_EQ(named->at(0).attempt.cluster_job_id, 42);
  EXPECT_EQ(named->at(0).unix_account, "kz-ann");
  named = archive.Named({ended, running, ended});
  ASSERT_TRUE(named);
  EXPECT_EQ(named->size(), 2U) << "of any state, each once";
  EXPECT_TRUE(archive.Named({})->empty());
  EXPECT_EQ(PostgresArchive("host=127.0.0.1 port=1").Named({ended}).error().code,
            Code::kUnavailable);
}

TEST_F(ArchiveTest, OnlyTheTimeAskedForIsRead) {
  PostgresArchive archive(database_.app);
  const auto reading = archive.Open(8500, 9000);
  ASSERT_TRUE(reading);
  EXPECT_TRUE((*reading)->Next(10)->empty());
  const auto edge = archive.Open(9000, 9001);
  EXPECT_EQ((*edge)->Next(10)->size(), 1U);
  EXPECT_EQ(PostgresArchive("host=127.0.0.1 port=1").Open(0, 1).error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace kezek::postgres

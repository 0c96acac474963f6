// Goal: one leader at a time; a lost server loses nothing acknowledged and stores nothing twice.
// Method: two stores on one database; an epoch changed behind a leader's back; a server of its own,
// killed while many threads submit, then every answer compared with the tables; its data exchanged
// for an older copy of them.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include "output/highest_look.h"
#include "tests/pg/store_fixture.h"
#include "tests/support/random_values.h"

namespace kezek::postgres {
namespace {

using test::Sql;

Changes OneEvent() {
  Changes changes;
  changes.events.push_back({.time_ms = 1, .subject = Subject::kCluster, .name = "kezek"});
  return changes;
}

TEST(LeaderTest, NobodyWritesBeforeLeading) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  EXPECT_EQ(SubmitNow(store, {MakeSubmission("k")}).error().code, Code::kUnavailable);
  EXPECT_EQ(store.Commit(OneEvent()).error().code, Code::kUnavailable);
}

TEST(LeaderTest, SecondLeaderWaitsForTheFirstToEnd) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  auto first = std::make_unique<PostgresStore>(StoreOptions{.conninfo = database.app}, clock,
                                               std::vector<CommitObserver*>{});
  PostgresStore second({.conninfo = database.app, .host = "host2", .address = "two:7443"}, clock,
                       {});
  const auto led = first->Lead();
  ASSERT_TRUE(led.has_value()) << led.error().message;
  const auto refused = second.Lead();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  ASSERT_TRUE(SubmitNow(*first, {MakeSubmission("k")}).has_value());
  first.reset();
  auto next = second.Lead();
  for (int i = 0; i < 1000 && !next; ++i) {  // the old session ends by itself, in its own time
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    next = second.Lead();
  }
  ASSERT_TRUE(next.has_value()) << next.error().message;
  EXPECT_GT(next->epoch, led->epoch);
  EXPECT_EQ(next->issued_epochs, (std::set<std::int64_t>{led->epoch, next->epoch}));
  EXPECT_EQ(Sql(database.admin, "select address from leader").at(0), "two:7443");
  EXPECT_EQ(Sql(database.admin, "select host from epochs order by epoch desc").at(0), "host2");
  EXPECT_EQ(next->installation, led->installation);
  ASSERT_EQ(next->jobs.size(), 1U);
  EXPECT_EQ(SubmitNow(second, {MakeSubmission("k2")})->at(0).id, JobId{2});
}

TEST(LeaderTest, LeadingAgainGoesOn) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  const auto first = store.Lead();
  const auto second = store.Lead();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_GT(second->epoch, first->epoch);
  EXPECT_TRUE(store.Commit(OneEvent()).has_value());
}

// A file system that hangs, on the leader's host: it lets the lock go.
TEST(LeaderTest, WhoCannotSeeWhichNumbersWereGivenLetsAnotherLead) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  std::promise<void> put_right;
  const auto look = std::make_shared<output::HighestLook>(
      [until = put_right.get_future().share(), hangs = std::make_shared<std::atomic<int>>(0)] {
        if ((*hangs)++ > 0) until.wait();
        return Result<JobId>(JobId{7});
      },
      50);
  PostgresStore first({.conninfo = database.app, .highest_job = [look] { return look->Ask(); }},
                      clock, {});
  PostgresStore second({.conninfo = database.app}, clock, {});
  ASSERT_TRUE(first.Lead().has_value());
  ASSERT_EQ(SubmitNow(first, {MakeSubmission("k")})->at(0).id, JobId{8});
  const auto hung = first.Lead();
  ASSERT_FALSE(hung.has_value());
  EXPECT_EQ(hung.error().code, Code::kUnavailable);
  EXPECT_EQ(hung.error().message.find("output_root does not answer"), 0U) << hung.error().message;
  EXPECT_EQ(SubmitNow(first, {MakeSubmission("k2")}).error().code, Code::kUnavailable);
  EXPECT_EQ(first.Commit(OneEvent()).error().code, Code::kUnavailable);
  auto next = second.Lead();
  for (int i = 0; i < 500 && !next; ++i) {  // the session that was given up ends in its own time
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    next = second.Lead();
  }
  EXPECT_TRUE(next.has_value()) << next.error().message;
  put_right.set_value();
}

TEST(LeaderTest, ARestoredCopyIssuesNoEpochOfTheLostDatabaseAndRemembersWhatWasAccepted) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  std::int64_t shared = 0;
  std::int64_t lost = 0;
  {
    PostgresStore store({.conninfo = database.app}, clock, {});
    shared = store.Lead()->epoch;
    lost = store.Lead()->epoch;
  }
  // As if copied before the second of them.
  Sql(database.admin, "set session_replication_role = replica; delete from epochs where epoch = " +
                          std::to_string(lost) +
                          "; update leader set epoch = " + std::to_string(lost - 1));
  PostgresStore store({.conninfo = database.app}, clock, {});
  auto led = store.Lead();
  for (int i = 0; i < 1000 && !led; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    led = store.Lead();
  }
  ASSERT_TRUE(led.has_value()) << led.error().message;
  EXPECT_GT(led->epoch, lost);
  EXPECT_FALSE(led->issued_epochs.contains(lost));
  Changes changes;
  changes.accepted_epochs = {lost};
  ASSERT_TRUE(store.Commit(changes).has_value());
  ASSERT_TRUE(store.Commit(changes).has_value()) << "accepting twice is accepting";
  const auto again = store.Lead();
  EXPECT_EQ(again->accepted_epochs, std::set<std::int64_t>{lost});
  EXPECT_EQ(again->issued_epochs.size(), 3U);
  // One that both had led in: copied and lost within one leadership.
  changes.accepted_epochs = {shared};
  ASSERT_TRUE(store.Commit(changes).has_value());
  const auto both = store.Lead();
  EXPECT_EQ(both->accepted_epochs, (std::set<std::int64_t>{shared, lost}));
  EXPECT_TRUE(both->issued_epochs.contains(shared));
}

TEST(LeaderTest, WhyNothingMayStartIsKept) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  EXPECT_EQ(store.Lead()->stop, "");
  Changes stop;
  stop.stop = "three plans, \"all\" bad";
  ASSERT_TRUE(store.Commit(stop).has_value());
  ASSERT_TRUE(store.Commit(OneEvent()).has_value()) << "what says nothing of it leaves it";
  EXPECT_EQ(store.Lead()->stop, stop.stop);
  stop.stop = "";
  ASSERT_TRUE(store.Commit(stop).has_value());
  EXPECT_EQ(store.Lead()->stop, "");
}

TEST(LeaderTest, OtherEpochEndsTheCommitter) {
  for (const bool submit : {true, false}) {
    const auto database = test::FreshDatabase(test::ServerFolder());
    test::StepClock clock;
    PostgresStore store({.conninfo = database.app}, clock, {});
    ASSERT_TRUE(store.Lead().has_value());
    Sql(database.admin, "update leader set epoch = epoch + 1");
    if (submit) {
      EXPECT_EQ(SubmitNow(store, {MakeSubmission("k")}).error().code, Code::kAborted);
    }
    EXPECT_EQ(store.Commit(OneEvent()).error().code, Code::kAborted);
    EXPECT_EQ(SubmitNow(store, {MakeSubmission("k")}).error().code, Code::kAborted);
    EXPECT_EQ(store.Lead().error().code, Code::kAborted);
    EXPECT_EQ(Sql(database.admin, "select count(*) from jobs").at(0), "0");
    EXPECT_EQ(Sql(database.admin, "select count(*) from events").at(0), "0");
  }
}

TEST(LeaderTest, RefusedChangesLeaveNothing) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  Changes changes = OneEvent();
  test::RandomValues random(1);
  changes.attempts.push_back(
      random.AttemptRow({{JobId{99}, kNoElement}, 1}, AttemptState::kStarting));  // of no job
  EXPECT_FALSE(store.Commit(changes).has_value());
  EXPECT_EQ(Sql(database.admin, "select count(*) from events").at(0), "0");
  EXPECT_TRUE(store.Commit(OneEvent()).has_value());
  EXPECT_EQ(Sql(database.admin, "select max(seq) from events").at(0), "1");
}

TEST(LeaderTest, NoTextFailsACommit) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  const std::string bad("a\0\xff", 3);
  Changes changes = OneEvent();
  changes.events[0].name = bad;
  changes.events[0].reason = {ReasonCode::kUpdated, {{"text", bad}}};
  changes.users.push_back({.id = UserId{1}, .name = "u", .display_name = bad});
  changes.tokens.push_back({.id = TokenId{1}, .user = UserId{1}, .label = bad});
  Account root{.id = kRootAccount, .name = "kezek", .kind = bad, .version = 2};
  root.attributes[bad] = bad;
  changes.accounts.push_back({.account = root, .reason = bad});
  const auto committed = store.Commit(changes);
  ASSERT_TRUE(committed.has_value()) << committed.error().message;
  for (const char* sql :
       {"select display_name from users", "select label from tokens", "select name from events",
        "select reason->'fields'->>'text' from events", "select kind from accounts",
        "select value from accounts, jsonb_each_text(attributes)",
        "select reason from account_settings order by version desc"}) {
    EXPECT_EQ(Sql(database.admin, sql).at(0), "a" + std::string(2, '?')) << sql;
  }
}

TEST(LeaderTest, FinalJobsLoseTheirEnvironment) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  ASSERT_TRUE(SubmitNow(store, {MakeSubmission("k")}).has_value());
  Changes changes;
  changes.final_jobs = {JobId{1}};
  ASSERT_TRUE(store.Commit(changes).has_value());
  const auto payloads = store.LoadPayloads({JobId{1}});
  ASSERT_TRUE(payloads.has_value());
  EXPECT_TRUE(payloads->at(0).environment.empty());
  EXPECT_FALSE(payloads->at(0).script.empty());
}

// A server that this test alone may kill.
class CrashTest : public testing::Test {
 protected:
  CrashTest() { test::ServerCommand("up", folder_); }
  ~CrashTest() override { test::ServerCommand("down", folder_, "--wipe"); }

  const std::string folder_ = test::ServerFolder() + "/crash";
};

TEST_F(CrashTest, LosesNothingAcknowledgedAndStoresNothingTwice) {
  const auto database = test::FreshDatabase(folder_);
  test::StepClock clock;
  Recorder recorder;
  PostgresStore store({.conninfo = database.app}, clock, {&recorder});
  ASSERT_TRUE(store.Lead().has_value());
  constexpr int kThreads = 8;
  std::atomic<bool> stop{false};
  std::vector<std::map<std::string, std::int64_t>> acknowledged(kThreads);
  std::atomic<int> retried{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        auto answer = SubmitNow(store, {MakeSubmission(key)});
        while (!answer && !stop) {
          ++retried;
          EXPECT_EQ(answer.error().code, Code::kUnavailable) << answer.error().message;
          answer = SubmitNow(store, {MakeSubmission(key)});
        }
        if (answer) acknowledged[static_cast<std::size_t>(t)][key] = answer->at(0).id.value;
      }
    });
  }
  for (int crash = 0; crash < 2; ++crash) {
    recorder.WaitForMore(100);
    test::CrashServer(folder_);
    test::ServerCommand("up", folder_);
  }
  recorder.WaitForMore(100);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(retried, 0);
  const auto stored = Sql(database.admin, "select key || '=' || job_id from submission_keys");
  const std::set<std::string> keys(stored.begin(), stored.end());
  for (const auto& one : acknowledged) {
    for (const auto& [key, id] : one) {
      EXPECT_TRUE(keys.contains(key + "=" + std::to_string(id))) << key << " was acknowledged";
    }
  }
  EXPECT_EQ(Sql(database.admin, "select count(*) from jobs").at(0), std::to_string(keys.size()));
  EXPECT_EQ(Sql(database.admin, "select count(*) from job_payloads").at(0),
            std::to_string(keys.size()));
  EXPECT_EQ(GapsInEvents(database), "");
  // The observer has been told of all, once and in order, of what was in doubt too.
  const auto events = recorder.events();
  EXPECT_EQ(events.size(), keys.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(events[i].seq, static_cast<std::int64_t>(i) + 1);
  }
}

TEST_F(CrashTest, WithoutADatabaseEverythingIsUnavailableAndComesBack) {
  const auto database = test::FreshDatabase(folder_);
  test::StepClock clock;
  // Groups of one, so that only the first is in doubt.
  PostgresStore store({.conninfo = database.app, .group_rows = 1, .patience_ms = 0}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  test::CrashServer(folder_);
  auto in_doubt = SubmitLater(store, {MakeSubmission("k1")});
  EXPECT_EQ(SubmitNow(store, {MakeSubmission("k2")}).error().code, Code::kUnavailable);
  EXPECT_EQ(store.Commit(OneEvent()).error().code, Code::kUnavailable);
  EXPECT_EQ(store.Lead().error().code, Code::kUnavailable);
  test::ServerCommand("up", folder_);
  EXPECT_EQ(in_doubt.get().error().code, Code::kUnavailable);
  EXPECT_TRUE(SubmitNow(store, {MakeSubmission("k1")}).has_value());
  EXPECT_TRUE(store.Commit(OneEvent()).has_value());
}

// A backup made while the same kezekd leads, put back while only submissions are under way: they
// are what meets the server that comes back.
class CopyTest : public CrashTest {
 protected:
  std::string Data() const { return folder_ + "/postgres/data"; }
  void Copy(const std::string& from, const std::string& to) {
    const std::string line = "rm -rf '" + to + "' && cp -a '" + from + "' '" + to + "'";
    ASSERT_EQ(std::system(line.c_str()), 0);
  }
  void Backup() {
    test::CrashServer(folder_);
    Copy(Data(), Data() + ".copy");
    test::ServerCommand("up", folder_);
  }
  void PutBack() {
    test::CrashServer(folder_);
    Copy(Data() + ".copy", Data());
    test::ServerCommand("up", folder_);
  }
};

// Until a server that has gone and come back has answered.
Submitted SubmitAtLast(PostgresStore& store, const std::string& key) {
  for (int i = 0; i < 100; ++i) {
    const auto answer = SubmitNow(store, {MakeSubmission(key)});
    if (answer) return answer->at(0);
  }
  ADD_FAILURE() << key << " was never accepted";
  return {};
}

TEST_F(CopyTest, AnOlderCopyUnderTheSameEpochIsNotGoneOnWith) {
  const auto database = test::FreshDatabase(folder_);
  test::StepClock clock;
  Recorder recorder;
  PostgresStore store({.conninfo = database.app}, clock, {&recorder});
  const auto led = store.Lead();
  ASSERT_TRUE(led.has_value());
  ASSERT_EQ(SubmitAtLast(store, "kept").id, JobId{1});
  Backup();
  ASSERT_EQ(SubmitAtLast(store, "lost").id, JobId{2});
  EXPECT_TRUE(store.Commit({}).has_value()) << "a server that comes back as it was changes nothing";
  ASSERT_EQ(recorder.events().size(), 2U);
  PutBack();
  for (const char* key : {"in doubt", "after it"}) {
    const auto refused = SubmitNow(store, {MakeSubmission(key)});
    ASSERT_FALSE(refused.has_value()) << key;
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    EXPECT_EQ(refused.error().message.find("the database is an older copy"), 0U)
        << refused.error().message;
  }
  EXPECT_EQ(store.Commit({}).error().code, Code::kUnavailable) << "a loop without changes hears it";
  EXPECT_EQ(store.Commit(OneEvent()).error().code, Code::kUnavailable);
  EXPECT_EQ(recorder.events().size(), 2U);
  EXPECT_EQ(Sql(database.admin, "select max(seq) from events").at(0), "1");
  const auto again = store.Lead();
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_GT(again->epoch, led->epoch);
  EXPECT_EQ(again->jobs.size(), 1U);
  EXPECT_TRUE(store.Commit({}).has_value());
  EXPECT_EQ(SubmitAtLast(store, "in doubt").id, JobId{3}) << "2 was acknowledged and is lost";
  EXPECT_EQ(GapsInEvents(database), "");
}

TEST_F(CopyTest, WhatLacksOnlyTheLedgersLastIsOlderToo) {
  const auto database = test::FreshDatabase(folder_);
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  ASSERT_EQ(SubmitAtLast(store, "kept").id, JobId{1});
  Backup();
  SubmitNow(store, {MakeSubmission("kept")}).has_value();  // meets the server that has come back
  test::RandomValues random(1);
  LedgerEntry entry = random.Entry();
  entry.attempt = {{JobId{1}, kNoElement}, 1};
  Changes changes;
  changes.attempts.push_back(random.AttemptRow(entry.attempt, AttemptState::kRunning));
  changes.ledger.push_back(entry);
  const auto committed = store.Commit(changes);
  ASSERT_TRUE(committed.has_value()) << committed.error().message;
  PutBack();
  EXPECT_FALSE(SubmitNow(store, {MakeSubmission("in doubt")}).has_value());
  EXPECT_EQ(store.Commit({}).error().code, Code::kUnavailable);
  const auto again = store.Lead();
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_TRUE(again->attempts.empty());
}

}  // namespace
}  // namespace kezek::postgres

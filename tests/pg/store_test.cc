// Goal: submissions are stored once, all or nothing, answered after the commit, and their events
// have no gaps. Method: a real server; every answer compared with what SQL finds and with what the
// observer was told; races of many threads over the same keys.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "tests/pg/store_fixture.h"
#include "tests/support/recording_meter.h"

namespace kezek::postgres {
namespace {

using test::Sql;

class StoreTest : public testing::Test {
 protected:
  StoreTest() { EXPECT_TRUE(store_.Lead().has_value()); }

  std::string Count(const std::string& table) {
    return Sql(database_.admin, "select count(*) from " + table).at(0);
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  Recorder recorder_;
  test::RecordingMeter meter_;
  PostgresStore store_{{.conninfo = database_.app, .meter = &meter_}, clock_, {&recorder_}};
};

TEST_F(StoreTest, EveryTransactionIsMeasured) {
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k1"), MakeSubmission("k2")}).has_value());
  Changes changes;
  changes.events.push_back({.subject = Subject::kCluster, .name = "test", .actor = "kezek"});
  ASSERT_TRUE(store_.Commit(changes).has_value());
  const auto commits = meter_.commits();
  ASSERT_EQ(commits.size(), 2U);
  EXPECT_EQ(commits[0].submissions, 2);
  EXPECT_GT(commits[0].bytes, 0);
  EXPECT_TRUE(commits[0].stored);
  EXPECT_EQ(commits[0].waiting, 0);
  EXPECT_EQ(commits[1].submissions, 0);
  EXPECT_FALSE(meter_.works().empty());
}

TEST_F(StoreTest, StoresASubmissionWithPayloadAndEvent) {
  const auto answer = SubmitNow(store_, {MakeSubmission("k1")});
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  ASSERT_EQ(answer->size(), 1U);
  EXPECT_EQ(answer->at(0).id, JobId{1});
  EXPECT_FALSE(answer->at(0).existed);
  const auto payloads = store_.LoadPayloads({JobId{1}});
  ASSERT_TRUE(payloads.has_value());
  EXPECT_EQ(payloads->at(0).script, "#!/bin/bash\necho k1\n");
  EXPECT_EQ(payloads->at(0).environment.at("LANG"), "kk_KZ.UTF-8");
  const auto told = recorder_.all();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].submitted.at(0).ref.id, JobId{1});
  EXPECT_EQ(told[0].events.at(0).seq, 1);
  EXPECT_EQ(told[0].events.at(0).to, "queued");
  EXPECT_EQ(told[0].events.at(0).actor, "aizhan@kaznu");
  EXPECT_EQ(Sql(database_.admin, "select reason->>'code' from events").at(0), "SUBMITTED");
}

TEST(HighestJobTest, NumbersOfWhatARestoredDatabaseHasForgottenAreNotGivenAgain) {
  const test::Database database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  Recorder recorder;
  bool away = true;
  PostgresStore store({.conninfo = database.app,
                       .highest_job =
                           [&] {
                             const Error hangs{Code::kUnavailable, "no such folder", {}};
                             return away ? Result<JobId>(hangs) : Result<JobId>(JobId{41});
                           }},
                      clock, {&recorder});
  EXPECT_EQ(store.Lead().error().message, "no such folder");
  away = false;
  ASSERT_TRUE(store.Lead().has_value());
  const auto answer = SubmitNow(store, {MakeSubmission("k1")});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->at(0).id, JobId{42});
}

TEST_F(StoreTest, WarningsAreEventsBehindTheSubmission) {
  Submission warned = MakeSubmission("k2");
  warned.warnings = {{ReasonCode::kWarning, {{"field", "-p"}}},
                     {ReasonCode::kWarning, {{"field", "--mail-user"}}}};
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k1"), warned, MakeSubmission("k3")}).has_value());
  const auto found = Sql(database_.admin,
                         "select job_id || ':' || coalesce(reason->'fields'->>'field', to_state)"
                         " from events order by seq");
  EXPECT_EQ(found, (std::vector<std::string>{"1:queued", "2:queued", "2:-p", "2:--mail-user",
                                             "3:queued"}));
  EXPECT_EQ(GapsInEvents(database_), "");
  const auto told = recorder_.events();
  ASSERT_EQ(told.size(), 5U);
  EXPECT_EQ(told[3].seq, 4);
  EXPECT_EQ(told[3].reason, warned.warnings[1]);
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k4")}).has_value());
  EXPECT_EQ(recorder_.events().back().seq, 6);
}

TEST_F(StoreTest, SameKeyGivesTheSameJob) {
  const auto first = SubmitNow(store_, {MakeSubmission("k1")});
  const auto again = SubmitNow(store_, {MakeSubmission("k1")});
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->at(0).id, first->at(0).id);
  EXPECT_TRUE(again->at(0).existed);
  EXPECT_EQ(again->at(0).submitted_ms, first->at(0).submitted_ms);
  EXPECT_GT(first->at(0).submitted_ms, 0);
  EXPECT_EQ(Count("jobs"), "1");
  EXPECT_EQ(Count("events"), "1");
}

TEST_F(StoreTest, SameKeyWithOtherContentIsRefused) {
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k1", 1)}).has_value());
  const auto refused = SubmitNow(store_, {MakeSubmission("k1", 2)});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kAlreadyExists);
  EXPECT_EQ(ReasonOf(refused.error()), "IDEMPOTENCY_MISMATCH");
  EXPECT_EQ(Count("jobs"), "1");
  // Another user's key is another key.
  Submission other = MakeSubmission("k1", 2);
  other.user = UserId{4};
  EXPECT_TRUE(SubmitNow(store_, {other}).has_value());
}

TEST_F(StoreTest, BatchIsAllOrNothing) {
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k2", 1)}).has_value());
  const auto refused =
      SubmitNow(store_, {MakeSubmission("k1"), MakeSubmission("k2", 9), MakeSubmission("k3")});
  EXPECT_FALSE(refused.has_value());
  EXPECT_EQ(Count("jobs"), "1");
  const auto mixed =
      SubmitNow(store_, {MakeSubmission("k1"), MakeSubmission("k2", 1), MakeSubmission("k1")});
  ASSERT_TRUE(mixed.has_value());
  EXPECT_EQ(mixed->at(0).id, JobId{2});
  EXPECT_FALSE(mixed->at(0).existed);
  EXPECT_EQ(mixed->at(1).id, JobId{1});
  EXPECT_TRUE(mixed->at(1).existed);
  EXPECT_EQ(mixed->at(2).id, JobId{2});
  EXPECT_TRUE(mixed->at(2).existed);
  EXPECT_EQ(GapsInEvents(database_), "");
}

TEST_F(StoreTest, OneKeyTwiceInABatchWithOtherContentIsRefused) {
  const auto refused = SubmitNow(store_, {MakeSubmission("k", 1), MakeSubmission("k", 2)});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ReasonOf(refused.error()), "IDEMPOTENCY_MISMATCH");
}

TEST_F(StoreTest, KeyIsForgottenAfterSevenDays) {
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k1", 1)}).has_value());
  clock_.Set(clock_.Now() + 7 * kDayMs + 10);
  const auto fresh = SubmitNow(store_, {MakeSubmission("k1", 2)});
  ASSERT_TRUE(fresh.has_value()) << fresh.error().message;
  EXPECT_FALSE(fresh->at(0).existed);
  EXPECT_EQ(Count("jobs"), "2");
  EXPECT_TRUE(SubmitNow(store_, {MakeSubmission("k1", 2)})->at(0).existed);
}

TEST_F(StoreTest, TimeNeverGoesBack) {
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k1")}).has_value());
  clock_.Set(5);
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k2")}).has_value());
  const auto events = recorder_.events();
  EXPECT_GE(events.at(1).time_ms, events.at(0).time_ms);
  EXPECT_EQ(GapsInEvents(database_), "");
}

TEST_F(StoreTest, TextThatCannotBeStoredFailsAlone) {
  Submission bad = MakeSubmission("bad");
  bad.script = "\xff";
  auto good = SubmitLater(store_, {MakeSubmission("good")});
  const auto refused = SubmitNow(store_, {bad});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_EQ(refused.error().details.at(0).field, "script");
  EXPECT_TRUE(good.get().has_value());
}

// The server itself refuses one: its key does not fit into an index page.
TEST_F(StoreTest, WhatTheServerRefusesFailsAlone) {
  std::string key;
  for (int i = 0; i < 20'000; ++i) key += static_cast<char>('!' + (i * i * 7919 + i / 91) % 90);
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 60; ++i) {
    const std::string own = i == 30 ? key : "k" + std::to_string(i);
    answers.push_back(SubmitLater(store_, {MakeSubmission(own)}));
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto answer = answers[i].get();
    EXPECT_EQ(answer.has_value(), i != 30) << i;
    if (!answer) {
      EXPECT_EQ(answer.error().code, Code::kInvalidArgument);
    }
  }
  EXPECT_EQ(Count("jobs"), "59");
  EXPECT_EQ(recorder_.events().size(), 59U);
  EXPECT_EQ(GapsInEvents(database_), "");
}

// Sixteen threads fight over few keys with two contents each.
TEST_F(StoreTest, RacesOverKeysStoreEachOnce) {
  constexpr int kThreads = 16;
  constexpr int kRounds = 40;
  struct Seen {
    std::string key;
    std::uint8_t content;
    Answer answer;
  };
  std::vector<std::vector<Seen>> seen(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        const std::string key = "r" + std::to_string(round / 2);
        const auto content = static_cast<std::uint8_t>(t % 2);
        seen[static_cast<std::size_t>(t)].push_back(
            {key, content, SubmitNow(store_, {MakeSubmission(key, content)})});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::map<std::string, std::set<std::int64_t>> ids;
  std::map<std::string, std::set<std::uint8_t>> contents;
  int made = 0;
  for (const auto& one : seen) {
    for (const Seen& s : one) {
      if (s.answer) {
        ids[s.key].insert(s.answer->at(0).id.value);
        contents[s.key].insert(s.content);
        made += s.answer->at(0).existed ? 0 : 1;
      } else {
        EXPECT_EQ(ReasonOf(s.answer.error()), "IDEMPOTENCY_MISMATCH");
      }
    }
  }
  EXPECT_EQ(made, kRounds / 2);
  for (const auto& [key, found] : ids) EXPECT_EQ(found.size(), 1U) << key;
  for (const auto& [key, found] : contents) EXPECT_EQ(found.size(), 1U) << key;
  EXPECT_EQ(Count("jobs"), std::to_string(kRounds / 2));
  EXPECT_EQ(GapsInEvents(database_), "");
}

TEST_F(StoreTest, ObserverIsToldBeforeTheAnswer) {
  std::atomic<int> wrong{0};
  std::vector<std::future<void>> answered;
  for (int i = 0; i < 200; ++i) {
    auto promise = std::make_shared<std::promise<void>>();
    answered.push_back(promise->get_future());
    store_.Submit({MakeSubmission("o" + std::to_string(i))}, [&, promise](Answer answer) {
      const auto told = recorder_.all();
      const bool known =
          answer.has_value() && told.back().submitted.back().ref.id.value >= answer->at(0).id.value;
      if (!known) ++wrong;
      promise->set_value();
    });
  }
  for (auto& one : answered) one.get();
  EXPECT_EQ(wrong, 0);
  const auto events = recorder_.events();
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].seq, static_cast<std::int64_t>(i) + 1);
  }
}

// The plan is made while the tables are empty and must serve when they are large.
TEST(StorePlanTest, LooksUpKeysOneByOne) {
  const test::Database database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  {
    PostgresStore store({.conninfo = database.app}, clock, {});
    ASSERT_TRUE(store.Lead().has_value());
    Sql(database.admin, "analyze submission_keys");  // known to be empty
    ASSERT_TRUE(SubmitNow(store, {MakeSubmission("k1")}).has_value());
    Sql(database.admin,
        "insert into submission_keys select 4, 'old-' || i, decode(repeat('ab', 32), 'hex'), i, 1"
        " from generate_series(1, 5000) i");
    ASSERT_TRUE(SubmitNow(store, {MakeSubmission("k2")}).has_value());
  }
  // Counted when the store's session has ended.
  std::string read;
  for (int i = 0; i < 500 && (read.empty() || read == "0"); ++i) {
    read = Sql(database.admin,
               "select sum(idx_scan) from pg_stat_user_indexes"
               " where indexrelname = 'submission_keys_pkey'")
               .at(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(read, "0");
  EXPECT_LT(std::stol(Sql(database.admin,
                          "select idx_tup_read from pg_stat_user_indexes"
                          " where indexrelname = 'submission_keys_pkey'")
                          .at(0)),
            100);
}

// What is due for an attempt is the difference from what stands in the ledger: without its first
// pieces they would be booked once more after a restart.
TEST_F(StoreTest, UsageOfWhatIsNotSettledIsLoadedHoweverOld) {
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("a"), MakeSubmission("b")}).has_value());
  Changes changes;
  for (const std::int64_t job : {1, 2}) {
    Attempt attempt;
    attempt.ref = {{JobId{job}, kNoElement}, 1};
    attempt.state = job == 1 ? AttemptState::kRunning : AttemptState::kEnded;
    if (job == 2) attempt.outcome = AttemptOutcome::kSucceeded;
    attempt.start_ms = 1000;
    changes.attempts.push_back(attempt);
    LedgerEntry piece{.book = Book::kUsage, .kind = EntryKind::kPiece, .attempt = attempt.ref};
    piece.contra = "machine";
    piece.amount = 7 * job;
    for (const TimeMs date : {TimeMs{1000}, clock_.Now()}) {
      piece.date_ms = date;
      changes.ledger.push_back(piece);
    }
    piece.book = Book::kCharge;
    piece.kind = EntryKind::kSettlement;
    if (job == 2) changes.ledger.push_back(piece);
  }
  const auto committed = store_.Commit(changes);
  ASSERT_TRUE(committed.has_value()) << committed.error().message;
  const auto snapshot = store_.Lead();
  ASSERT_TRUE(snapshot.has_value());
  std::vector<std::int64_t> loaded;
  for (const LedgerEntry& entry : snapshot->usage) loaded.push_back(entry.seq);
  EXPECT_EQ(loaded, (std::vector<std::int64_t>{1, 2})) << "3 and 4 are settled";
  ASSERT_EQ(snapshot->settled_usage.size(), 1U);
  const DatedUsage& dated = snapshot->settled_usage.begin()->second;
  ASSERT_EQ(dated.size(), 1U) << "3 is too old to count";
  EXPECT_EQ(dated.begin()->second, 14);
}

// Rule `shortest` knows after a restart how long jobs ran before it.
TEST_F(StoreTest, WhatHasEndedOfProjectsThatLearnIsLoadedOldestFirst) {
  Changes changes;
  for (const std::int64_t project : {5, 6}) {
    Account account{.id = AccountId{project}, .parent = kRootAccount, .kind = "project"};
    account.name = "p" + std::to_string(project);
    account.version = 2;
    if (project == 5) account.settings.rule = ProjectRule::kShortest;
    changes.accounts.push_back({.account = account, .reason = "test"});
  }
  for (std::int64_t id = 1; id <= 4; ++id) {
    Job job;
    job.ref = {JobId{id}, kNoElement};
    job.user = UserId{3};
    JobSpec spec;
    spec.project = AccountId{id == 2 ? 6 : 5};
    spec.name = "job" + std::to_string(id);
    spec.shape = {.nodes = 2, .gpus_per_node = 4, .gpu_type = "h200"};
    job.spec = std::make_shared<const JobSpec>(spec);
    job.state = JobState::kSucceeded;
    changes.jobs.push_back(job);
    Attempt attempt;
    attempt.ref = {job.ref, 1};
    attempt.state = AttemptState::kEnded;
    attempt.outcome = id == 3 ? AttemptOutcome::kFailed : AttemptOutcome::kSucceeded;
    attempt.start_ms = id == 4 ? 0 : 1000;  // the last never ran
    attempt.end_ms = 9000 - id * 1000;
    changes.attempts.push_back(attempt);
  }
  const auto committed = store_.Commit(changes);
  ASSERT_TRUE(committed.has_value()) << committed.error().message;
  const auto snapshot = store_.Lead();
  ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
  ASSERT_EQ(snapshot->ended_runs.size(), 2U) << "3, then 1; not 2, of a project that is fair";
  const EndedRun& failed = snapshot->ended_runs[0];
  EXPECT_EQ(failed.name, "job3");
  EXPECT_FALSE(failed.typical);
  EXPECT_EQ(snapshot->ended_runs[1],
            (EndedRun{.project = AccountId{5},
                      .user = UserId{3},
                      .name = "job1",
                      .shape = {.nodes = 2, .gpus_per_node = 4, .gpu_type = "h200"},
                      .start_ms = 1000,
                      .end_ms = 8000,
                      .typical = true}));
}

TEST(StoreQueueTest, FullQueueAnswersResourceExhausted) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app, .queue_rows = 3}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  // Four rows never fit, however fast the committer is.
  const auto refused = SubmitNow(
      store, {MakeSubmission("a"), MakeSubmission("b"), MakeSubmission("c"), MakeSubmission("d")});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(SubmitNow(store, {MakeSubmission("a")}).has_value());
}

}  // namespace
}  // namespace kezek::postgres

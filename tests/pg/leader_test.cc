// Goal: one leader at a time; what a controller commits is what the next leader reads; a lost
// server loses nothing acknowledged and stores nothing twice. Method: two stores on one database;
// an epoch changed behind a leader's back; random changes against a model of the rows; a server of
// its own, killed while many threads submit, then every answer compared with the tables.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <tuple>

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

bool Same(const Job& a, const Job& b) {
  const auto rest = [](const Job& job) {
    return std::tie(job.ref, job.user, *job.spec, job.state, job.hold, job.pending,
                    job.submitted_ms, job.queued_since_ms, job.not_before_ms, job.ended_ms,
                    job.attempts, job.failed_runs, job.launch_failures, job.preemptions);
  };
  return rest(a) == rest(b) && a.hold_reason == b.hold_reason && a.reason == b.reason;
}

// What has been committed, kept as plainly as possible.
struct Model {
  std::map<JobRef, Job> jobs;
  std::map<AttemptRef, Attempt> attempts;
  std::map<AccountId, Account> accounts;
  std::map<UserId, User> users;
  std::map<TokenId, Token> tokens;
  std::map<std::string, Node> nodes;
  std::vector<LedgerEntry> usage;
  std::int64_t events = 0;
  std::int64_t entries = 0;
  std::int64_t version = 1;
};

Changes RandomChanges(test::RandomValues& random, Model& model) {
  Changes changes;
  for (auto i = random.Int(0, 3); i > 0; --i) {
    const JobRef ref{JobId{random.Int(1, 6)}, static_cast<std::int32_t>(random.Int(-1, 2))};
    const Job& job = model.jobs[ref] = random.JobRow(ref);
    if (std::ranges::none_of(changes.jobs, [&](const Job& other) { return other.ref == ref; })) {
      changes.jobs.push_back(job);
    }
  }
  for (Job& job : changes.jobs) job = model.jobs[job.ref];
  for (const Job& job : changes.jobs) {
    const AttemptRef ref{job.ref, static_cast<std::int32_t>(random.Int(1, 2))};
    const auto state = random.Chance(70) ? AttemptState::kRunning : AttemptState::kEnded;
    changes.attempts.push_back(model.attempts[ref] = random.AttemptRow(ref, state));
  }
  for (auto i = random.Int(0, 2); i > 0; --i) {
    changes.events.push_back(random.EventRow());
    ++model.events;
    changes.ledger.push_back(random.Entry());
    LedgerEntry entry = changes.ledger.back();
    entry.seq = ++model.entries;
    if (entry.book == Book::kUsage) model.usage.push_back(entry);
  }
  if (random.Chance(40)) {
    const AccountId id{random.Int(2, 4)};
    Account account{.id = id, .parent = kRootAccount, .name = "a" + std::to_string(id.value)};
    account.kind = random.Text();
    account.attributes = {{"country", random.Text()}};
    account.closed = random.Chance(20);
    account.version = ++model.version;
    account.settings = random.Settings();
    changes.accounts.push_back({.account = model.accounts[id] = account,
                                .actor = UserId{random.Int(0, 3)},
                                .time_ms = random.Int(0, 1'000'000),
                                .reason = random.Text()});
  }
  if (random.Chance(40)) {
    const UserId id{random.Int(1, 3)};
    User user{.id = id, .name = "u" + std::to_string(id.value), .display_name = random.Text()};
    user.unix_account = random.Chance(50) ? "" : user.name;
    user.roles = {{Role::kResearcher, kRootAccount}};
    if (random.Chance(50)) user.roles.push_back({Role::kAuditor, kRootAccount});
    changes.users.push_back(model.users[id] = user);
    const TokenId token{id.value * 10 + random.Int(1, 2)};
    changes.tokens.push_back(model.tokens[token] = random.TokenRow(token, id));
  }
  const std::string node = "gpu" + std::to_string(random.Int(1, 3));
  changes.nodes.push_back(model.nodes[node] = random.NodeRow(node));
  return changes;
}

void ExpectSnapshotIs(const Snapshot& snapshot, Model model, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_EQ(snapshot.jobs.size(), model.jobs.size());
  for (const Job& job : snapshot.jobs) EXPECT_TRUE(Same(job, model.jobs[job.ref]));
  ASSERT_EQ(snapshot.attempts.size(), model.attempts.size());
  for (const Attempt& attempt : snapshot.attempts) {
    EXPECT_TRUE(attempt == model.attempts[attempt.ref]);
  }
  ASSERT_EQ(snapshot.accounts.size(), model.accounts.size() + 1);  // and the root
  for (const Account& account : snapshot.accounts) {
    const bool is_root = account.id == kRootAccount;
    EXPECT_TRUE(is_root || account == model.accounts[account.id]);
  }
  ASSERT_EQ(snapshot.users.size(), model.users.size());
  for (const User& user : snapshot.users) EXPECT_TRUE(user == model.users[user.id]);
  ASSERT_EQ(snapshot.tokens.size(), model.tokens.size());
  for (const Token& token : snapshot.tokens) EXPECT_TRUE(token == model.tokens[token.id]);
  ASSERT_EQ(snapshot.nodes.size(), model.nodes.size());
  for (const Node& node : snapshot.nodes) EXPECT_TRUE(node == model.nodes[node.name]);
  EXPECT_TRUE(snapshot.usage == model.usage);
}

TEST(SnapshotTest, IsWhatWasCommitted) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const auto database = test::FreshDatabase(test::ServerFolder());
    test::StepClock clock(1'000'000);
    PostgresStore store({.conninfo = database.app}, clock, {});
    ASSERT_TRUE(store.Lead().has_value());
    test::RandomValues random(seed);
    Model model;
    for (int step = 0; step < 25; ++step) {
      const Changes changes = RandomChanges(random, model);
      const auto committed = store.Commit(changes);
      ASSERT_TRUE(committed.has_value()) << "seed " << seed << ": " << committed.error().message;
    }
    const auto snapshot = store.Lead();
    ASSERT_TRUE(snapshot.has_value()) << "seed " << seed << ": " << snapshot.error().message;
    ExpectSnapshotIs(*snapshot, model, seed);
    for (const auto& [ref, job] : model.jobs) {
      const auto loaded = store.LoadJobs({ref, {JobId{77}, kNoElement}});
      ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
      ASSERT_EQ(loaded->size(), 1U);
      EXPECT_TRUE(Same(loaded->at(0), job)) << "seed " << seed;
    }
    if (HasFailure()) return;
  }
}

TEST(SnapshotTest, LeavesOutWhatIsFinalAndSettled) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  test::RandomValues random(7);
  Changes changes;
  for (std::int64_t id = 1; id <= 3; ++id) {
    Job job = random.JobRow({JobId{id}, kNoElement});
    JobSpec spec;
    if (id == 3) spec.dependencies = {{DependencyKind::kAfterOk, {JobId{2}, kNoElement}}};
    job.spec = std::make_shared<const JobSpec>(spec);
    job.state = id == 3 ? JobState::kQueued : JobState::kSucceeded;
    changes.jobs.push_back(job);
    changes.attempts.push_back(random.AttemptRow({job.ref, 1}, AttemptState::kEnded));
  }
  changes.attempts[2].start_ms = 0;  // never started: nothing to charge
  LedgerEntry settlement = random.Entry();
  settlement.book = Book::kCharge;
  settlement.kind = EntryKind::kSettlement;
  settlement.attempt = changes.attempts[0].ref;
  changes.ledger.push_back(settlement);
  ASSERT_TRUE(store.Commit(changes).has_value());
  const auto snapshot = store.Lead();
  ASSERT_TRUE(snapshot.has_value());
  ASSERT_EQ(snapshot->jobs.size(), 2U);  // 1 is final, 2 is waited for
  EXPECT_EQ(snapshot->jobs[0].ref.id, JobId{2});
  ASSERT_EQ(snapshot->attempts.size(), 1U);  // 1 is settled, 3 never started
  EXPECT_EQ(snapshot->attempts[0].ref.job.id, JobId{2});
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

}  // namespace
}  // namespace kezek::postgres

// Goal: readers find what was committed, filtered, ordered and paged as asked, with charges that
// are the ledger's sums. Method: random jobs on a real server; every listing compared with the same
// filter and sort applied to the rows in memory; pages joined must equal the whole.

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <pqxx/pqxx>
#include <span>

#include "postgres/read_pool.h"
#include "tests/pg/store_fixture.h"
#include "tests/support/random_values.h"

namespace kezek::postgres {
namespace {

class ReaderTest : public testing::Test {
 protected:
  ReaderTest() { EXPECT_TRUE(store_.Lead().has_value()); }

  // Runs a read on the pool and waits for it.
  template <class Call>
  auto Ask(Call call) {
    using Answer = decltype(call(std::declval<Reader&>()));
    std::promise<Answer> promise;
    pool_.Read([&](Reader& reader) { promise.set_value(call(reader)); });
    return promise.get_future().get();
  }

  std::vector<JobRef> List(const JobQuery& query) {
    const auto records = Ask([&](Reader& reader) { return reader.ListJobs(query); });
    EXPECT_TRUE(records.has_value()) << records.error().message;
    std::vector<JobRef> refs;
    if (records) {
      for (const JobRecord& record : *records) refs.push_back(record.job.ref);
    }
    return refs;
  }

  Job MakeJob(JobRef ref, JobState state, const std::string& name) {
    JobSpec spec;
    spec.name = name;
    spec.project = AccountId{ref.id.value % 3 + 10};
    spec.job_class = ref.id.value % 2 == 0 ? "normal" : "debug";
    Job job;
    job.ref = ref;
    job.user = UserId{ref.id.value % 4 + 1};
    job.spec = std::make_shared<const JobSpec>(spec);
    job.state = state;
    job.submitted_ms = 1000 * ref.id.value;
    if (IsFinal(state)) job.ended_ms = 100'000 - ref.id.value % 5;
    return job;
  }

  void Commit(const Changes& changes) {
    const auto committed = store_.Commit(changes);
    ASSERT_TRUE(committed.has_value()) << committed.error().message;
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  PostgresStore store_{{.conninfo = database_.app}, clock_, {}};
  ReadPool pool_{{.conninfo = database_.app, .threads = 2}, clock_};
};

bool Matches(const Job& job, const JobQuery& query) {
  const auto has = [](const auto& list, const auto& value) {
    return list.empty() || std::ranges::find(list, value) != list.end();
  };
  return has(query.states, job.state) && has(query.users, job.user) &&
         has(query.projects, job.spec->project) && has(query.classes, job.spec->job_class) &&
         (query.elements || job.ref.element == kNoElement) &&
         job.submitted_ms >= query.submitted_since_ms &&
         (query.submitted_until_ms == 0 || job.submitted_ms < query.submitted_until_ms);
}

std::vector<JobRef> Expected(const std::vector<Job>& jobs, const JobQuery& query) {
  std::vector<JobRef> found;
  for (const Job& job : jobs) {
    if (Matches(job, query)) found.push_back(job.ref);
  }
  std::ranges::sort(found);
  if (query.order != JobQuery::Order::kIdAscending) std::ranges::reverse(found);
  return found;
}

TEST_F(ReaderTest, ListingsEqualTheModelAndPagesTheWhole) {
  test::RandomValues random(5);
  Changes changes;
  for (std::int64_t id = 1; id <= 40; ++id) {
    for (std::int32_t element = -1; element < (id % 10 == 0 ? 3 : 0); ++element) {
      const auto state = static_cast<JobState>(random.Int(0, 6));
      changes.jobs.push_back(MakeJob({JobId{id}, element}, state, "job-" + std::to_string(id)));
    }
  }
  Commit(changes);
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    test::RandomValues choose(seed);
    JobQuery query;
    query.order = static_cast<JobQuery::Order>(choose.Int(0, 1));
    query.elements = choose.Chance(50);
    if (choose.Chance(50)) query.states = {JobState::kQueued, JobState::kFailed};
    if (choose.Chance(30)) query.users = {UserId{2}, UserId{3}};
    if (choose.Chance(30)) query.projects = {AccountId{11}};
    if (choose.Chance(30)) query.classes = {"debug"};
    if (choose.Chance(30)) query.submitted_since_ms = 5'000;
    if (choose.Chance(30)) query.submitted_until_ms = 30'000;
    const auto expected = Expected(changes.jobs, query);
    EXPECT_EQ(List(query), expected) << "seed " << seed;
    query.limit = static_cast<std::int32_t>(choose.Int(1, 7));
    std::vector<JobRef> paged;
    for (auto page = List(query); !page.empty(); page = List(query)) {
      paged.insert(paged.end(), page.begin(), page.end());
      query.after = page.back();
      ASSERT_LE(paged.size(), expected.size()) << "seed " << seed;
    }
    EXPECT_EQ(paged, expected) << "seed " << seed;
  }
}

TEST_F(ReaderTest, FindsByRef) {
  const JobRef one{JobId{1}, kNoElement};
  const JobRef two{JobId{2}, kNoElement};
  Changes changes;
  for (const JobRef& ref : {one, two, JobRef{JobId{2}, 0}, JobRef{JobId{2}, 1}}) {
    changes.jobs.push_back(MakeJob(ref, JobState::kRunning, "train"));
  }
  Commit(changes);
  using Refs = std::vector<JobRef>;
  EXPECT_EQ(List({.refs = {two}}), (Refs{two, {JobId{2}, 0}, {JobId{2}, 1}}));
  EXPECT_EQ(List({.refs = {{JobId{2}, 1}, one}}), (Refs{one, {JobId{2}, 1}}));
  EXPECT_EQ(List({.refs = {{JobId{2}, 1}, {JobId{1}, 1}}}), (Refs{{JobId{2}, 1}}));
}

TEST_F(ReaderTest, ShowsAnArrayWithElementsChargesAndAttempts) {
  Changes changes;
  Job array = MakeJob({JobId{1}, kNoElement}, JobState::kQueued, "wildfire");
  JobSpec spec = *array.spec;
  spec.array = ArraySpec{{{0, 9, 1}, {20, 28, 4}}, 0};  // 13 elements
  array.spec = std::make_shared<const JobSpec>(spec);
  array.pending = {{2, 5, 1}};
  changes.jobs = {array, MakeJob({JobId{1}, 0}, JobState::kRunning, "wildfire"),
                  MakeJob({JobId{1}, 1}, JobState::kSucceeded, "wildfire")};
  test::RandomValues random(4);
  for (std::int32_t number = 1; number <= 2; ++number) {
    const JobRef element{JobId{1}, 1};
    changes.attempts.push_back(random.AttemptRow({element, number}, AttemptState::kEnded));
    LedgerEntry entry = random.Entry();
    entry.book = Book::kCharge;
    entry.kind = number == 1 ? EntryKind::kSettlement : EntryKind::kRefund;
    entry.attempt = {element, number};
    entry.amount = number == 1 ? 1000 : -250;
    changes.ledger.push_back(entry);
    LedgerEntry hold = entry;  // in no charge
    hold.book = Book::kBudget;
    hold.kind = EntryKind::kGrant;
    hold.budget = {AccountId{1}, "2026"};
    hold.contra = "grants";
    hold.pot = Pot::kLeft;
    hold.amount = 5;
    changes.ledger.push_back(hold);
    entry.kind = EntryKind::kCorrection;  // beyond what was held: the operator's
    entry.contra = "overrun";
    entry.amount = -100 * number;
    changes.ledger.push_back(entry);
  }
  for (const std::int32_t of : {kNoElement, 1, 0}) {
    Event event = random.EventRow();
    event.subject = Subject::kJob;
    event.job = {JobId{1}, of};
    changes.events.push_back(event);
  }
  Commit(changes);
  const auto shown = Ask([](Reader& reader) { return reader.GetJob({JobId{1}, kNoElement}); });
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
  EXPECT_TRUE(shown->charged.empty());
  EXPECT_EQ(shown->elements, (std::map<JobState, std::int64_t>{{JobState::kQueued, 4},
                                                               {JobState::kRunning, 1},
                                                               {JobState::kSucceeded, 1},
                                                               {JobState::kCancelled, 7}}));
  const auto element = Ask([](Reader& reader) { return reader.GetJob({JobId{1}, 1}); });
  ASSERT_TRUE(element.has_value()) << element.error().message;
  EXPECT_EQ(element->charged, (std::map<std::int32_t, MilliGpuMs>{{1, 900}, {2, -450}}));
  EXPECT_EQ(element->refunded, (std::map<std::int32_t, MilliGpuMs>{{2, 250}}));
  EXPECT_EQ(shown->last_seq, element->last_seq + 1) << "an array's last event may be an element's";
  EXPECT_TRUE(element->attempts == changes.attempts);
  const auto listed = Ask([](Reader& reader) {
    return reader.ListJobs({.refs = {{JobId{1}, 1}}});
  });
  ASSERT_TRUE(listed.has_value());
  ASSERT_EQ(listed->at(0).attempts.size(), 1U);
  EXPECT_EQ(listed->at(0).attempts[0].ref.number, 2);
  const auto ledger = Ask([](Reader& reader) { return reader.Ledger({JobId{1}, kNoElement}); });
  ASSERT_TRUE(ledger.has_value());
  EXPECT_EQ(ledger->size(), 6U);
}

TEST_F(ReaderTest, EventsScriptsAndKeys) {
  ASSERT_TRUE(SubmitNow(store_, {MakeSubmission("k1", 9), MakeSubmission("k2")}).has_value());
  const auto events = Ask([](Reader& reader) { return reader.Events(1, 10); });
  ASSERT_TRUE(events.has_value());
  ASSERT_EQ(events->size(), 1U);
  EXPECT_EQ(events->at(0).job.id, JobId{2});
  EXPECT_EQ(*Ask([](Reader& reader) { return reader.LastEventSeq(); }), 2);
  const auto own = Ask([](Reader& reader) { return reader.JobEvents({{JobId{1}, kNoElement}}); });
  ASSERT_EQ(own->size(), 1U);
  EXPECT_EQ(own->at(0).reason.code, ReasonCode::kSubmitted);
  EXPECT_EQ(*Ask([](Reader& reader) { return reader.GetScript(JobId{1}); }),
            "#!/bin/bash\necho k1\n");
  const auto known = Ask([](Reader& reader) { return reader.FindKey(UserId{3}, "k1"); });
  ASSERT_TRUE(known.has_value() && known->has_value());
  EXPECT_EQ((*known)->id, JobId{1});
  EXPECT_EQ((*known)->request_hash[0], 9);
  EXPECT_FALSE(Ask([](Reader& reader) { return reader.FindKey(UserId{4}, "k1"); })->has_value());
  clock_.Set(clock_.Now() + 7 * kDayMs + 10);
  EXPECT_FALSE(Ask([](Reader& reader) { return reader.FindKey(UserId{3}, "k1"); })->has_value());
  const auto missing = Ask([](Reader& reader) { return reader.GetJob({JobId{9}, kNoElement}); });
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(Ask([](Reader& reader) { return reader.GetScript(JobId{9}); }).error().code,
            Code::kNotFound);
}

TEST_F(ReaderTest, LostConnectionsAreReplaced) {
  ASSERT_TRUE(Ask([](Reader& reader) { return reader.LastEventSeq(); }).has_value());
  test::Sql(database_.admin,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'kezekd-reader' and datname = current_database()");
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(Ask([](Reader& reader) { return reader.LastEventSeq(); }).has_value());
  }
}

TEST_F(ReaderTest, WhatTakesTooLongSaysSoAndTheWayOut) {
  pqxx::connection other(database_.admin);
  pqxx::work keeps_away(other);
  keeps_away.exec("lock table kezek.events in access exclusive mode");
  std::promise<Result<std::int64_t>> promise;
  ReadPool hasty({.conninfo = database_.app, .threads = 1, .statement_timeout_ms = 50}, clock_);
  hasty.Read([&](Reader& reader) { promise.set_value(reader.LastEventSeq()); });
  const auto answer = promise.get_future().get();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(answer.error()), "READ_TOO_LONG");
  EXPECT_EQ(answer.error().message,
            "the database was given 1 s for it: ask for a shorter time, or for fewer accounts");
  keeps_away.commit();
  EXPECT_TRUE(Ask([](Reader& reader) { return reader.LastEventSeq(); }).has_value());
}

TEST(ReadPoolTest, WithoutADatabaseItIsUnavailable) {
  test::StepClock clock;
  std::promise<Result<std::int64_t>> promise;
  ReadPool pool({.conninfo = "host=127.0.0.1 port=1 user=kezek_app dbname=x", .threads = 1}, clock);
  pool.Read([&](Reader& reader) { promise.set_value(reader.LastEventSeq()); });
  EXPECT_EQ(promise.get_future().get().error().code, Code::kUnavailable);
}

TEST_F(ReaderTest, TheHistoryOfAccountsIsKeptWhole) {
  const auto version = [](std::int64_t id, std::int64_t parent, const std::string& name,
                          std::int64_t number, std::int64_t actor) {
    Account account{.id = AccountId{id}, .parent = AccountId{parent}, .name = name};
    account.kind = parent == 1 ? "sector" : "project";
    account.version = number;
    account.attributes = {{"country", "KZ"}};
    account.closed = number == 4;
    account.settings.shares["h200"].weight_milli = 1000 * number;
    return AccountVersion{account, UserId{actor}, 100 * number, "order " + std::to_string(number)};
  };
  const std::vector<AccountVersion> rows = {
      version(2, 1, "a", 2, 5), version(3, 1, "b", 2, 5), version(4, 2, "p", 2, 5),
      version(2, 1, "b", 3, 6), version(3, 1, "a", 3, 6),  // they exchange their names
      version(4, 3, "p", 4, 5), version(4, 3, "q", 5, 6),  // twice in one commit
  };
  Changes first;
  first.accounts = {rows[0], rows[1], rows[2]};
  Commit(first);
  Changes second;
  second.accounts = {rows[3], rows[4]};
  Commit(second);
  Changes third;
  third.accounts = {rows[5], rows[6]};
  Commit(third);
  const auto history = Ask([](Reader& reader) { return reader.AccountHistory(); });
  ASSERT_TRUE(history.has_value()) << history.error().message;
  ASSERT_EQ(history->size(), rows.size() + 1);  // and the root's
  EXPECT_EQ(history->front().account.id, kRootAccount);
  EXPECT_TRUE(std::ranges::equal(rows, std::span(*history).subspan(1)));
  const auto snapshot = store_.Lead();
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_TRUE(snapshot->accounts.back() == rows.back().account);
  const std::vector<AccountPlace> places = {{AccountId{4}, 2, AccountId{2}},
                                            {AccountId{4}, 4, AccountId{3}},
                                            {AccountId{4}, 5, AccountId{3}}};
  EXPECT_TRUE(snapshot->places == places);
}

TEST_F(ReaderTest, CountsOverridesByProjectKindAndTime) {
  static constexpr AccountId kSeven = {7};
  const auto event = [](TimeMs time, const char* kind) {
    Event one;
    one.time_ms = time;
    one.job = {JobId{1}};
    one.project = kSeven;
    one.reason = {ReasonCode::kUpdated, {{"field", "settings"}, {"text", "override"}}};
    if (*kind != 0) one.reason.fields[kOverrideField] = kind;
    one.actor = "root@kezek";
    return one;
  };
  Changes changes;
  changes.events = {event(100, "hold"), event(200, "limit"), event(300, ""), event(300, "hold"),
                    event(400, "hold")};
  Commit(changes);
  using Counts = std::vector<OverrideCount>;
  const auto between = [this](TimeMs since, TimeMs until) {
    const auto counts = Ask([&](Reader& reader) { return reader.Overrides(since, until); });
    EXPECT_TRUE(counts.has_value()) << counts.error().message;
    return counts ? *counts : Counts{};
  };
  EXPECT_EQ(between(0, 0), (Counts{{kSeven, "hold", 3}, {kSeven, "limit", 1}}));
  EXPECT_EQ(between(200, 400), (Counts{{kSeven, "hold", 1}, {kSeven, "limit", 1}}))
      << "the end is not in it";
  EXPECT_EQ(between(401, 0), Counts());
}

TEST_F(ReaderTest, RoleChangesAreThoseOfUsersInTheirTime) {
  Changes changes;
  const auto add = [&](Subject subject, TimeMs time_ms, const char* field) {
    Event& event = changes.events.emplace_back();
    event.time_ms = time_ms;
    event.subject = subject;
    event.name = "u1";
    event.actor = "root";
    event.reason = {ReasonCode::kUpdated, {{"field", field}, {"to", "auditor"}}};
  };
  add(Subject::kUser, 100, "settings");
  add(Subject::kUser, 200, "roles");
  add(Subject::kAccount, 250, "roles");
  add(Subject::kUser, 300, "roles");
  Commit(changes);
  const auto times = [this](TimeMs since, TimeMs until) {
    std::vector<TimeMs> found;
    const auto events = Ask([&](Reader& reader) { return reader.RoleChanges(since, until); });
    EXPECT_TRUE(events.has_value());
    for (const Event& event : *events) {
      EXPECT_EQ(event.actor, "root");
      EXPECT_EQ(event.reason.fields.at("to"), "auditor");
      found.push_back(event.time_ms);
    }
    return found;
  };
  EXPECT_EQ(times(0, 0), (std::vector<TimeMs>{200, 300}));
  EXPECT_EQ(times(201, 0), std::vector<TimeMs>{300});
  EXPECT_EQ(times(0, 300), std::vector<TimeMs>{200});
}

}  // namespace
}  // namespace kezek::postgres

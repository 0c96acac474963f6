// Goal: what the database sums up for reports is what the rows say: groups add up to the total,
// percentiles are those of the waits, hours grow, are put together to days, and come back whole.
// Method: a real server; rows committed as the controller commits them, then the reader's answers
// against figures added up here.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <future>
#include <set>

#include "postgres/read_pool.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

constexpr AccountId kNlp{4};
constexpr AccountId kBot{8};
constexpr TimeMs kDay = 1'795'219'200'000;  // 2026-11-21 00:00 UTC

struct Run {
  std::int64_t id = 0;
  AccountId project = kNlp;
  UserId user{1};
  std::string job_class = "normal";
  std::string gpu_type = "h200";
  JobKind kind = JobKind::kBatch;
  TimeMs submitted_ms = kDay;
  DurationMs wait_ms = 0;
  DurationMs ran_ms = kHourMs;
  JobState state = JobState::kSucceeded;
  AttemptOutcome outcome = AttemptOutcome::kSucceeded;
  MilliGpuMs charged = 0;
  MilliGpuMs refunded = 0;
};

void Add(const Run& run, Changes& changes) {
  JobSpec spec;
  spec.project = run.project;
  spec.job_class = run.job_class;
  spec.kind = run.kind;
  spec.shape.gpu_type = run.gpu_type;
  Job job;
  job.ref = {JobId{run.id}, kNoElement};
  job.user = run.user;
  job.spec = std::make_shared<const JobSpec>(spec);
  job.state = run.state;
  job.submitted_ms = run.submitted_ms;
  job.started_ms = run.submitted_ms + run.wait_ms;
  job.ended_ms = job.started_ms + run.ran_ms;
  job.attempts = 1;
  Attempt attempt;
  attempt.ref = {job.ref, 1};
  attempt.state = AttemptState::kEnded;
  attempt.outcome = run.outcome;
  attempt.start_ms = job.started_ms;
  attempt.end_ms = job.ended_ms;
  attempt.counted_milli = 2000;
  LedgerEntry entry;
  entry.time_ms = job.ended_ms;
  entry.attempt = attempt.ref;
  entry.project = run.project;
  entry.user = run.user;
  entry.contra = "machine";
  entry.job_class = run.job_class;
  entry.gpu_type = run.gpu_type;
  entry.amount = run.charged;
  changes.jobs.push_back(job);
  changes.attempts.push_back(attempt);
  changes.ledger.push_back(entry);
  if (run.refunded == 0) return;
  entry.kind = EntryKind::kRefund;
  entry.amount = -run.refunded;
  changes.ledger.push_back(entry);
}

class ReportTest : public testing::Test {
 protected:
  ReportTest() { EXPECT_TRUE(store_.Lead().has_value()); }

  // Entries in the order of their times, as the controller books them.
  void Commit(Changes changes) {
    std::ranges::stable_sort(changes.ledger, {}, &LedgerEntry::time_ms);
    const auto done = store_.Commit(changes);
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  template <class T>
  T Ask(const std::function<Result<T>(Reader&)>& ask) {
    std::promise<Result<T>> promise;
    auto future = promise.get_future();
    pool_.Read([&](Reader& reader) { promise.set_value(ask(reader)); });
    Result<T> answer = future.get();
    EXPECT_TRUE(answer.has_value()) << answer.error().message;
    return answer ? *answer : T();
  }
  ReportFigures Report(const ReportQuery& query) {
    return Ask<ReportFigures>([&](Reader& reader) { return reader.Report(query); });
  }
  std::vector<HistoryRow> History(const HistoryQuery& query) {
    return Ask<std::vector<HistoryRow>>([&](Reader& reader) { return reader.History(query); });
  }
  static ReportQuery Both() {
    ReportQuery query;
    query.projects = {{kNlp, 0}, {kBot, 1}};
    query.since_ms = kDay;
    query.until_ms = kDay + 3 * kDayMs;
    return query;
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  PostgresStore store_{{.conninfo = database_.app}, clock_, {}};
  ReadPool pool_{{.conninfo = database_.app, .threads = 1}, clock_};
};

TEST_F(ReportTest, GroupsAddUpToTheTotal) {
  Changes changes;
  Add({.id = 1, .wait_ms = 60'000, .charged = 100}, changes);
  Add({.id = 2, .user = UserId{2}, .kind = JobKind::kTraining, .wait_ms = 30'000, .charged = 50},
      changes);
  Add({.id = 3,
       .project = kBot,
       .job_class = "debug",
       .gpu_type = "a100",
       .submitted_ms = kDay + kDayMs,
       .ran_ms = 90'500,
       .state = JobState::kFailed,
       .outcome = AttemptOutcome::kNodeFailed,
       .charged = 7,
       .refunded = 7},
      changes);
  Add({.id = 4, .project = AccountId{99}, .charged = 1000}, changes);
  Commit(changes);
  const ReportFigures all = Report(Both());
  ASSERT_EQ(all.rows.size(), 2U);
  ReportKey nlp;
  const ReportSums& sums = all.rows.at(nlp);
  EXPECT_EQ(sums.jobs, 2);
  EXPECT_EQ(sums.charged, 150);
  EXPECT_EQ(sums.used, 2 * 2000 * kHourMs);
  EXPECT_EQ(sums.waits.jobs, 2);
  EXPECT_EQ(sums.waits.sum_ms, 90'000);
  ReportKey bot;
  bot.group = 1;
  const ReportSums& failed = all.rows.at(bot);
  EXPECT_EQ(failed.failed, 1);
  EXPECT_EQ(failed.charged, 7);
  EXPECT_EQ(failed.refunded, 7);
  EXPECT_EQ(failed.used, 2000 * 90'000) << "whole seconds";
  EXPECT_EQ(failed.lost, 2000 * 90'000);
  EXPECT_EQ(all.waits.jobs, 3);
  EXPECT_EQ(all.waits.p50_ms, 30'000) << "of 0, 30, 60 seconds";
  EXPECT_EQ(all.waits.p95_ms, 60'000);
  EXPECT_EQ(all.first_ledger_seq, 1);
  EXPECT_EQ(all.last_ledger_seq, 5);

  ReportQuery fine = Both();
  fine.by_user = fine.by_class = fine.by_gpu_type = fine.by_kind = true;
  fine.period = ReportPeriod::kDay;
  ReportSums total;
  std::set<std::string> days;
  for (const auto& [key, row] : Report(fine).rows) {
    total.jobs += row.jobs;
    total.charged += row.charged;
    total.used += row.used;
    total.waits.jobs += row.waits.jobs;
    days.insert(key.period);
  }
  EXPECT_EQ(Report(fine).rows.size(), 3U);
  EXPECT_EQ(total.jobs, 3);
  EXPECT_EQ(total.charged, 157);
  EXPECT_EQ(total.used, sums.used + failed.used);
  EXPECT_EQ(total.waits.jobs, 3);
  EXPECT_EQ(days, (std::set<std::string>{"2026-11-21", "2026-11-22"}));
  EXPECT_EQ(Report(fine).waits, all.waits);

  ReportQuery typed = Both();
  typed.gpu_type = "a100";
  EXPECT_EQ(Report(typed).rows.size(), 1U);
  ReportQuery early = Both();
  early.until_ms = kDay + kDayMs;
  EXPECT_EQ(Report(early).rows.size(), 1U);
}

TEST_F(ReportTest, LeavesOutWhatWasBookedAfterAnEntry) {
  Changes changes;
  Add({.id = 1, .outcome = AttemptOutcome::kPreempted, .charged = 100}, changes);
  Commit(changes);
  const ReportFigures before = Report(Both());
  EXPECT_EQ(before.last_ledger_seq, 1);
  changes = {};
  Add({.id = 2, .outcome = AttemptOutcome::kNodeFailed, .charged = 50, .refunded = 50}, changes);
  LedgerEntry grant;
  grant.time_ms = kDay;
  grant.book = Book::kBudget;
  grant.kind = EntryKind::kGrant;
  grant.project = kNlp;
  grant.budget = {kNlp, "2026-q4"};
  grant.contra = "grants";
  grant.pot = Pot::kLeft;
  grant.amount = 90;
  LedgerEntry expiry = grant;
  expiry.kind = EntryKind::kExpiry;
  expiry.contra = "left";
  expiry.pot = Pot::kExpired;
  expiry.amount = 70;
  changes.ledger.push_back(grant);
  changes.ledger.push_back(expiry);
  Commit(changes);
  ReportKey nlp;
  const ReportSums now = Report(Both()).rows.at(nlp);
  EXPECT_EQ(now.charged, 150);
  EXPECT_EQ(now.lost, 2 * 2000 * kHourMs);
  EXPECT_EQ(now.expired, 70) << "of what was granted";
  ReportQuery past = Both();
  past.last_ledger_seq = before.last_ledger_seq;
  const ReportFigures again = Report(past);
  EXPECT_EQ(again.last_ledger_seq, before.last_ledger_seq);
  for (const auto member : {&ReportSums::charged, &ReportSums::refunded, &ReportSums::used,
                            &ReportSums::lost, &ReportSums::expired}) {
    EXPECT_EQ(again.rows.at(nlp).*member, before.rows.at(nlp).*member);
  }
  ReportQuery by_user = Both();
  by_user.by_user = true;
  for (const auto& [key, sums] : Report(by_user).rows) EXPECT_EQ(sums.expired, 0);
}

TEST_F(ReportTest, PercentilesAreWaitsThatWere) {
  Changes changes;
  for (std::int64_t i = 1; i <= 100; ++i) Add({.id = i, .wait_ms = (101 - i) * 1000}, changes);
  Commit(changes);
  const WaitSums waits = Report(Both()).waits;
  EXPECT_EQ(waits.jobs, 100);
  EXPECT_EQ(waits.p50_ms, 50'000);
  EXPECT_EQ(waits.p95_ms, 95'000);
  EXPECT_EQ(waits.max_ms, 100'000);
  ReportQuery nothing = Both();
  nothing.since_ms = nothing.until_ms - 1;
  EXPECT_EQ(Report(nothing).waits, WaitSums{});
}

AccountHour Hour(TimeMs from, AccountId account, std::int64_t base) {
  AccountHour hour{account, "h200", from, {}};
  for (const auto member : kAccountFigures) hour.figures.*member = ++base;
  hour.versions = {base, base + 1};
  return hour;
}

TEST_F(ReportTest, HoursGrowAndArePutTogetherWithoutLoss) {
  Changes changes;
  changes.history.hours = {Hour(kDay, kNlp, 100), Hour(kDay + kHourMs, kNlp, 200),
                           Hour(kDay, kBot, 300)};
  changes.history.until_ms = kDay + kHourMs + 5;
  Commit(changes);
  changes.history.hours = {Hour(kDay + kHourMs, kNlp, 1000), Hour(kDay + kDayMs, kNlp, 5)};
  changes.history.until_ms = kDay + kDayMs + 7;
  Commit(changes);
  const auto snapshot = store_.Lead();
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->history_until_ms, kDay + kDayMs + 7);
  const auto kept = [this] {
    return Ask<HistoryKept>([](Reader& reader) { return reader.Kept(); });
  };
  EXPECT_EQ(kept(), (HistoryKept{kDay + kDayMs + 7, 0}));
  const HistoryQuery query{.accounts = {kNlp, kBot},
                           .since_ms = kDay,
                           .until_ms = kDay + 2 * kDayMs,
                           .period = ReportPeriod::kDay};
  const std::vector<HistoryRow> before = History(query);
  ASSERT_EQ(before.size(), 3U);
  EXPECT_EQ(before[0].account, kNlp);
  EXPECT_EQ(before[0].period, "2026-11-21");
  EXPECT_EQ(before[0].figures.due, 101 + 201 + 1001);
  EXPECT_EQ(before[0].figures.away, 112 + 212 + 1012);
  EXPECT_EQ(before[0].figures.apart, 113 + 213 + 1013);
  EXPECT_EQ(before[0].versions, (VersionRange{113, 1014})) << "first and last of those ticks";
  const std::string rows = "select count(*) from account_hours";
  EXPECT_EQ(test::Sql(database_.admin, rows).at(0), "4");
  changes = {};
  changes.history.to_days_before_ms = kDay + kDayMs;
  for (int again = 0; again < 2; ++again) {
    Commit(changes);
    EXPECT_EQ(test::Sql(database_.admin, rows).at(0), "3");
    EXPECT_EQ(History(query), before);
  }
  EXPECT_EQ(kept().days_before_ms, kDay + kDayMs);
  HistoryQuery half = query;
  half.until_ms = kDay + kDayMs + kHourMs - 1;
  EXPECT_EQ(History(half).size(), 2U) << "only hours that lie in it as a whole";
  HistoryQuery one = query;
  one.accounts = {kBot};
  one.period = ReportPeriod::kNone;
  EXPECT_EQ(History(one).size(), 1U);
  one.gpu_type = "a100";
  EXPECT_TRUE(History(one).empty());
}

}  // namespace
}  // namespace kezek::postgres

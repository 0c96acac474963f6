// Goal: a listing of events finds what it is asked for, page by page, either way round, and asks no
// more of the database than it must. Method: events of all kinds on a real server, each listing
// compared with the same filter applied in memory; the plan of what admins ask most.

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <string>
#include <vector>

#include "postgres/event_query.h"
#include "postgres/read_pool.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

class EventListTest : public testing::Test {
 protected:
  EventListTest() { EXPECT_TRUE(store_.Lead().has_value()); }

  Result<std::vector<Event>> List(const EventQuery& query) {
    std::promise<Result<std::vector<Event>>> promise;
    pool_.Read([&](Reader& reader) { promise.set_value(reader.ListEvents(query)); });
    return promise.get_future().get();
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  PostgresStore store_{{.conninfo = database_.app}, clock_, {}};
  ReadPool pool_{{.conninfo = database_.app, .threads = 1}, clock_};
};

// An event that is the n-th: every fifth of a job, else of something else.
Event NthEvent(std::int64_t n) {
  Event event;
  event.time_ms = 1000 * (n / 3);  // several at a time
  event.subject = static_cast<Subject>(n % 6);
  if (event.subject == Subject::kJob) {
    event.job = {JobId{n % 4 + 1}, static_cast<std::int32_t>(n % 3) - 1};
  } else {
    event.name = "x" + std::to_string(n % 5);
  }
  event.project = AccountId{n % 7 + 1};
  event.user = UserId{1};
  event.reason = {n % 2 == 0 ? ReasonCode::kUpdated : ReasonCode::kWarning, {}};
  event.actor = n % 4 == 0 ? "kezek" : "root@kezek";
  return event;
}

bool IsWanted(const EventQuery& query, const Event& event) {
  const auto among = [](const auto& all, const auto& one) {
    return std::ranges::find(all, one) != all.end();
  };
  const bool other = event.subject != Subject::kJob && event.subject != Subject::kAccount;
  const bool about =
      query.AboutAnything() || (other && !query.name.empty() && event.name == query.name) ||
      (event.subject == Subject::kAccount && among(query.accounts, event.project)) ||
      (event.subject == Subject::kJob && query.job && event.job.id == query.job->id &&
       (query.job->element == kNoElement || query.job->element == event.job.element));
  return about && (query.subjects.empty() || query.subjects.contains(event.subject)) &&
         (!query.within || among(*query.within, event.project)) &&
         (query.actor.empty() || query.actor == event.actor) &&
         (query.reasons.empty() || query.reasons.contains(event.reason.code)) &&
         event.time_ms >= query.since_ms && (query.until_ms == 0 || event.time_ms < query.until_ms);
}

TEST_F(EventListTest, EventsAreFoundByWhatTheyAreAboutWhoDidThemAndWhen) {
  Changes changes;
  for (std::int64_t n = 0; n < 300; ++n) changes.events.push_back(NthEvent(n));
  ASSERT_TRUE(store_.Commit(changes).has_value());
  std::vector<EventQuery> queries(1);
  queries.push_back({.subjects = {Subject::kNode, Subject::kAccount}});
  queries.push_back({.subjects = {Subject::kJob, Subject::kNode}, .name = "x3"});
  queries.push_back({.name = "x2"});
  queries.push_back({.job = JobRef{JobId{1}, kNoElement}});
  queries.push_back({.job = JobRef{JobId{3}, 1}});
  queries.push_back(
      {.name = "x1", .job = JobRef{JobId{3}, kNoElement}, .accounts = {AccountId{2}}});
  queries.push_back({.subjects = {Subject::kAccount}, .accounts = {AccountId{1}, AccountId{4}}});
  queries.push_back({.within = std::vector<AccountId>{AccountId{3}, AccountId{5}}});
  queries.push_back({.within = std::vector<AccountId>{}});
  queries.push_back({.actor = "kezek", .reasons = {ReasonCode::kUpdated}});
  queries.push_back({.since_ms = 20'000, .until_ms = 31'000});
  queries.push_back({.since_ms = 20'500});
  queries.push_back({.until_ms = 1});
  queries.push_back({.since_ms = 1'000'000});
  for (std::size_t i = 0; i < queries.size(); ++i) {
    EventQuery query = queries[i];
    std::vector<std::int64_t> expected;
    for (std::int64_t n = 0; n < 300; ++n) {
      if (IsWanted(query, NthEvent(n))) expected.push_back(n + 1);
    }
    for (const bool oldest_first : {true, false}) {
      if (!oldest_first) std::ranges::reverse(expected);
      query.oldest_first = oldest_first;
      query.limit = 7;
      query.after_seq = 0;
      std::vector<std::int64_t> found;
      while (true) {
        const auto page = List(query);
        ASSERT_TRUE(page.has_value()) << page.error().message;
        for (const Event& event : *page) found.push_back(event.seq);
        if (page->size() < 7U) break;
        query.after_seq = found.back();
      }
      EXPECT_EQ(found, expected) << "query " << i;
    }
  }
}

// What admins ask most must not be a walk through the events of all jobs.
TEST_F(EventListTest, EventsOfOthersThanJobsAreFoundByTheirIndex) {
  test::Sql(
      database_.admin,
      "insert into kezek.events select n, n, case when n % 4000 = 0 then 'node' else 'job' end,"
      " 1, -1, 0, case when n % 4000 = 0 then 'n1' else '' end, 1, 1, '', '',"
      " '{\"code\": \"UPDATED\"}', 'kezek' from generate_series(1, 40000) n;"
      " analyze kezek.events");
  const Sql asked =
      EventListSql({.subjects = {Subject::kNode}, .name = "n1", .limit = 100}, {}, "e.seq");
  std::string text = "explain " + asked.text;
  for (std::size_t i = asked.params.size(); i > 0; --i) {
    const std::string param = "$" + std::to_string(i) + "::";
    for (auto at = text.find(param); at != std::string::npos; at = text.find(param)) {
      text.replace(at, param.size() - 2, "'" + asked.params[i - 1] + "'");
    }
  }
  std::string plan;
  for (const std::string& line : test::Sql(database_.admin, "set search_path = kezek; " + text)) {
    plan += line + "\n";
  }
  EXPECT_NE(plan.find("events_of_others"), std::string::npos) << plan;
  const auto found = List({.subjects = {Subject::kNode}, .name = "n1", .limit = 100});
  EXPECT_EQ(found->size(), 10U);
}

}  // namespace
}  // namespace kezek::postgres

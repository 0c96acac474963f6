// Goal: what slurmdbd tells of jobs beside Kezek is handed to the controller whole, in pieces, read
// again as far back as it is late, and never without knowing what is Kezek's; a failure stops
// there. Method: rounds by hand; books, archive, desk and clock are fakes.
#include "cmd/kezekd/foreign_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <variant>

namespace kezek::kezekd {
namespace {

constexpr TimeMs kNow = 10'000 * kHourMs;

class SomeBooks final : public ClusterBooks {
 public:
  Result<ClusterAccounts> ReadAccounts() override { return ClusterAccounts(); }
  Result<void> AddAccount(const std::string&, const std::string&) override { return {}; }
  Result<void> AddUser(const std::string&, const std::string&) override { return {}; }
  Result<void> AddMember(const std::string&, const std::string&) override { return {}; }
  Result<std::vector<BookedRun>> EndedRuns(TimeMs since, TimeMs until) override {
    asked.emplace_back(since, until);
    if (away) return Error{Code::kUnavailable, "slurmdbd is away", {}};
    std::vector<BookedRun> some;
    std::copy_if(runs.begin(), runs.end(), std::back_inserter(some),
                 [&](const BookedRun& run) { return run.end_ms >= since && run.end_ms < until; });
    return some;
  }
  Result<std::vector<BookedRun>> RunsOf(std::int64_t) override { return std::vector<BookedRun>(); }

  std::vector<BookedRun> runs;
  std::vector<std::pair<TimeMs, TimeMs>> asked;
  bool away = false;
};

class SomeArchive final : public AttemptArchive {
 public:
  Result<std::unique_ptr<AttemptReading>> Open(TimeMs, TimeMs) override {
    return Error{Code::kUnavailable, "not asked for", {}};
  }
  Result<std::vector<ChargedAttempt>> RunAs(const std::vector<std::int64_t>& ids) override {
    if (away) return Error{Code::kUnavailable, "no database", {}};
    std::vector<ChargedAttempt> some;
    for (const ChargedAttempt& one : known) {
      const bool asked = std::find(ids.begin(), ids.end(), one.attempt.cluster_job_id) != ids.end();
      if (asked) some.push_back(one);
    }
    return some;
  }

  Result<std::vector<ChargedAttempt>> Named(const std::vector<AttemptRef>& attempts) override {
    if (names_away) return Error{Code::kUnavailable, "no database", {}};
    std::vector<ChargedAttempt> some;
    for (const ChargedAttempt& one : known) {
      const bool asked =
          std::find(attempts.begin(), attempts.end(), one.attempt.ref) != attempts.end();
      if (asked) some.push_back(one);
    }
    return some;
  }

  std::vector<ChargedAttempt> known;
  bool away = false;
  bool names_away = false;
};

class SomeDesk final : public Desk {
 public:
  Result<JobSpec> Admit(JobSpec spec) const override { return spec; }
  Result<void> TakePlaces(UserId, const JobSpec&) override { return {}; }
  void GiveBackPlaces(UserId, const JobSpec&) override {}
  MilliGpus Counted(const JobSpec&) const override { return 0; }
  MilliGpuMs ChargeSoFar(const Attempt&, TimeMs) const override { return 0; }
  void Do(Command command, std::function<void(Result<CommandOutcome>)> done) override {
    auto& book = std::get<BookForeign>(command.body);
    if (refusal) return done(*refusal);
    until_ms = std::max(until_ms, book.until_ms);
    booked.push_back(std::move(book));
    CommandOutcome outcome;
    outcome.foreign_until_ms = until_ms;
    done(outcome);
  }
  std::shared_ptr<const View> view() const override {
    auto view = std::make_shared<View>();
    view->leads = leads;
    return view;
  }

  bool leads = true;
  TimeMs until_ms = kNow - 10 * kMinuteMs;
  std::optional<Error> refusal;
  std::vector<BookForeign> booked;
};

class SomeClock final : public Clock {
 public:
  TimeMs Now() override { return now_ms; }
  TimeMs now_ms = kNow;
};

class ForeignWatchTest : public testing::Test {
 protected:
  BookedRun Ended(std::int64_t id, DurationMs ago) const {
    BookedRun run;
    run.cluster_job_id = id;
    run.end_ms = clock_.now_ms - ago;
    run.start_ms = run.end_ms - kHourMs;
    run.granted = {{"n1", 1, {}}};
    return run;
  }
  // All that was handed over, by id.
  std::vector<std::int64_t> Handed() const {
    std::vector<std::int64_t> ids;
    for (const BookForeign& book : desk_.booked) {
      for (const BookedRun& run : book.runs) ids.push_back(run.cluster_job_id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  SomeDesk desk_;
  SomeBooks books_;
  SomeArchive archive_;
  SomeClock clock_;
  ForeignWatch watch_{desk_, books_, archive_, clock_, {kMinuteMs, "inst", [](std::string_view) {
                                                          return std::string("hash");
                                                        }}};
};

using Ids = std::vector<std::int64_t>;

TEST_F(ForeignWatchTest, ADayBackAtFirstThenHalfAnHour) {
  books_.runs = {Ended(1, 23 * kHourMs), Ended(2, 5 * kMinuteMs), Ended(3, 30 * kSecondMs),
                 Ended(4, 25 * kHourMs)};
  ASSERT_TRUE(watch_.Round());
  EXPECT_EQ(Handed(), (Ids{1, 2})) << "3 is too fresh, 4 too late";
  EXPECT_EQ(desk_.until_ms, kNow - kMinuteMs);
  EXPECT_EQ(books_.asked.front().first, kNow - 10 * kMinuteMs - kDayMs);
  for (std::size_t i = 1; i < books_.asked.size(); ++i) {
    EXPECT_EQ(books_.asked[i].first, books_.asked[i - 1].second) << "no gap";
  }
  desk_.booked.clear();
  books_.asked.clear();
  clock_.now_ms += 5 * kMinuteMs;
  ASSERT_TRUE(watch_.Round());
  EXPECT_EQ(books_.asked.front().first, kNow - kMinuteMs - 30 * kMinuteMs);
  EXPECT_EQ(Handed(), (Ids{2, 3}));
  clock_.now_ms += kHourMs;
  books_.asked.clear();
  ASSERT_TRUE(watch_.Round());
  EXPECT_LE(books_.asked.front().first, kNow - 20 * kHourMs) << "once an hour";
}

TEST_F(ForeignWatchTest, WhatIsKezeksIsNotHandedOver) {
  books_.runs = {Ended(1, 5 * kMinuteMs), Ended(2, 5 * kMinuteMs)};
  ChargedAttempt ours;
  ours.attempt.cluster_job_id = 1;
  ours.attempt.start_ms = books_.runs[0].start_ms;
  archive_.known = {ours};
  ASSERT_TRUE(watch_.Round());
  EXPECT_EQ(Handed(), Ids{2});
}

// Name, user and tag of a job of Kezek's, on another job of the same user.
TEST_F(ForeignWatchTest, ACopiedTagIsNoEscape) {
  ChargedAttempt ours;
  ours.attempt.ref = {{JobId{7}, kNoElement}, 1};
  ours.attempt.epoch = 3;
  ours.attempt.cluster_job_id = 1;
  ours.attempt.start_ms = kNow - 2 * kHourMs;
  archive_.known = {ours};
  BookedRun copy = Ended(2, 5 * kMinuteMs);
  copy.attempt = ours.attempt.ref;
  copy.tag = "kezek:inst:3:hash";
  BookedRun lost = copy;  // of a copy of the database that is lost
  lost.cluster_job_id = 4;
  lost.attempt.number = 2;
  books_.runs = {copy, lost};
  archive_.names_away = true;
  EXPECT_EQ(watch_.Round().error().message, "no database");
  EXPECT_EQ(Handed(), Ids{});
  archive_.names_away = false;
  ASSERT_TRUE(watch_.Round());
  EXPECT_EQ(Handed(), Ids{2});
}

TEST_F(ForeignWatchTest, ManyGoInPiecesAndTheLastSaysUpToWhen) {
  Ids all;
  for (std::int64_t id = 1; id <= 450; ++id) {
    books_.runs.push_back(Ended(id, 5 * kMinuteMs));
    all.push_back(id);
  }
  ASSERT_TRUE(watch_.Round());
  EXPECT_EQ(Handed(), all);
  for (const BookForeign& book : desk_.booked) {
    EXPECT_LE(book.runs.size(), 200U);
    if (book.runs.size() == 200) {
      EXPECT_EQ(book.until_ms, 0) << "there is more";
    }
  }
}

TEST_F(ForeignWatchTest, WhoIsAwayIsWaitedFor) {
  books_.runs = {Ended(1, 5 * kMinuteMs)};
  const TimeMs until = desk_.until_ms;
  books_.away = true;
  EXPECT_EQ(watch_.Round().error().message, "slurmdbd is away");
  books_.away = false;
  archive_.away = true;
  EXPECT_EQ(watch_.Round().error().message, "no database") << "then nobody knows what is Kezek's";
  EXPECT_EQ(Handed(), Ids{});
  EXPECT_LE(desk_.until_ms, until);
  archive_.away = false;
  ASSERT_TRUE(watch_.Round());
  EXPECT_EQ(Handed(), Ids{1});
}

TEST_F(ForeignWatchTest, SlurmdbdIsNotAskedInVain) {
  desk_.refusal = Error{Code::kFailedPrecondition, "is no account", {}};
  EXPECT_EQ(watch_.Round().error().message, "is no account");
  desk_.refusal.reset();
  desk_.leads = false;
  EXPECT_TRUE(watch_.Round());
  EXPECT_TRUE(books_.asked.empty());
}

}  // namespace
}  // namespace kezek::kezekd

// Goal: what ran beside Kezek is charged once, to the account that is configured, whatever is read
// twice and whoever restarts; what is Kezek's never is; and what stands in the order is what the
// ledger says, after a restart too.
// Method: one controller on a store in memory, runs by hand.

#include "scheduler/control/foreign.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

ControlConfig With(const std::string& account) {
  ControlConfig config = sim::SimConfig();
  config.foreign_account = account;
  return config;
}

constexpr const char* kPath = "sector0/project0";

class ForeignTest : public testing::Test {
 protected:
  explicit ForeignTest(const std::string& account = kPath) : desk(With(account)) { desk.Up(); }

  // Two GPUs for an hour, ended so long ago.
  BookedRun Ran(std::int64_t id, DurationMs ago) const {
    BookedRun run;
    run.cluster_job_id = id;
    run.unix_account = "somebody";
    run.end_ms = desk.now - ago;
    run.start_ms = run.end_ms - kHourMs;
    run.granted = {{"n1", 2, {}}};
    run.gpus = 2;
    run.cpus = 4;
    run.memory_mib = 1000;
    return run;
  }
  TimeMs Hand(std::vector<BookedRun> runs, TimeMs until = 0) {
    const auto outcome = desk.Do(BookForeign{std::move(runs), until});
    EXPECT_TRUE(outcome.has_value()) << outcome.error().message;
    return outcome ? outcome->foreign_until_ms : 0;
  }
  MilliGpuMs Sum(Book book) const {
    MilliGpuMs sum = 0;
    for (const LedgerEntry& entry : desk.store.ledger())
      sum += entry.book == book ? entry.amount : 0;
    return sum;
  }
  // Of the project, as the order has it.
  double Usage() {
    desk.Tick();
    const auto& standings = desk.controller->view()->standings;
    const auto found = standings.find({DeskOfOne::kProject, "h200"});
    return found == standings.end() ? 0 : found->second.usage_gpu_hours;
  }

  DeskOfOne desk;
};

TEST_F(ForeignTest, ChargedOnceAndInTheOrderAfterARestartToo) {
  Hand({});
  desk.now += 2 * kHourMs;
  const BookedRun run = Ran(70, kMinuteMs);
  Hand({run});
  Hand({run, Ran(71, kMinuteMs)}, desk.now - kMinuteMs);
  EXPECT_EQ(Sum(Book::kCharge), 4 * kGpuHour);
  EXPECT_EQ(Sum(Book::kUsage), 4 * kGpuHour);
  EXPECT_EQ(Sum(Book::kBudget), 0);
  ASSERT_EQ(desk.store.foreign().size(), 2U);
  const ForeignCharge& row = desk.store.foreign().begin()->second;
  EXPECT_EQ(row.project, DeskOfOne::kProject);
  EXPECT_EQ(row.counted_milli, 2000);
  EXPECT_EQ(row.unix_account, "somebody");
  const double before = Usage();
  EXPECT_NEAR(before, 4, 0.1);
  desk.Begin();
  desk.Up();
  EXPECT_NEAR(Usage(), before, 0.001) << "but for some seconds of decay";
  Hand({run, Ran(72, kMinuteMs)});  // the same moment: desk.now has moved, 70 has not
  EXPECT_EQ(Sum(Book::kCharge), 6 * kGpuHour);
}

TEST_F(ForeignTest, AnIdThatComesRoundIsAnotherRun) {
  Hand({});
  desk.now += 9 * kHourMs;
  Hand({Ran(70, 3 * kHourMs), Ran(70, kMinuteMs)});
  EXPECT_EQ(Sum(Book::kCharge), 4 * kGpuHour);
}

TEST_F(ForeignTest, WhatEndedBeforeTheFirstReadingIsNobodys) {
  const TimeMs begin = Hand({Ran(70, kMinuteMs)});
  EXPECT_EQ(begin, desk.now);
  EXPECT_TRUE(desk.store.ledger().empty());
}

TEST_F(ForeignTest, LateIsChargedAndTooLateIsNot) {
  Hand({});
  desk.now += 40 * kHourMs;
  EXPECT_EQ(Hand({}, desk.now), desk.now);
  Hand({Ran(70, 23 * kHourMs), Ran(71, 25 * kHourMs)});
  EXPECT_EQ(Sum(Book::kCharge), 2 * kGpuHour);
  EXPECT_EQ(Hand({}, desk.now - kHourMs), desk.now) << "it does not go back";
}

TEST_F(ForeignTest, WhatIsNoRunOnGpusIsNotBooked) {
  Hand({});
  desk.now += 2 * kHourMs;
  BookedRun elsewhere = Ran(70, kMinuteMs);
  elsewhere.granted = {{"login", 0, {}}};
  BookedRun backwards = Ran(71, kMinuteMs);
  backwards.start_ms = backwards.end_ms + 1000;
  BookedRun ages = Ran(72, kMinuteMs);
  ages.start_ms = 1000;
  Hand({elsewhere, backwards, ages});
  EXPECT_TRUE(desk.store.ledger().empty());
}

TEST_F(ForeignTest, NothingIsChargedWhileTheAccountIsWrong) {
  desk.config.foreign_account = "sector0/nobody";
  desk.Begin();
  desk.Up();
  const auto outcome = desk.Do(BookForeign{});
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().details.at(0).reason, "FOREIGN_ACCOUNT");
  EXPECT_EQ(outcome.error().message, "slurm.foreign_account: 'sector0/nobody' is no account");
  desk.config.foreign_account = "sector0";
  desk.Begin();
  desk.Up();
  const auto parent = desk.Do(BookForeign{});
  ASSERT_FALSE(parent.has_value());
  EXPECT_NE(parent.error().message.find("accounts below it"), std::string::npos);
}

TEST_F(ForeignTest, WhatEndsWhileNobodyIsConfiguredIsNobodysForEver) {
  Hand({});
  desk.now += 2 * kHourMs;
  const BookedRun charged = Ran(70, kMinuteMs);
  Hand({charged}, desk.now);
  desk.config.foreign_account.clear();
  desk.Begin();
  desk.Up();
  desk.now += 2 * kHourMs;
  const BookedRun between = Ran(71, kMinuteMs);
  desk.config.foreign_account = kPath;
  desk.Begin();
  desk.Up();
  Hand({});
  Hand({charged, between});
  EXPECT_EQ(Sum(Book::kCharge), 2 * kGpuHour);
  desk.now += 2 * kHourMs;
  Hand({charged, between, Ran(72, kMinuteMs)});
  EXPECT_EQ(Sum(Book::kCharge), 4 * kGpuHour);
}

// --- Whose is it? ---

std::string FakeHash(std::string_view text) { return "h" + std::to_string(text.size()); }

ChargedAttempt Known(AttemptState state) {
  ChargedAttempt known;
  Attempt& attempt = known.attempt;
  attempt.ref = {{JobId{7}, kNoElement}, 1};
  attempt.state = state;
  attempt.cluster_job_id = 70;
  attempt.planned_ms = 100 * kHourMs;
  attempt.start_ms = 100 * kHourMs + 1500;
  attempt.end_ms = state == AttemptState::kEnded ? 101 * kHourMs : 0;
  known.unix_account = "kz-aizhan";
  return known;
}

BookedRun RunLike(TimeMs start_ms) {
  BookedRun run;
  run.cluster_job_id = 70;
  run.unix_account = "kz-aizhan";
  run.start_ms = start_ms;
  run.end_ms = start_ms + kHourMs;
  run.granted = {{"n1", 2, {}}};
  return run;
}

bool IsForeign(const BookedRun& run, const std::vector<ChargedAttempt>& known) {
  return !ForeignRuns({run}, known, known, FakeHash, "inst").empty();
}

TEST(ForeignRuns, ByIdAndStartWhateverItsName) {
  const std::vector<ChargedAttempt> known = {Known(AttemptState::kEnded)};
  EXPECT_FALSE(IsForeign(RunLike(100 * kHourMs + 1000), known)) << "its owner renamed it";
  EXPECT_TRUE(IsForeign(RunLike(100 * kHourMs + 1000), {}));
  EXPECT_TRUE(IsForeign(RunLike(300 * kHourMs), known)) << "the id has come round";
  BookedRun others = RunLike(100 * kHourMs + 5000);
  others.unix_account = "somebody";
  EXPECT_TRUE(IsForeign(others, known));
}

TEST(ForeignRuns, AnAttemptWhoseStartWasNotSeenIsKezeks) {
  ChargedAttempt unseen = Known(AttemptState::kStarting);
  unseen.attempt.start_ms = 0;
  EXPECT_FALSE(IsForeign(RunLike(100 * kHourMs + 9000), {unseen}));
  EXPECT_TRUE(IsForeign(RunLike(90 * kHourMs), {unseen})) << "before it was planned";
}

TEST(ForeignRuns, ANameProvesNothingAndATagDoes) {
  BookedRun run = RunLike(100 * kHourMs);
  run.attempt = {{JobId{9}, kNoElement}, 1};
  EXPECT_TRUE(IsForeign(run, {})) << "anybody may name a job so";
  run.tag = "kezek:inst:3:made-up";
  EXPECT_TRUE(IsForeign(run, {}));
  run.tag = MakeTag(FakeHash, "inst", 3, run.attempt, run.unix_account);
  EXPECT_FALSE(IsForeign(run, {})) << "of a copy of the database that was lost";
  EXPECT_FALSE(ForeignRuns({run}, {}, {}, FakeHash, "another").empty());
}

TEST(ForeignRuns, ATagThatIsCopiedWithItsNameProvesNothing) {
  ChargedAttempt mine = Known(AttemptState::kRunning);
  mine.attempt.epoch = 3;
  BookedRun copy = RunLike(100 * kHourMs + 9000);
  copy.cluster_job_id = 71;
  copy.attempt = mine.attempt.ref;
  copy.tag = MakeTag(FakeHash, "inst", 3, copy.attempt, copy.unix_account);
  EXPECT_TRUE(IsForeign(copy, {mine})) << "another job is recorded for that attempt";
  EXPECT_EQ(NamedByTags({copy}, {}, FakeHash, "inst"), std::vector{copy.attempt});
  mine.attempt.epoch = 4;
  EXPECT_FALSE(IsForeign(copy, {mine})) << "a lost copy of the database gave that number, too";
  mine.attempt.epoch = 3;
  mine.attempt.cluster_job_id = 0;
  EXPECT_FALSE(IsForeign(copy, {mine})) << "it is still looked for, and may be this";
  mine.attempt.state = AttemptState::kEnded;
  EXPECT_TRUE(IsForeign(copy, {mine})) << "it never had a job";
  copy.start_ms = 0;
  EXPECT_FALSE(IsForeign(copy, {mine})) << "withdrawn, it has not run";
  EXPECT_TRUE(NamedByTags({copy}, {}, FakeHash, "inst").empty());
}

TEST(ForeignRuns, OnlyTagsOfOtherIdsAreLookedUp) {
  ChargedAttempt mine = Known(AttemptState::kRunning);
  BookedRun run = RunLike(mine.attempt.start_ms / kSecondMs * kSecondMs);
  run.attempt = mine.attempt.ref;
  run.tag = MakeTag(FakeHash, "inst", 3, run.attempt, run.unix_account);
  EXPECT_TRUE(NamedByTags({run}, {mine}, FakeHash, "inst").empty());
  run.cluster_job_id = 71;
  run.tag = "kezek:inst:3:made-up";
  EXPECT_TRUE(NamedByTags({run}, {mine}, FakeHash, "inst").empty());
}

TEST(ForeignRuns, WhatHasNotRunIsLeftOut) {
  BookedRun never = RunLike(100 * kHourMs);
  never.start_ms = 0;
  EXPECT_FALSE(IsForeign(never, {}));
  BookedRun open = RunLike(100 * kHourMs);
  open.end_ms = 0;
  EXPECT_FALSE(IsForeign(open, {}));
}

}  // namespace
}  // namespace kezek::control

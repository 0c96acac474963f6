// Goal: what happens to budgets over time, in the controller: ends of periods, also of several that
// were over while it was away, warnings, corrections, and changes of settings while jobs hold them.
// Method: one controller on a store in memory, by hand; jobs of two GPUs.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

constexpr AccountId kSector{2};  // above the project
constexpr AccountId kOther{3};
constexpr UserId kAnother{2};

class BudgetPeriods : public testing::Test {
 protected:
  BudgetPeriods() { desk.Up(); }

  Account Now(AccountId id) const { return desk.controller->view()->directory->accounts.at(id); }
  Result<CommandOutcome> Put(Account account) {
    PutAccounts put;
    put.reason = "a quarter";
    put.accounts.push_back({std::move(account), ""});
    return desk.Do(std::move(put));
  }
  Result<CommandOutcome> Set(std::vector<BudgetSpec> specs, AccountId id = DeskOfOne::kProject) {
    Account account = Now(id);
    account.settings.budgets = std::move(specs);
    return Put(std::move(account));
  }
  // From now on, a fourth is carried over.
  BudgetSpec Period(const std::string& name, std::int64_t milli_hours, DurationMs from,
                    DurationMs until) const {
    return {.name = name,
            .milli_gpu_hours = milli_hours,
            .start_ms = begin + from,
            .end_ms = begin + until,
            .carry_over_percent = 25};
  }
  BudgetBalance Of(const std::string& name, AccountId id = DeskOfOne::kProject) const {
    return desk.store.Budgets().Of({id, name});
  }
  std::vector<Event> Events(ReasonCode code) const {
    std::vector<Event> found;
    for (const Event& event : desk.store.events()) {
      if (event.reason.code == code) found.push_back(event);
    }
    return found;
  }
  // The percents of all warnings there were.
  std::vector<std::string> Warnings() const {
    std::vector<std::string> percents;
    for (const Event& event : Events(ReasonCode::kBudgetWarning)) {
      percents.push_back(event.reason.fields.at("percent"));
    }
    return percents;
  }
  // Two GPUs for 58 minutes: two GPU-hours are held.
  JobId Submit() {
    return desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 58 * kMinuteMs; });
  }
  void End(const AttemptRef& ref, std::int64_t id, DurationMs ran) {
    ClusterJob ended = desk.Seen(ref, id, ClusterJobState::kCompleted);
    ended.end_ms = ended.start_ms + ran;
    desk.now = std::max(desk.now, ended.end_ms);
    desk.Offer(Observed{ended});
    desk.Step();
  }
  std::int64_t Propose(MilliGpuMs amount, const std::string& budget) {
    Correction draft;
    draft.budget = {DeskOfOne::kProject, budget};
    draft.gpu_type = "h200";
    draft.amount = amount;
    draft.reason = "a meter was wrong";
    return desk.Do(ProposeCorrection{draft})->ids.at(0);
  }
  // By another person; the reason it is refused for.
  std::string Approve(std::int64_t id) {
    desk.controller->Offer(
        CommandInput{1, {kAnother, "another", DecideCorrection{id, true, "checked"}}});
    const Ready ready = desk.Step();
    const auto& outcome = ready.replies.at(0).outcome;
    return outcome ? "" : outcome.error().details.at(0).reason;
  }

  DeskOfOne desk;
  const TimeMs begin = desk.now;
};

TEST_F(BudgetPeriods, AnEndCarriesOverAndSaysSo) {
  ASSERT_TRUE(Set({Period("a", 8000, 0, kDayMs), Period("b", 1000, kDayMs, 9 * kDayMs)}));
  desk.now = begin + kDayMs - 1;
  desk.Step();
  EXPECT_FALSE(Of("a").closed);
  desk.Step(1);
  EXPECT_TRUE(Of("a").closed);
  EXPECT_EQ(Of("a").carried_out, 2 * kGpuHour);
  EXPECT_EQ(Of("a").expired, 6 * kGpuHour);
  EXPECT_EQ(Of("b").left, 3 * kGpuHour);
  desk.Tick();
  const std::vector<Event> ended = Events(ReasonCode::kBudgetEnded);
  ASSERT_EQ(ended.size(), 1U) << "once";
  EXPECT_EQ(ended[0].reason.fields.at("budget"), "a");
  EXPECT_EQ(ended[0].reason.fields.at("carried"), "2");
  EXPECT_EQ(ended[0].reason.fields.at("expired"), "6");
  EXPECT_EQ(ended[0].project, DeskOfOne::kProject);
}

TEST_F(BudgetPeriods, SeveralThatAreOverWhenItComesBackEndInTheirOrder) {
  ASSERT_TRUE(Set({Period("a", 16'000, 0, kDayMs), Period("b", 0, kDayMs, 2 * kDayMs),
                   Period("c", 0, 2 * kDayMs, 9 * kDayMs)}));
  desk.now = begin + 3 * kDayMs;
  desk.Begin();
  desk.Up();
  EXPECT_EQ(Of("b").carried_in, 4 * kGpuHour);
  EXPECT_EQ(Of("c").left, kGpuHour) << "a fourth of a fourth";
  const std::vector<Event> ended = Events(ReasonCode::kBudgetEnded);
  ASSERT_EQ(ended.size(), 2U);
  EXPECT_EQ(ended[0].reason.fields.at("budget"), "a");
  EXPECT_EQ(ended[1].reason.fields.at("carried"), "1");
  desk.Begin();
  desk.Up();
  EXPECT_EQ(Events(ReasonCode::kBudgetEnded).size(), 2U) << "a restart ends nothing twice";
}

TEST_F(BudgetPeriods, AnEndThatIsMovedIsTheOneThatCounts) {
  ASSERT_TRUE(Set({Period("a", 8000, 0, 5 * kDayMs)}));
  desk.Tick();
  ASSERT_TRUE(Set({Period("a", 8000, 0, kDayMs)}));
  desk.now = begin + kDayMs;
  desk.Step();
  EXPECT_EQ(Of("a").expired, 8 * kGpuHour) << "all: there is no later period";
}

TEST_F(BudgetPeriods, WarnsOfTheHighestThatIsSpentOnceForEachGrant) {
  ASSERT_TRUE(Set({Period("a", 2100, 0, 9 * kDayMs)}));
  EXPECT_EQ(Approve(Propose(2 * kGpuHour, "a")), "");
  EXPECT_EQ(Warnings(), (std::vector<std::string>{"95"})) << "2 of 2.1: over 80 at once";
  desk.Begin();
  desk.Up();
  desk.Tick();
  EXPECT_EQ(Warnings().size(), 1U) << "a restart says nothing again";
  ASSERT_TRUE(Set({Period("a", 2000, 0, 9 * kDayMs)}));
  EXPECT_EQ(Warnings(), (std::vector<std::string>{"95", "100"})) << "it was cut to what is spent";
  ASSERT_TRUE(Set({Period("a", 2400, 0, 9 * kDayMs)}));
  desk.Tick();
  EXPECT_EQ(Warnings(), (std::vector<std::string>{"95", "100", "80"})) << "another grant";
}

TEST_F(BudgetPeriods, ACorrectionWarnsToo) {
  ASSERT_TRUE(Set({Period("a", 10'000, 0, 9 * kDayMs)}));
  EXPECT_EQ(Approve(Propose(8 * kGpuHour, "a")), "");
  EXPECT_EQ(Warnings(), (std::vector<std::string>{"80"}));
}

TEST_F(BudgetPeriods, ACorrectionOfUsageTouchesNoBudget) {
  ASSERT_TRUE(Set({Period("a", 10'000, 0, 9 * kDayMs)}));
  EXPECT_EQ(Approve(Propose(3 * kGpuHour, "")), "");
  const auto& ledger = desk.store.ledger();
  const auto adjusts = [](const LedgerEntry& e) { return e.kind == EntryKind::kAdjustment; };
  ASSERT_EQ(std::count_if(ledger.begin(), ledger.end(), adjusts), 1);
  const LedgerEntry& entry = *std::find_if(ledger.begin(), ledger.end(), adjusts);
  EXPECT_EQ(entry.book, Book::kUsage);
  EXPECT_EQ(entry.amount, 3 * kGpuHour);
  EXPECT_EQ(Of("a").left, 10 * kGpuHour);
  desk.Tick();
  EXPECT_NEAR(desk.controller->view()->standings.at({kSector, "h200"}).usage_gpu_hours, 3, 0.01)
      << "of those above it, too";
}

TEST_F(BudgetPeriods, WhatCouldNotBeBookedIsNotProposed) {
  ASSERT_TRUE(Set({Period("a", 10'000, 0, 9 * kDayMs)}));
  const auto said = [this](MilliGpuMs amount, const std::string& budget) {
    Correction draft;
    draft.budget = {DeskOfOne::kProject, budget};
    draft.gpu_type = "h200";
    draft.amount = amount;
    const auto proposed = desk.Do(ProposeCorrection{draft});
    return proposed ? "" : proposed.error().details.at(0).message;
  };
  EXPECT_EQ(said(11 * kGpuHour, "a"),
            "10 GPU-hours are left of budget a: no more can be charged to it");
  EXPECT_EQ(said(-kGpuHour, "a"),
            "0 GPU-hours are spent of budget a: no more can be given back to it");
  EXPECT_EQ(said(kGpuHour, "A"), "the account has no budget 'A': it has a");
  EXPECT_EQ(said(10 * kGpuHour, "a"), "");
}

TEST_F(BudgetPeriods, TwoProposalsForTheLastHoursDoNotBothGetThem) {
  ASSERT_TRUE(Set({Period("a", 10'000, 0, 9 * kDayMs)}));
  const std::int64_t one = Propose(6 * kGpuHour, "a");
  const std::int64_t two = Propose(6 * kGpuHour, "a");
  EXPECT_EQ(Approve(two), "");
  EXPECT_EQ(Approve(one), "BUDGET_BELOW_SPENT");
  EXPECT_EQ(Of("a").spent, 6 * kGpuHour);
  EXPECT_TRUE(desk.Do(DecideCorrection{one, false, "twice"}).has_value())
      << "who proposed it may take it back";
  EXPECT_EQ(Approve(one), "CORRECTION_DECIDED");
}

TEST_F(BudgetPeriods, NobodyDecidesWhatIsNotCommittedYet) {
  ASSERT_TRUE(Set({Period("a", 10'000, 0, 9 * kDayMs)}));
  Correction draft;
  draft.budget = {DeskOfOne::kProject, "a"};
  draft.gpu_type = "h200";
  draft.amount = kGpuHour;
  desk.controller->Offer(CommandInput{1, {DeskOfOne::kUser, "somebody", ProposeCorrection{draft}}});
  desk.controller->Offer(
      CommandInput{2, {kAnother, "another", DecideCorrection{1, true, "a guess"}}});
  const Ready ready = desk.Step();
  ASSERT_EQ(ready.replies.size(), 2U);
  ASSERT_EQ(ready.replies[0].outcome->ids.at(0), 1);
  EXPECT_EQ(ready.replies[1].outcome.error().details.at(0).reason, "CORRECTION_NOT_FOUND");
  EXPECT_EQ(Approve(1), "");
}

TEST_F(BudgetPeriods, WhatIsGivenBackAfterTheEndGoesToTheCurrentPeriod) {
  ASSERT_TRUE(Set({Period("a", 8000, 0, kDayMs), Period("b", 1000, kDayMs, 9 * kDayMs)}));
  EXPECT_EQ(Approve(Propose(4 * kGpuHour, "a")), "");
  desk.now = begin + kDayMs;
  desk.Step();
  EXPECT_EQ(Of("b").left, 2 * kGpuHour);
  EXPECT_EQ(Approve(Propose(-3 * kGpuHour, "a")), "");
  EXPECT_EQ(Of("a").spent, kGpuHour);
  EXPECT_EQ(Of("b").left, 5 * kGpuHour);
}

TEST_F(BudgetPeriods, ABudgetThatComesLaterDoesNotHoldWhatRuns) {
  const AttemptRef ref = desk.Running(Submit(), 7);
  ASSERT_TRUE(Set({Period("a", 10'000, 0, 9 * kDayMs)}));
  EXPECT_EQ(Of("a").held, 0);
  desk.Begin();
  desk.Up();
  End(ref, 7, 30 * kMinuteMs);
  EXPECT_EQ(Of("a").spent, 0) << "it settles on what it held: nothing";
  EXPECT_EQ(Of("a").left, 10 * kGpuHour);
}

TEST_F(BudgetPeriods, WhileItIsHeldItIsRaisedNotTakenOut) {
  ASSERT_TRUE(Set({Period("a", 4000, 0, 9 * kDayMs)}));
  const AttemptRef ref = desk.Running(Submit(), 7);
  const auto gone = Set({});
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().details.at(0).reason, "BUDGET_BELOW_SPENT");
  ASSERT_TRUE(Set({Period("a", 20'000, 0, 9 * kDayMs)}));
  EXPECT_EQ(Of("a").left, 18 * kGpuHour);
  desk.Begin();
  desk.Up();
  End(ref, 7, 30 * kMinuteMs);
  EXPECT_EQ(Of("a").spent, kGpuHour);
  EXPECT_EQ(Of("a").left, 19 * kGpuHour);
}

// The project moves to another sector while its job runs. Budgets and usage stay with those the
// job was started under, until it ends; what starts later is the new ones'.
TEST_F(BudgetPeriods, WhatRunsWhenItsAccountIsMovedStaysWithThoseAboveItThen) {
  ASSERT_TRUE(Set({Period("a", 20'000, 0, 9 * kDayMs)}, kSector));
  ASSERT_TRUE(Set({Period("b", 20'000, 0, 9 * kDayMs)}, kOther));
  const JobId job =
      desk.Submit([](JobSpec& spec) { spec.time_limit_ms = 3 * kHourMs - 2 * kMinuteMs; });
  const AttemptRef ref = desk.Running(job, 7);
  const TimeMs start = desk.Of(ref).start_ms;
  EXPECT_EQ(Of("a", kSector).held, 6 * kGpuHour);
  Account moved = Now(DeskOfOne::kProject);
  moved.parent = kOther;
  moved.settings.shares["h200"].guarantee_milli = 0;
  ASSERT_TRUE(Put(moved).has_value());
  EXPECT_EQ(Of("a", kSector).held, 6 * kGpuHour) << "what is held stays where it is";
  EXPECT_EQ(Of("b", kOther).held, 0);
  const auto usage = [this](AccountId account) {
    return desk.controller->view()->standings.at({account, "h200"}).usage_gpu_hours;
  };
  const auto looks = [&](const char* when) {
    SCOPED_TRACE(when);
    desk.Tick();
    EXPECT_NEAR(usage(DeskOfOne::kProject), 4, 0.1);
    EXPECT_NEAR(usage(kSector), 4, 0.1) << "its second hour, too";
    EXPECT_EQ(usage(kOther), 0);
  };
  desk.now = start + kHourMs + kMinuteMs;
  desk.Step();
  looks("in the second hour");
  desk.Begin();
  desk.Up();
  looks("after a restart");
  End(ref, 7, 2 * kHourMs);
  looks("in the end");
  EXPECT_EQ(Of("a", kSector).spent, 4 * kGpuHour);
  EXPECT_EQ(Of("b", kOther).spent, 0);
  desk.Running(Submit(), 8);
  EXPECT_EQ(Of("b", kOther).held, 2 * kGpuHour) << "what starts now is the new ones'";
  EXPECT_EQ(Of("a", kSector).held, 0);
}

}  // namespace
}  // namespace kezek::control

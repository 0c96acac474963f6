// Goal: the rules of budgets, one narrated case each, and the failures of others that they exclude.
// Method: one account with a budget or two below the root; entries are booked as they are made.
#include "quota/budget.h"

#include <gtest/gtest.h>

#include "kezek/names.h"

namespace kezek::quota {
namespace {

constexpr TimeMs kStart = 100 * kDayMs;
constexpr TimeMs kEnd = 200 * kDayMs;
const BudgetRef kFirst{AccountId{2}, "first"};
const BudgetRef kSecond{AccountId{2}, "second"};

BudgetSpec Spec(const std::string& name, std::int64_t hours, TimeMs start, TimeMs end) {
  return {.name = name, .milli_gpu_hours = hours * 1000, .start_ms = start, .end_ms = end};
}

struct World {
  std::map<AccountId, Account> accounts;
  AccountTree tree;
  Budgets budgets;
  std::vector<LedgerEntry> entries;
  TimeMs now = kStart + kDayMs;

  explicit World(std::vector<BudgetSpec> specs, std::vector<BudgetSpec> of_root = {}) {
    for (std::int64_t i = 1; i <= 2; ++i) {
      Account& account = accounts[AccountId{i}];
      account.id = AccountId{i};
      account.parent = AccountId{i - 1};
      account.name = i == 1 ? "cluster" : "nlp";
      account.kind = i == 1 ? "cluster" : "project";
    }
    tree = *AccountTree::Build(accounts);
    accounts.at(AccountId{1}).settings.budgets = std::move(of_root);
    EXPECT_TRUE(Set(std::move(specs)).has_value());
  }

  Result<void> Set(std::vector<BudgetSpec> specs) {
    accounts.at(AccountId{2}).settings.budgets = std::move(specs);
    AccountTree after = *AccountTree::Build(accounts);
    const auto grants = GrantsDue(tree, after, budgets, now);
    if (!grants) return grants.error();
    for (const LedgerEntry& entry : *grants) Book(entry);
    tree = std::move(after);
    return {};
  }
  void Book(const LedgerEntry& entry) {
    entries.push_back(entry);
    if (entry.book == Book::kBudget) budgets.Book(entry);
  }
  void Close() {
    for (const LedgerEntry& entry : EndsDue(tree, budgets, now)) Book(entry);
  }
  const BudgetBalance& first() const { return budgets.Of(kFirst); }
  const BudgetBalance& second() const { return budgets.Of(kSecond); }

  Draw DrawFor(std::int64_t gpus, DurationMs limit_ms) const {
    return DrawOf(tree, budgets, {AccountId{2}, "h200", gpus * 1000, limit_ms, 1000, 1000}, now);
  }
};

const Payer kSpender{AccountId{2}, UserId{3}, "normal", "h200"};

struct Started {
  Attempt attempt;
  Booked booked;
};

Started StartOf(World& world, std::int64_t gpus, DurationMs limit_ms) {
  Started run;
  run.attempt.ref = {JobRef{JobId{7}}, 1};
  run.attempt.planned_ms = world.now;
  run.attempt.limit_ms = limit_ms;
  run.attempt.counted_milli = gpus * 1000;
  const Draw draw = world.DrawFor(gpus, limit_ms);
  EXPECT_EQ(draw.stop.code, ReasonCode::kNone);
  for (const LedgerEntry& entry : HoldEntries(run.attempt, kSpender, draw, world.now)) {
    run.booked.Add(entry);
    world.Book(entry);
  }
  return run;
}

void EndOf(World& world, Started& run, DurationMs ran_ms,
           AttemptOutcome outcome = AttemptOutcome::kSucceeded) {
  run.attempt.state = AttemptState::kEnded;
  run.attempt.outcome = outcome;
  run.attempt.start_ms = run.attempt.planned_ms;
  run.attempt.end_ms = run.attempt.start_ms + ran_ms;
  for (const LedgerEntry& entry : EntriesDue(run.attempt, kSpender, run.booked, world.now)) {
    run.booked.Add(entry);
    for (const LedgerEntry& part : Completed(world.tree, world.budgets, entry, world.now)) {
      world.Book(part);
    }
  }
}

TEST(Budget, AStartHoldsItsLimitAndTheEndSettles) {
  World world({Spec("first", 10, kStart, kEnd)});
  EXPECT_EQ(world.first().left, 10 * kGpuHour);
  // 2 GPUs for 58 minutes: the hold is the limit and two minutes.
  Started run = StartOf(world, 2, 58 * kMinuteMs);
  EXPECT_EQ(world.first().held, 2 * kGpuHour);
  EXPECT_EQ(world.first().left, 8 * kGpuHour);
  // It ends after half an hour.
  EndOf(world, run, 30 * kMinuteMs);
  EXPECT_EQ(world.first().held, 0);
  EXPECT_EQ(world.first().spent, kGpuHour);
  EXPECT_EQ(world.first().left, 9 * kGpuHour);
}

TEST(Budget, WhatItDoesNotHoldWaitsAndIsToldWhatFits) {
  World world({Spec("first", 3, kStart, kEnd)});
  Draw draw = world.DrawFor(2, 3 * kHourMs);
  EXPECT_EQ(draw.stop.code, ReasonCode::kBudgetExhausted);
  EXPECT_EQ(draw.stop.fields.at("left"), "3");
  EXPECT_EQ(draw.stop.fields.at("needed"), "6.066");
  EXPECT_EQ(draw.stop.fields.at("budget"), "first");
  EXPECT_EQ(draw.stop.fields.at("fits"), std::to_string(88 * kMinuteMs));
  EXPECT_EQ(world.DrawFor(2, 88 * kMinuteMs).stop.code, ReasonCode::kNone);
  EXPECT_EQ(world.DrawFor(2, 89 * kMinuteMs).stop.code, ReasonCode::kBudgetExhausted);
}

// Peers admit against a figure that is refreshed now and then, and overshoot in between.
TEST(Budget, AdmissionIsAgainstWhatThePlanHasTaken) {
  World world({Spec("first", 3, kStart, kEnd)});
  const Cost cost{AccountId{2}, "h200", 2000, 58 * kMinuteMs, 1000, 1000};
  Taken taken;
  const Draw one = DrawOf(world.tree, world.budgets, cost, world.now, taken);
  ASSERT_EQ(one.holds.size(), 1U);
  taken[kFirst] += one.holds[0].amount;
  EXPECT_EQ(DrawOf(world.tree, world.budgets, cost, world.now, taken).stop.code,
            ReasonCode::kBudgetExhausted);
}

TEST(Budget, EveryBudgetOnThePathHolds) {
  World world({Spec("first", 100, kStart, kEnd)}, {Spec("all", 1, kStart, kEnd)});
  EXPECT_EQ(world.DrawFor(1, kHourMs).stop.fields.at("budget"), "all");
  EXPECT_EQ(world.DrawFor(1, 30 * kMinuteMs).holds.size(), 2U);
}

TEST(Budget, ScavengesWhereItSaysSo) {
  BudgetSpec spec = Spec("first", 1, kStart, kEnd);
  spec.at_exhaustion = AtExhaustion::kScavenge;
  World world({spec});
  const Draw draw = world.DrawFor(1, 2 * kHourMs);
  EXPECT_EQ(draw.scavenges, kFirst);
  EXPECT_EQ(draw.stop.code, ReasonCode::kNone);
  EXPECT_TRUE(draw.holds.empty()) << "at nobody's cost";
}

// A job of three days that starts a day before the end: two days are held of the first period.
TEST(Budget, AHoldBelongsToThePeriodOfItsStartForADayBeyondItsEnd) {
  World world({Spec("first", 1000, kStart, kEnd), Spec("second", 10, kEnd, kEnd + kDayMs)});
  world.now = kEnd - kDayMs;
  const Draw waits = world.DrawFor(1, 3 * kDayMs);
  EXPECT_EQ(waits.stop.fields.at("budget"), "second") << "24 hours of it do not fit";
  ASSERT_TRUE(
      world.Set({Spec("first", 1000, kStart, kEnd), Spec("second", 100, kEnd, kEnd + 10 * kDayMs)})
          .has_value());
  Started run = StartOf(world, 1, 3 * kDayMs);
  EXPECT_EQ(world.first().held, 48 * kGpuHour);
  EXPECT_EQ(world.second().held, 24 * kGpuHour + 2 * kGpuHour / 60);
  EndOf(world, run, 50 * kHourMs);
  EXPECT_EQ(world.first().spent, 48 * kGpuHour);
  EXPECT_EQ(world.second().spent, 2 * kGpuHour);
  EXPECT_EQ(world.second().held, 0);
}

TEST(Budget, WithoutALaterPeriodALongJobWaits) {
  World world({Spec("first", 1000, kStart, kEnd)});
  world.now = kEnd - kHourMs;
  const Draw draw = world.DrawFor(1, 2 * kDayMs);
  EXPECT_EQ(draw.stop.code, ReasonCode::kBudgetPeriodEnds);
  EXPECT_EQ(draw.stop.fields.at("fits"), std::to_string(25 * kHourMs - 2 * kMinuteMs));
  world.now = kEnd + kHourMs;
  EXPECT_TRUE(world.DrawFor(1, 2 * kDayMs).holds.empty()) << "a gap is a time without a budget";
}

TEST(Budget, CarriesAPartOverOnceAndTheRestExpires) {
  BudgetSpec first = Spec("first", 100, kStart, kEnd);
  first.carry_over_percent = 25;
  World world({first, Spec("second", 10, kEnd, kEnd + 10 * kDayMs)});
  world.now = kEnd - kHourMs;
  Started run = StartOf(world, 10, 118 * kMinuteMs);
  world.now = kEnd;
  world.Close();
  // 80 are neither spent nor held: 20 are carried over, 60 expire.
  EXPECT_EQ(world.second().left, 30 * kGpuHour);
  EXPECT_EQ(world.first().expired, 60 * kGpuHour);
  EXPECT_EQ(world.first().held, 20 * kGpuHour);
  // What it does not need in the end expires too.
  world.now = kEnd + 2 * kHourMs;
  EndOf(world, run, kHourMs);
  EXPECT_EQ(world.first().expired, 70 * kGpuHour);
  EXPECT_EQ(world.first().left, 0);
  EXPECT_EQ(world.second().left, 30 * kGpuHour) << "carried over once";
  world.Close();
  EXPECT_EQ(world.second().left, 30 * kGpuHour);
}

// Peers erase what a requeued job has spent.
TEST(Budget, ARequeueErasesNothing) {
  World world({Spec("first", 10, kStart, kEnd)});
  Started run = StartOf(world, 1, kHourMs);
  EndOf(world, run, 30 * kMinuteMs, AttemptOutcome::kRequeued);
  EXPECT_EQ(world.first().spent, kGpuHour / 2);
  Started again = StartOf(world, 1, kHourMs);
  EndOf(world, again, 30 * kMinuteMs);
  EXPECT_EQ(world.first().spent, kGpuHour);
}

TEST(Budget, ANodeFaultIsGivenBack) {
  World world({Spec("first", 10, kStart, kEnd)});
  Started run = StartOf(world, 1, kHourMs);
  run.attempt.reason = {ReasonCode::kNodeFailed, {{"nodes", "n3"}}};
  EndOf(world, run, 30 * kMinuteMs, AttemptOutcome::kNodeFailed);
  EXPECT_EQ(world.first().left, 10 * kGpuHour);
  EXPECT_EQ(world.first().refunded, kGpuHour / 2);
  EXPECT_EQ(run.booked.charged, 0);
  EXPECT_TRUE(run.booked.usage.empty()) << "its usage at its own date";
  EXPECT_EQ(world.entries.back().reason.fields.at("nodes"), "n3") << "with the evidence";
}

TEST(Budget, ARefundAfterTheEndGoesToTheCurrentPeriod) {
  World world({Spec("first", 10, kStart, kEnd), Spec("second", 10, kEnd, kEnd + 10 * kDayMs)});
  world.now = kEnd - kHourMs;
  Started run = StartOf(world, 1, 5 * kHourMs);
  world.now = kEnd + kHourMs;
  world.Close();
  run.attempt.reason = {ReasonCode::kNodeFailed, {{"nodes", "n3"}}};
  EndOf(world, run, 2 * kHourMs, AttemptOutcome::kNodeFailed);
  EXPECT_EQ(world.second().left, 12 * kGpuHour);
  EXPECT_EQ(world.first().spent, 0);
  EXPECT_EQ(world.first().refunded, 2 * kGpuHour);
}

TEST(Budget, ARefundGoesToTheCurrentPeriodAlsoOnceItsBudgetIsTakenOut) {
  BudgetSpec typed = Spec("second", 10, kEnd, kEnd + 10 * kDayMs);
  BudgetSpec any = Spec("any", 10, kEnd, kEnd + 10 * kDayMs);
  for (const char* type : {"h200", ""}) {
    SCOPED_TRACE(type);
    BudgetSpec first = Spec("first", 10, kStart, kEnd);
    first.gpu_type = typed.gpu_type = type;
    World world({first, typed});
    world.now = kEnd - kHourMs;
    Started run = StartOf(world, 1, 5 * kHourMs);
    world.now = kEnd + kHourMs;
    world.Close();
    std::vector<BudgetSpec> next = {typed};
    if (*type != '\0') next.push_back(any);
    ASSERT_TRUE(world.Set(next).has_value()) << "the file of the new quarter";
    run.attempt.reason = {ReasonCode::kNodeFailed, {{"nodes", "n3"}}};
    EndOf(world, run, 2 * kHourMs, AttemptOutcome::kNodeFailed);
    EXPECT_EQ(world.second().left, 12 * kGpuHour);
    EXPECT_EQ(world.first().held, 0);
  }
}

// What was carried into a period would be lost, and its name with it.
TEST(Budget, IsNotTakenOutOnceHoursWereCarriedIntoIt) {
  BudgetSpec first = Spec("first", 10, kStart, kEnd);
  first.carry_over_percent = 50;
  BudgetSpec second = Spec("second", 10, kEnd + kDayMs, kEnd + 10 * kDayMs);
  World world({first, second});
  world.now = kEnd + kHourMs;
  world.Close();
  ASSERT_EQ(world.second().carried_in, 5 * kGpuHour);
  const auto gone = world.Set({first});
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().details.at(0).reason, "BUDGET_CARRIED_INTO");
  second.milli_gpu_hours = 0;
  second.end_ms = kEnd + 2 * kDayMs;
  EXPECT_TRUE(world.Set({first, second}).has_value()) << "cut to 0, and shorter";
  EXPECT_EQ(world.second().left, 5 * kGpuHour);
}

TEST(Budget, TakenOutUnusedItMayComeBack) {
  World world({Spec("first", 10, kStart, kEnd)});
  ASSERT_TRUE(world.Set({}).has_value());
  EXPECT_EQ(world.first().granted, 0);
  EXPECT_TRUE(world.Set({Spec("first", 20, kStart, kEnd)}).has_value());
  EXPECT_EQ(world.first().left, 20 * kGpuHour);
}

TEST(Budget, IsNotCutBelowSpentAndHeld) {
  World world({Spec("first", 10, kStart, kEnd)});
  Started run = StartOf(world, 2, 58 * kMinuteMs);
  const auto cut = world.Set({Spec("first", 1, kStart, kEnd)});
  ASSERT_FALSE(cut.has_value());
  EXPECT_EQ(cut.error().details.at(0).reason, "BUDGET_BELOW_SPENT");
  EXPECT_FALSE(world.Set({}).has_value()) << "nor taken out";
  EXPECT_TRUE(world.Set({Spec("first", 2, kStart, kEnd)}).has_value());
  EXPECT_EQ(world.first().left, 0);
}

TEST(Budget, AShorterLimitGivesBackAtOnce) {
  World world({Spec("first", 10, kStart, kEnd)});
  Started run = StartOf(world, 1, 4 * kHourMs);
  run.attempt.limit_ms = 58 * kMinuteMs;
  const auto due = EntriesDue(run.attempt, kSpender, run.booked, world.now);
  for (const LedgerEntry& entry : due) {
    if (entry.book == Book::kBudget) world.Book(entry);
  }
  EXPECT_EQ(world.first().held, kGpuHour);
}

// Books it as if it had been spent, and as the warning that is given.
std::int32_t WarnedAt(World& world, MilliGpuMs spent) {
  Correction correction{.id = 1, .budget = kFirst, .gpu_type = "h200", .amount = spent};
  const auto entries = AdjustmentEntries(world.tree, world.budgets, correction, 1, world.now);
  EXPECT_TRUE(entries.has_value());
  for (const LedgerEntry& entry : *entries) world.Book(entry);
  const auto warning = WarningDue(kFirst, world.first());
  if (warning) world.budgets.Warned(*warning);
  return warning ? warning->percent : 0;
}

TEST(Budget, WarnsOnceAtEachStepOfWhatIsSpent) {
  World world({Spec("first", 100, kStart, kEnd)});
  Started run = StartOf(world, 100, 58 * kMinuteMs);
  EXPECT_EQ(world.first().left, 0);
  EXPECT_EQ(WarningDue(kFirst, world.first()), std::nullopt) << "held is not spent";
  EndOf(world, run, kMinuteMs);
  EXPECT_EQ(WarnedAt(world, 70 * kGpuHour), 0);
  EXPECT_EQ(WarnedAt(world, 10 * kGpuHour), 80);
  EXPECT_EQ(WarnedAt(world, kGpuHour), 0);
  EXPECT_EQ(WarnedAt(world, world.first().left), 100);
}

TEST(Budget, WarnsAgainAfterItIsRaised) {
  World world({Spec("first", 100, kStart, kEnd)});
  EXPECT_EQ(WarnedAt(world, 100 * kGpuHour), 100);
  ASSERT_TRUE(world.Set({Spec("first", 1000, kStart, kEnd)}).has_value());
  EXPECT_EQ(WarnedAt(world, kGpuHour), 0);
  EXPECT_EQ(WarnedAt(world, 700 * kGpuHour), 80);
  ASSERT_TRUE(world.Set({Spec("first", 1001, kStart, kEnd)}).has_value());
  EXPECT_EQ(WarnedAt(world, kGpuHour), 80) << "another grant";
}

TEST(Budget, AllThreeWarningsAreGivenAndTheLastOneAgainAfterARaise) {
  World world({Spec("first", 100, kStart, kEnd)});
  std::vector<std::int32_t> given;
  const auto spend = [&](MilliGpuMs amount) {
    if (const std::int32_t percent = WarnedAt(world, amount)) given.push_back(percent);
  };
  for (int hours = 0; hours < 100; ++hours) spend(kGpuHour);
  EXPECT_EQ(given, (std::vector<std::int32_t>{80, 95, 100}));
  ASSERT_TRUE(world.Set({Spec("first", 102, kStart, kEnd)}).has_value());
  spend(kGpuHour);
  spend(kGpuHour);
  EXPECT_EQ(given, (std::vector<std::int32_t>{80, 95, 100, 95, 100}));
}

TEST(Budget, ACorrectionNeedsWhatIsLeft) {
  World world({Spec("first", 10, kStart, kEnd)});
  Correction correction;
  correction.id = 1;
  correction.budget = kFirst;
  correction.gpu_type = "h200";
  correction.amount = 11 * kGpuHour;
  EXPECT_EQ(AdjustmentEntries(world.tree, world.budgets, correction, 1, world.now)
                .error()
                .details.at(0)
                .reason,
            "BUDGET_BELOW_SPENT");
  correction.amount = 4 * kGpuHour;
  const auto entries = AdjustmentEntries(world.tree, world.budgets, correction, 1, world.now);
  ASSERT_TRUE(entries.has_value());
  for (const LedgerEntry& entry : *entries) world.Book(entry);
  EXPECT_EQ(world.first().spent, 4 * kGpuHour);
  EXPECT_EQ(world.first().left, 6 * kGpuHour);
}

TEST(Budget, ACorrectionIsOfTheBudgetsGpuType) {
  BudgetSpec spec = Spec("first", 10, kStart, kEnd);
  spec.gpu_type = "a100";
  World world({spec});
  Correction correction;
  correction.id = 1;
  correction.budget = kFirst;
  correction.gpu_type = "h200";
  correction.amount = kGpuHour;
  const auto entries = AdjustmentEntries(world.tree, world.budgets, correction, 1, world.now);
  ASSERT_FALSE(entries.has_value());
  EXPECT_EQ(entries.error().details.at(0).reason, "BUDGET_OF_ANOTHER_TYPE");
  correction.gpu_type = "a100";
  EXPECT_TRUE(AdjustmentEntries(world.tree, world.budgets, correction, 1, world.now).has_value());
}

TEST(Budget, SettingsAreCheckedWithPathAndReason) {
  const TreeRules rules{{{"h200", 8000}}, {}, {}};
  const auto reason = [&](std::vector<BudgetSpec> specs) {
    World world({});
    world.accounts.at(AccountId{2}).settings.budgets = std::move(specs);
    const AccountTree tree = *AccountTree::Build(world.accounts);
    const auto valid = tree.Validate(rules);
    return valid ? std::string()
                 : valid.error().details.at(0).reason + " at " + valid.error().details.at(0).field;
  };
  BudgetSpec good = Spec("2026-Q4", 10, kStart, kEnd);
  EXPECT_EQ(reason({good}), "");
  EXPECT_EQ(reason({Spec("", 1, kStart, kEnd)}), "FIELD_INVALID at settings.budgets.name");
  EXPECT_EQ(reason({good, good}), "PERIODS_OVERLAP at settings.budgets[2026-Q4].start_ms");
  EXPECT_EQ(reason({good, Spec("2026-Q4", 1, kEnd, kEnd + 1)}),
            "NAME_TAKEN at settings.budgets[2026-Q4].name");
  EXPECT_EQ(reason({Spec("a", -1, kStart, kEnd)}),
            "OUT_OF_RANGE at settings.budgets[a].milli_gpu_hours");
  EXPECT_EQ(
      reason({Spec("a", 1'000'000'000, kStart, kEnd), Spec("b", 1'000'000'000, kEnd, kEnd + 1)}),
      "")
      << "the most there can be";
  EXPECT_EQ(reason({Spec("a", 2'000'000'000, kStart, kEnd), Spec("b", 1, kEnd, kEnd + 1)}),
            "OUT_OF_RANGE at settings.budgets[b].milli_gpu_hours")
      << "carried over they would not fit 63 bits";
  EXPECT_EQ(reason({Spec("a", 1, kEnd, kEnd)}), "OUT_OF_RANGE at settings.budgets[a].end_ms");
  good.gpu_type = "a100";
  EXPECT_EQ(reason({good}), "NO_SUCH_GPU_TYPE at settings.budgets[2026-Q4].gpu_type");
}

TEST(Budget, RulesSayTheMarginAndHowFarBeyondAPeriodAStartHolds) {
  World world({Spec("first", 100, kStart, kEnd)});
  world.now = kEnd - kHourMs;
  const Cost cost{AccountId{2}, "h200", 1000, kHourMs, 1000, 1000};
  ChargeRules rules{.kill_margin_ms = 30 * kMinuteMs, .hold_beyond_ms = kHourMs};
  const Draw held = DrawOf(world.tree, world.budgets, cost, world.now, {}, rules);
  ASSERT_EQ(held.holds.size(), 1U);
  EXPECT_EQ(held.holds.at(0).amount, kGpuHour * 3 / 2);
  rules.hold_beyond_ms = 0;
  const Draw waits = DrawOf(world.tree, world.budgets, cost, world.now, {}, rules);
  EXPECT_EQ(waits.stop.code, ReasonCode::kBudgetPeriodEnds);
  EXPECT_EQ(waits.stop.fields.at("beyond"), "0");
  EXPECT_EQ(waits.stop.fields.at("fits"), std::to_string(30 * kMinuteMs));
}

}  // namespace
}  // namespace kezek::quota

// Goal: a forecast says what happens to a budget that goes on at its pace. Method: a table of
// paces, and periods that are simulated hour by hour at a pace and then closed by the rules of
// budgets.
#include "kezek/budget_forecast.h"

#include <gtest/gtest.h>

#include "kezek/names.h"
#include "quota/budget.h"

namespace kezek::quota {
namespace {

constexpr TimeMs kFirstDay = 100 * kDayMs;
constexpr AccountId kAccount{2};

BudgetSpec Period(const std::string& name, TimeMs start, DurationMs time) {
  return {.name = name,
          .milli_gpu_hours = 1000 * 1000,
          .start_ms = start,
          .end_ms = start + time,
          .carry_over_percent = 25};
}

struct Case {
  const char* what;
  MilliGpuMs left;
  MilliGpuMs held;
  MilliGpuMs spent;  // in ten days
  bool has_next;
  DurationMs runs_out_ms;  // from now on; 0: it lasts the ten days to come
  MilliGpuMs will_expire;
};

TEST(BudgetForecast, FollowsThePace) {
  const MilliGpuMs h = kGpuHour;
  const Case cases[] = {
      {"nothing spent", 1000 * h, 0, 0, true, 0, 750 * h},
      {"nothing spent, nothing behind it", 1000 * h, 0, 0, false, 0, 1000 * h},
      {"half of it", 500 * h, 0, 250 * h, true, 0, 250 * h * 3 / 4},
      {"as much as is left", 500 * h, 0, 500 * h, true, 0, 0},
      {"twice as much", 250 * h, 0, 500 * h, true, 5 * kDayMs, 0},
      {"what is held lasts, too", 0, 250 * h, 500 * h, true, 5 * kDayMs, 0},
      {"what is held does not expire", 100 * h, 400 * h, 0, false, 0, 100 * h},
      {"the pace takes what is held first", 100 * h, 400 * h, 450 * h, false, 0, 50 * h},
      {"all gone", 0, 0, 500 * h, true, 0, 0},
      {"more given back than spent", 1000 * h, 0, -5 * h, false, 0, 1000 * h},
  };
  const TimeMs now = kFirstDay + 10 * kDayMs;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    const BudgetBalance balance{.left = one.left, .held = one.held};
    const BudgetSpec spec = Period("q", kFirstDay, 20 * kDayMs);
    const BudgetForecast forecast =
        ForecastOf(spec, balance, {one.spent, PaceTime(spec, now)}, now, one.has_next);
    const bool at_once = one.left + one.held == 0 && one.spent > 0;
    const TimeMs runs_out = one.runs_out_ms == 0 && !at_once ? 0 : now + one.runs_out_ms;
    EXPECT_EQ(forecast.runs_out_ms, runs_out);
    EXPECT_EQ(forecast.will_expire, one.will_expire);
  }
}

TEST(BudgetForecast, OfAPeriodThatIsNotCurrentThereIsNone) {
  const BudgetSpec spec = Period("q", kFirstDay, 20 * kDayMs);
  const BudgetBalance balance{.left = kGpuHour};
  for (const TimeMs now : {kFirstDay - 1, kFirstDay + 20 * kDayMs}) {
    EXPECT_EQ(ForecastOf(spec, balance, {kGpuHour, kHourMs}, now, false), BudgetForecast{});
  }
}

TEST(BudgetForecast, LooksBackFourteenDaysAtMostAndAnHourAtLeast) {
  const BudgetSpec spec = Period("q", kFirstDay, 20 * kDayMs);
  EXPECT_EQ(PaceTime(spec, kFirstDay + kMinuteMs), kHourMs);
  EXPECT_EQ(PaceTime(spec, kFirstDay + 3 * kDayMs), 3 * kDayMs);
  EXPECT_EQ(PaceTime(spec, kFirstDay + 19 * kDayMs), 14 * kDayMs);
}

TEST(BudgetForecast, TheNextPeriodIsTheSameAccountsAndTypes) {
  const BudgetStanding one{{kAccount, "a"}, Period("a", kFirstDay, kDayMs), {}};
  BudgetStanding next{{kAccount, "b"}, Period("b", kFirstDay + 5 * kDayMs, kDayMs), {}};
  EXPECT_TRUE(HasNextPeriod({one, next}, one)) << "whenever it begins";
  EXPECT_FALSE(HasNextPeriod({one, next}, next)) << "the last";
  next.spec.gpu_type = "h200";
  EXPECT_FALSE(HasNextPeriod({one, next}, one));
  next.spec.gpu_type.clear();
  next.ref.account = AccountId{3};
  EXPECT_FALSE(HasNextPeriod({one, next}, one));
}

// One account whose budget is spent hour by hour.
struct Simulated {
  AccountTree tree;
  Budgets budgets;
  std::vector<BudgetSpec> specs;

  explicit Simulated(std::vector<BudgetSpec> periods) : specs(std::move(periods)) {
    std::map<AccountId, Account> accounts;
    for (std::int64_t i = 1; i <= 2; ++i) {
      Account& account = accounts[AccountId{i}];
      account.id = AccountId{i};
      account.parent = AccountId{i - 1};
      account.name = i == 1 ? "cluster" : "nlp";
      account.kind = i == 1 ? "cluster" : "project";
    }
    const AccountTree before = *AccountTree::Build(accounts);
    accounts.at(kAccount).settings.budgets = specs;
    tree = *AccountTree::Build(accounts);
    const auto grants = GrantsDue(before, tree, budgets, kFirstDay);
    for (const LedgerEntry& entry : *grants) budgets.Book(entry);
  }
  // False: it is not left.
  bool Spend(MilliGpuMs amount) {
    if (Balance().left < amount) return false;
    LedgerEntry entry;
    entry.book = Book::kBudget;
    entry.budget = {kAccount, specs[0].name};
    entry.amount = amount;
    entry.kind = EntryKind::kHold;
    entry.contra = NameOf(Pot::kLeft);
    entry.pot = Pot::kHeld;
    budgets.Book(entry);
    entry.kind = EntryKind::kSettlement;
    entry.contra = NameOf(Pot::kHeld);
    entry.pot = Pot::kSpent;
    budgets.Book(entry);
    return true;
  }
  const BudgetBalance& Balance() const { return budgets.Of({kAccount, specs[0].name}); }
};

TEST(BudgetForecast, IsWhatAPeriodAtThatPaceComesTo) {
  const DurationMs time = 20 * kDayMs;
  for (const bool has_next : {false, true}) {
    for (const std::int64_t pace : {0, 1, 2, 4, 5, 10}) {  // GPU-hours an hour
      SCOPED_TRACE(pace);
      std::vector<BudgetSpec> periods = {Period("a", kFirstDay, time)};
      if (has_next) periods.push_back(Period("b", kFirstDay + time, time));
      Simulated account(periods);
      BudgetForecast forecast;
      TimeMs ran_out = 0;
      for (TimeMs now = kFirstDay; now < kFirstDay + time; now += kHourMs) {
        if (now == kFirstDay + 4 * kDayMs) {
          forecast =
              ForecastOf(periods[0], account.Balance(),
                         {account.Balance().spent, PaceTime(periods[0], now)}, now, has_next);
        }
        if (!account.Spend(pace * kGpuHour) && ran_out == 0) ran_out = now;
      }
      EXPECT_EQ(forecast.runs_out_ms, ran_out);
      for (const LedgerEntry& entry : EndsDue(account.tree, account.budgets, kFirstDay + time)) {
        account.budgets.Book(entry);
      }
      EXPECT_EQ(forecast.will_expire, account.Balance().expired);
    }
  }
}

}  // namespace
}  // namespace kezek::quota

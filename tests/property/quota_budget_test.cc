// Goal: no budget is overshot by one unit, whatever happens in which order, and what is in its pots
// is always what was granted to it.
// Method: random lives of many attempts on budgets of two levels, with ends of periods, changes of
// settings, node faults and corrections in between; beside the fold of entries runs a naive twin
// that keeps one sum for each pot and knows only what each kind of entry moves.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kezek/names.h"
#include "quota/budget.h"
#include "tests/property/seeds.h"

namespace kezek::quota {
namespace {

using property::Dice;

constexpr TimeMs kBegin = 1'000 * kDayMs;

// Pots by name, counted from both sides of every entry.
struct NaiveTwin {
  std::map<BudgetRef, std::map<std::string, MilliGpuMs>> pots;

  void Add(const LedgerEntry& entry) {
    pots[entry.budget][std::string(NameOf(entry.pot))] += entry.amount;
    pots[entry.budget][entry.contra] -= entry.amount;
    MilliGpuMs all = 0;
    for (const auto& [name, amount] : pots[entry.budget]) all += amount;
    ASSERT_EQ(all, 0);
    for (const char* pot : {"left", "held", "spent", "expired"}) {
      ASSERT_GE(pots[entry.budget][pot], 0) << entry.budget.name << " " << pot;
    }
  }
};

struct Life {
  Attempt attempt;
  Payer payer;
  Booked booked;
  // Of the periods of an account, for one GPU type or all: settled, less refunds.
  using Chain = std::pair<AccountId, std::string>;
  std::map<Chain, MilliGpuMs> spent;
  std::map<BudgetRef, Chain> chains;                                      // of what it holds
  std::map<Chain, std::vector<std::pair<DurationMs, DurationMs>>> parts;  // held, of its time
};

class BudgetHistory {
 public:
  explicit BudgetHistory(std::uint64_t seed) : dice_(seed) {
    for (std::int64_t i = 1; i <= 3; ++i) {
      Account account;
      account.id = AccountId{i};
      account.parent = AccountId{i == 1 ? 0 : 1};
      account.name = "a" + std::to_string(i);
      account.kind = i == 1 ? "cluster" : "project";
      accounts_[account.id] = account;
    }
    tree_ = *AccountTree::Build(accounts_);
    ChangeSettings();
  }

  void Run() {
    for (int i = 0; i < 120 && !::testing::Test::HasFailure(); ++i) {
      Step();
      Check();
    }
    // In the end nothing is held any more.
    while (!lives_.empty()) End(lives_.size() - 1);
    now_ += 400 * kDayMs;
    for (const LedgerEntry& entry : EndsDue(tree_, budgets_, now_)) Book(entry);
    Check();
    for (const auto& [ref, balance] : budgets_.all()) {
      EXPECT_EQ(balance.held, 0);
      EXPECT_EQ(balance.left, 0) << "a period that is over has nothing left";
    }
  }

 private:
  void Step() {
    now_ += dice_.Roll(0, 20) * kHourMs;
    for (const LedgerEntry& entry : EndsDue(tree_, budgets_, now_)) Book(entry);
    ASSERT_TRUE(EndsDue(tree_, budgets_, now_).empty()) << "an end is booked once";
    const std::int64_t what = dice_.Roll(1, 100);
    if (what <= 45) return Start();
    if (what <= 80 && !lives_.empty()) {
      return End(static_cast<std::size_t>(dice_.Roll(0, std::ssize(lives_) - 1)));
    }
    if (what <= 88) return ChangeSettings();
    if (what <= 94) return Correct();
    if (lives_.empty()) return;
    if (dice_.Chance(50)) return Shorten();
    Raise();
  }

  void Book(const LedgerEntry& entry) {
    if (entry.book != Book::kBudget) return;
    budgets_.Book(entry);
    twin_.Add(entry);
  }

  void Start() {
    Life life;
    life.attempt.ref = {JobRef{JobId{++jobs_}}, 1};
    life.attempt.planned_ms = now_;
    life.attempt.limit_ms = dice_.Roll(1, 4000) * kMinuteMs;
    life.attempt.counted_milli = dice_.Roll(1, 16'000);
    life.attempt.rate_milli = dice_.Roll(0, 3000);
    life.attempt.factor_milli = dice_.Roll(1, 2000);
    life.payer = {AccountId{dice_.Roll(2, 3)}, UserId{1}, "normal", dice_.Chance(70) ? "a" : "b"};
    const Cost cost{.project = life.payer.project,
                    .gpu_type = life.payer.gpu_type,
                    .counted_milli = life.attempt.counted_milli,
                    .limit_ms = life.attempt.limit_ms,
                    .rate_milli = life.attempt.rate_milli,
                    .factor_milli = life.attempt.factor_milli};
    const Draw draw = DrawOf(tree_, budgets_, cost, now_);
    if (draw.stop.code != ReasonCode::kNone) return CheckAdvice(cost, draw);
    if (draw.scavenges) return;
    BookHolds(life, draw, 0, HeldTime(cost.limit_ms));
    CheckWhole(cost, draw);
    lives_.push_back(life);
  }

  // Of its time from `from` to `to`.
  void BookHolds(Life& life, const Draw& draw, DurationMs from, DurationMs to) {
    std::set<Life::Chain> chains;
    for (const LedgerEntry& entry : HoldEntries(life.attempt, life.payer, draw, now_)) {
      const BudgetSpec* spec = FindBudget(tree_, entry.budget);
      life.chains[entry.budget] = {entry.budget.account, spec->gpu_type};
      chains.insert(life.chains[entry.budget]);
      life.booked.Add(entry);
      Book(entry);
    }
    for (const Life::Chain& chain : chains) life.parts[chain].emplace_back(from, to);
  }

  // What of its parts lies in the first `most` of its time.
  static MilliGpuMs Within(const Life& life, const Life::Chain& chain, DurationMs most) {
    MilliGpuMs sum = 0;
    for (const auto& [from, to] : life.parts.at(chain)) {
      sum += ChargeOf(life.attempt, std::min(to, most));
      sum -= ChargeOf(life.attempt, std::min(from, most));
    }
    return sum;
  }

  // Each chain of periods holds the whole cost, and no period more than a day past its end.
  void CheckWhole(const Cost& cost, const Draw& draw) {
    const MilliGpuMs whole =
        Charge(cost.counted_milli, HeldTime(cost.limit_ms), cost.rate_milli, cost.factor_milli);
    std::map<std::pair<AccountId, std::string>, MilliGpuMs> chains;
    for (const BudgetHold& hold : draw.holds) {
      const BudgetSpec* spec = FindBudget(tree_, hold.budget);
      ASSERT_NE(spec, nullptr);
      chains[{hold.budget.account, spec->gpu_type}] += hold.amount;
      const DurationMs most = spec->end_ms + kDayMs - now_;
      EXPECT_LE(hold.amount, Charge(cost.counted_milli, most, cost.rate_milli, cost.factor_milli));
    }
    for (const auto& [chain, sum] : chains) EXPECT_EQ(sum, whole);
  }

  // With the limit it is told, it is not stopped; with a minute more it is.
  void CheckAdvice(Cost cost, const Draw& draw) {
    const auto fits = draw.stop.fields.find("fits");
    ASSERT_TRUE(draw.holds.empty());
    if (fits == draw.stop.fields.end()) return;
    cost.limit_ms = std::stoll(fits->second);
    EXPECT_EQ(DrawOf(tree_, budgets_, cost, now_).stop.code, ReasonCode::kNone);
    cost.limit_ms += 2 * kMinuteMs;
    EXPECT_NE(DrawOf(tree_, budgets_, cost, now_).stop.code, ReasonCode::kNone);
  }

  void BookDue(Life& life) {
    for (const LedgerEntry& entry : EntriesDue(life.attempt, life.payer, life.booked, now_)) {
      life.booked.Add(entry);
      if (entry.book == Book::kBudget) Spend(life, entry);
      for (const LedgerEntry& part : Completed(tree_, budgets_, entry, now_)) Book(part);
    }
  }

  void Spend(Life& life, const LedgerEntry& entry) {
    MilliGpuMs& spent = life.spent[life.chains.at(entry.budget)];
    if (entry.kind == EntryKind::kSettlement) spent += entry.amount;
    if (entry.kind == EntryKind::kRefund) spent -= entry.amount;
  }

  void Shorten() {
    Life& life = lives_[static_cast<std::size_t>(dice_.Roll(0, std::ssize(lives_) - 1))];
    life.attempt.limit_ms = std::max<DurationMs>(kMinuteMs, life.attempt.limit_ms / 2);
    BookDue(life);
    const DurationMs held = HeldTime(life.attempt.limit_ms);
    for (auto& [chain, parts] : life.parts) {
      for (auto& [from, to] : parts)
        std::tie(from, to) = std::pair(std::min(from, held), std::min(to, held));
    }
    CheckHeld(life);
  }

  // What is more is held, exactly, or nothing changes.
  void Raise() {
    Life& life = lives_[static_cast<std::size_t>(dice_.Roll(0, std::ssize(lives_) - 1))];
    const DurationMs held = HeldTime(life.attempt.limit_ms);
    Cost cost{.project = life.payer.project,
              .gpu_type = life.payer.gpu_type,
              .counted_milli = life.attempt.counted_milli,
              .limit_ms = life.attempt.limit_ms + dice_.Roll(1, 2000) * kMinuteMs,
              .rate_milli = life.attempt.rate_milli,
              .factor_milli = life.attempt.factor_milli};
    const Draw draw = DrawOfRaise(tree_, budgets_, cost, life.attempt, now_);
    EXPECT_FALSE(draw.scavenges) << "what runs does not become a scavenger";
    if (draw.stop.code != ReasonCode::kNone) {
      const auto fits = draw.stop.fields.find("fits");
      if (fits == draw.stop.fields.end()) return;
      cost.limit_ms = std::stoll(fits->second);
      EXPECT_GT(cost.limit_ms, life.attempt.limit_ms);
      const Draw shorter = DrawOfRaise(tree_, budgets_, cost, life.attempt, now_);
      EXPECT_EQ(shorter.stop.code, ReasonCode::kNone);
      return;
    }
    BookHolds(life, draw, held, HeldTime(cost.limit_ms));
    life.attempt.limit_ms = cost.limit_ms;
    CheckHeld(life);
  }

  void CheckHeld(const Life& life) {
    std::map<Life::Chain, MilliGpuMs> sums;
    for (const auto& [key, amount] : life.booked.holds) sums[life.chains.at(key.second)] += amount;
    for (const auto& [chain, parts] : life.parts) {
      EXPECT_EQ(sums[chain], Within(life, chain, HeldTime(life.attempt.limit_ms)));
    }
  }

  static MilliGpuMs ChargeOf(const Attempt& attempt, DurationMs time_ms) {
    return Charge(attempt.counted_milli, time_ms, attempt.rate_milli, attempt.factor_milli);
  }

  void End(std::size_t index) {
    Life life = lives_[index];
    lives_.erase(lives_.begin() + static_cast<std::ptrdiff_t>(index));
    const bool ran = dice_.Chance(85);
    life.attempt.state = AttemptState::kEnded;
    life.attempt.start_ms = ran ? life.attempt.planned_ms + kSecondMs : 0;
    life.attempt.end_ms = life.attempt.planned_ms + dice_.Roll(1, 5000) * kMinuteMs;
    life.attempt.outcome = !ran               ? AttemptOutcome::kLaunchFailed
                           : dice_.Chance(20) ? AttemptOutcome::kNodeFailed
                           : dice_.Chance(20) ? AttemptOutcome::kPreempted
                                              : AttemptOutcome::kSucceeded;
    life.attempt.reason.code = life.attempt.outcome == AttemptOutcome::kNodeFailed
                                   ? ReasonCode::kNodeFailed
                                   : ReasonCode::kFinished;
    if (ran && dice_.Chance(50)) {
      life.attempt.last_checkpoint_ms = life.attempt.start_ms + dice_.Roll(0, 5000 * kMinuteMs);
    }
    life.payer.checkpointed = life.attempt.last_checkpoint_ms != 0 || dice_.Chance(30);
    BookDue(life);
    CheckEnd(life);
    EXPECT_TRUE(EntriesDue(life.attempt, life.payer, life.booked, now_).empty());
  }

  // What the charge book keeps is what usage keeps and what each chain of budgets has spent for it.
  void CheckEnd(const Life& life) {
    EXPECT_TRUE(life.booked.holds.empty()) << "all of a hold goes somewhere at the end";
    const Attempt& attempt = life.attempt;
    const DurationMs charged = ChargedTime(attempt);
    const DurationMs unsaved =
        std::clamp<DurationMs>(attempt.start_ms + charged - UnsavedSince(attempt), 0, charged);
    const DurationMs second = kSecondMs - 1;  // a part of one is given back whole
    const DurationMs whole = (unsaved + second) / kSecondMs * kSecondMs;
    const bool fault = attempt.outcome == AttemptOutcome::kNodeFailed;
    const bool preempted = attempt.outcome == AttemptOutcome::kPreempted && life.payer.checkpointed;
    const DurationMs refunded = fault ? whole : preempted ? std::min(whole, kHourMs) : 0;
    EXPECT_EQ(life.booked.charged, Charge(attempt.counted_milli, charged - refunded,
                                          attempt.rate_milli, attempt.factor_milli));
    MilliGpuMs usage = 0;
    for (const auto& [date, amount] : life.booked.usage) usage += amount;
    EXPECT_EQ(usage, life.booked.charged);
    for (const auto& [chain, spent] : life.spent) {
      EXPECT_EQ(spent, Within(life, chain, charged - refunded));
    }
  }

  void Correct() {
    Correction correction;
    correction.id = 1;
    correction.budget = {AccountId{dice_.Roll(1, 3)}, "p" + std::to_string(dice_.Roll(0, 12))};
    correction.amount = dice_.Roll(-2000, 2000) * 1000 * kHourMs;
    const auto entries = AdjustmentEntries(tree_, budgets_, correction, 1, now_);
    if (!entries) return;
    for (const LedgerEntry& entry : *entries) Book(entry);
  }

  // Periods of ten days from the beginning, some missing, with other amounts and ways each time.
  void ChangeSettings() {
    std::map<AccountId, Account> changed = accounts_;
    Account& account = changed.at(AccountId{dice_.Roll(1, 3)});
    std::vector<BudgetSpec> specs;
    for (std::int64_t i = 0; i < 12; ++i) {
      const std::string name = "p" + std::to_string(i);
      const BudgetRef ref{account.id, name};
      const BudgetSpec* known = FindBudget(tree_, ref);
      if (known != nullptr && (budgets_.Of(ref).closed || dice_.Chance(60))) {
        specs.push_back(*known);
        continue;
      }
      if (dice_.Chance(30)) continue;
      specs.push_back(
          {.name = name,
           .gpu_type = i % 2 == 0 ? "" : "a",
           .milli_gpu_hours = dice_.Roll(0, 2'000'000),
           .start_ms = kBegin + i / 2 * 10 * kDayMs,
           .end_ms = kBegin + (i / 2 + 1) * 10 * kDayMs,
           .at_exhaustion = dice_.Chance(80) ? AtExhaustion::kStop : AtExhaustion::kScavenge,
           .carry_over_percent = static_cast<std::int32_t>(dice_.Roll(0, 100))});
    }
    account.settings.budgets = specs;
    AccountTree after = *AccountTree::Build(changed);
    ASSERT_TRUE(CheckBudgets(after, after.IndexOf(account.id), {{{"a", 1}}, {}, {}}));
    const auto grants = GrantsDue(tree_, after, budgets_, now_);
    if (!grants) return;
    for (const LedgerEntry& entry : *grants) Book(entry);
    accounts_ = std::move(changed);
    tree_ = std::move(after);
    EXPECT_TRUE(GrantsDue(tree_, tree_, budgets_, now_)->empty()) << "granted once";
  }

  void Check() {
    MilliGpuMs held = 0;
    for (const auto& [ref, balance] : budgets_.all()) {
      auto& pots = twin_.pots[ref];
      EXPECT_EQ(balance.left, pots["left"]);
      EXPECT_EQ(balance.held, pots["held"]);
      EXPECT_EQ(balance.spent, pots["spent"]);
      EXPECT_EQ(balance.expired, pots["expired"]);
      EXPECT_EQ(balance.granted, -pots["grants"]);
      EXPECT_EQ(balance.carried_in - balance.carried_out, -pots["carried"]);
      EXPECT_EQ(balance.granted + balance.carried_in, balance.left + balance.held + balance.spent +
                                                          balance.carried_out + balance.expired);
      held += balance.held;
    }
    MilliGpuMs of_lives = 0;
    for (const Life& life : lives_) {
      for (const auto& [key, amount] : life.booked.holds) of_lives += amount;
    }
    EXPECT_EQ(held, of_lives);
    // What is on its way from one period to another has arrived.
    MilliGpuMs on_the_way = 0;
    for (auto& [ref, pots] : twin_.pots) on_the_way += pots["carried"];
    EXPECT_EQ(on_the_way, 0);
  }

  Dice dice_;
  TimeMs now_ = kBegin;
  std::int64_t jobs_ = 0;
  std::map<AccountId, Account> accounts_;
  AccountTree tree_;
  Budgets budgets_;
  NaiveTwin twin_;
  std::vector<Life> lives_;
};

TEST(QuotaBudget, NeverOvershotWhateverHappens) {
  property::ForEachSeed([](std::uint64_t seed) { BudgetHistory(seed).Run(); });
}

}  // namespace
}  // namespace kezek::quota

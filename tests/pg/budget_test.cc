// Goal: budgets in the database add up by SQL alone to what the engine has, in double entry, and no
// entry that overshoots one is stored, whoever writes it. Method: a real server; entries of a
// budget's life committed as the controller commits them, then what an auditor would ask in SQL,
// and what a writer gone wrong would try.

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>

#include "kezek/names.h"
#include "postgres/read_pool.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

const BudgetRef kBudget{AccountId{4}, "2026-Q4"};

LedgerEntry Entry(EntryKind kind, Pot from, Pot to, MilliGpuMs amount, std::int32_t attempt = 0) {
  LedgerEntry entry;
  entry.time_ms = 1000;
  entry.book = Book::kBudget;
  entry.kind = kind;
  entry.project = AccountId{5};
  entry.contra = NameOf(from);
  entry.gpu_type = "h200";
  entry.budget = kBudget;
  entry.pot = to;
  entry.amount = amount;
  if (attempt > 0) entry.attempt = {{JobId{9}, kNoElement}, attempt};
  return entry;
}

Attempt Alive(std::int32_t number) {
  Attempt attempt;
  attempt.ref = {{JobId{9}, kNoElement}, number};
  attempt.state = AttemptState::kRunning;
  return attempt;
}

class BudgetTest : public testing::Test {
 protected:
  BudgetTest() { EXPECT_TRUE(store_.Lead().has_value()); }

  Result<void> Commit(std::vector<LedgerEntry> entries) {
    Changes changes;
    changes.ledger = std::move(entries);
    return store_.Commit(changes);
  }
  std::string Ask(const std::string& sql) {
    const auto rows = test::Sql(database_.admin, sql);
    return rows.empty() ? "" : rows.at(0);
  }
  void Live() {
    Changes changes;
    Job job;
    job.ref = {JobId{9}, kNoElement};
    job.spec = std::make_shared<const JobSpec>();
    job.state = JobState::kRunning;
    changes.jobs = {job};
    changes.attempts = {Alive(1), Alive(2)};
    changes.ledger = {Entry(EntryKind::kGrant, Pot::kGrants, Pot::kLeft, 100),
                      Entry(EntryKind::kHold, Pot::kLeft, Pot::kHeld, 60, 1),
                      Entry(EntryKind::kHold, Pot::kLeft, Pot::kHeld, 40, 2),
                      Entry(EntryKind::kSettlement, Pot::kHeld, Pot::kSpent, 50, 1),
                      Entry(EntryKind::kRelease, Pot::kHeld, Pot::kLeft, 10, 1),
                      Entry(EntryKind::kRefund, Pot::kSpent, Pot::kLeft, 20, 1)};
    changes.ledger.back().reason = {ReasonCode::kNodeFailed, {{"nodes", "n3"}}};
    changes.budget_warnings = {{kBudget, 80}, {kBudget, 100}};
    const auto committed = store_.Commit(changes);
    ASSERT_TRUE(committed.has_value()) << committed.error().message;
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  PostgresStore store_{{.conninfo = database_.app}, clock_, {}};
  ReadPool pool_{{.conninfo = database_.app, .threads = 1}, clock_};
};

TEST_F(BudgetTest, SqlAddsUpToWhatIsLoaded) {
  Live();
  EXPECT_EQ(Ask("select sum(amount) from budget_postings"), "0");
  EXPECT_EQ(Ask("select format('%s %s %s %s', left_amount, held, spent, refunded)"
                " from budget_balances where budget = '2026-Q4'"),
            "30 40 30 20");
  EXPECT_EQ(Ask("select count(*) from budget_totals t full join budget_balances b"
                " on b.budget_account_id = t.account_id and b.budget = t.name"
                " where (t.left_amount, t.held, t.spent, t.expired, t.granted, t.carried_in,"
                " t.carried_out, t.refunded, t.closed) is distinct from (b.left_amount, b.held,"
                " b.spent, b.expired, b.granted, b.carried_in, b.carried_out, b.refunded,"
                " b.closed)"),
            "0");
  const auto snapshot = store_.Lead();
  ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
  ASSERT_EQ(snapshot->budgets.size(), 1U);
  const BudgetBalance& balance = snapshot->budgets[0].second;
  EXPECT_EQ(balance.left, 30);
  EXPECT_EQ(balance.held, 40);
  EXPECT_EQ(balance.spent, 30);
  EXPECT_EQ(balance.granted, 100);
  EXPECT_EQ(balance.refunded, 20);
  EXPECT_EQ(balance.warned_percent, 100);
  EXPECT_FALSE(balance.closed);
  // What is held by attempts that have not ended, to settle it from.
  MilliGpuMs held = 0;
  for (const LedgerEntry& entry : snapshot->holds) {
    held += entry.pot == Pot::kHeld ? entry.amount : 0;
    held -= entry.contra == "held" ? entry.amount : 0;
  }
  EXPECT_EQ(held, 40);
}

TEST_F(BudgetTest, WarningsBelongToWhatIsGrantedThen) {
  Live();
  Changes raised;
  raised.ledger = {Entry(EntryKind::kGrant, Pot::kGrants, Pot::kLeft, 50)};
  ASSERT_TRUE(store_.Commit(raised).has_value());
  auto snapshot = store_.Lead();
  ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
  EXPECT_EQ(snapshot->budgets.at(0).second.warned_percent, 0) << "100 was of less";
  raised.ledger = {Entry(EntryKind::kGrant, Pot::kGrants, Pot::kLeft, 50)};
  raised.budget_warnings = {{kBudget, 80}};
  ASSERT_TRUE(store_.Commit(raised).has_value());
  snapshot = store_.Lead();
  ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
  EXPECT_EQ(snapshot->budgets.at(0).second.warned_percent, 80);
  EXPECT_EQ(Ask("select string_agg(granted || ':' || percent, ' ' order by granted, percent)"
                " from budget_warnings"),
            "100:80 100:100 200:80");
}

TEST_F(BudgetTest, NoEntryThatOvershootsIsStored) {
  Live();
  const std::string before = Ask("select count(*) from ledger");
  EXPECT_FALSE(Commit({Entry(EntryKind::kHold, Pot::kLeft, Pot::kHeld, 31, 2)}).has_value())
      << "by one unit";
  ASSERT_TRUE(store_.Lead().has_value());
  EXPECT_FALSE(Commit({Entry(EntryKind::kGrant, Pot::kLeft, Pot::kGrants, 31)}).has_value())
      << "nor cut below spent and held";
  ASSERT_TRUE(store_.Lead().has_value());
  EXPECT_FALSE(Commit({Entry(EntryKind::kRelease, Pot::kHeld, Pot::kLeft, 41, 2)}).has_value())
      << "nor more released than is held";
  ASSERT_TRUE(store_.Lead().has_value());
  EXPECT_FALSE(Commit({Entry(EntryKind::kHold, Pot::kGrants, Pot::kSpent, 1, 2)}).has_value())
      << "nor what no kind of entry moves";
  EXPECT_EQ(Ask("select count(*) from ledger"), before);
  ASSERT_TRUE(store_.Lead().has_value());
  EXPECT_TRUE(Commit({Entry(EntryKind::kHold, Pot::kLeft, Pot::kHeld, 30, 2)}).has_value());
}

TEST_F(BudgetTest, WhoRunsTheDaemonCannotRewriteIt) {
  Live();
  for (const char* sql :
       {"update kezek.ledger set amount = 1", "delete from kezek.ledger",
        "update kezek.budget_totals set left_amount = 1000",
        "insert into kezek.budget_totals values (9, 'x', 1, 0, 0, 0, 1, 0, 0, 0, false)",
        "delete from kezek.budget_warnings"}) {
    EXPECT_ANY_THROW(test::Sql(database_.app, sql)) << sql;
  }
  for (const char* sql : {"update ledger set amount = 1", "delete from ledger"}) {
    EXPECT_ANY_THROW(test::Sql(database_.admin, sql)) << "nor its owner: " << sql;
  }
}

TEST_F(BudgetTest, AnAttemptIsSettledOnceOnEachBudget) {
  Live();
  EXPECT_FALSE(Commit({Entry(EntryKind::kSettlement, Pot::kHeld, Pot::kSpent, 1, 1)}).has_value());
}

// An entry of correction 3, in the budget's book.
LedgerEntry Adjusting(Pot from, Pot to, MilliGpuMs amount) {
  LedgerEntry entry = Entry(EntryKind::kAdjustment, from, to, amount);
  entry.project = kBudget.account;
  entry.correction = 3;
  return entry;
}

// Proposed by aida, of 7.
Correction Proposal() {
  Correction correction;
  correction.id = 3;
  correction.budget = kBudget;
  correction.gpu_type = "h200";
  correction.amount = 7;
  correction.reason = "a meter was wrong";
  correction.proposed_by = "aida";
  correction.proposed_ms = 1000;
  return correction;
}

TEST_F(BudgetTest, WhoRunsTheDaemonCannotDecideForTwo) {
  Live();
  Correction correction = Proposal();
  const auto put = [this](const Correction& one, std::vector<LedgerEntry> entries = {}) {
    Changes changes;
    changes.corrections = {one};
    changes.ledger = std::move(entries);
    const bool taken = store_.Commit(changes).has_value();
    EXPECT_TRUE(taken || store_.Lead().has_value());
    return taken;
  };
  Correction decided = correction;
  decided.state = CorrectionState::kBooked;
  decided.decided_by = "berik";
  decided.decided_ms = 2000;
  EXPECT_FALSE(put(decided)) << "nobody has proposed it";
  ASSERT_TRUE(put(correction));
  EXPECT_TRUE(put(correction)) << "the same again";
  Correction more = decided;
  more.amount = 8;
  EXPECT_FALSE(put(more)) << "what was proposed stays";
  more = decided;
  more.proposed_by = "dana";
  EXPECT_FALSE(put(more));
  more = decided;
  more.decided_by = "aida";
  EXPECT_FALSE(put(more)) << "one person";
  more.decided_by = "";
  EXPECT_FALSE(put(more)) << "nobody";
  const std::vector<LedgerEntry> due = {Adjusting(Pot::kLeft, Pot::kSpent, 7)};
  EXPECT_FALSE(Commit(due).has_value()) << "not before it is decided";
  ASSERT_TRUE(store_.Lead().has_value());
  EXPECT_FALSE(put(decided, {Adjusting(Pot::kLeft, Pot::kSpent, 6)})) << "another amount";
  EXPECT_FALSE(put(decided, {Adjusting(Pot::kSpent, Pot::kLeft, 7)})) << "the other way";
  LedgerEntry elsewhere = due[0];
  elsewhere.budget.name = "2027-Q1";
  EXPECT_FALSE(put(decided, {elsewhere}));
  LedgerEntry usage = due[0];
  usage.book = Book::kUsage;
  usage.budget = {};
  usage.pot = Pot::kNone;
  usage.contra = "operator";
  LedgerEntry of_another = usage;
  of_another.project = AccountId{9};
  EXPECT_FALSE(put(decided, {of_another, due[0]}));
  ASSERT_TRUE(put(decided, {usage, due[0]}));
  EXPECT_TRUE(put(decided)) << "the same again";
  EXPECT_FALSE(Commit(due).has_value()) << "corrected once";
  ASSERT_TRUE(store_.Lead().has_value());
  Correction undone = decided;
  undone.state = CorrectionState::kDeclined;
  EXPECT_FALSE(put(undone)) << "decided once";
  LedgerEntry bare = due[0];
  bare.correction = 0;
  EXPECT_FALSE(Commit({bare}).has_value()) << "of no decision";
  ASSERT_TRUE(store_.Lead().has_value());
  for (const char* sql :
       {"update kezek.corrections set amount = 1", "update kezek.corrections set proposed_by = 'x'",
        "update kezek.corrections set state = 'proposed'", "delete from kezek.corrections"}) {
    EXPECT_ANY_THROW(test::Sql(database_.app, sql)) << sql;
  }
}

TEST_F(BudgetTest, ReadersFindEntriesSpendingAndCorrections) {
  Live();
  Changes changes;
  Correction correction = Proposal();
  changes.corrections = {correction};
  ASSERT_TRUE(store_.Commit(changes).has_value());
  correction.state = CorrectionState::kBooked;
  correction.decided_ms = 1000;
  correction.decided_by = "aida";
  changes.corrections = {correction};
  EXPECT_FALSE(store_.Commit(changes).has_value()) << "two people";
  ASSERT_TRUE(store_.Lead().has_value());
  correction.decided_by = "berik";
  changes.corrections = {correction};
  changes.ledger = {Adjusting(Pot::kLeft, Pot::kSpent, 7)};
  changes.ledger[0].actor = "berik";
  ASSERT_TRUE(store_.Commit(changes).has_value());
  std::promise<void> done;
  pool_.Read([&](Reader& reader) {
    const auto found = reader.GetCorrection(3);
    ASSERT_TRUE(found.has_value());
    correction.ledger_seq = 7;
    EXPECT_EQ(*found, correction);
    EXPECT_EQ(reader.GetCorrection(4).error().code, Code::kNotFound);
    EXPECT_EQ(reader.ListCorrections({})->size(), 0U) << "it is decided";
    EXPECT_EQ(reader.ListCorrections({.decided = true}).value(), std::vector{correction});
    EXPECT_EQ(reader.ListCorrections({.decided = true, .before_id = 3})->size(), 0U);
    const auto spent = reader.SpentSince({{AccountId{9}, "none"}, kBudget}, 0);
    ASSERT_TRUE(spent.has_value());
    EXPECT_EQ(*spent, (std::map<BudgetRef, MilliGpuMs>{{kBudget, 37}}));
    EXPECT_TRUE(reader.SpentSince({{AccountId{9}, "none"}}, 0)->empty()) << "nobody else's";
    EXPECT_TRUE(reader.SpentSince({}, 0)->empty());
    const auto rows = reader.ListLedger({.accounts = {AccountId{4}}, .limit = 3});
    ASSERT_TRUE(rows.has_value());
    ASSERT_EQ(rows->size(), 3U);
    EXPECT_EQ(rows->at(0).entry.seq, 7);
    EXPECT_EQ(rows->at(0).entry.actor, "berik");
    EXPECT_EQ(rows->at(1).entry.reason.fields.at("nodes"), "n3");
    EXPECT_EQ(rows->at(1).factor_milli, 1000) << "of the attempt";
    const auto more =
        reader.ListLedger({.kinds = {EntryKind::kHold}, .before_seq = 3, .limit = 10});
    ASSERT_TRUE(more.has_value());
    ASSERT_EQ(more->size(), 1U);
    EXPECT_EQ(more->at(0).entry.seq, 2);
    done.set_value();
  });
  done.get_future().get();
}

}  // namespace
}  // namespace kezek::postgres

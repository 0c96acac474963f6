// Goal: what a controller commits is what the next leader reads; of usage that is settled, its
// sums. Method: random changes against a model of the rows; rows that are final and settled.

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "tests/pg/store_fixture.h"
#include "tests/support/random_values.h"

namespace kezek::postgres {
namespace {

bool Same(const Job& a, const Job& b) {
  const auto rest = [](const Job& job) {
    return std::tie(job.ref, job.user, *job.spec, job.state, job.hold, job.pending,
                    job.submitted_ms, job.queued_since_ms, job.not_before_ms, job.ended_ms,
                    job.attempts, job.failed_runs, job.launch_failures, job.preemptions,
                    job.started_ms, job.checkpointed_ms, job.resume_from);
  };
  return rest(a) == rest(b) && a.hold_reason == b.hold_reason && a.reason == b.reason;
}

// What has been committed, kept as plainly as possible.
struct Model {
  std::map<JobRef, Job> jobs;
  std::map<AttemptRef, Attempt> attempts;
  std::map<AccountId, Account> accounts;
  std::map<UserId, User> users;
  std::map<TokenId, Token> tokens;
  std::map<std::string, Node> nodes;
  std::map<JobRef, Reservation> reservations;
  std::map<std::string, AdminReservation> admin_reservations;
  std::vector<LedgerEntry> usage;
  std::int64_t events = 0;
  std::int64_t entries = 0;
  std::int64_t version = 1;
};

// Of one of the attempts there are, or of one that is settled; often of the same account and date
// as others, so that it adds up, and takes back.
LedgerEntry RandomEntry(test::RandomValues& random, const Model& model) {
  LedgerEntry entry = random.Entry();
  if (entry.book != Book::kUsage) return entry;
  if (random.Chance(50) && !model.attempts.empty()) {
    auto at = model.attempts.begin();
    std::advance(at, random.Int(0, std::ssize(model.attempts) - 1));
    entry.attempt = at->first;
  }
  if (random.Chance(70)) {
    entry.project = AccountId{random.Int(2, 3)};
    entry.user = UserId{1};
    entry.gpu_type = "h200";
    entry.settings_version = random.Int(1, 2);
    entry.date_ms = (1LL << 50) + random.Int(1, 2) * kHourMs;  // never too old to count
    entry.amount = random.Int(-1, 1);
  }
  return entry;
}

Changes RandomChanges(test::RandomValues& random, Model& model) {
  Changes changes;
  for (auto i = random.Int(0, 3); i > 0; --i) {
    const JobRef ref{JobId{random.Int(1, 6)}, static_cast<std::int32_t>(random.Int(-1, 2))};
    const Job& job = model.jobs[ref] = random.JobRow(ref);
    if (std::ranges::none_of(changes.jobs, [&](const Job& other) { return other.ref == ref; })) {
      changes.jobs.push_back(job);
    }
  }
  for (Job& job : changes.jobs) job = model.jobs[job.ref];
  for (const Job& job : changes.jobs) {
    const AttemptRef ref{job.ref, static_cast<std::int32_t>(random.Int(1, 2))};
    const auto state = random.Chance(70) ? AttemptState::kRunning : AttemptState::kEnded;
    changes.attempts.push_back(model.attempts[ref] = random.AttemptRow(ref, state));
  }
  for (auto i = random.Int(0, 4); i > 0; --i) {
    changes.events.push_back(random.EventRow());
    ++model.events;
    changes.ledger.push_back(RandomEntry(random, model));
    LedgerEntry entry = changes.ledger.back();
    entry.seq = ++model.entries;
    if (entry.book == Book::kUsage) model.usage.push_back(entry);
  }
  if (random.Chance(40)) {
    const AccountId id{random.Int(2, 4)};
    Account account{.id = id, .parent = kRootAccount, .name = "a" + std::to_string(id.value)};
    account.kind = random.Text();
    account.attributes = {{"country", random.Text()}};
    account.closed = random.Chance(20);
    account.version = ++model.version;
    account.settings = random.Settings();
    changes.accounts.push_back({.account = model.accounts[id] = account,
                                .actor = UserId{random.Int(0, 3)},
                                .time_ms = random.Int(0, 1'000'000),
                                .reason = random.Text()});
  }
  if (random.Chance(40)) {
    const UserId id{random.Int(1, 3)};
    User user{.id = id, .name = "u" + std::to_string(id.value), .display_name = random.Text()};
    user.unix_account = random.Chance(50) ? "" : user.name;
    user.roles = {{Role::kResearcher, kRootAccount}};
    if (random.Chance(50)) user.roles.push_back({Role::kAuditor, kRootAccount});
    changes.users.push_back(model.users[id] = user);
    const TokenId token{id.value * 10 + random.Int(1, 2)};
    changes.tokens.push_back(model.tokens[token] = random.TokenRow(token, id));
  }
  // Given and moved, or ended; not all that has ended was there.
  for (const auto& [ref, job] : model.jobs) {
    if (random.Chance(60)) continue;
    if (random.Chance(50)) {
      changes.reservations.push_back(model.reservations[ref] = random.ReservationRow(ref));
    } else {
      changes.reservations_ended.push_back(ref);
      model.reservations.erase(ref);
    }
  }
  const std::string name = "r" + std::to_string(random.Int(1, 3));
  if (random.Chance(60)) {
    changes.admin_reservations.push_back(model.admin_reservations[name] =
                                             random.AdminReservationRow(name));
  } else {
    changes.admin_reservations_ended.push_back(name);
    model.admin_reservations.erase(name);
  }
  const std::string node = "gpu" + std::to_string(random.Int(1, 3));
  changes.nodes.push_back(model.nodes[node] = random.NodeRow(node));
  return changes;
}

void ExpectSnapshotIs(const Snapshot& snapshot, Model model, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_EQ(snapshot.jobs.size(), model.jobs.size());
  for (const Job& job : snapshot.jobs) EXPECT_TRUE(Same(job, model.jobs[job.ref]));
  ASSERT_EQ(snapshot.attempts.size(), model.attempts.size());
  for (const Attempt& attempt : snapshot.attempts) {
    EXPECT_TRUE(attempt == model.attempts[attempt.ref]);
  }
  ASSERT_EQ(snapshot.accounts.size(), model.accounts.size() + 1);  // and the root
  for (const Account& account : snapshot.accounts) {
    const bool is_root = account.id == kRootAccount;
    EXPECT_TRUE(is_root || account == model.accounts[account.id]);
  }
  ASSERT_EQ(snapshot.users.size(), model.users.size());
  for (const User& user : snapshot.users) EXPECT_TRUE(user == model.users[user.id]);
  ASSERT_EQ(snapshot.tokens.size(), model.tokens.size());
  for (const Token& token : snapshot.tokens) EXPECT_TRUE(token == model.tokens[token.id]);
  ASSERT_EQ(snapshot.nodes.size(), model.nodes.size());
  for (const Node& node : snapshot.nodes) EXPECT_TRUE(node == model.nodes[node.name]);
  ASSERT_EQ(snapshot.reservations.size(), model.reservations.size());
  for (const Reservation& promise : snapshot.reservations) {
    EXPECT_TRUE(promise == model.reservations[promise.row]);
  }
  ASSERT_EQ(snapshot.admin_reservations.size(), model.admin_reservations.size());
  for (const AdminReservation& one : snapshot.admin_reservations) {
    EXPECT_TRUE(one == model.admin_reservations[one.name]);
  }
  std::vector<LedgerEntry> unsettled;
  std::map<UsageOwner, std::map<TimeMs, MilliGpuMs>> settled;
  for (const LedgerEntry& entry : model.usage) {
    if (model.attempts.contains(entry.attempt)) {
      unsettled.push_back(entry);
      continue;
    }
    auto& sums = settled[{entry.project, entry.user, entry.gpu_type, entry.settings_version}];
    if ((sums[entry.date_ms] += entry.amount) == 0) sums.erase(entry.date_ms);
  }
  std::erase_if(settled, [](const auto& one) { return one.second.empty(); });
  EXPECT_TRUE(snapshot.usage == unsettled);
  std::map<UsageOwner, std::map<TimeMs, MilliGpuMs>> loaded;
  for (const auto& [whose, dated] : snapshot.settled_usage) {
    loaded[whose] = {dated.begin(), dated.end()};
    EXPECT_EQ(loaded[whose].size(), dated.size()) << "each date once";
  }
  EXPECT_TRUE(loaded == settled);
}

TEST(SnapshotTest, IsWhatWasCommitted) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const auto database = test::FreshDatabase(test::ServerFolder());
    test::StepClock clock(1'000'000);
    PostgresStore store({.conninfo = database.app}, clock, {});
    ASSERT_TRUE(store.Lead().has_value());
    test::RandomValues random(seed);
    Model model;
    for (int step = 0; step < 25; ++step) {
      const Changes changes = RandomChanges(random, model);
      const auto committed = store.Commit(changes);
      ASSERT_TRUE(committed.has_value()) << "seed " << seed << ": " << committed.error().message;
    }
    const auto snapshot = store.Lead();
    ASSERT_TRUE(snapshot.has_value()) << "seed " << seed << ": " << snapshot.error().message;
    ExpectSnapshotIs(*snapshot, model, seed);
    for (const auto& [ref, job] : model.jobs) {
      const auto loaded = store.LoadJobs({ref, {JobId{77}, kNoElement}});
      ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
      ASSERT_EQ(loaded->size(), 1U);
      EXPECT_TRUE(Same(loaded->at(0), job)) << "seed " << seed;
    }
    if (HasFailure()) return;
  }
}

TEST(SnapshotTest, LeavesOutWhatIsFinalAndSettled) {
  const auto database = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock;
  PostgresStore store({.conninfo = database.app}, clock, {});
  ASSERT_TRUE(store.Lead().has_value());
  test::RandomValues random(7);
  Changes changes;
  for (std::int64_t id = 1; id <= 3; ++id) {
    Job job = random.JobRow({JobId{id}, kNoElement});
    JobSpec spec;
    if (id == 3) spec.dependencies = {{DependencyKind::kAfterOk, {JobId{2}, kNoElement}}};
    job.spec = std::make_shared<const JobSpec>(spec);
    job.state = id == 3 ? JobState::kQueued : JobState::kSucceeded;
    changes.jobs.push_back(job);
    changes.attempts.push_back(random.AttemptRow({job.ref, 1}, AttemptState::kEnded));
  }
  changes.attempts[2].start_ms = 0;  // never started: nothing to charge
  LedgerEntry settlement = random.Entry();
  settlement.book = Book::kCharge;
  settlement.kind = EntryKind::kSettlement;
  settlement.attempt = changes.attempts[0].ref;
  changes.ledger.push_back(settlement);
  ASSERT_TRUE(store.Commit(changes).has_value());
  const auto snapshot = store.Lead();
  ASSERT_TRUE(snapshot.has_value());
  ASSERT_EQ(snapshot->jobs.size(), 2U);  // 1 is final, 2 is waited for
  EXPECT_EQ(snapshot->jobs[0].ref.id, JobId{2});
  ASSERT_EQ(snapshot->attempts.size(), 1U);  // 1 is settled, 3 never started
  EXPECT_EQ(snapshot->attempts[0].ref.job.id, JobId{2});
}

}  // namespace
}  // namespace kezek::postgres

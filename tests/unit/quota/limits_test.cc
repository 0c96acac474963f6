// Goal: the first limit that stops a job is named with its account and figures; what can never
// start is told apart from what only waits.
// Method: a project in an institution; each test sets one limit and walks up to it.
#include "quota/limits.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>

#include "tests/unit/quota/trees.h"

namespace kezek::quota::testing {
namespace {

using Fields = std::map<std::string, std::string>;

constexpr AccountId kProject{3};

std::map<AccountId, Account> Small() {
  return Accounts({{.name = "kz", .guarantee = 64, .kind = "cluster"},
                   {.parent = 1, .name = "kaznu", .guarantee = 32, .kind = "institution"},
                   {.parent = 2, .name = "nlp", .guarantee = 8}});
}

AccountTree Build(const std::map<AccountId, Account>& accounts) {
  Result<AccountTree> tree = AccountTree::Build(accounts);
  return std::move(tree).value();
}

ClassRules Normal() {
  ClassRules rules;
  rules.name = "normal";
  return rules;
}

JobCount Job(std::int64_t gpus, std::int64_t user = 1) {
  return {.project = kProject,
          .user = UserId{user},
          .job_class = "normal",
          .gpu_type = kType,
          .counted_milli = gpus * 1000};
}

TEST(RunningTable, CountsUpThePathAndBack) {
  const AccountTree tree = Build(Small());
  RunningTable table;
  table.Add(tree, Job(2));
  table.Add(tree, Job(3, 2));
  JobCount scavenger = Job(4);
  scavenger.scavenger = true;
  scavenger.job_class = "scavenger";
  table.Add(tree, scavenger);
  EXPECT_EQ(table.OfAccount(AccountId{1}), (RunningTable::Count{9000, 3}));
  EXPECT_EQ(table.OfUser(AccountId{2}, UserId{1}), (RunningTable::Count{6000, 2}));
  EXPECT_EQ(table.OfClassUser("normal", UserId{1}), (RunningTable::Count{2000, 1}));
  EXPECT_EQ(table.Allocated(AccountId{2}, kType), 5000);
  EXPECT_EQ(table.AllocatedByIndex(tree, kType), (std::vector<MilliGpus>{5000, 5000, 5000}));
  table.Remove(tree, scavenger);
  table.Remove(tree, Job(3, 2));
  table.Remove(tree, Job(2));
  EXPECT_EQ(table, RunningTable{});
}

TEST(Limits, AccountGpusAndJobs) {
  auto accounts = Small();
  accounts[AccountId{2}].settings.account_limits.running_milli = 4000;
  AccountTree tree = Build(accounts);
  RunningTable table;
  table.Add(tree, Job(2));
  EXPECT_EQ(FirstLimit(tree, table, Normal(), Job(2)), Reason{});
  EXPECT_EQ(FirstLimit(tree, table, Normal(), Job(3)),
            (Reason{ReasonCode::kLimitAccountGpus, Fields{{"account", "kaznu"},
                                                          {"limit", "4"},
                                                          {"running", "2"},
                                                          {"asked", "3"},
                                                          {"fits", "2"}}}));
  accounts[AccountId{3}].settings.account_limits.jobs_running = 1;
  tree = Build(accounts);
  // The project's own limit is named before the institution's.
  EXPECT_EQ(FirstLimit(tree, table, Normal(), Job(3)).code, ReasonCode::kLimitAccountJobs);
}

TEST(Limits, OfEachUser) {
  auto accounts = Small();
  accounts[AccountId{2}].settings.user_limits.running_milli = 4000;
  const AccountTree tree = Build(accounts);
  RunningTable table;
  table.Add(tree, Job(4, 1));
  EXPECT_EQ(FirstLimit(tree, table, Normal(), Job(1, 1)).code, ReasonCode::kLimitUserGpus);
  EXPECT_EQ(FirstLimit(tree, table, Normal(), Job(4, 2)), Reason{});
  ClassRules rules = Normal();
  rules.user_limits.jobs_running = 1;
  table.Add(tree, Job(1, 2));
  EXPECT_EQ(
      FirstLimit(tree, table, rules, Job(1, 2)),
      (Reason{ReasonCode::kLimitUserJobs,
              Fields{{"class", "normal"}, {"limit", "1"}, {"running", "1"}, {"asked", "1"}}}));
}

TEST(Limits, BorrowMaxIsAboveTheOwnGuarantee) {
  auto accounts = Small();
  accounts[kProject].settings.shares[kType].borrow_max_milli = 2000;
  const AccountTree tree = Build(accounts);
  RunningTable table;
  table.Add(tree, Job(9));
  EXPECT_EQ(FirstLimit(tree, table, Normal(), Job(1)), Reason{});
  EXPECT_EQ(FirstLimit(tree, table, Normal(), Job(2)),
            (Reason{ReasonCode::kLimitBorrow, Fields{{"account", "kaznu/nlp"},
                                                     {"limit", "10"},
                                                     {"running", "9"},
                                                     {"asked", "2"},
                                                     {"fits", "1"}}}));
  JobCount scavenger = Job(20);
  scavenger.scavenger = true;
  EXPECT_EQ(FirstLimit(tree, table, Normal(), scavenger), Reason{});
}

TEST(Limits, NotPreemptibleStaysInsideEveryGuarantee) {
  const AccountTree tree = Build(Small());
  ClassRules rules = Normal();
  EXPECT_EQ(OutsideGuarantee(tree, rules, Job(100), {0, 0, 0}), Reason{});
  rules.preemptible = false;
  EXPECT_EQ(OutsideGuarantee(tree, rules, Job(8), {0, 0, 0}), Reason{});
  EXPECT_EQ(OutsideGuarantee(tree, rules, Job(8), {0, 25'000, 0}),
            (Reason{ReasonCode::kClassNotPreemptible,
                    Fields{{"account", "kaznu"}, {"asked", "8"}, {"fits", "7"}}}));
}

// What a reason says would fit does fit, and a thousandth more does not.
TEST(Limits, WhatWouldFitIsTheMostThatDoes) {
  for (int seed = 0; seed < 500; ++seed) {
    std::mt19937_64 dice(static_cast<std::uint64_t>(seed));
    const auto roll = [&dice](std::int64_t most) {
      return static_cast<std::int64_t>(dice() % static_cast<std::uint64_t>(most + 1));
    };
    const auto some = [&](std::int64_t most) {
      return roll(2) == 0 ? std::optional<std::int64_t>(roll(most)) : std::nullopt;
    };
    auto accounts = Small();
    for (auto& [id, account] : accounts) {
      for (Limits* limits : {&account.settings.account_limits, &account.settings.user_limits}) {
        limits->running_milli = some(9000);
        limits->jobs_running = some(6);
      }
      account.settings.shares[kType].borrow_max_milli = some(3000);
    }
    const AccountTree tree = Build(accounts);
    ClassRules rules = Normal();
    rules.user_limits.running_milli = some(9000);
    RunningTable table;
    for (std::int64_t i = roll(3); i > 0; --i) table.Add(tree, Job(roll(2), 1 + roll(1)));
    JobCount job = Job(10);
    const Reason reason = FirstLimit(tree, table, rules, job);
    const auto fits = reason.fields.find("fits");
    if (fits == reason.fields.end()) continue;
    job.counted_milli = static_cast<MilliGpus>(std::stod(fits->second) * 1000 + 0.5);
    EXPECT_EQ(FirstLimit(tree, table, rules, job), Reason{}) << "seed " << seed;
    ++job.counted_milli;
    EXPECT_NE(FirstLimit(tree, table, rules, job), Reason{}) << "seed " << seed;
  }
}

JobSpec Spec(std::int64_t limit_hours = 1) {
  JobSpec spec;
  spec.project = kProject;
  spec.shape.gpu_type = kType;
  spec.time_limit_ms = limit_hours * kHourMs;
  return spec;
}

Refusal Never(const std::map<AccountId, Account>& accounts, const JobSpec& spec,
              std::int64_t gpus = 1, const ClassRules& rules = Normal()) {
  return NeverFits(Build(accounts), rules, spec, gpus * 1000, {"public", "internal", "secret"});
}

TEST(NeverFits, AllowsWhatOnlyWaits) {
  EXPECT_EQ(Never(Small(), Spec(), 64).reason, Reason{});
  EXPECT_EQ(Never(Small(), Spec(), 64).field, "");
}

TEST(NeverFits, WhoMayWhat) {
  auto accounts = Small();
  accounts[AccountId{2}].closed = true;
  const Reason closed = Never(accounts, Spec()).reason;
  EXPECT_EQ(closed.code, ReasonCode::kProjectClosed);
  EXPECT_EQ(closed.fields.at("above"), Build(accounts).path(Build(accounts).IndexOf(AccountId{2})))
      << "whom to ask";
  accounts[AccountId{2}].closed = false;
  accounts[kProject].closed = true;
  EXPECT_FALSE(Never(accounts, Spec()).reason.fields.contains("above"));
  JobSpec elsewhere = Spec();
  elsewhere.project = AccountId{2};
  EXPECT_EQ(Never(Small(), elsewhere).reason.code, ReasonCode::kProjectClosed);
  accounts = Small();
  accounts[AccountId{2}].settings.classes = {"debug", "scavenger"};
  const Refusal refusal = Never(accounts, Spec());
  EXPECT_EQ(refusal.field, "job_class");
  EXPECT_EQ(refusal.reason.fields.at("allowed"), "debug, scavenger");
  accounts = Small();
  accounts[AccountId{1}].settings.highest_classification = "internal";
  JobSpec secret = Spec();
  secret.classification = "secret";
  EXPECT_EQ(Never(accounts, secret).reason.code, ReasonCode::kClassificationNotAllowed);
  secret.classification = "internal";
  EXPECT_EQ(Never(accounts, secret).reason, Reason{});
  secret.classification = "unheard of";
  EXPECT_EQ(Never(Small(), secret).field, "data_classification");
}

TEST(NeverFits, TimeLimits) {
  auto accounts = Small();
  accounts[AccountId{2}].settings.account_limits.time_limit_ms = 2 * kHourMs;
  EXPECT_EQ(Never(accounts, Spec(2)).reason, Reason{});
  const Refusal refusal = Never(accounts, Spec(3));
  EXPECT_EQ(refusal.field, "time_limit_ms");
  EXPECT_EQ(refusal.reason.fields.at("whose"), "kaznu");
  ClassRules rules = Normal();
  rules.longest_limit_ms = kHourMs;
  EXPECT_EQ(Never(Small(), Spec(2), 1, rules).reason.fields.at("whose"), "normal");
}

TEST(NeverFits, Sizes) {
  auto accounts = Small();
  accounts[kProject].settings.account_limits.job_milli = 4000;
  EXPECT_EQ(Never(accounts, Spec(), 4).reason, Reason{});
  EXPECT_EQ(Never(accounts, Spec(), 5).reason.code, ReasonCode::kNeverFitsLimit);
  accounts = Small();
  accounts[AccountId{1}].settings.user_limits.running_milli = 4000;
  EXPECT_EQ(Never(accounts, Spec(), 5).reason.fields.at("limit"), "4");
  accounts = Small();
  accounts[AccountId{2}].settings.shares[kType].borrow_max_milli = 0;
  EXPECT_EQ(Never(accounts, Spec(), 32).reason, Reason{});
  EXPECT_EQ(Never(accounts, Spec(), 33).reason.fields.at("account"), "kaznu");
  ClassRules fixed = Normal();
  fixed.preemptible = false;
  EXPECT_EQ(Never(Small(), Spec(), 8, fixed).reason, Reason{});
  EXPECT_EQ(Never(Small(), Spec(), 9, fixed).reason.fields.at("account"), "kaznu/nlp");
}

TEST(QueueLimit, CountsWhatWaits) {
  auto accounts = Small();
  accounts[AccountId{2}].settings.account_limits.jobs_queued = 10;
  accounts[kProject].settings.user_limits.jobs_queued = 5;
  const AccountTree tree = Build(accounts);
  const UserId user{1};
  EXPECT_EQ(
      QueueLimit(tree, {}, kProject, user, 2, {{{AccountId{2}, 8}}, {{{kProject, user}, 3}}, {}}),
      Reason{});
  EXPECT_EQ(QueueLimit(tree, {}, kProject, user, 3, {{}, {{{kProject, user}, 3}}, {}}),
            (Reason{ReasonCode::kLimitUserJobs,
                    Fields{{"account", "kaznu/nlp"}, {"limit", "5"}, {"queued", "3"}}}));
  EXPECT_EQ(QueueLimit(tree, {}, kProject, user, 3, {{{AccountId{2}, 8}}, {}, {}}).code,
            ReasonCode::kLimitAccountJobs);
}

}  // namespace
}  // namespace kezek::quota::testing

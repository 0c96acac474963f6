// Goal: files of accounts say what the API's AccountChange can, in units of people; what is
// exported is read back as changes that change nothing; bad files are refused with file, line and
// field. Method: examples; accounts with random values in every field that is written, there and
// back.

#include "cmd/kezek/accounts_file.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace kezek::cli {
namespace {

using google::protobuf::util::MessageDifferencer;

std::int64_t VersionOf(const std::string& text) {
  const auto file = ReadAccounts(text + "\naccounts:\n- path: a\n", "accounts.yaml");
  return file ? file->version : -1;
}

std::string Refusal(const std::string& text) {
  const auto file = ReadAccounts(text, "accounts.yaml");
  return file ? "" : file.error().message;
}

TEST(AccountsFile, MayNameTheVersionItWasMadeFrom) {
  EXPECT_EQ(VersionOf(""), 0);
  EXPECT_EQ(VersionOf("version: 17"), 17);
  EXPECT_EQ(VersionOf("version: 17\naccounts:\n- path: b\n---\nversion: 9"), 9) << "the lowest";
  for (const char* bad : {"version: 0", "version: -3", "version: new", "version: [1]",
                          "version:", "version: 1\nversions: 2"}) {
    EXPECT_EQ(VersionOf(bad), -1) << bad;
  }
  EXPECT_EQ(Refusal("version: soon\naccounts:\n- path: a\n"),
            "accounts.yaml line 1: version: must be a number of a version, as 'export' wrote it");
}

TEST(AccountsFile, TakesUnitsOfPeopleAndTheApisOwn) {
  const auto file = ReadAccounts(R"(
accounts:
- path: universities/kaznu
  kind: institution
  attributes: {country: KZ}
  settings:
    shares:
      h200: {weight: 1.5, guarantee_gpus: 32, borrow_max_milli_gpus: 16000, target: 12.5%}
    account_limits: {running_gpus: 48, time_limit: 12h}
    default_time_limit_ms: 3600000
    rule: fifo
    budgets:
    - {name: 2027-q1, gpu_hours: 15000, start: 2027-01-01, end: 2027-04-01, at_exhaustion: scavenge}
- {path: startups, closed: true}
)",
                                 "accounts.yaml");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  ASSERT_EQ(file->changes.size(), 2U);
  EXPECT_EQ(file->lines, (std::vector<int>{3, 14}));
  const v1::AccountSettings& settings = file->changes[0].settings();
  const v1::Share& share = settings.shares().at("h200");
  EXPECT_EQ(share.weight_milli(), 1500);
  EXPECT_EQ(share.guarantee_milli_gpus(), 32'000);
  EXPECT_EQ(share.borrow_max_milli_gpus(), 16'000);
  EXPECT_EQ(share.target_ppm(), 125'000);
  EXPECT_EQ(settings.account_limits().running_milli_gpus(), 48'000);
  EXPECT_EQ(settings.account_limits().time_limit_ms(), 12 * 3'600'000);
  EXPECT_EQ(settings.rule(), v1::PROJECT_RULE_FIFO);
  ASSERT_EQ(settings.budgets_size(), 1);
  const v1::BudgetSpec& budget = settings.budgets(0);
  EXPECT_EQ(budget.name(), "2027-q1");
  EXPECT_EQ(budget.milli_gpu_hours(), 15'000'000);
  EXPECT_EQ(budget.start_ms(), 1'798'761'600'000);
  EXPECT_EQ(budget.end_ms() - budget.start_ms(), 90 * 24 * 3'600'000LL);
  EXPECT_EQ(budget.at_exhaustion(), v1::BUDGET_EXHAUSTION_SCAVENGE);
  EXPECT_FALSE(file->changes[0].has_closed()) << "what is not said stays as it is";
  EXPECT_TRUE(file->changes[1].closed());
  EXPECT_FALSE(file->changes[1].has_settings());
}

TEST(AccountsFile, SaysWhereAFileIsWrong) {
  EXPECT_EQ(Refusal("accounts:\n- path: a\n  settings:\n    shares:\n      h200: {guarantee: 3}\n"),
            "accounts.yaml line 5: 'settings.shares.h200.guarantee' is no field of an account; "
            "there is weight_milli, guarantee_milli_gpus, borrow_max_milli_gpus, "
            "lend_max_milli_gpus, target_ppm");
  EXPECT_EQ(Refusal("accounts:\n- path: a\n  settings: {shares: {h200: {weight: two}}}\n"),
            "accounts.yaml line 3: settings.shares.h200.weight: expected a number with at most "
            "three decimals");
  EXPECT_EQ(Refusal("accounts:\n- path: a\n  settings: {default_time_limit: 12}\n"),
            "accounts.yaml line 3: settings.default_time_limit: expected a time such as 12h");
  EXPECT_EQ(Refusal("accounts:\n- kind: project\n"), "accounts.yaml line 2: 'path' is missing");
  EXPECT_EQ(Refusal("accounts:\n- path: a\n- path: a\n"),
            "accounts.yaml line 3: path: 'a' is there twice");
  EXPECT_EQ(
      Refusal("accounts:\n- path: a\n  settings: {shares: {h200: {weight: 1, weight_milli: 2}}}\n"),
      "accounts.yaml line 3: 'settings.shares.h200.weight_milli' is there twice");
  const std::string budget = "accounts:\n- path: a\n  settings:\n    budgets:\n    - {name: b, ";
  EXPECT_EQ(Refusal(budget + "end: 2027-01-01}\n"),
            "accounts.yaml line 5: settings.budgets: 'gpu_hours' is missing");
  EXPECT_EQ(Refusal(budget + "gpu_hours: 5}\n"),
            "accounts.yaml line 5: settings.budgets: 'end' is missing");
  EXPECT_EQ(Refusal(budget + "milli_gpu_hours: 0, end_ms: 1}\n"), "") << "0 if one says so";
  EXPECT_EQ(
      Refusal("users: []\n"),
      "accounts.yaml line 1: expected a list of accounts under 'accounts:', and found 'users:'");
  EXPECT_EQ(Refusal("accounts: []\n"), "accounts.yaml: there is no account in it");
  EXPECT_NE(Refusal("accounts:\n- path: [\n"), "");
  EXPECT_NE(Refusal("accounts:\n- 7\n"), "");
}

TEST(AccountsFile, FindsTheLineOfWhatTheServerRefuses) {
  const auto file = ReadAccounts("accounts:\n- path: a\n- path: b\n", "accounts.yaml");
  ASSERT_TRUE(file.has_value());
  const Error error = InFile(
      FieldProblem(Code::kInvalidArgument,
                   {"changes[1].settings.shares[h200].guarantee_milli_gpus", "X", "too much", {}}),
      *file, "accounts.yaml");
  EXPECT_EQ(error.message,
            "accounts.yaml line 3: settings.shares[h200].guarantee_milli_gpus: too much");
  EXPECT_EQ(error.details.at(0).field, "accounts.yaml line 3");
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  bool Chance() { return engine_() % 2 == 0; }
  std::int64_t Number() {
    constexpr std::int64_t kScales[] = {1, 7, 1'000, 60'000, 3'600'000, 86'400'000};
    return static_cast<std::int64_t>(engine_() % 1'000) * kScales[engine_() % std::size(kScales)];
  }
  std::string Text() {
    constexpr const char* kTexts[] = {"KZ",   "yes", "12",        "a: b", "- x", "\"q\"",
                                      " two", "#no", "Қазақстан", "a\tb", "~",   "null"};
    return kTexts[engine_() % std::size(kTexts)];
  }
  void Fill(v1::Limits& limits) {
    if (Chance()) limits.set_running_milli_gpus(Number());
    if (Chance()) limits.set_jobs_running(Number());
    if (Chance()) limits.set_jobs_queued(Number());
    if (Chance()) limits.set_job_milli_gpus(Number());
    if (Chance()) limits.set_time_limit_ms(Number());
  }
  v1::Account Account(int index) {
    v1::Account account;
    account.set_path(index == 0 ? "" : "sector/a" + std::to_string(index));
    account.set_kind("project");
    if (Chance()) account.set_title(Text());
    if (Chance()) (*account.mutable_attributes())[Text()] = Text();
    account.set_closed(Chance());
    v1::AccountSettings& settings = *account.mutable_settings();
    for (const char* type : {"h200", "h200-1g.18gb"}) {
      if (Chance()) continue;
      v1::Share& share = (*settings.mutable_shares())[type];
      if (Chance()) share.set_weight_milli(Number());
      if (Chance()) share.set_guarantee_milli_gpus(Number());
      if (Chance()) share.set_borrow_max_milli_gpus(Number());
      if (Chance()) share.set_lend_max_milli_gpus(Number());
      if (Chance()) share.set_target_ppm(Number());
    }
    if (Chance()) Fill(*settings.mutable_account_limits());
    if (Chance()) Fill(*settings.mutable_user_limits());
    if (Chance()) settings.add_job_classes(Text());
    if (Chance()) settings.add_job_classes("debug");
    if (Chance()) settings.set_default_class("normal");
    if (Chance()) settings.set_default_time_limit_ms(Number());
    if (Chance()) settings.set_rule(v1::PROJECT_RULE_SHORTEST);
    if (Chance()) settings.set_slurm_account(Text());
    for (int i = Chance() ? 2 : 0; i > 0; --i) {
      v1::BudgetSpec& budget = *settings.add_budgets();
      budget.set_name("b" + std::to_string(i));
      budget.set_milli_gpu_hours(Number());
      budget.set_start_ms(Number());
      budget.set_end_ms(Number());
      if (Chance()) budget.set_at_exhaustion(v1::BUDGET_EXHAUSTION_SCAVENGE);
      if (Chance()) budget.set_carry_over_percent(50);
    }
    return account;
  }

 private:
  std::mt19937_64 engine_;
};

TEST(AccountsFile, WhatIsWrittenIsReadBack) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    std::vector<v1::Account> accounts;
    for (int i = 0; i < 4; ++i) accounts.push_back(random.Account(i));
    const std::string text = WriteAccounts(accounts);
    const auto file = ReadAccounts(text, "seed " + std::to_string(seed));
    ASSERT_TRUE(file.has_value()) << file.error().message << "\n" << text;
    ASSERT_EQ(file->changes.size(), accounts.size());
    for (std::size_t i = 0; i < accounts.size(); ++i) {
      v1::AccountChange wanted;
      wanted.set_path(accounts[i].path());
      wanted.set_kind(accounts[i].kind());
      if (!accounts[i].title().empty()) wanted.set_title(accounts[i].title());
      *wanted.mutable_attributes() = accounts[i].attributes();
      *wanted.mutable_settings() = accounts[i].settings();
      if (accounts[i].closed()) wanted.set_closed(true);
      EXPECT_TRUE(MessageDifferencer::Equals(wanted, file->changes[i])) << "seed " << seed << "\n"
                                                                        << text;
    }
  }
}

}  // namespace
}  // namespace kezek::cli

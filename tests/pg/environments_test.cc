// Goal: an environment lies in the database only encrypted, is gone once its job is final, shows
// up nowhere else, survives a change of keys, and a start with a wrong or missing key is refused
// with every environment left as it was. Method: a real database, searched as text for a secret.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "secrets/key_ring.h"
#include "tests/pg/store_fixture.h"

namespace kezek::postgres {
namespace {

const std::string kSecret = "hf_SuperSecretToken";
const std::string kOne = "k1 " + std::string(64, '1') + "\n";
const std::string kTwo = "k2 " + std::string(64, '2') + "\n";

std::shared_ptr<const Cipher> Keys(const std::string& text) {
  return *secrets::KeyRing::Parse(text, "keys");
}

Submission WithSecret(const std::string& key) {
  Submission submission = MakeSubmission(key);
  submission.environment = {{"HF_TOKEN", kSecret}};
  submission.warnings = {{ReasonCode::kWarning, {{"field", "-p"}, {"text", "x"}}}};
  return submission;
}

// How often the secret stands in any row of any table, as text or inside bytes.
int Traces(const test::Database& database) {
  int traces = 0;
  for (const std::string& table :
       test::Sql(database.admin,
                 "select table_name from information_schema.tables"
                 " where table_schema = 'kezek' and table_type = 'BASE TABLE'")) {
    traces += std::stoi(test::Sql(database.admin, "select count(*) from kezek." + table +
                                                      " t where t::text like '%" + kSecret + "%'")
                            .at(0));
  }
  const auto in_bytes =
      test::Sql(database.admin,
                "select count(*) from kezek.job_payloads where environment is not null and"
                " position(convert_to('" +
                    kSecret + "', 'UTF8') in environment) > 0");
  return traces + std::stoi(in_bytes.at(0));
}

class EnvironmentsTest : public testing::Test {
 protected:
  std::unique_ptr<PostgresStore> Open(const std::shared_ptr<const Cipher>& cipher) {
    return std::make_unique<PostgresStore>(
        StoreOptions{.conninfo = database_.app, .cipher = cipher}, clock_,
        std::vector<CommitObserver*>{});
  }
  // The start with these keys; waits until the session before has ended.
  Result<void> Start(const std::string& keys) {
    store_.reset();
    store_ = Open(Keys(keys));
    while (true) {
      const auto led = store_->Lead();
      if (led) return {};
      if (led.error().message != "another kezekd leads") return led.error();
    }
  }
  std::string SecretOf(JobId job) {
    const auto payloads = store_->LoadPayloads({job});
    if (!payloads) return payloads.error().message;
    return payloads->at(0).environment.at("HF_TOKEN");
  }
  std::string KeyOf(JobId job) {
    return test::Sql(database_.admin,
                     "select environment_key from kezek.job_payloads where job_id"
                     " = " +
                         std::to_string(job.value))
        .at(0);
  }

  test::Database database_ = test::FreshDatabase(test::ServerFolder());
  test::StepClock clock_;
  std::unique_ptr<PostgresStore> store_;
};

TEST_F(EnvironmentsTest, LiesOnlyEncryptedAndIsGoneInTheEnd) {
  ASSERT_TRUE(Start(kOne));
  const JobId job = SubmitNow(*store_, {WithSecret("a")})->at(0).id;
  EXPECT_EQ(SecretOf(job), kSecret);
  EXPECT_EQ(KeyOf(job), "k1");
  EXPECT_EQ(Traces(database_), 0);
  Changes changes;
  changes.final_jobs = {job};
  ASSERT_TRUE(store_->Commit(changes));
  EXPECT_TRUE(store_->LoadPayloads({job})->at(0).environment.empty());
  EXPECT_EQ(test::Sql(database_.admin, "select environment is null from kezek.job_payloads").at(0),
            "t");
}

TEST_F(EnvironmentsTest, ANewKeySealsAndTheOldOneMayGoAfterOneStart) {
  ASSERT_TRUE(Start(kOne));
  const JobId old = SubmitNow(*store_, {WithSecret("a")})->at(0).id;
  ASSERT_TRUE(Start(kOne + kTwo));
  const JobId fresh = SubmitNow(*store_, {WithSecret("b")})->at(0).id;
  EXPECT_EQ(KeyOf(old), "k2") << "sealed anew";
  EXPECT_EQ(KeyOf(fresh), "k2");
  ASSERT_TRUE(Start(kTwo));
  EXPECT_EQ(SecretOf(old), kSecret);
  EXPECT_EQ(SecretOf(fresh), kSecret);
}

TEST_F(EnvironmentsTest, WhatLayInTheClearIsSealedAtTheStart) {
  store_ = Open(nullptr);
  ASSERT_TRUE(store_->Lead());
  const JobId job = SubmitNow(*store_, {WithSecret("a")})->at(0).id;
  EXPECT_GT(Traces(database_), 0) << "the search finds what is there";
  ASSERT_TRUE(Start(kOne));
  EXPECT_EQ(Traces(database_), 0);
  EXPECT_EQ(SecretOf(job), kSecret);
}

TEST_F(EnvironmentsTest, AMissingOrWrongKeyIsRefusedAndLosesNothing) {
  ASSERT_TRUE(Start(kOne));
  const JobId job = SubmitNow(*store_, {WithSecret("a")})->at(0).id;
  const auto missing = Start(kTwo);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(missing.error().message,
            "the environments of 1 job(s) are encrypted with key 'k1', which the key file does not "
            "hold: put it back, above the newer ones");
  const auto wrong = Start("k1 " + std::string(64, '3') + "\n");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(wrong.error().message.find("environment key 'k1' is another than"), 0U);
  ASSERT_TRUE(Start(kOne));
  EXPECT_EQ(SecretOf(job), kSecret);
}

// Whoever can write the database cannot have another user's environment handed to a job of theirs.
TEST_F(EnvironmentsTest, AnothersEnvironmentDoesNotOpen) {
  ASSERT_TRUE(Start(kOne));
  const JobId theirs = SubmitNow(*store_, {WithSecret("a")})->at(0).id;
  Submission mine = MakeSubmission("b");
  mine.user = UserId{4};
  const JobId job = SubmitNow(*store_, {mine})->at(0).id;
  test::Sql(database_.admin,
            "update kezek.job_payloads p set environment = o.environment from kezek.job_payloads o"
            " where p.job_id = " +
                std::to_string(job.value) + " and o.job_id = " + std::to_string(theirs.value) +
                " returning 1");
  const auto payloads = store_->LoadPayloads({job});
  ASSERT_FALSE(payloads);
  EXPECT_EQ(payloads.error().code, Code::kDataLoss);
  const auto both = store_->LoadPayloads({theirs, job});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().message, "environment of job 2 cannot be opened with key 'k1'");
  EXPECT_EQ(SecretOf(theirs), kSecret) << "asked for by itself it is there";
}

}  // namespace
}  // namespace kezek::postgres

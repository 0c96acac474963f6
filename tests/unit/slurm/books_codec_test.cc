// Goal: slurmdbd's accounts, associations and jobs are read alike from the forms of 22.05 and of
// later releases, and an answer that says nothing is not taken for an empty one.
// Method: recorded answers of 22.05.8 and 26.05.5, shortened; short made-up ones for what was not
// recorded.
#include "slurm/books_codec.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/slurm/fixture.h"

namespace kezek::slurm {
namespace {

using Names = std::vector<std::string>;

Result<Names> NamesIn(const std::string& fixture, const char* list) {
  const Recorded answer = Record(fixture);
  return ParseNames(answer.status, answer.body, list);
}

TEST(ParseNames, ListsOfNamedThings) {
  EXPECT_EQ(NamesIn("89-db-accounts", "accounts").value(), (Names{"research", "root"}));
  EXPECT_EQ(NamesIn("90-db-users", "users").value(), (Names{"alice", "bob", "root"}));
  EXPECT_EQ(NamesIn("85-db-qos", "qos").value(), (Names{"normal", "high"})) << "there it is QOS";
}

TEST(ParseNames, AnAnswerWithoutTheListIsNone) {
  for (const char* name : {"67-bad-token", "71-unknown-path", "01-ping"}) {
    const auto names = NamesIn(name, "accounts");
    ASSERT_FALSE(names) << name;
    EXPECT_EQ(names.error().code, Code::kUnavailable) << name;
  }
}

TEST(ParseMembers, OfOneClusterInBothForms) {
  const Recorded old = Record("88-db-assocs");
  const auto members = ParseMembers(old.status, old.body, "spike");
  ASSERT_TRUE(members);
  EXPECT_TRUE(members->contains({"research", ""}));
  EXPECT_TRUE(members->contains({"research", "bob"}));
  EXPECT_TRUE(members->contains({"root", "root"}));
  EXPECT_FALSE(members->contains({"root", "alice"}));
  EXPECT_EQ(members->at({"research", ""}), std::set<std::string>{"normal"});
  EXPECT_TRUE(ParseMembers(old.status, old.body, "another")->empty());

  const Recorded late = Record("v45-db-assocs");
  const auto later = ParseMembers(late.status, late.body, "spike26");
  ASSERT_TRUE(later);
  EXPECT_EQ(later->size(), 4U);
  EXPECT_EQ(later->at({"research", "alice"}), (std::set<std::string>{"high", "normal"}));
}

TEST(ParseMembers, OfAPartitionAloneDoesNotCount) {
  const std::string body =
      R"({"errors":[],"associations":[{"account":"NLP","cluster":"c","user":"ann","partition":"p"},
          {"account":"NLP","cluster":"c","user":"bob","partition":null}, 7]})";
  const auto members = ParseMembers(200, body, "c");
  ASSERT_TRUE(members);
  EXPECT_EQ(members->size(), 1U);
  EXPECT_TRUE(members->contains({"nlp", "bob"})) << "accounts are kept in small letters";
}

// The jobs of a recorded answer as if they were Kezek's.
std::vector<BookedRun> RunsIn(const std::string& fixture) {
  const Recorded answer = Record(fixture);
  std::string body = answer.body;
  for (const std::string name : {"wrap", "smoke.sh", "held", "sig"}) {
    const std::string from = "\"name\":\"" + name + "\"";
    int number = 0;
    for (auto at = body.find(from); at != std::string::npos; at = body.find(from, at + 1)) {
      body.replace(at, from.size(), "\"name\":\"kezek-7-" + std::to_string(++number) + "\"");
    }
  }
  auto runs = ParseRuns(answer.status, body, "");
  EXPECT_TRUE(runs);
  return runs ? *runs : std::vector<BookedRun>{};
}

const BookedRun* Find(const std::vector<BookedRun>& runs, std::int64_t id) {
  const auto found = std::find_if(runs.begin(), runs.end(),
                                  [id](const BookedRun& run) { return run.cluster_job_id == id; });
  return found == runs.end() ? nullptr : &*found;
}

TEST(ParseRuns, WhatRanAndWhatDidNot) {
  const auto runs = RunsIn("79-db-jobs");
  const BookedRun* two = Find(runs, 2);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->start_ms, 1795225991'000);
  EXPECT_EQ(two->end_ms, 1795225991'000);
  EXPECT_EQ(two->account, "research");
  EXPECT_EQ(two->unix_account, "alice");
  ASSERT_EQ(two->granted.size(), 2U);
  EXPECT_EQ(two->granted[1].node, "n1");
  EXPECT_EQ(two->gpus, 2 * two->granted[0].gpus);
  const BookedRun* never = Find(runs, 5);
  ASSERT_NE(never, nullptr);
  EXPECT_EQ(never->start_ms, 0) << "it had no nodes";
  EXPECT_EQ(never->end_ms, 1795226748'000);
  const BookedRun* running = Find(runs, 108);
  ASSERT_NE(running, nullptr);
  EXPECT_EQ(running->end_ms, 0) << "the end that is told of what runs is no end";
}

TEST(ParseRuns, TheLaterFormSaysTheSame) {
  const auto runs = RunsIn("v45-db-jobs");
  const BookedRun* one = Find(runs, 1);
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one->start_ms, 1795227626'000);
  EXPECT_EQ(one->end_ms, 1795227626'000);
  EXPECT_EQ(one->granted.size(), 2U);
  const BookedRun* running = Find(runs, 3);
  ASSERT_NE(running, nullptr);
  EXPECT_GT(running->start_ms, 0);
  EXPECT_EQ(running->end_ms, 0);
}

TEST(ParseRuns, OthersJobsHaveNoAttempt) {
  const Recorded answer = Record("79-db-jobs");
  const auto runs = ParseRuns(answer.status, answer.body, "spike");
  ASSERT_TRUE(runs);
  ASSERT_FALSE(runs->empty());
  for (const BookedRun& run : *runs) EXPECT_EQ(run.attempt, AttemptRef{});
  const BookedRun* one = Find(*runs, 1);
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one->cpus, 1);
  EXPECT_EQ(one->memory_mib, 1000);
  EXPECT_EQ(one->gpus, 0);
  EXPECT_TRUE(ParseRuns(answer.status, answer.body, "another")->empty()) << "of another cluster";
}

TEST(ParseRuns, WhatSlurmdbdMadeUpIsNoRun) {
  std::string body = Record("79-db-jobs").body;
  const std::string from = "\"name\":\"wrap\"";
  const auto at = body.find(from);
  ASSERT_NE(at, std::string::npos);
  body.replace(at, from.size(), "\"name\":\"allocation\"");
  auto runs = ParseRuns(200, body, "");
  ASSERT_TRUE(runs);
  EXPECT_NE(Find(*runs, 1), nullptr) << "anybody may name a job so";
  const std::string partition = "\"partition\":\"gpu\"";
  const auto its = body.find(partition, at);
  ASSERT_NE(its, std::string::npos);
  body.replace(its, partition.size(), "\"partition\":\"\"");
  runs = ParseRuns(200, body, "");
  ASSERT_TRUE(runs);
  EXPECT_EQ(Find(*runs, 1), nullptr);
  EXPECT_NE(Find(*runs, 2), nullptr);
}

TEST(ParseRuns, NothingFoundIsNothing) {
  const Recorded none = Record("91-db-job-unknown");
  EXPECT_TRUE(ParseRuns(none.status, none.body, "")->empty());
  EXPECT_FALSE(ParseRuns(200, "{}", "")) << "no list is no answer";
  EXPECT_FALSE(ParseRuns(200, "slurmdbd is away", ""));
}

TEST(ParseMade, ErrorsInsideOfATwoHundredAreErrors) {
  const Recorded made = Record("93-db-add-account");
  EXPECT_TRUE(ParseMade(made.status, made.body));
  for (const char* name : {"94-db-add-assoc", "96-db-alice-add-account"}) {
    const Recorded refused = Record(name);
    EXPECT_FALSE(ParseMade(refused.status, refused.body)) << name;
  }
  const auto missing = ParseMade(
      200,
      R"({"errors":[{"description":"Missing required field 'user'","source":"_parser_run"}]})");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("Missing required field 'user'"), std::string::npos);
}

TEST(IntegerAt, BothForms) {
  const Json body = Json::parse(
      R"({"a":7,"b":{"set":true,"infinite":false,"number":8},
          "c":{"set":false,"number":9},"d":null})");
  EXPECT_EQ(IntegerAt(body, "a"), 7);
  EXPECT_EQ(IntegerAt(body, "b"), 8);
  EXPECT_EQ(IntegerAt(body, "c", -1), -1);
  EXPECT_EQ(IntegerAt(body, "d", -1), -1);
  EXPECT_EQ(IntegerAt(body, "e", -1), -1);
}

TEST(Bodies, SayWhatIsMeant) {
  EXPECT_EQ(Json::parse(AccountBody("nlp", "universities/kaznu/nlp")),
            Json::parse(R"({"accounts":[{"name":"nlp","description":"universities/kaznu/nlp",
                            "organization":"kezek"}]})"));
  EXPECT_EQ(Json::parse(AssociationBody("c", "ann", "nlp")),
            Json::parse(R"({"associations":[{"account":"nlp","cluster":"c","user":"ann"}]})"));
  EXPECT_EQ(Json::parse(UserBody("ann", "nlp")),
            Json::parse(R"({"users":[{"name":"ann","default":{"account":"nlp"}}]})"));
  EXPECT_EQ(Json::parse(UserAssociationBody("c", "ann", "nlp", false)),
            Json::parse(R"({"association_condition":{"accounts":["nlp"],"users":["ann"],
                            "clusters":["c"]},"user":{}})"))
      << "whose default account is another one keeps it";
}

}  // namespace
}  // namespace kezek::slurm

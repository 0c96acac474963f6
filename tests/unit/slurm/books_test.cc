// Goal: the books port asks the version that the server has, finds its cluster among several, makes
// what it is told by the calls of that release, and says clearly when there are no books.
// Method: a server of the test's own that answers from a table and keeps what it was sent.
#include "slurm/books.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/unit/slurm/listener.h"

namespace kezek::slurm {
namespace {

class StoppedClock : public Clock {
 public:
  TimeMs Now() override { return 1'795'227'068'700; }
};

class BooksTest : public testing::Test {
 protected:
  BooksTest() {
    std::string path = testing::TempDir() + "kezek-token-XXXXXX";
    ::close(::mkstemp(path.data()));
    std::ofstream(path) << "token";
    token_path_ = path;
    BooksOptions options;
    options.url = listener_.url();
    options.token_file = token_path_;
    options.user = "slurm";
    options.cluster = "kezek";
    options.request_timeout_ms = 5000;
    books_ = std::make_unique<SlurmBooks>(options, clock_);
  }
  ~BooksTest() override { std::remove(token_path_.c_str()); }

  void Answer(const std::string& path, const std::string& body) { answers_[path] = body; }
  void Serve(const std::string& version) {
    Answer("/slurm/" + version + "/ping", R"({"pings":[]})");
    Answer("/slurmdb/" + version + "/clusters", R"({"errors":[],"clusters":[{"name":"kezek"}]})");
  }
  // "POST /path body", in order; GETs as "GET /path"; without those for versions that are not
  // there.
  std::vector<std::string> Sent() {
    const std::scoped_lock lock(mutex_);
    return sent_;
  }

  std::unique_ptr<SlurmBooks> books_;

 private:
  std::string Reply(const std::string& request) {
    const std::string line = request.substr(0, request.find(" HTTP/"));
    const std::string method = line.substr(0, line.find(' '));
    const std::string target = line.substr(line.find(' ') + 1);
    const auto body = request.find("\r\n\r\n");
    const std::scoped_lock lock(mutex_);
    const auto found = answers_.find(target.substr(0, target.find('?')));
    if (found == answers_.end() && target.ends_with("/ping")) return HttpReply(404, "no such path");
    sent_.push_back(line + (method == "GET" ? "" : " " + request.substr(body + 4)));
    if (found == answers_.end()) return HttpReply(404, "Unable find requested URL.");
    return HttpReply(200, found->second);
  }

  std::mutex mutex_;
  std::map<std::string, std::string> answers_;
  std::vector<std::string> sent_;
  std::string token_path_;
  StoppedClock clock_;
  Listener listener_{[this](const std::string& request) { return Reply(request); }};
};

constexpr const char* kMade = R"({"errors":[]})";

TEST_F(BooksTest, The2205sCalls) {
  Serve("v0.0.38");
  for (const char* path : {"accounts", "users", "associations"}) {
    Answer("/slurmdb/v0.0.38/" + std::string(path), kMade);
  }
  ASSERT_TRUE(books_->AddAccount("nlp", "universities/nlp"));
  ASSERT_TRUE(books_->AddUser("ann", "nlp"));
  ASSERT_TRUE(books_->AddMember("bob", "nlp"));
  const auto sent = Sent();
  ASSERT_EQ(sent.size(), 6U);
  EXPECT_EQ(sent[0], "GET /slurm/v0.0.38/ping");
  EXPECT_EQ(sent[2].find("POST /slurmdb/v0.0.38/accounts {\"accounts\":[{"), 0U) << sent[2];
  EXPECT_EQ(sent[3].find("POST /slurmdb/v0.0.38/users "), 0U) << sent[3];
  EXPECT_EQ(sent[4].find("POST /slurmdb/v0.0.38/associations "), 0U) << "the user's own";
  EXPECT_EQ(sent[5].find("POST /slurmdb/v0.0.38/associations "), 0U) << sent[5];
}

TEST_F(BooksTest, TheCallsOfLaterReleases) {
  Serve("v0.0.43");
  for (const char* path : {"accounts_association", "users_association"}) {
    Answer("/slurmdb/v0.0.43/" + std::string(path), kMade);
  }
  ASSERT_TRUE(books_->AddAccount("nlp", ""));
  ASSERT_TRUE(books_->AddUser("ann", "nlp"));
  ASSERT_TRUE(books_->AddMember("bob", "nlp"));
  EXPECT_NE(Sent().back().find("\"user\":{}"), std::string::npos)
      << "who is there keeps the default account: " << Sent().back();
}

TEST_F(BooksTest, WhatSlurmRefusesIsSaidInItsWords) {
  Serve("v0.0.38");
  Answer("/slurmdb/v0.0.38/accounts",
         R"({"errors":[{"error_number":2002,"error":"Access/permission denied"}]})");
  const auto made = books_->AddAccount("nlp", "");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("Access/permission denied"), std::string::npos);
}

std::string ReasonOf(const Error& error) {
  return error.details.empty() ? "" : error.details.front().reason;
}

TEST_F(BooksTest, NoVersionNoBooksNoServer) {
  EXPECT_EQ(ReasonOf(books_->ReadAccounts().error()), "NO_API");
  Answer("/slurm/v0.0.38/ping", "{}");
  EXPECT_EQ(ReasonOf(books_->ReadAccounts().error()), "NO_BOOKS") << "the plugin is not loaded";
  Answer("/slurmdb/v0.0.38/clusters", "not JSON");
  EXPECT_EQ(books_->ReadAccounts().error().code, Code::kUnavailable);
}

TEST_F(BooksTest, TheClusterIsTheOnlyOneOrTheOneOfTheSameName) {
  Serve("v0.0.38");
  const std::string path = "/slurmdb/v0.0.38/clusters";
  Answer(path, R"({"clusters":[{"name":"a"},{"name":"b"}]})");
  const auto several = books_->ReadAccounts();
  ASSERT_FALSE(several);
  EXPECT_EQ(ReasonOf(several.error()), "NO_BOOKS");
  EXPECT_NE(several.error().message.find("a, b"), std::string::npos) << several.error().message;
  Answer(path, R"({"clusters":[{"name":"a"}]})");
  for (const char* list : {"accounts", "users", "qos", "associations"}) {
    Answer("/slurmdb/v0.0.38/" + std::string(list), "{\"" + std::string(list) + "\":[]}");
  }
  const auto one = books_->ReadAccounts();
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->cluster, "a");
}

TEST_F(BooksTest, EndedRunsAreAskedForByTimesThatNeedNoZone) {
  Serve("v0.0.38");
  Answer("/slurmdb/v0.0.38/jobs",
         R"({"jobs":[
    {"name":"kezek-8-1","job_id":4,"nodes":"n1","state":{"current":"COMPLETED"},
     "time":{"start":1795227000,"end":1795227050}},
    {"name":"kezek-7-1","job_id":3,"nodes":"n1","state":{"current":"COMPLETED"},
     "time":{"start":1795227000,"end":1795227040}},
    {"name":"kezek-9-1","job_id":5,"nodes":"n1","state":{"current":"RUNNING"},
     "time":{"start":1795227000,"end":1795227045}},
    {"name":"kezek-6-1","job_id":2,"nodes":"n1","state":{"current":"COMPLETED"},
     "time":{"start":1795227000,"end":1795227060}}]})");
  const auto runs = books_->EndedRuns(1'795'227'030'000, 1'795'227'060'000);
  ASSERT_TRUE(runs) << runs.error().message;
  ASSERT_EQ(runs->size(), 2U) << "one runs, one ended when the time was over";
  EXPECT_EQ(runs->at(0).cluster_job_id, 3);
  EXPECT_EQ(runs->at(1).cluster_job_id, 4);
  EXPECT_EQ(Sent().back(),
            "GET /slurmdb/v0.0.38/jobs?start_time=now-48seconds&end_time=now-0seconds");
}

}  // namespace
}  // namespace kezek::slurm

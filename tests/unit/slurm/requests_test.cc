// Goal: what is asked for again and again is sent once at a time, so that nothing piles up before a
// slow Slurm; and nothing is done to a job that has an id which was ours.
// Method: the port before a server that lets the first request wait until the test says go.
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "slurm/slurm_cluster.h"
#include "tests/unit/slurm/fixture.h"
#include "tests/unit/slurm/listener.h"

namespace kezek::slurm {
namespace {

const AttemptRef kAttempt{{JobId{5}, kNoElement}, 1};

class FixedClock : public Clock {
 public:
  TimeMs Now() override { return 1'795'227'068'700; }
};

class RequestsTest : public testing::Test {
 protected:
  RequestsTest() {
    std::string path = testing::TempDir() + "kezek-token-XXXXXX";
    ::close(::mkstemp(path.data()));
    std::ofstream(path) << "token";
    token_path_ = path;
    Options options;
    options.url = listener_.url();
    options.token_file = token_path_;
    options.connections = 1;
    cluster_ = std::make_unique<SlurmCluster>(options, clock_,
                                              [this](const ClusterEvent& event) { Take(event); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return up_; });
  }
  ~RequestsTest() override {
    Go();
    cluster_.reset();
    std::remove(token_path_.c_str());
  }
  void Go() {
    {
      const std::scoped_lock lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  void Take(const ClusterEvent& event) {
    {
      const std::scoped_lock lock(mutex_);
      if (std::holds_alternative<ReleaseDone>(event)) ++released_;
      if (std::holds_alternative<ClusterUp>(event)) up_ = true;
      if (const auto* taken = std::get_if<LaunchAccepted>(&event)) {
        launched_ = std::to_string(taken->cluster_job_id);
        if (!taken->spoilt.empty()) launched_ += " without " + taken->spoilt;
      }
      if (std::holds_alternative<LaunchUnknown>(event)) launched_ = "unknown";
      if (const auto* done = std::get_if<SignalDone>(&event)) settled_.push_back(done->settled);
    }
    changed_.notify_all();
  }
  int Sent(const std::string& kind) {
    const std::scoped_lock lock(mutex_);
    return sent_[kind];
  }
  // Whether a signal is settled when this is the answer; empty: Slurm hangs up.
  bool SignalSettled(const std::string& name, const std::string& answer) {
    std::unique_lock lock(mutex_);
    answer_ = answer;
    settled_.clear();
    lock.unlock();
    cluster_->Signal(kAttempt, 9, "alice", name, false);
    lock.lock();
    changed_.wait(lock, [this] { return !settled_.empty(); });
    return settled_.front();
  }
  // What becomes of a launch that is answered so.
  std::string Launched(const std::string& submitted) {
    std::unique_lock lock(mutex_);
    submitted_ = submitted;
    launched_.clear();
    lock.unlock();
    Launch launch;
    launch.attempt = kAttempt;
    launch.unix_account = "alice";
    cluster_->Submit(std::move(launch));
    lock.lock();
    changed_.wait(lock, [this] { return !launched_.empty(); });
    return launched_;
  }
  // What Slurm has under every id from now on; empty: nothing.
  void Show(const std::string& job) {
    const std::scoped_lock lock(mutex_);
    job_ = job;
  }
  void WaitForReleases(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return released_ >= count; });
  }

 private:
  std::string Reply(const std::string& request) {
    const std::string kind = request.substr(0, request.find(" HTTP"));
    std::unique_lock lock(mutex_);
    ++sent_[kind];
    if (kind == "GET /slurm/v0.0.38/ping") return HttpReply(200, Record("01-ping").body);
    if (kind == "GET /slurm/v0.0.38/diag") return HttpReply(200, Record("02-diag").body);
    if (kind.starts_with("GET /slurm/v0.0.38/job/")) {
      const std::string id = kind.substr(kind.rfind('/') + 1);
      if (job_.empty()) {
        return HttpReply(500, R"({"errors":[{"error_code":2017,"error":"Invalid job id"}]})");
      }
      return HttpReply(200, R"({"errors":[],"jobs":[{"job_id":)" + id + "," + job_ + "}]}");
    }
    if (kind.starts_with("GET")) return HttpReply(404, "not here");
    if (kind.starts_with("POST") && !submitted_.empty()) return HttpReply(200, submitted_);
    changed_.wait(lock, [this] { return open_; });
    return answer_.empty() ? "" : HttpReply(200, answer_);
  }

  FixedClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  bool up_ = false;
  std::string launched_;   // what became of a launch
  std::string submitted_;  // the answer to a submission
  int released_ = 0;
  std::string answer_ = R"({"errors":[]})";
  std::string job_ = R"("job_state":"RUNNING","name":"kezek-5-1","user_name":"alice")";
  std::vector<bool> settled_;
  std::map<std::string, int> sent_;
  std::string token_path_;
  Listener listener_{[this](const std::string& request) { return Reply(request); }};

 protected:
  std::unique_ptr<SlurmCluster> cluster_;
};

TEST_F(RequestsTest, WhatIsUnderWayIsNotSentAgain) {
  for (int i = 0; i < 50; ++i) {
    cluster_->Cancel(kAttempt, 9, "alice");
    cluster_->Signal(kAttempt, 9, "alice", "USR1", false);
    cluster_->Release(kAttempt, 9, "alice");
  }
  cluster_->Cancel(kAttempt, 10, "alice");
  Go();
  WaitForReleases(1);
  cluster_->Release(kAttempt, 9, "alice");  // answered: now it may be sent once more
  WaitForReleases(2);
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/9"), 1);
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/9?signal=USR1"), 1);
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/10"), 1);
  EXPECT_EQ(Sent("POST /slurm/v0.0.38/job/9"), 2);
}

// Slurm has lost its state, or counted round, and given the id again.
TEST_F(RequestsTest, WhatIsAnotherJobsNowIsLeftAlone) {
  Go();
  const Followed mine{kAttempt, 9, "alice", true, 5000};
  cluster_->Follow({mine});
  const std::string state = R"("job_state":"RUNNING","nodes":"n01","user_name":"alice",)";
  for (const std::string& other :
       {state + R"("name":"kezek-6-1","start_time":9)", state + R"("name":"train","start_time":9)",
        state + R"("name":"train","start_time":5,"user_name":"bob")"}) {
    Show(other);
    EXPECT_FALSE(SignalSettled("USR1", R"({"errors":[]})")) << other;
    cluster_->Cancel(kAttempt, 9, "alice");
    cluster_->SetLimit(mine, kMinuteMs);
    cluster_->Release(kAttempt, 9, "alice");
    WaitForReleases(1);
    EXPECT_FALSE(SignalSettled("USR1", R"({"errors":[]})")) << other;
  }
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/9"), 0);
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/9?signal=USR1"), 0);
  EXPECT_EQ(Sent("POST /slurm/v0.0.38/job/9"), 0);
  // Its owner has named it anew.
  Show(state + R"("name":"train","start_time":5)");
  EXPECT_TRUE(SignalSettled("USR1", R"({"errors":[]})"));
}

// A request that arrives late might meet another job that has been given its id.
TEST_F(RequestsTest, NothingIsAskedOfAJobThatThereIsNot) {
  Go();
  Show("");
  EXPECT_TRUE(SignalSettled("USR1", R"({"errors":[]})")) << "nobody is there to be told";
  cluster_->Cancel(kAttempt, 9, "alice");
  cluster_->Release(kAttempt, 9, "alice");
  WaitForReleases(1);
  EXPECT_TRUE(SignalSettled("USR1", R"({"errors":[]})"));
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/9"), 0);
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/9?signal=USR1"), 0);
  EXPECT_EQ(Sent("POST /slurm/v0.0.38/job/9"), 0);
}

TEST_F(RequestsTest, ASignalIsSettledByAnAnswerOnly) {
  Go();
  EXPECT_TRUE(SignalSettled("USR1", R"({"errors":[]})"));
  EXPECT_TRUE(SignalSettled("USR1", R"({"errors":[{"error_code":2021,"error":"done"}]})"));
  EXPECT_FALSE(SignalSettled("USR1", R"({"errors":[{"error_code":1,"error":"cannot"}]})"));
  EXPECT_FALSE(SignalSettled("USR1", ""));
  EXPECT_TRUE(SignalSettled("no signal", "")) << "it is never sent";
}

// Whether it is cancelled, is decided where that is kept.
TEST_F(RequestsTest, WhatWasNotMadeAsAskedIsToldWithItsId) {
  Go();
  const std::string head = R"({"job_id":9,"errors":[],"warnings":[)";
  EXPECT_EQ(Launched(head + "]}"), "9");
  EXPECT_EQ(Launched(head + R"({"description":"no gres","source":"#/job/gres/"}]})"),
            "9 without no gres");
  EXPECT_EQ(Launched(R"({"errors":[]})"), "unknown");
  EXPECT_EQ(Sent("DELETE /slurm/v0.0.38/job/9"), 0);
}

}  // namespace
}  // namespace kezek::slurm

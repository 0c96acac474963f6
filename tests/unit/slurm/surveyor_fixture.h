// A surveyor that asks a server which answers by path from a table, which the test changes as it
// goes.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "slurm/surveyor.h"
#include "tests/unit/slurm/fixture.h"
#include "tests/unit/slurm/listener.h"

namespace kezek::slurm {

inline const AttemptRef kAttempt{{JobId{5}, kNoElement}, 1};

class FixedClock : public Clock {
 public:
  TimeMs Now() override { return 1'795'227'068'700; }  // as the recorded /diag
};

inline std::string JobsBody(const std::string& fields) {
  return R"({"errors":[],"jobs":[{"job_id":9,"name":"kezek-5-1","user_name":"alice",)"
         R"("comment":"inst:1","start_time":100,"end_time":107,)" +
         fields + "}]}";
}
inline constexpr char kNoJobs[] = R"({"errors":[],"jobs":[]})";
inline constexpr char kUnknownJob[] =
    R"({"errors":[{"error_number":2017,"error":"unknown"}],"jobs":[]})";
inline constexpr char kNothingFound[] =
    R"({"errors":[{"error_number":9003,"error":"nothing"}],"jobs":[]})";
inline constexpr char kOneNode[] =
    R"({"errors":[],"nodes":[{"name":"n01","state":"idle","gres":"gpu:h200:8"}]})";
inline std::string Record9(const std::string& state) {
  return R"({"errors":[],"jobs":[{"job_id":9,"name":"kezek-5-1","user":"alice","nodes":"n01",)"
         R"("state":{"current":")" +
         state + R"("},"time":{"start":100,"end":107},"exit_code":{"return_code":0}}]})";
}

class SurveyorTest : public testing::Test {
 protected:
  SurveyorTest() {
    std::string path = testing::TempDir() + "kezek-token-XXXXXX";
    ::close(::mkstemp(path.data()));
    std::ofstream(path) << "token";
    token_path_ = path;
    const Recorded diag = Record("02-diag");
    const Recorded ping = Record("01-ping");
    Answer("/slurm/v0.0.38/ping", 200, ping.body);
    Answer("/slurm/v0.0.38/diag", 200, diag.body);
    Answer("/slurm/v0.0.38/jobs", 200, kNoJobs);
    Answer("/slurm/v0.0.38/nodes", 200, kOneNode);
    Answer("/slurm/v0.0.38/job/9", 500, kUnknownJob);
    Answer("/slurmdb/v0.0.38/job/9", 200, kNothingFound);
    Answer("/slurmdb/v0.0.38/jobs", 200, kNothingFound);
  }
  ~SurveyorTest() override { std::remove(token_path_.c_str()); }

  void Start(DurationMs accounting_patience_ms = 10 * kMinuteMs) {
    credential_.emplace(CredentialOptions{token_path_, "", "slurm"}, clock_);
    surveyor_.emplace(SurveyorOptions{.user = "slurm",
                                      .tag_prefix = "inst",
                                      .request_timeout_ms = 2000,
                                      .accounting_patience_ms = accounting_patience_ms,
                                      .has_begun = has_begun_},
                      HttpOptions{listener_.url(), 1}, *credential_, codecs_, clock_,
                      [this](ClusterEvent event) { Add(std::move(event)); });
  }
  std::function<std::optional<bool>(const AttemptRef&, std::int64_t)> has_begun_;
  // What a path answers from now on; an empty body hangs up.
  void Answer(const std::string& path, int status, const std::string& body) {
    const std::scoped_lock lock(mutex_);
    answers_[path] = body.empty() ? "" : HttpReply(status, body);
  }
  template <class Kind>
  std::optional<Kind> Wait(const std::function<bool(const Kind&)>& satisfies = [](const Kind&) {
    return true;
  }) {
    std::unique_lock lock(mutex_);
    std::optional<Kind> found;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    added_.wait_until(lock, deadline, [&] {
      for (std::size_t i = 0; i < events_.size() && !found; ++i) {
        const auto* event = std::get_if<Kind>(&events_[i]);
        if (event == nullptr || !satisfies(*event)) continue;
        found = *event;
        events_.erase(events_.begin() + static_cast<std::ptrdiff_t>(i));
      }
      return found.has_value();
    });
    return found;
  }
  template <class Kind>
  int Count() {
    const std::scoped_lock lock(mutex_);
    int count = 0;
    for (const auto& event : events_) count += std::holds_alternative<Kind>(event) ? 1 : 0;
    return count;
  }
  int Asked(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    return asked_[path];
  }
  int AskedInAll() {
    const std::scoped_lock lock(mutex_);
    int sum = 0;
    for (const auto& [path, count] : asked_) sum += count;
    return sum;
  }
  bool WaitUntilAsked(const std::string& path, int times) {
    for (int i = 0; i < 3000 && Asked(path) < times; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return Asked(path) >= times;
  }
  // How long it takes to answer a path, from now on; less, to end those that are late already.
  void Delay(const std::string& path, DurationMs delay_ms) {
    {
      const std::scoped_lock lock(mutex_);
      delays_[path] = delay_ms;
    }
    hurry_.notify_all();
  }
  // Two rounds of questions have been asked and answered since.
  void LetItAskTwice() {
    for (int i = 0; i < 2; ++i) {
      surveyor_->Find(kAttempt);
      ASSERT_TRUE(Wait<FoundByName>());
    }
  }

 private:
  void Add(ClusterEvent event) {
    {
      const std::scoped_lock lock(mutex_);
      events_.push_back(std::move(event));
    }
    added_.notify_all();
  }
  std::string Reply(const std::string& request) {
    const auto begin = request.find(' ') + 1;
    const std::string path = request.substr(begin, request.find_first_of(" ?", begin) - begin);
    std::unique_lock lock(mutex_);
    ++asked_[path];
    if (delays_[path] > 0) {
      hurry_.wait_for(lock, std::chrono::milliseconds(delays_[path]),
                      [&] { return delays_[path] == 0; });
    }
    const auto answer = answers_.find(path);
    return answer == answers_.end() ? HttpReply(404, "no such path") : answer->second;
  }

  FixedClock clock_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::condition_variable hurry_;
  std::map<std::string, std::string> answers_;
  std::map<std::string, int> asked_;
  std::map<std::string, DurationMs> delays_;
  std::vector<ClusterEvent> events_;
  std::string token_path_;
  Listener listener_{[this](const std::string& request) { return Reply(request); }};
  std::optional<Credential> credential_;
  CodecChoice codecs_;

 protected:
  std::optional<Surveyor> surveyor_;
};

inline const Followed kFollowed{kAttempt, 9, "alice", true};

}  // namespace kezek::slurm

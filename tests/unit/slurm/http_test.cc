// Goal: the three ends of a request are told apart: answered, certainly not sent, perhaps acted on;
// a submission is sent once; tokens are renewed.
// Method: a listener of the test's own that answers, says nothing, or hangs up.
#include "slurm/http.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "slurm/credential.h"
#include "tests/support/recording_meter.h"
#include "tests/unit/slurm/listener.h"

namespace kezek::slurm {
namespace {

class FixedClock : public Clock {
 public:
  TimeMs Now() override { return now; }
  TimeMs now = 1'795'227'068'000;
};

std::string TokenFile(const std::string& content) {
  std::string path = testing::TempDir() + "kezek-token-XXXXXX";
  const int file = ::mkstemp(path.data());
  EXPECT_GE(file, 0);
  ::close(file);
  std::ofstream(path) << content;
  return path;
}

std::string Ok(const std::string& /*request*/) { return HttpReply(200, "{}"); }
std::string HangUp(const std::string& /*request*/) { return ""; }

class HttpTest : public testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }
  FixedClock clock_;
  std::string path_ = TokenFile("SLURM_JWT=abc\n");
  Credential credential_{{path_, "", "slurm"}, clock_};
};

TEST_F(HttpTest, Answered) {
  const Listener listener(Ok);
  HttpClient client({listener.url(), 1}, credential_);
  for (int i = 0; i < 3; ++i) {
    const auto outcome = client.Do({.path = "/x", .user = "alice"});
    EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kAnswered) << outcome.text;
    EXPECT_EQ(outcome.status, 200);
    EXPECT_EQ(outcome.body, "{}");
  }
}

TEST_F(HttpTest, NobodyListensIsNotSent) {
  std::string url;
  { url = Listener(Ok).url(); }
  HttpClient client({url, 1}, credential_);
  EXPECT_EQ(client.Do({.path = "/x"}).kind, HttpOutcome::Kind::kNotSent);
  HttpClient on_socket({"unix:/nonexistent/rest.sock", 1}, credential_);
  EXPECT_EQ(on_socket.Do({.path = "/x"}).kind, HttpOutcome::Kind::kNotSent);
}

TEST_F(HttpTest, HungUpIsLostAndSentOnce) {
  const Listener listener(HangUp);
  HttpClient client({listener.url(), 1}, credential_);
  const auto outcome =
      client.Do({.method = "POST", .path = "/x", .body = "{}", .user = "a", .once = true});
  EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kLost);
  EXPECT_EQ(listener.requests(), 1);
}

TEST_F(HttpTest, AnAnswerThatIsTooLongIsNotRead) {
  const Listener listener([](const std::string&) {
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 536870913\r\n\r\n{");
  });
  HttpClient client({listener.url(), 1}, credential_);
  const auto outcome = client.Do({.path = "/x"});
  EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kLost);
  EXPECT_EQ(outcome.text, "slurmrestd: an answer of more than 512 MiB, which is not read");
}

TEST_F(HttpTest, EveryRequestIsMeasured) {
  using enum ClusterCallMeasure::Outcome;
  test::RecordingMeter meter;
  {
    const Listener listener(Ok);
    HttpClient client({listener.url(), 1, &meter}, credential_);
    client.Do({.path = "/slurm/v0.0.38/jobs?update_time=5"});
  }
  {
    const Listener listener([](const std::string&) { return HttpReply(500, "{}"); });
    HttpPool pool({listener.url(), 1, &meter}, credential_);
    std::promise<void> done;
    pool.Start({.method = "POST", .path = "/slurm/v0.0.38/job/submit"},
               [&done](const HttpOutcome&) { done.set_value(); });
    done.get_future().wait();
  }
  {
    const Listener listener(HangUp);
    HttpClient client({listener.url(), 1, &meter}, credential_);
    client.Do({.method = "DELETE", .path = "/slurm/v0.0.38/job/7", .once = true});
  }
  Credential missing({"/nonexistent/token", "", ""}, clock_);
  HttpClient client({"http://127.0.0.1:1", 1, &meter}, missing);
  client.Do({.path = "/slurmdb/v0.0.38/job/7"});
  const std::vector<test::RecordingMeter::Call> wanted = {
      {"jobs", static_cast<int>(kAnswered)},
      {"submit", static_cast<int>(kError)},
      {"cancel", static_cast<int>(kLost)},
      {"accounting", static_cast<int>(kNotSent)}};
  EXPECT_EQ(meter.cluster_calls(), wanted);
}

TEST(CallNames, AreAFixedFew) {
  const auto name = [](const std::string& method, const std::string& path) {
    return std::string(CallName({.method = method, .path = "/slurm/v0.0.38" + path}));
  };
  EXPECT_EQ(name("POST", "/job/7"), "update");
  EXPECT_EQ(name("GET", "/job/7"), "job");
  EXPECT_EQ(name("DELETE", "/job/7?signal=USR1"), "signal");
  EXPECT_EQ(name("GET", "/nodes?update_time=1"), "nodes");
  EXPECT_EQ(name("GET", "/ping"), "ping");
  EXPECT_EQ(name("GET", "/diag"), "diag");
  EXPECT_EQ(name("GET", "/partitions"), "other");
}

TEST_F(HttpTest, NoTokenIsNotSent) {
  Credential missing({"/nonexistent/token", "", ""}, clock_);
  const Listener listener(Ok);
  HttpClient client({listener.url(), 1}, missing);
  const auto outcome = client.Do({.path = "/x"});
  EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kNotSent);
  EXPECT_NE(outcome.text.find("/nonexistent/token"), std::string::npos);
  EXPECT_EQ(listener.requests(), 0);
}

TEST_F(HttpTest, PoolAnswersAllWithBoundedConnections) {
  const Listener listener(Ok);
  std::mutex mutex;
  std::condition_variable done;
  int answered = 0;
  HttpPool pool({listener.url(), 3}, credential_);
  for (int i = 0; i < 40; ++i) {
    pool.Start({.method = "POST", .path = "/x", .body = "{}", .user = "a", .once = true},
               [&](const HttpOutcome& outcome) {
                 EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kAnswered);
                 const std::scoped_lock lock(mutex);
                 ++answered;
                 done.notify_one();
               });
  }
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return answered == 40; });
  EXPECT_EQ(listener.requests(), 40);
  EXPECT_LE(listener.most_at_once(), 3);
}

TEST_F(HttpTest, PoolCanEndWithWorkLeft) {
  const Listener listener(Ok);
  HttpPool pool({listener.url(), 1}, credential_);
  for (int i = 0; i < 100; ++i) pool.Start({.path = "/x"}, [](const HttpOutcome&) {});
}

TEST_F(HttpTest, TokenFileIsReadAgainWhenItChanges) {
  EXPECT_EQ(*credential_.Token(), "abc");
  std::ofstream(path_) << "another-one";
  EXPECT_EQ(*credential_.Token(), "another-one");
}

TEST_F(HttpTest, AFileThatOthersMayReadIsNotUsed) {
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  const Listener listener(Ok);
  HttpClient client({listener.url(), 1}, credential_);
  const auto outcome = client.Do({.path = "/x", .user = "alice"});
  EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kNotSent);
  EXPECT_EQ(outcome.text, path_ + " can be read by others: chmod 600 it");
  EXPECT_EQ(listener.requests(), 0);
  Credential signing({"", path_, "slurm"}, clock_);
  EXPECT_EQ(signing.Token().error().code, Code::kUnauthenticated);
}

// What is done in a user's name is in the log, with what it is about; never the credential.
TEST_F(HttpTest, TheUseOfTheCredentialIsLogged) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  spdlog::set_pattern("%l %v");
  spdlog::set_level(spdlog::level::debug);
  const Listener listener(Ok);
  HttpClient client({listener.url(), 1}, credential_);
  client.Do({.method = "DELETE",
             .path = "/slurm/v0.0.38/job/9",
             .user = "alice",
             .about = "kezek-5-1 job=9"});
  client.Do({.path = "/slurm/v0.0.38/nodes", .user = "slurm"});
  spdlog::set_default_logger(before);
  EXPECT_EQ(log.str(),
            "info slurm call=cancel user=alice about=kezek-5-1 job=9 answer='200'\n"
            "debug slurm call=nodes user=slurm about=/slurm/v0.0.38/nodes answer='200'\n");
}

TEST_F(HttpTest, SignedTokensAreRenewedAtHalfTime) {
  const std::string key = TokenFile("0123456789abcdef0123456789abcdef");
  Credential credential({"", key, "slurm"}, clock_);
  const std::string first = *credential.Token();
  clock_.now += 4 * kMinuteMs;
  EXPECT_EQ(*credential.Token(), first);
  clock_.now += 2 * kMinuteMs;
  const std::string second = *credential.Token();
  EXPECT_NE(second, first);
  std::ofstream(key) << "another, of another length, 0123456789abcdef";
  EXPECT_NE(*credential.Token(), second) << "the key was rotated";
  std::remove(key.c_str());
  clock_.now += kHourMs;
  EXPECT_EQ(credential.Token().error().code, Code::kUnauthenticated);
}

TEST(SignToken, IsAKnownJwt) {
  // The same by python3: hmac.new(b"secret", header + "." + claims, "sha256").
  EXPECT_EQ(SignToken("secret", "slurm", 1'000'000, 600'000),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
            "eyJleHAiOjE2MDAsImlhdCI6MTAwMCwic3VuIjoic2x1cm0ifQ."
            "libph8qLS5bkfEc5XLNqaKwOrqbuqXNCzZC8ugHCmAQ");
}

}  // namespace
}  // namespace kezek::slurm

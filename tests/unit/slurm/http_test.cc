// Goal: the three ends of a request are told apart: answered, certainly not sent, perhaps acted on;
// a submission is sent once; tokens are renewed.
// Method: a listener of the test's own that answers, says nothing, or hangs up.
#include "slurm/http.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "slurm/credential.h"

namespace kezek::slurm {
namespace {

class FixedClock : public Clock {
 public:
  TimeMs Now() override { return now; }
  TimeMs now = 1'795'227'068'000;
};

// Serves each connection on a thread; answers every request with `reply` or, if empty, hangs up.
class Listener {
 public:
  explicit Listener(std::string reply) : reply_(std::move(reply)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket_, 64), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Accept(); });
  }
  ~Listener() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_; }
  int most_at_once() const { return most_; }

 private:
  void Accept() {
    std::vector<std::thread> threads;
    while (true) {
      const int connection = ::accept(socket_, nullptr, nullptr);
      if (connection < 0) break;
      threads.emplace_back([this, connection] { Serve(connection); });
    }
    for (auto& thread : threads) thread.join();
  }
  void Serve(int connection) {
    std::string data(65536, '\0');
    while (::recv(connection, data.data(), data.size(), 0) > 0) {
      ++requests_;
      const int now = ++at_once_;
      for (int most = most_; now > most && !most_.compare_exchange_weak(most, now);) continue;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      --at_once_;
      if (reply_.empty()) break;
      EXPECT_GT(::send(connection, reply_.data(), reply_.size(), MSG_NOSIGNAL), 0);
    }
    ::close(connection);
  }

  std::string reply_;
  int socket_ = -1;
  int port_ = 0;
  std::atomic<int> requests_{0};
  std::atomic<int> at_once_{0};
  std::atomic<int> most_{0};
  std::thread thread_;
};

std::string TokenFile(const std::string& content) {
  std::string path = testing::TempDir() + "kezek-token-XXXXXX";
  const int file = ::mkstemp(path.data());
  EXPECT_GE(file, 0);
  ::close(file);
  std::ofstream(path) << content;
  return path;
}

constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

class HttpTest : public testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }
  FixedClock clock_;
  std::string path_ = TokenFile("SLURM_JWT=abc\n");
  Credential credential_{{path_, "", "slurm"}, clock_};
};

TEST_F(HttpTest, Answered) {
  const Listener listener(kOk);
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
  { url = Listener(kOk).url(); }
  HttpClient client({url, 1}, credential_);
  EXPECT_EQ(client.Do({.path = "/x"}).kind, HttpOutcome::Kind::kNotSent);
  HttpClient on_socket({"unix:/nonexistent/rest.sock", 1}, credential_);
  EXPECT_EQ(on_socket.Do({.path = "/x"}).kind, HttpOutcome::Kind::kNotSent);
}

TEST_F(HttpTest, HungUpIsLostAndSentOnce) {
  const Listener listener("");
  HttpClient client({listener.url(), 1}, credential_);
  const auto outcome =
      client.Do({.method = "POST", .path = "/x", .body = "{}", .user = "a", .once = true});
  EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kLost);
  EXPECT_EQ(listener.requests(), 1);
}

TEST_F(HttpTest, NoTokenIsNotSent) {
  Credential missing({"/nonexistent/token", "", ""}, clock_);
  const Listener listener(kOk);
  HttpClient client({listener.url(), 1}, missing);
  const auto outcome = client.Do({.path = "/x"});
  EXPECT_EQ(outcome.kind, HttpOutcome::Kind::kNotSent);
  EXPECT_NE(outcome.text.find("/nonexistent/token"), std::string::npos);
  EXPECT_EQ(listener.requests(), 0);
}

TEST_F(HttpTest, PoolAnswersAllWithBoundedConnections) {
  const Listener listener(kOk);
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
  const Listener listener(kOk);
  HttpPool pool({listener.url(), 1}, credential_);
  for (int i = 0; i < 100; ++i) pool.Start({.path = "/x"}, [](const HttpOutcome&) {});
}

TEST_F(HttpTest, TokenFileIsReadAgainWhenItChanges) {
  EXPECT_EQ(*credential_.Token(), "abc");
  std::ofstream(path_) << "another-one";
  EXPECT_EQ(*credential_.Token(), "another-one");
}

TEST_F(HttpTest, SignedTokensAreRenewedAtHalfTime) {
  const std::string key = TokenFile("0123456789abcdef0123456789abcdef");
  Credential credential({"", key, "slurm"}, clock_);
  const std::string first = *credential.Token();
  clock_.now += 4 * kMinuteMs;
  EXPECT_EQ(*credential.Token(), first);
  clock_.now += 2 * kMinuteMs;
  EXPECT_NE(*credential.Token(), first);
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

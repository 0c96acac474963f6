// Goal: the server answers well-formed requests in order, and bears every bad manner: broken, slow,
// oversize and too many, handlers that answer late, twice or never, peers that leave.
// Method: a real server on loopback with small limits, and a client that sends just the bytes it is
// told to. No test measures time: what must be closed is read until it is.

#include "http/server.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "http/tls_context.h"
#include "tests/support/certificates.h"
#include "tests/support/raw_client.h"

namespace kezek::http {
namespace {

using test::Ask;
using test::RawClient;

const std::string kHost = " HTTP/1.1\r\nHost: k\r\n";

std::string Get(const std::string& path, const std::string& more = "Connection: close\r\n") {
  return "GET " + path + kHost + more + "\r\n";
}

// "200 hello" of a whole answer; "" if nothing came.
std::string Short(const std::string& answer) {
  if (!answer.starts_with("HTTP/1.1 ")) return answer;
  const std::size_t end = answer.find("\r\n\r\n");
  return answer.substr(9, 3) + " " + answer.substr(end + 4);
}

class HttpServer : public testing::Test {
 protected:
  HttpServer() {
    options_.listen = "127.0.0.1:0";
    options_.limits = {.header_bytes = 1024, .body_bytes = 100};
    options_.request_ms = 300;
    options_.idle_ms = 20'000;
    options_.answered = [this](std::string_view route, unsigned status) {
      const std::lock_guard lock(mutex_);
      ++answered_[std::string(route) + " " + std::to_string(status)];
    };
  }
  ~HttpServer() override {
    server_.reset();
    if (later_.joinable()) later_.join();
  }

  void Start() {
    std::vector<Route> routes;
    routes.push_back({"GET", "/hello", [](const Request& request, const Respond& respond) {
                        respond({.body = "hello" + request.query});
                      }});
    routes.push_back({"POST", "/echo", [](const Request& request, const Respond& respond) {
                        respond({.body = request.body});
                        respond({.status = 500, .body = "twice"});
                      }});
    routes.push_back({"GET", "/later", [this](const Request&, const Respond& respond) {
                        later_ = std::thread([respond] { respond({.body = "later"}); });
                      }});
    routes.push_back({"GET", "/never", [](const Request&, const Respond&) {}});
    routes.push_back({"GET", "/kept",
                      [this](const Request&, Respond respond) {
                        kept_ = std::move(respond);
                        asked_.set_value();
                      },
                      options_.request_ms, [] { return Response{.status = 504, .body = "late"}; }});
    routes.push_back({"GET", "/throws",
                      [](const Request&, const Respond&) { throw std::runtime_error("secret"); }});
    auto started = Server::Start(options_, std::move(routes));
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }
  int port() const { return server_->port(); }
  int Answered(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return answered_[what];
  }

  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::thread later_;
  Respond kept_;
  std::promise<void> asked_;
  std::mutex mutex_;
  std::map<std::string, int> answered_;
};

TEST_F(HttpServer, AnswersAndKeepsOrRefuses) {
  Start();
  EXPECT_EQ(Short(Ask(port(), Get("/hello?!"))), "200 hello!");
  EXPECT_EQ(Short(Ask(port(), "HEAD /hello" + kHost + "\r\n")), "200 ");
  EXPECT_EQ(Short(Ask(port(), Get("/nothing"))), "404 nothing is served here\n");
  EXPECT_EQ(Short(Ask(port(), "DELETE /hello" + kHost + "\r\n")),
            "405 this path takes GET, HEAD\n");
  EXPECT_EQ(Short(Ask(port(), "POST /echo" + kHost + "Content-Length: 3\r\n\r\nabc")), "200 abc");
  EXPECT_EQ(Answered("/hello 200"), 2);
  EXPECT_EQ(Answered("other 404"), 1);
}

TEST_F(HttpServer, AnswersInOrderOnOneConnection) {
  Start();
  RawClient client(port());
  client.Send(Get("/hello?1", "") + "HEAD /hello" + kHost + "\r\n" + Get("/later", "") +
              Get("/nothing", "") + Get("/hello?2"));
  const std::string all = client.ReadAll();
  const std::vector<std::string> wanted = {"hello1", "200 OK", "later", "404 Not Found", "hello2"};
  std::size_t at = 0;
  for (const auto& part : wanted) {
    at = all.find(part, at);
    ASSERT_NE(at, std::string::npos) << part << " in:\n" << all;
    at += part.size();
  }
}

TEST_F(HttpServer, RefusesAndCloses) {
  Start();
  EXPECT_EQ(Short(Ask(port(), "nonsense\r\n\r\n")).substr(0, 4), "400 ");
  EXPECT_EQ(Short(Ask(port(), Get("/hello", "X: " + std::string(2000, 'a') + "\r\n"))),
            "431 the headers are longer than 1024 bytes\n");
  // Much more than what is read: the answer arrives all the same.
  RawClient client(port());
  client.Send("POST /echo" + kHost + "Content-Length: 50000\r\n\r\n" + std::string(50'000, 'b'));
  EXPECT_EQ(Short(client.ReadAll()), "413 the body is longer than 100 bytes\n");
  EXPECT_EQ(Answered("other 413"), 1);
}

TEST_F(HttpServer, ClosesOnThoseWhoAreSlow) {
  Start();
  RawClient slow(port());
  slow.Send("GET /hello HTTP/1.1\r\nHo");
  EXPECT_EQ(slow.ReadAll(), "") << "the rest never comes";
  RawClient body(port());
  body.Send("POST /echo" + kHost + "Content-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.ReadAll(), "");
  // A byte now and then does not help: the time is for the whole request.
  RawClient drip(port());
  bool open = drip.Send("GET /hello HTTP/1.1\r\nX: ");
  for (int i = 0; i < 2000 && open; ++i) {
    open = drip.Send("a");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(open);
}

TEST_F(HttpServer, ClosesOnThoseWhoSayNothing) {
  options_.idle_ms = 200;
  Start();
  RawClient silent(port());
  EXPECT_EQ(silent.ReadAll(), "");
  RawClient once(port());
  once.Send(Get("/hello", ""));
  EXPECT_EQ(Short(once.ReadAll()), "200 hello") << "closed after the answer, for want of a second";
}

TEST_F(HttpServer, HoldsOnlySoManyConnections) {
  options_.connections = 1;
  Start();
  RawClient busy(port());
  busy.Send(Get("/kept"));
  asked_.get_future().wait();
  EXPECT_EQ(server_->connections(), 1U);
  RawClient second(port());
  EXPECT_EQ(Short(second.ReadAll()), "503 too many connections\n");
  kept_({.body = "kept"});
  EXPECT_EQ(Short(busy.ReadAll()), "200 kept");
}

TEST_F(HttpServer, GivesThePlaceOfWhoAsksForNothing) {
  options_.connections = 4;
  options_.request_ms = 20'000;
  Start();
  RawClient other(port(), 2);  // of another address, and first of all
  other.Send(Get("/hello", ""));
  EXPECT_EQ(Short(other.ReadUntil("hello")), "200 hello");
  std::vector<std::unique_ptr<RawClient>> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::make_unique<RawClient>(port()));
    held.back()->Send("GET /he");
  }
  for (int i = 0; i < 40; ++i) EXPECT_EQ(Short(Ask(port(), Get("/hello"))), "200 hello") << i;
  EXPECT_EQ(held.front()->ReadAll(), "") << "has waited longest where most wait";
  other.Send(Get("/hello"));
  EXPECT_EQ(Short(other.ReadAll()), "200 hello") << "keeps its place";
}

TEST_F(HttpServer, BearsItsHandlers) {
  Start();
  EXPECT_EQ(Short(Ask(port(), Get("/later"))), "200 later");
  EXPECT_EQ(Short(Ask(port(), Get("/never"))), "500 there is no answer\n");
  EXPECT_EQ(Short(Ask(port(), Get("/throws"))), "500 the request could not be answered\n");
  EXPECT_EQ(Short(Ask(port(), Get("/kept"))), "504 late");
  kept_({.body = "too late"});
  EXPECT_EQ(Short(Ask(port(), Get("/hello"))), "200 hello");
}

TEST_F(HttpServer, EndsWhileAnAnswerIsOwed) {
  options_.request_ms = 20'000;
  Start();
  RawClient client(port());
  client.Send(Get("/kept"));
  asked_.get_future().wait();
  server_->Stop();
  server_.reset();
  EXPECT_EQ(client.ReadAll(), "");
  kept_({.body = "nobody is there"});
}

TEST_F(HttpServer, SaysWhereItCannotListen) {
  Start();
  ServerOptions taken;
  taken.listen = "127.0.0.1:" + std::to_string(port());
  EXPECT_EQ(Server::Start(taken, {}).error().code, Code::kUnavailable);
  for (const char* bad : {"", "here", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                          "1.2.3:80", "localhost:80", "[::1]", "::1]:80"}) {
    EXPECT_EQ(ParseAddress(bad).error().code, Code::kInvalidArgument) << bad;
  }
  EXPECT_EQ(ParseAddress("[::1]:80")->host, "::1");
  EXPECT_EQ(ParseAddress("0.0.0.0:65535")->port, 65'535);
}

// The answer over TLS, with the authority's certificate trusted and the client's own shown.
std::string AskTls(int port, const std::string& authority_file, const TlsFiles& own = {}) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  SSL_CTX_load_verify_locations(context.get(), authority_file.c_str(), nullptr);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!own.empty()) {
    SSL_CTX_use_certificate_chain_file(context.get(), own.certificate_file.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), own.key_file.c_str(), SSL_FILETYPE_PEM);
  }
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> stream(BIO_new_ssl_connect(context.get()),
                                                             &BIO_free_all);
  BIO_set_conn_hostname(stream.get(), ("127.0.0.1:" + std::to_string(port)).c_str());
  const std::string request = Get("/hello");
  if (BIO_do_connect(stream.get()) != 1) return "no connection";
  BIO_write(stream.get(), request.data(), static_cast<int>(request.size()));
  std::string answer;
  char bytes[1024];
  for (int n = 0; (n = BIO_read(stream.get(), bytes, sizeof bytes)) > 0;) {
    answer.append(bytes, static_cast<std::size_t>(n));
  }
  return answer.empty() ? "no answer" : Short(answer);
}

class HttpTls : public HttpServer {
 protected:
  HttpTls() : folder_(testing::TempDir() + "kezek-http-tls-" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
    test::WriteSecretFile(ca_, authority_.pem());
  }
  ~HttpTls() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void StartTls(const TlsFiles& files) {
    auto contexts = TlsFrom(files, 0);
    ASSERT_TRUE(contexts) << contexts.error().message;
    options_.tls = *std::move(contexts);
    Start();
  }

  const std::string folder_;
  const std::string ca_ = folder_ + "/ca.pem";
  const test::Authority authority_{"one"};
};

TEST_F(HttpTls, ServesNobodyInPlainText) {
  StartTls(authority_.Issue(folder_, "server", {.names = {"IP:127.0.0.1"}}));
  EXPECT_EQ(AskTls(port(), ca_), "200 hello");
  EXPECT_EQ(Ask(port(), Get("/hello")).find("hello"), std::string::npos);
}

TEST_F(HttpTls, TakesNewCertificatesForNewConnections) {
  const TlsFiles files = authority_.Issue(folder_, "server", {.names = {"IP:127.0.0.1"}});
  StartTls(files);
  const test::Authority other("two");
  const std::string other_ca = folder_ + "/other.pem";
  test::WriteSecretFile(other_ca, other.pem());
  EXPECT_EQ(AskTls(port(), other_ca), "no connection");
  test::WriteSecretFile(files.certificate_file, "nonsense");
  EXPECT_EQ(AskTls(port(), ca_), "200 hello") << "what was good goes on";
  other.Issue(folder_, "server", {.names = {"IP:127.0.0.1"}});
  EXPECT_EQ(AskTls(port(), other_ca), "200 hello");
  EXPECT_EQ(TlsFrom({.certificate_file = "/nothing", .key_file = "/nothing"}).error().code,
            Code::kInvalidArgument);
}

TEST_F(HttpTls, AsksForClientCertificates) {
  TlsFiles files = authority_.Issue(folder_, "server", {.names = {"IP:127.0.0.1"}});
  files.client_ca_file = ca_;
  StartTls(files);
  EXPECT_NE(AskTls(port(), ca_), "200 hello");
  EXPECT_EQ(AskTls(port(), ca_, authority_.Issue(folder_, "client", {})), "200 hello");
}

}  // namespace
}  // namespace kezek::http

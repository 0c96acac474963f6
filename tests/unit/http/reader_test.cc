// Goal: bytes become requests, or one clear refusal, however they are cut into pieces; the table of
// routes gives each request its handler, 404 or 405; a response is what HTTP/1.1 wants.
// Method: each input is fed whole, byte by byte, and in two halves, and must end the same.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "http/request_reader.h"
#include "http/routes.h"
#include "http/serialise.h"

namespace kezek::http {
namespace {

constexpr ReadLimits kSmall{.header_bytes = 512, .body_bytes = 64};

// What a connection's bytes come to: "GET /path?query body" for each request, then the refusal.
std::vector<std::string> Read(const std::string& bytes, std::size_t piece) {
  RequestReader reader(kSmall);
  std::vector<std::string> seen;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    reader.Feed(std::string_view(bytes).substr(at, piece));
    while (reader.ready()) {
      const Request request = reader.Take();
      seen.push_back(request.method + " " + request.path + "?" + request.query + " " +
                     request.body + (reader.keep_alive() ? "" : " close"));
    }
  }
  if (reader.problem()) seen.push_back(std::to_string(reader.problem()->status));
  return seen;
}

void Expect(const std::string& bytes, const std::vector<std::string>& wanted) {
  for (const std::size_t piece : {bytes.size(), std::size_t{1}, bytes.size() / 2 + 1}) {
    EXPECT_EQ(Read(bytes, piece), wanted) << "in pieces of " << piece << ":\n" << bytes;
  }
}

TEST(RequestReader, ReadsRequests) {
  Expect("GET /metrics HTTP/1.1\r\nHost: k\r\n\r\n", {"GET /metrics? "});
  Expect("\r\n\r\nGET / HTTP/1.1\r\nHost: k\r\n\r\n", {"GET /? "});
  Expect("GET /a%20b?c=d HTTP/1.0\r\n\r\n", {"GET /a%20b?c=d  close"});
  Expect("POST /x HTTP/1.1\r\nHost: k\r\nContent-Length: 5\r\n\r\nhello", {"POST /x? hello"});
  Expect(
      "POST /x HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
      {"POST /x? hello"});
  Expect("GET / HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n", {"GET /?  close"});
  Expect("PROPFIND / HTTP/1.1\r\nHost: k\r\n\r\n", {"PROPFIND /? "});
}

TEST(RequestReader, ReadsOneBehindTheOther) {
  Expect(
      "GET /1 HTTP/1.1\r\nHost: k\r\n\r\nPOST /2 HTTP/1.1\r\nHost: k\r\nContent-Length: 2\r\n\r\nab"
      "GET /3 HTTP/1.1\r\nHost: k\r\n\r\nnonsense\r\n\r\n",
      {"GET /1? ", "POST /2? ab", "GET /3? ", "400"});
}

TEST(RequestReader, RefusesWhatIsNoRequest) {
  const std::string host = "Host: k\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"hello\r\n\r\n", "400"},
      {"GET /\r\n\r\n", "400"},
      {"GET  / HTTP/1.1\r\nHost: k\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", "505"},
      {"GET / FTP/1.1\r\n" + host + "\r\n", "505"},
      {"GET http://k/metrics HTTP/1.1\r\n" + host + "\r\n", "400"},
      {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "400"},
      {"CONNECT k:443 HTTP/1.1\r\n" + host + "\r\n", "400"},
      {"GET /\x01 HTTP/1.1\r\n" + host + "\r\n", "400"},
      {"GET / HTTP/1.1\r\n" + host + "No colon\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n" + host + "Bad name: x\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n" + host +
           "X: a\x01"
           "b\r\n\r\n",
       "400"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"POST / HTTP/1.1\r\n" + host +
           "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
      {"POST / HTTP/1.1\r\n" + host + "Expect: miracles\r\nContent-Length: 1\r\n\r\na", "417"},
  };
  for (const auto& [bytes, status] : cases) Expect(bytes, {status});
}

TEST(RequestReader, KeepsToItsLimits) {
  const std::string long_header = "X: " + std::string(600, 'a') + "\r\n";
  Expect("GET / HTTP/1.1\r\nHost: k\r\n" + long_header + "\r\n", {"431"});
  Expect("GET /" + std::string(600, 'a') + " HTTP/1.1\r\nHost: k\r\n\r\n", {"431"});
  Expect(std::string(4000, 'G'), {"431"});
  const std::string lines = "GET / HTTP/1.1\r\nHost: k\r\nX: ";
  const std::size_t rest = kSmall.header_bytes - lines.size() - 4;
  Expect(lines + std::string(rest, 'a') + "\r\n\r\n", {"GET /? "});
  Expect(lines + std::string(rest + 1, 'a') + "\r\n\r\n", {"431"});
  const std::string post = "POST / HTTP/1.1\r\nHost: k\r\n";
  Expect(post + "Content-Length: 64\r\n\r\n" + std::string(64, 'b'),
         {"POST /? " + std::string(64, 'b')});
  Expect(post + "Content-Length: 65\r\n\r\n" + std::string(65, 'b'), {"413"});
  Expect(post + "Content-Length: 99999999999999999999\r\n\r\n", {"400"});
  Expect(post + "Transfer-Encoding: chunked\r\n\r\n41\r\n" + std::string(65, 'b') + "\r\n0\r\n\r\n",
         {"413"});
  EXPECT_EQ(Read(post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(4000, 'x'), 100),
            std::vector<std::string>{"431"})
      << "an extension of a chunk without an end";
}

TEST(RequestReader, SaysGoOnOnce) {
  RequestReader reader(kSmall);
  reader.Feed("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(reader.begun());
  EXPECT_TRUE(reader.TakeContinue());
  EXPECT_FALSE(reader.TakeContinue());
  reader.Feed("ok");
  ASSERT_TRUE(reader.ready());
  EXPECT_EQ(reader.Take().body, "ok");
}

TEST(Request, FindsHeadersInSmallLetters) {
  RequestReader reader(kSmall);
  reader.Feed("GET / HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer x\r\nauthorization: y\r\n\r\n");
  ASSERT_TRUE(reader.ready());
  const Request request = reader.Take();
  EXPECT_EQ(request.Header("authorization"), "Bearer x");
  EXPECT_EQ(request.Header("accept"), "");
}

TEST(Routes, GiveTheHandlerOrARefusal) {
  const auto nothing = [](const Request&, const Respond&) {};
  const Routes routes({{"GET", "/metrics", nothing},
                       {"POST", "/api/", nothing},
                       {"GET", "/api/fixed", nothing},
                       {"GET", "/", nothing}});
  const auto found = [&](const char* method, const char* path) {
    const Found one = routes.Find(method, path);
    return one.route != nullptr ? one.route->method + " " + one.route->path
                                : std::to_string(one.refusal.status);
  };
  EXPECT_EQ(found("GET", "/metrics"), "GET /metrics");
  EXPECT_EQ(found("HEAD", "/metrics"), "GET /metrics");
  EXPECT_EQ(found("GET", "/"), "GET /");
  EXPECT_EQ(found("POST", "/api/kezek.v1.JobService/Get"), "POST /api/");
  EXPECT_EQ(found("GET", "/api/fixed"), "GET /api/fixed");
  EXPECT_EQ(found("GET", "/metrics/"), "404");
  EXPECT_EQ(found("GET", "/nothing"), "404");
  EXPECT_EQ(found("POST", "/metrics"), "405");
  EXPECT_EQ(found("GET", "/api/x"), "405");
  const Found refused = routes.Find("DELETE", "/metrics");
  ASSERT_EQ(refused.refusal.headers.size(), 1U);
  EXPECT_EQ(refused.refusal.headers[0].second, "GET, HEAD");
}

TEST(Serialise, WritesWholeResponses) {
  Response response = TextResponse(404, "nothing");
  response.headers = {{"Allow", "GET"}, {"X-Bad", "a\r\nSet-Cookie: b"}};
  const std::string whole = Serialise(response, {.keep_alive = true});
  EXPECT_TRUE(whole.starts_with("HTTP/1.1 404 Not Found\r\n")) << whole;
  EXPECT_NE(whole.find("Content-Length: 8\r\n"), std::string::npos);
  EXPECT_NE(whole.find("Allow: GET\r\n"), std::string::npos);
  EXPECT_EQ(whole.find("Set-Cookie"), std::string::npos);
  EXPECT_EQ(whole.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(whole.ends_with("\r\n\r\nnothing\n"));
  const std::string head = Serialise(response, {.head = true});
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_NE(head.find("Content-Length: 8\r\n"), std::string::npos);
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
}

}  // namespace
}  // namespace kezek::http

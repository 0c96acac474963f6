// Goal: no bytes, however broken, make the HTTP server's reader crash, hang, or read something else
// when they come in other pieces; what it gives to a handler keeps its promises, and every answer
// is well-formed. Method: the input is read as one connection's bytes, whole and cut by its own
// first bytes; the requests of both must be equal (a fault may be seen later in pieces, but nothing
// else is taken); each is looked up among routes, and its answer is read back.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/request_reader.h"
#include "http/routes.h"
#include "http/serialise.h"
#include "kezek/check.h"

namespace {

using kezek::http::Request;
using kezek::http::RequestReader;
using kezek::http::Response;
using kezek::http::Routes;

constexpr kezek::http::ReadLimits kLimits{.header_bytes = 2048, .body_bytes = 4096};

struct Conversation {
  std::vector<Request> requests;
  std::vector<bool> kept;
};

bool Same(const Request& a, const Request& b) {
  return a.method == b.method && a.path == b.path && a.query == b.query && a.headers == b.headers &&
         a.body == b.body;
}

Conversation Read(std::string_view bytes, std::string_view cuts) {
  Conversation seen;
  RequestReader reader(kLimits);
  for (std::size_t at = 0, turn = 0; at < bytes.size(); ++turn) {
    std::size_t piece = bytes.size();
    if (!cuts.empty()) piece = 1 + static_cast<unsigned char>(cuts[turn % cuts.size()]) % 64U;
    reader.Feed(bytes.substr(at, piece));
    at += piece;
    while (reader.ready()) {
      seen.requests.push_back(reader.Take());
      seen.kept.push_back(reader.keep_alive());
    }
    reader.TakeContinue();
  }
  if (reader.problem()) {
    const unsigned status = reader.problem()->status;
    KEZEK_CHECK(status >= 400 && status < 506 && !reader.ready(),
                "a refusal, and nothing after it");
  }
  return seen;
}

void CheckAnswer(const Response& response, bool head) {
  const std::string text = kezek::http::Serialise(response, {.head = head, .keep_alive = true});
  KEZEK_CHECK(text.starts_with("HTTP/1.1 "), "a status line");
  const std::size_t end = text.find("\r\n\r\n");
  KEZEK_CHECK(end != std::string::npos, "an end of the headers");
  KEZEK_CHECK(text.substr(end + 4) == (head ? "" : response.body), "the body, or none");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Routes kRoutes({{"GET", "/metrics", {}}, {"POST", "/api/", {}}, {"GET", "/", {}}});
  const std::string text(data, data + size);
  const Conversation whole = Read(text, "");
  const Conversation cut = Read(text, std::string_view(text).substr(0, 16));
  KEZEK_CHECK(whole.kept == cut.kept, "the same connection");
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    const Request& request = whole.requests[i];
    KEZEK_CHECK(Same(request, cut.requests[i]), "the same request");
    KEZEK_CHECK(request.path.starts_with('/'), "a path");
    KEZEK_CHECK(request.body.size() <= kLimits.body_bytes, "a body within its limit");
    const auto found = kRoutes.Find(request.method, request.path);
    const bool head = request.method == "HEAD";
    if (found.route == nullptr) CheckAnswer(found.refusal, head);
    CheckAnswer({.body = request.body, .headers = request.headers}, head);
  }
  return 0;
}

#include "http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>
#include <utility>

#include "kezek/check.h"

namespace kezek::http {
namespace {

namespace beast = boost::beast;

constexpr std::size_t kTargetMost = 4096;

std::string Small(std::string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return small;
}

}  // namespace

struct RequestReader::Parser : beast::http::request_parser<beast::http::string_body> {};

std::string Request::Header(const std::string& name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return found == headers.end() ? "" : found->second;
}

Response TextResponse(unsigned status, const std::string& text) {
  return {.status = status, .body = text + "\n"};
}

RequestReader::RequestReader(ReadLimits limits) : limits_(limits) { Restart(); }

RequestReader::~RequestReader() = default;

void RequestReader::Restart() {
  parser_ = std::make_unique<Parser>();
  parser_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
  parser_->body_limit(limits_.body_bytes);
  begun_ = checked_ = continue_ = false;
  header_bytes_ = 0;
}

void RequestReader::Feed(std::string_view bytes) {
  if (problem_) return;
  waiting_.append(bytes);
  Parse();
}

bool RequestReader::begun() const { return begun_ && !ready() && !problem_; }

bool RequestReader::ready() const { return !problem_ && parser_->is_done(); }

bool RequestReader::keep_alive() const { return keep_alive_; }

bool RequestReader::TakeContinue() { return std::exchange(continue_, false); }

void RequestReader::Refuse(unsigned status, const std::string& text) {
  problem_ = TextResponse(status, text);
  waiting_.clear();
}

// The parser's own limit is not looked at when the headers come in one piece.
void RequestReader::RefuseHeaders() {
  Refuse(431, "the headers are longer than " + std::to_string(limits_.header_bytes) + " bytes");
}

// Until the request is whole or the bytes are used up.
void RequestReader::Parse() {
  // Empty lines in front of a request are allowed, and are no request.
  if (!begun_) waiting_.erase(0, waiting_.find_first_not_of("\r\n"));
  begun_ = begun_ || !waiting_.empty();
  while (!waiting_.empty() && !parser_->is_done() && !problem_) {
    beast::error_code code;
    const bool in_headers = !parser_->is_header_done();
    parser_->eager(!in_headers);  // the headers alone first: theirs are counted
    const std::size_t used = parser_->put(boost::asio::buffer(waiting_), code);
    waiting_.erase(0, used);
    if (in_headers) header_bytes_ += used;
    if (header_bytes_ > limits_.header_bytes) return RefuseHeaders();
    if (parser_->is_header_done() && !checked_ && !code) CheckHeaders();
    if (code == beast::http::error::need_more) break;
    if (code == beast::http::error::header_limit) return RefuseHeaders();
    if (code == beast::http::error::body_limit) {
      return Refuse(413,
                    "the body is longer than " + std::to_string(limits_.body_bytes) + " bytes");
    }
    if (code == beast::http::error::bad_version) return Refuse(505, "HTTP/1.0 and 1.1 only");
    if (code) return Refuse(400, "not a request: " + code.message());
    if (used == 0) break;
  }
  // A line without an end, of the headers or of a chunk.
  if (!parser_->is_done() && waiting_.size() > limits_.header_bytes) {
    Refuse(431, "a line is longer than " + std::to_string(limits_.header_bytes) + " bytes");
  }
}

void RequestReader::CheckHeaders() {
  checked_ = true;
  const auto& message = parser_->get();
  const std::string_view target(message.target().data(), message.target().size());
  if (message.version() != 10 && message.version() != 11) {
    return Refuse(505, "HTTP/1.0 and 1.1 only");
  }
  if (target.size() > kTargetMost) return Refuse(414, "the address is too long");
  if (!target.starts_with('/')) return Refuse(400, "the address must begin with /");
  const auto hosts = message.count(beast::http::field::host);
  if (hosts > 1 || (hosts == 0 && message.version() == 11)) {
    return Refuse(400, "one Host header is wanted");
  }
  const auto expect = message[beast::http::field::expect];
  if (expect.empty()) return;
  if (!beast::iequals(expect, "100-continue")) return Refuse(417, "only 100-continue is known");
  continue_ = !parser_->is_done();
}

Request RequestReader::Take() {
  KEZEK_CHECK(ready(), "there is no request to take");
  auto message = parser_->release();
  keep_alive_ = message.keep_alive();
  Request request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const std::size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string::npos) request.query = target.substr(mark + 1);
  for (const auto& field : message) {
    request.headers.emplace_back(Small(std::string(field.name_string())),
                                 std::string(field.value()));
  }
  request.body = std::move(message.body());
  Restart();
  Parse();
  return request;
}

}  // namespace kezek::http

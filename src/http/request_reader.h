// Requests out of bytes, as they come from a connection: no socket, no clock. One connection each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace kezek::http {

struct ReadLimits {
  std::size_t header_bytes = std::size_t{16} << 10;  // first line and headers
  std::size_t body_bytes = std::size_t{1} << 20;
};

// Feed what has arrived; while ready(), Take the request and answer it; what came behind it is kept
// for the next one (pipelining). On a problem answer it and close the connection: nothing that
// follows can be trusted.
class RequestReader {
 public:
  explicit RequestReader(ReadLimits limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // After a problem everything is ignored.
  void Feed(std::string_view bytes);

  // Something of a request has come, and not all of it.
  bool begun() const;
  bool ready() const;
  // The request that is ready; goes on with what came behind it.
  Request Take();
  // Of the request taken last: the peer wants the connection kept.
  bool keep_alive() const;
  // The peer waits for "100 Continue" before it sends the body. Said once.
  bool TakeContinue();
  // 400, 413, 414, 431, 505.
  const std::optional<Response>& problem() const { return problem_; }

 private:
  struct Parser;
  void Restart();
  void Parse();
  void CheckHeaders();
  void Refuse(unsigned status, const std::string& text);
  void RefuseHeaders();

  const ReadLimits limits_;
  std::unique_ptr<Parser> parser_;
  std::string waiting_;           // not parsed yet
  std::size_t header_bytes_ = 0;  // parsed, of the present request
  bool begun_ = false;
  bool checked_ = false;   // the headers of the present request
  bool continue_ = false;  // to be said
  bool keep_alive_ = false;
  std::optional<Response> problem_;
};

}  // namespace kezek::http

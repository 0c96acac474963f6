// The HTTP server: HTTP/1.1 on one thread, from a table of routes. Knows nothing of what is served.
//
// A connection is closed when its first request does not come whole within `request_ms`, or a later
// one within that of its first byte; when it says nothing for `idle_ms` after an answer, or does
// not take an answer within `write_ms`; and after any request that is not well-formed (which is
// answered, with 4xx). Where all places are taken, a new one gets the place of one that waits for a
// request: of the address with most of these, the one that has waited longest. So nobody keeps
// others out by asking for nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http/request_reader.h"
#include "http/routes.h"
#include "kezek/result.h"
#include "kezek/time.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace kezek::http {

struct ServerOptions {
  std::string listen;  // "127.0.0.1:7480", "[::1]:7480"; port 0 takes a free one
  ReadLimits limits;
  std::size_t connections = 256;  // beyond them, where none waits, one is answered 503 and closed
  DurationMs idle_ms = kMinuteMs;
  DurationMs request_ms = 10 * kSecondMs;
  DurationMs write_ms = 30 * kSecondMs;
  // TLS, if set: asked at every new connection, so that a renewed certificate is taken up by the
  // next one. Called on the server's thread; a null pointer refuses the connection. The context has
  // no application data of its own.
  std::function<std::shared_ptr<ssl_ctx_st>()> tls = {};
  // Told of every answer, on the server's thread: the route's path, or "other". May be empty.
  std::function<void(std::string_view route, unsigned status)> answered = {};
};

class Server {
 public:
  // INVALID_ARGUMENT: `listen` is no address. UNAVAILABLE: it cannot be listened on.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options, std::vector<Route> routes);
  // Stop().
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;
  // Connections that are open now. Any thread.
  std::size_t connections() const;
  // Closes every connection and ends the thread; answers that come later go nowhere. Idempotent.
  void Stop();

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// "127.0.0.1:7480" in its parts; INVALID_ARGUMENT if it is none. The host is an address, no name.
struct Address {
  std::string host;
  std::uint16_t port = 0;
};
Result<Address> ParseAddress(const std::string& listen);

}  // namespace kezek::http

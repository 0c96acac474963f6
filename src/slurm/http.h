// HTTP to slurmrestd over libcurl: one at a time, or several at once by a thread of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kezek/meter.h"
#include "kezek/result.h"
#include "kezek/time.h"
#include "slurm/credential.h"

namespace kezek::slurm {

struct HttpRequest {
  std::string method = "GET";
  std::string path;   // from the root, query included
  std::string body;   // JSON; empty: none
  std::string user;   // in whose name
  std::string about;  // for the log, what it creates
  DurationMs timeout_ms = 10 * kSecondMs;
  // Never sent twice: on a connection of its own, as libcurl repeats a request when a connection
  // that it has kept turns out to be closed.
  bool once = false;
};

struct HttpOutcome {
  enum class Kind : std::uint8_t {
    kAnswered,
    kNotSent,  // certainly not: no connection, no token
    kLost,     // sent, perhaps acted on, not answered
  };
  Kind kind = Kind::kLost;
  long status = 0;
  std::string body;
  std::string text;  // why not answered
};

// "http://host:port" or "unix:/path".
struct HttpOptions {
  std::string url;
  std::int32_t connections = 8;  // of an HttpPool, at once
  Meter* meter = nullptr;        // told of every request; outlives the client; null: nobody
};

// What a request is called where requests are counted: "submit", "update", "cancel", "signal",
// "job", "jobs", "states", "nodes", "ping", "diag", "accounting", or "other".
std::string_view CallName(const HttpRequest& request);

// Keeps its connection. Not thread-safe.
class HttpClient {
 public:
  HttpClient(HttpOptions options, Credential& credential);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  // Blocks until the answer or the time-out.
  HttpOutcome Do(const HttpRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Thread-safe. Requests begin in the order of Start; their time-outs run from their beginning.
class HttpPool {
 public:
  // Called once on the pool's thread, unless the pool is destroyed before.
  using Done = std::function<void(HttpOutcome)>;

  HttpPool(HttpOptions options, Credential& credential);
  // Abandons what is under way.
  ~HttpPool();
  HttpPool(const HttpPool&) = delete;
  HttpPool& operator=(const HttpPool&) = delete;
  void Start(HttpRequest request, Done done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kezek::slurm

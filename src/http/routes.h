// The table of what is served: method, path, handler. Fixed once the server runs.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "kezek/time.h"

namespace kezek::http {

struct Route {
  std::string method;  // "GET" (which answers HEAD too), "POST"
  // The whole path; or all paths that begin with it, if it ends in "/" and is longer than that.
  std::string path;
  // Called on the server's thread: must not block, and answers now or later.
  std::function<void(const Request&, Respond)> handle;
  // An answer that does not come within this long is `late`'s, or 503 without one.
  DurationMs patience_ms = 30 * kSecondMs;
  std::function<Response()> late = {};
};

struct Found {
  const Route* route = nullptr;  // null: `refusal` is the answer
  Response refusal;              // 404, or 405 with the methods that are allowed
};

class Routes {
 public:
  explicit Routes(std::vector<Route> routes) : routes_(std::move(routes)) {}
  // The longest path that fits. Valid as long as this object.
  Found Find(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace kezek::http

// One request and one response of the HTTP server, as its handlers see them.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kezek::http {

struct Request {
  std::string method;  // "GET"
  std::string path;    // "/metrics", as sent, without the query; begins with "/"
  std::string query;   // behind the "?"
  std::vector<std::pair<std::string, std::string>> headers;  // names in small letters, in order
  std::string body;

  // The first header of this name, in small letters; "" if there is none.
  std::string Header(const std::string& name) const;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones
};

// A text for people, with a line end.
Response TextResponse(unsigned status, const std::string& text);

// Answers a request: called once, from any thread. A copy that is dropped without any of them
// having been called answers 500.
using Respond = std::function<void(Response)>;

}  // namespace kezek::http

#include "http/serialise.h"

#include <algorithm>
#include <boost/beast/http.hpp>
#include <sstream>

namespace kezek::http {
namespace {

bool Printable(const std::string& text) {
  return std::ranges::none_of(text, [](char c) { return c >= 0 && c < ' ' && c != '\t'; });
}

}  // namespace

std::string Serialise(const Response& response, const Form& form) {
  namespace http = boost::beast::http;
  http::response<http::string_body> message{static_cast<http::status>(response.status), 11};
  message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) {
    if (Printable(name) && Printable(value)) message.set(name, value);
  }
  message.content_length(response.body.size());
  message.keep_alive(form.keep_alive);
  std::ostringstream text;
  text << message.base();
  return std::move(text).str() + (form.head ? std::string() : response.body);
}

}  // namespace kezek::http

// A response as bytes. Pure.
#pragma once

#include <string>

#include "http/message.h"

namespace kezek::http {

struct Form {
  bool head = false;        // headers only, with the length the body would have
  bool keep_alive = false;  // else the connection is closed behind it
};

// A whole HTTP/1.1 response. Header values with control characters are left out.
std::string Serialise(const Response& response, const Form& form);

}  // namespace kezek::http

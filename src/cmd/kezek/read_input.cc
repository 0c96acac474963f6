#include "cmd/kezek/read_input.h"

#include <fstream>
#include <istream>
#include <sstream>

namespace kezek::cli {

Result<std::string> ReadInput(const Host& host, const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << host.in->rdbuf();
    return text.str();
  }
  std::ifstream file(path);
  if (!file || !(text << file.rdbuf())) {
    return Error{Code::kNotFound, path + " cannot be read, or is empty", {}};
  }
  return text.str();
}

}  // namespace kezek::cli

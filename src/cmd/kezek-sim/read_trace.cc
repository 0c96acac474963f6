#include "cmd/kezek-sim/read_trace.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

namespace kezek::simcmd {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMost = std::size_t{2} << 30;

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// Names of the traces there, for an error.
std::string Known(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    for (const std::string& ending : {std::string(".csv.gz"), std::string(".csv")}) {
      if (!name.ends_with(ending)) continue;
      names.push_back(name.substr(0, name.size() - ending.size()));
      break;
    }
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  if (error) return "that folder cannot be read: " + error.message();
  return text.empty() ? "there are no traces" : "there are " + text;
}

struct Close {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

}  // namespace

Result<std::string> FindTrace(const std::string& name, const std::string& folder) {
  if (IsFile(name)) return name;
  for (const char* const ending : {"", ".csv.gz", ".csv"}) {
    const fs::path path = fs::path(folder) / (name + ending);
    if (name.find('/') == std::string::npos && IsFile(path)) return path.string();
  }
  return Error{Code::kNotFound,
               "no trace '" + name + "': neither a file nor below " + folder + " (KEZEK_TRACES); " +
                   Known(folder),
               {}};
}

Result<std::string> ReadFile(const std::string& path) {
  errno = 0;
  const std::unique_ptr<gzFile_s, Close> file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return Error{
        Code::kNotFound, path + ": " + (errno == 0 ? "no memory" : std::strerror(errno)), {}};
  }
  std::string text;
  std::array<char, 1 << 16> part{};
  while (true) {
    const int count = gzread(file.get(), part.data(), static_cast<unsigned>(part.size()));
    int code = Z_OK;
    const char* const why = gzerror(file.get(), &code);
    // At the end of a file that was cut off gzread is content, and gzerror is not.
    if (count < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      return Error{
          Code::kDataLoss, path + ": " + (code == Z_ERRNO ? std::strerror(errno) : why), {}};
    }
    if (count == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(count));
    if (text.size() > kMost) {
      return Error{Code::kResourceExhausted, path + ": a trace has at most 2 GiB", {}};
    }
  }
}

}  // namespace kezek::simcmd

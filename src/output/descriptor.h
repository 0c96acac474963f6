// An open file, closed with its owner; and opening below a folder without following links.
#pragma once

#include <dirent.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/result.h"

namespace kezek::output {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  int get() const { return fd_; }

 private:
  int fd_;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// A system call that failed, with its words. The code says what is to be told of it.
Error SystemError(Code code, const std::string& what, int error);

// The reason of a NOT_FOUND where not the file alone is missing, but a folder on the way to it.
inline constexpr std::string_view kNoFolder = "LOG_NO_FOLDER";

// Opens the regular file `path`, relative to `folder`. NOT_FOUND: there is none (see kNoFolder);
// FAILED_PRECONDITION: a link or no regular file, a file with several names, or not readable.
Result<Descriptor> OpenFileBelow(int folder, std::string_view path);

}  // namespace kezek::output

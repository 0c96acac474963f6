// An output file that lies where its job's script put it, read by whoever runs this program, with
// their rights and no more.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/result.h"

namespace kezek::cli {

// Where the last `lines` lines of [0, size of `text`) begin. A line break at the very end closes
// the last line and begins none.
std::size_t LastLines(const std::string& text, std::int64_t lines);

class LogFile {
 public:
  // NOT_FOUND: there is none; FAILED_PRECONDITION: it cannot be read, or is no regular file.
  static Result<LogFile> Open(const std::string& path);
  LogFile(LogFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  LogFile& operator=(LogFile&&) = delete;
  ~LogFile();

  std::int64_t size() const;
  // At most `bytes` from `offset` on; fewer at the end of the file.
  Result<std::string> Read(std::int64_t offset, std::int64_t bytes) const;
  // Where the last `lines` lines before byte `end` begin.
  Result<std::int64_t> TailOffset(std::int64_t end, std::int64_t lines) const;

 private:
  explicit LogFile(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace kezek::cli

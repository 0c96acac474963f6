#include "cmd/kezek/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace kezek::cli {
namespace {

constexpr std::int64_t kBlock = 64 * 1024;

Error Failed(const std::string& path, int error) {
  return Error{error == ENOENT ? Code::kNotFound : Code::kFailedPrecondition,
               path + ": " + std::generic_category().message(error),
               {}};
}

}  // namespace

std::size_t LastLines(const std::string& text, std::int64_t lines) {
  if (lines <= 0) return text.size();
  for (std::size_t at = text.size(); at > 0; --at) {
    if (text[at - 1] == '\n' && at != text.size() && --lines == 0) return at;
  }
  return 0;
}

Result<LogFile> LogFile::Open(const std::string& path) {
  // O_NONBLOCK: a named pipe must not make the reader wait for its other end.
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return Failed(path, errno);
  LogFile file(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Failed(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{Code::kFailedPrecondition, path + " is no regular file", {}};
  }
  return file;
}

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
}

std::int64_t LogFile::size() const {
  struct stat status {};
  return ::fstat(fd_, &status) == 0 ? std::int64_t{status.st_size} : 0;
}

Result<std::string> LogFile::Read(std::int64_t offset, std::int64_t bytes) const {
  std::string text(static_cast<std::size_t>(bytes), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t some = ::pread(fd_, text.data() + have, text.size() - have,
                                 offset + static_cast<std::int64_t>(have));
    if (some < 0 && errno == EINTR) continue;
    if (some < 0) return Failed("the output", errno);
    if (some == 0) break;
    have += static_cast<std::size_t>(some);
  }
  text.resize(have);
  return text;
}

Result<std::int64_t> LogFile::TailOffset(std::int64_t end, std::int64_t lines) const {
  if (lines <= 0) return end;
  std::int64_t breaks = 0;
  for (std::int64_t to = end; to > 0;) {
    const std::int64_t from = std::max<std::int64_t>(0, to - kBlock);
    const auto block = Read(from, to - from);
    if (!block) return block.error();
    for (auto i = static_cast<std::int64_t>(block->size()) - 1; i >= 0; --i) {
      if ((*block)[static_cast<std::size_t>(i)] != '\n' || from + i == end - 1) continue;
      if (++breaks == lines) return from + i + 1;
    }
    to = from;
  }
  return 0;
}

}  // namespace kezek::cli

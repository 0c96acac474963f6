#include "output/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kezek::output {
namespace {

Error CannotOpen(std::string_view path, int error, bool in_folder = true) {
  const Code code = error == ENOENT ? Code::kNotFound : Code::kFailedPrecondition;
  Error failed = SystemError(code, "open " + std::string(path), error);
  if (!in_folder) failed.details = {{"", std::string(kNoFolder), "its folder is missing", {}}};
  return failed;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Error SystemError(Code code, const std::string& what, int error) {
  return Error{code, what + ": " + std::generic_category().message(error), {}};
}

Result<Descriptor> OpenFileBelow(int folder, std::string_view path) {
  Descriptor at;
  int above = folder;
  for (std::string_view rest = path;;) {
    const auto slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    if (name.empty() || name == "." || name == "..") {
      return Error{Code::kFailedPrecondition, "not a plain path: " + std::string(path), {}};
    }
    // O_NONBLOCK: a named pipe must not make the reader wait for its other end.
    const int kind = slash == std::string_view::npos ? O_NONBLOCK : O_DIRECTORY;
    const int fd = ::openat(above, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind);
    if (fd < 0) return CannotOpen(path, errno, slash == std::string_view::npos);
    at = Descriptor(fd);
    above = fd;
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  struct stat status {};
  if (::fstat(at.get(), &status) != 0) return CannotOpen(path, errno);
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1) {
    return Error{
        Code::kFailedPrecondition, std::string(path) + " is not a regular file with one name", {}};
  }
  return at;
}

}  // namespace kezek::output

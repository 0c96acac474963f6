#include "output/removal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "output/descriptor.h"

namespace kezek::output {
namespace {

constexpr int kDeepest = 64;  // each level is an open file

Result<Descriptor> OpenFolder(int above, const std::string& name) {
  const int fd = ::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) return Descriptor(fd);
  const bool none = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
  return SystemError(none ? Code::kNotFound : Code::kFailedPrecondition, "open folder " + name,
                     errno);
}

// A user's name for a file, as it may stand in a log.
std::string Plain(const std::string& name) {
  std::string plain = name.substr(0, 80);
  for (char& c : plain) {
    if (c < ' ' || c == '\'' || c == '\x7f') c = '?';
  }
  return plain;
}

class Removal {
 public:
  Removal(dev_t device, std::int64_t most) : device_(device), left_(most) {}

  // Empties the open folder; false if something is left in it.
  bool Empty(int folder, const std::string& shown, int depth) {
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const Directory list(copy < 0 ? nullptr : ::fdopendir(copy));
    if (list == nullptr) return Failed("reading folder " + shown, errno);
    bool empty = true;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(list.get());
      if (entry == nullptr && errno != 0) return Failed("reading folder " + shown, errno);
      if (entry == nullptr) return empty;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (left_ <= 0) return false;
      if (!Remove(folder, name, shown + "/" + Plain(name), depth)) empty = false;
    }
  }

  bool RemoveEmpty(int above, const std::string& name, const std::string& shown) {
    if (::unlinkat(above, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      return Failed("removing folder " + shown, errno);
    }
    Count(0);
    return true;
  }

  std::int64_t left() const { return left_; }
  const Removed& removed() const { return removed_; }
  const std::optional<Error>& problem() const { return problem_; }

 private:
  bool Remove(int above, const std::string& name, const std::string& shown, int depth) {
    struct stat status {};
    if (::fstatat(above, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT || Failed("stat " + shown, errno);
    }
    if (S_ISDIR(status.st_mode)) return RemoveBelow(above, name, shown, depth);
    if (::unlinkat(above, name.c_str(), 0) != 0 && errno != ENOENT) {
      return Failed("removing " + shown, errno);
    }
    Count(S_ISREG(status.st_mode) && status.st_nlink == 1 ? status.st_size : 0);
    return true;
  }

  bool RemoveBelow(int above, const std::string& name, const std::string& shown, int depth) {
    if (depth == kDeepest) return Failed("folders nested too deep: " + shown, ELOOP);
    const auto folder = OpenFolder(above, name);
    struct stat status {};
    if (!folder) return Failed(folder.error());
    if (::fstat(folder->get(), &status) != 0) return Failed("stat " + shown, errno);
    if (status.st_dev != device_) return Failed("another file system in " + shown, EXDEV);
    return Empty(folder->get(), shown, depth + 1) && RemoveEmpty(above, name, shown);
  }

  bool Failed(const std::string& what, int error) {
    return Failed(SystemError(Code::kFailedPrecondition, what, error));
  }
  bool Failed(const Error& error) {
    if (!problem_) problem_ = error;
    return false;
  }

  void Count(std::int64_t bytes) {
    ++removed_.entries;
    removed_.bytes += bytes;
    --left_;
  }

  const dev_t device_;
  std::int64_t left_;
  Removed removed_;
  std::optional<Error> problem_;
};

}  // namespace

Result<Removed> RemoveFolder(int above, const std::string& name, std::int64_t most) {
  const auto folder = OpenFolder(above, name);
  if (!folder) return folder.error();
  struct stat outer {};
  struct stat status {};
  if (::fstat(above, &outer) != 0 || ::fstat(folder->get(), &status) != 0) {
    return SystemError(Code::kFailedPrecondition, "stat " + name, errno);
  }
  if (status.st_uid != ::geteuid() || status.st_dev != outer.st_dev) {
    return Error{Code::kFailedPrecondition,
                 "folder " + name + " belongs to another user or file system",
                 {}};
  }
  // Takes the job's user out of the ACL, too: the mask goes with the group's rights.
  if (::fchmod(folder->get(), 0700) != 0) {
    return SystemError(Code::kFailedPrecondition, "closing folder " + name, errno);
  }
  Removal removal(status.st_dev, most);
  const bool gone = removal.Empty(folder->get(), name, 0) && removal.RemoveEmpty(above, name, name);
  // With room left, what is still there cannot be removed.
  if (!gone && removal.left() > 0 && removal.problem()) return *removal.problem();
  Removed removed = removal.removed();
  removed.done = gone;
  return removed;
}

}  // namespace kezek::output

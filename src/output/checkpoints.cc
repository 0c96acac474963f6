#include "output/checkpoints.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "output/descriptor.h"

namespace kezek::output {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

TimeMs Written(const struct stat& status) {
  return static_cast<TimeMs>(status.st_mtim.tv_sec) * kSecondMs +
         status.st_mtim.tv_nsec / 1'000'000;
}

class Walk {
 public:
  explicit Walk(const CheckpointRules& rules) : rules_(rules), left_(rules.entries_max) {}

  // What is gone by now has no time; folders that may not be read are left out below the first.
  std::optional<Error> Folder(int above, const char* name, int depth) {
    const int fd = ::openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return std::nullopt;
    const Directory list(fd < 0 ? nullptr : ::fdopendir(fd));
    if (list == nullptr) return SystemError(Code::kFailedPrecondition, "read folder", errno);
    while (left_ > 0) {
      const dirent* entry = ::readdir(list.get());
      if (entry == nullptr) break;
      const std::string inner = entry->d_name;
      if (inner == "." || inner == "..") continue;
      --left_;
      struct stat status {};
      if (::fstatat(fd, inner.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISREG(status.st_mode)) newest_ = std::max(newest_, Written(status));
      if (S_ISDIR(status.st_mode) && depth < rules_.deepest) Folder(fd, inner.c_str(), depth + 1);
    }
    return std::nullopt;
  }

  TimeMs newest() const { return newest_; }

 private:
  const CheckpointRules rules_;
  std::int64_t left_;
  TimeMs newest_ = 0;
};

// Whether the first folder of the path is there: if not, its file system is elsewhere.
bool BeginsHere(const std::string& path) {
  const std::size_t end = path.find('/', 1);
  struct stat status {};
  return ::stat(path.substr(0, end).c_str(), &status) == 0;
}

}  // namespace

Result<TimeMs> LastWritten(const std::string& path, const CheckpointRules& rules) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT && BeginsHere(path)) return TimeMs{0};
    return SystemError(Code::kFailedPrecondition, "look", errno);
  }
  if (S_ISREG(status.st_mode)) return Written(status);
  if (!S_ISDIR(status.st_mode)) {
    return Error{Code::kFailedPrecondition, "it is a link, or neither file nor folder", {}};
  }
  Walk walk(rules);
  if (auto problem = walk.Folder(AT_FDCWD, path.c_str(), 0)) return *problem;
  return walk.newest();
}

}  // namespace kezek::output

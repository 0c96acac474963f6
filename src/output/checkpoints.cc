#include "output/checkpoints.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

#include "output/descriptor.h"

namespace kezek::output {
namespace {

Directory OpenFolder(int above, const char* name) {
  const int fd = ::openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  Directory list(fd < 0 ? nullptr : ::fdopendir(fd));
  if (fd >= 0 && list == nullptr) ::close(fd);
  return list;
}

Error NotSeen() { return Error{Code::kFailedPrecondition, kCheckpointsNotSeen, {}}; }

class Walk {
 public:
  explicit Walk(const CheckpointRules& rules) : rules_(rules), left_(rules.entries_max) {}

  // What is gone by now has no time; folders that may not be read, or are another's, are left out
  // below the first.
  void Folder(int above, const char* name, int depth) {
    const Directory list = OpenFolder(above, name);
    struct stat folder {};
    if (list == nullptr || ::fstat(::dirfd(list.get()), &folder) != 0) return;
    if (folder.st_uid == rules_.uid) {
      own_ = true;
    } else if (depth > 0) {
      return;
    }
    while (left_ >= 0) {
      const dirent* entry = ::readdir(list.get());
      if (entry == nullptr) break;
      const std::string inner = entry->d_name;
      if (inner == "." || inner == "..") continue;
      if (--left_ < 0) break;
      struct stat status {};
      if (::fstatat(::dirfd(list.get()), inner.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        denied_ = denied_ || (errno == EACCES && depth == 0);
        continue;
      }
      File(status);
      if (S_ISDIR(status.st_mode) && depth < rules_.deepest) {
        Folder(::dirfd(list.get()), inner.c_str(), depth + 1);
      }
    }
  }

  void File(const struct stat& status) {
    if (!S_ISREG(status.st_mode) || status.st_uid != rules_.uid) return;
    own_ = true;
    const TimeMs written =
        static_cast<TimeMs>(status.st_mtim.tv_sec) * kSecondMs + status.st_mtim.tv_nsec / 1'000'000;
    if (written <= rules_.before_ms) newest_ = std::max(newest_, written);
  }

  // Whether another's folder is there, and how full, is not told.
  Result<TimeMs> Answer() const {
    if (!own_ || denied_) return NotSeen();
    if (left_ < 0) {
      return Error{Code::kResourceExhausted, "more than 1,000 entries: use kezek checkpoint", {}};
    }
    return newest_;
  }

 private:
  const CheckpointRules rules_;
  std::int64_t left_;
  bool own_ = false;  // something there is the job's
  bool denied_ = false;
  TimeMs newest_ = 0;
};

bool IsOf(::uid_t uid, int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && status.st_uid == uid;
}

}  // namespace

Result<TimeMs> LastWritten(const std::string& path, const CheckpointRules& rules) {
  Descriptor at(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::vector<std::string> names;
  // By the words alone: where no link is followed, that is what the system makes of them, too.
  for (const auto& name : std::filesystem::path(path).lexically_normal().relative_path()) {
    if (!name.empty()) names.push_back(name.string());
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const int kind = i + 1 == names.size() ? 0 : O_DIRECTORY;
    const int fd = ::openat(at.get(), names[i].c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC | kind);
    if (fd < 0 && errno == ENOENT && IsOf(rules.uid, at.get())) return TimeMs{0};
    if (fd < 0) return NotSeen();
    at = Descriptor(fd);
  }
  struct stat status {};
  if (::fstat(at.get(), &status) != 0) return NotSeen();
  Walk walk(rules);
  if (S_ISDIR(status.st_mode)) {
    walk.Folder(at.get(), ".", 0);
  } else {
    walk.File(status);
  }
  return walk.Answer();
}

}  // namespace kezek::output

#include "output/output_root.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "kezek/output_path.h"
#include "output/access_list.h"
#include "output/descriptor.h"
#include "output/job_folders.h"

namespace kezek::output {
namespace {

constexpr std::int64_t kBlock = 64 * 1024;
constexpr std::int64_t kTailBytesMax = 256 * 1024 * 1024;  // looked through for lines

Result<uid_t> FindUid(const std::string& unix_account) {
  std::vector<char> buffer(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  int error = 0;
  while ((error = ::getpwnam_r(unix_account.c_str(), &entry, buffer.data(), buffer.size(),
                               &found)) == ERANGE) {
    buffer.resize(buffer.size() * 2);
  }
  if (error != 0) return SystemError(Code::kInternal, "getpwnam " + unix_account, error);
  if (found == nullptr) {
    return Error{Code::kNotFound, "there is no Unix account '" + unix_account + "'", {}};
  }
  return entry.pw_uid;
}

// A folder below `above`, made if it is not there; never through a link.
Result<Descriptor> MakeFolder(int above, const std::string& name) {
  if (::mkdirat(above, name.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError(Code::kInternal, "mkdir " + name, errno);
  }
  const int fd = ::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return SystemError(Code::kInternal, "open folder " + name, errno);
  Descriptor folder(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return SystemError(Code::kInternal, "stat " + name, errno);
  if (status.st_uid != ::geteuid()) {
    return Error{Code::kInternal, "folder " + name + " belongs to another user", {}};
  }
  return folder;
}

Error NotYetWritten(const std::string& path) {
  return FieldProblem(Code::kNotFound,
                      {"", "LOG_NOT_YET", "nothing has been written to " + path + " yet", {}});
}

Error Elsewhere(const std::string& path) {
  return FieldProblem(Code::kFailedPrecondition,
                      {"",
                       "LOG_ELSEWHERE",
                       "kezekd cannot read " + path + " for its owner; the owner can",
                       {{"path", path}}});
}

// The path below the root, or none.
std::string_view Below(const std::string& root, const std::string& path) {
  const bool below =
      path.size() > root.size() + 1 && path.starts_with(root) && path[root.size()] == '/';
  return below ? std::string_view(path).substr(root.size() + 1) : std::string_view();
}

Result<Descriptor> OpenOutput(int root_fd, const std::string& root, const std::string& path) {
  const std::string_view below = Below(root, path);
  if (below.empty()) return Elsewhere(path);
  auto file = OpenFileBelow(root_fd, below);
  if (file) return file;
  if (file.error().code == Code::kNotFound) {
    return file.error().details.empty() ? NotYetWritten(path) : file.error();
  }
  return Elsewhere(path);
}

Result<std::int64_t> SizeOf(const Descriptor& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return SystemError(Code::kInternal, "stat " + path, errno);
  }
  return std::int64_t{status.st_size};
}

// Fewer bytes only at the end of the file.
Result<std::string> ReadAt(const Descriptor& file, std::int64_t offset, std::int64_t bytes) {
  std::string text(static_cast<std::size_t>(bytes), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t some = ::pread(file.get(), text.data() + have, text.size() - have,
                                 offset + static_cast<std::int64_t>(have));
    if (some < 0 && errno == EINTR) continue;
    if (some < 0) return SystemError(Code::kInternal, "reading output", errno);
    if (some == 0) break;
    have += static_cast<std::size_t>(some);
  }
  text.resize(have);
  return text;
}

}  // namespace

Result<std::unique_ptr<OutputRoot>> OutputRoot::Open(const std::string& root) {
  std::string path = root;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (!path.starts_with('/')) {
    return Error{Code::kFailedPrecondition, "output_root must be an absolute path: " + path, {}};
  }
  const bool made = ::mkdir(path.c_str(), 0711) == 0;
  if (!made && errno != EEXIST) {
    return SystemError(Code::kFailedPrecondition, "mkdir " + path, errno);
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(Code::kFailedPrecondition, "open folder " + path, errno);
  std::unique_ptr<OutputRoot> opened(new OutputRoot(path, fd));
  // The daemon's umask must not keep the jobs' users from passing through.
  if (made && ::fchmod(fd, 0711) != 0) {
    return SystemError(Code::kFailedPrecondition, "chmod " + path, errno);
  }
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    return SystemError(Code::kFailedPrecondition, "stat " + path, errno);
  }
  const bool others_write = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if ((status.st_uid != ::geteuid() && status.st_uid != 0) || others_write) {
    return Error{Code::kFailedPrecondition,
                 path + " must belong to kezekd's own Unix user and be writable by it alone",
                 {}};
  }
  return opened;
}

OutputRoot::~OutputRoot() { ::close(fd_); }

Result<JobId> OutputRoot::HighestJob() const { return output::HighestJob(fd_); }

std::optional<bool> OutputRoot::HasBegun(const AttemptRef& attempt,
                                         std::int64_t cluster_job_id) const {
  const std::string file =
      OutputFolderOf(attempt) + "/" + std::string(kBegunFile) + std::to_string(cluster_job_id);
  if (::faccessat(fd_, file.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
  return errno == ENOENT || errno == ENOTDIR ? std::optional(false) : std::nullopt;
}

Result<void> OutputRoot::Prepare(const AttemptRef& attempt, const std::string& unix_account) {
  const auto uid = FindUid(unix_account);
  if (!uid) return uid.error();
  const auto job = MakeFolder(fd_, ToText(attempt.job));
  if (!job) return job.error();
  const auto passed = LetPass(job->get(), *uid);
  if (!passed) return passed.error();
  const auto folder = MakeFolder(job->get(), std::to_string(attempt.number));
  if (!folder) return folder.error();
  return LetWrite(folder->get(), *uid);
}

Result<OutputPiece> OutputRoot::Read(const std::string& path, std::int64_t offset,
                                     std::int64_t max_bytes) {
  const auto file = OpenOutput(fd_, root_, path);
  if (!file) return file.error();
  const auto size = SizeOf(*file, path);
  if (!size) return size.error();
  OutputPiece piece{.offset = offset, .file_size = *size};
  if (offset >= *size || max_bytes <= 0) return piece;
  auto bytes = ReadAt(*file, offset, std::min(max_bytes, *size - offset));
  if (!bytes) return bytes.error();
  piece.bytes = std::move(*bytes);
  return piece;
}

Result<std::int64_t> OutputRoot::TailOffset(const std::string& path, std::int64_t lines) {
  const auto file = OpenOutput(fd_, root_, path);
  if (!file) return file.error();
  const auto size = SizeOf(*file, path);
  if (!size) return size.error();
  if (lines <= 0) return *size;
  const std::int64_t stop = std::max<std::int64_t>(0, *size - kTailBytesMax);
  // A line break at the very end closes the last line and begins none.
  std::int64_t breaks = 0;
  for (std::int64_t end = *size; end > stop;) {
    const std::int64_t begin = std::max(stop, end - kBlock);
    const auto block = ReadAt(*file, begin, end - begin);
    if (!block) return block.error();
    for (auto i = static_cast<std::int64_t>(block->size()) - 1; i >= 0; --i) {
      if ((*block)[static_cast<std::size_t>(i)] != '\n' || begin + i == *size - 1) continue;
      if (++breaks == lines) return begin + i + 1;
    }
    end = begin;
  }
  return stop;
}

}  // namespace kezek::output

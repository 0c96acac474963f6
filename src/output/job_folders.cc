#include "output/job_folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "output/descriptor.h"

namespace kezek::output {

std::optional<JobRef> JobOfFolder(std::string_view name) {
  JobRef ref{JobId{}, kNoElement};
  const char* const end = name.data() + name.size();
  auto parsed = std::from_chars(name.data(), end, ref.id.value);
  if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '_') {
    parsed = std::from_chars(parsed.ptr + 1, end, ref.element);
  }
  // Only as Kezek writes it: no sign, no leading zeros.
  const bool ours = parsed.ec == std::errc() && ref.id.value > 0 && ToText(ref) == name;
  return ours ? std::optional(ref) : std::nullopt;
}

Result<JobId> HighestJob(int root) {
  const int copy = ::openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const opened = copy < 0 ? nullptr : ::fdopendir(copy);
  if (opened == nullptr) {
    const int error = errno;
    if (copy >= 0) ::close(copy);
    return SystemError(Code::kUnavailable, "listing the output root", error);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opened, &::closedir);
  JobId highest;
  while (const dirent* entry = ::readdir(list.get())) {
    const auto job = JobOfFolder(entry->d_name);
    if (job) highest = std::max(highest, job->id);
  }
  return highest;
}

}  // namespace kezek::output

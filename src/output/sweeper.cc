#include "output/sweeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "output/descriptor.h"
#include "output/job_folders.h"
#include "output/removal.h"

namespace kezek::output {
Result<std::unique_ptr<Sweeper>> Sweeper::Open(const std::string& root, const SweepRules& rules) {
  const int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(Code::kFailedPrecondition, "open folder " + root, errno);
  return std::unique_ptr<Sweeper>(new Sweeper(fd, rules));
}

Sweeper::~Sweeper() {
  if (list_ != nullptr) ::closedir(list_);
  ::close(fd_);
}

bool Sweeper::NextFolders() {
  if (list_ == nullptr) {
    const int copy = ::openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy >= 0) list_ = ::fdopendir(copy);
    if (list_ == nullptr) return false;
  }
  for (std::int32_t i = 0; i < rules_.folders_max; ++i) {
    const dirent* entry = ::readdir(list_);
    if (entry == nullptr) {
      ::closedir(std::exchange(list_, nullptr));
      return false;
    }
    if (const auto job = JobOfFolder(entry->d_name)) found_.push_back(*job);
  }
  return true;
}

// Of what has been found, that whose time is over.
Result<void> Sweeper::KeepDue(const Find& find, TimeMs now) {
  if (found_.empty()) return {};
  JobQuery query;
  query.refs = found_;
  query.limit = 10 * static_cast<std::int32_t>(found_.size());
  const auto records = find(query);
  if (!records) return records.error();
  for (const JobRecord& record : *records) {
    const Job& job = record.job;
    const bool over = IsFinal(job.state) && job.ended_ms > 0;
    if (!over || now - job.ended_ms < rules_.keep_ms) continue;
    // An array's row brings elements that were not asked for.
    if (std::find(found_.begin(), found_.end(), job.ref) == found_.end()) continue;
    due_.push_back({job.ref, job.ended_ms, 0, 0});
  }
  found_.clear();
  return {};
}

Result<Swept> Sweeper::Step(const Find& find, TimeMs now) {
  Swept swept;
  if (due_.empty()) {
    if (found_.empty()) swept.round_over = !NextFolders();
    const auto kept = KeepDue(find, now);
    if (!kept) return kept.error();
  }
  std::int64_t left = rules_.entries_max;
  while (!due_.empty() && left > 0) {
    Due& one = due_.back();
    const auto removed = RemoveFolder(fd_, ToText(one.job), left);
    if (!removed) {
      if (removed.error().code != Code::kNotFound) {
        swept.problems.push_back(removed.error().message);
      }
      due_.pop_back();
      --left;
      continue;
    }
    one.entries += removed->entries;
    one.bytes += removed->bytes;
    left -= std::max<std::int64_t>(removed->entries, 1);
    if (!removed->done) continue;
    swept.removed.push_back({one.job, one.ended_ms, one.entries, one.bytes});
    due_.pop_back();
  }
  if (!due_.empty()) swept.round_over = false;
  return swept;
}

}  // namespace kezek::output

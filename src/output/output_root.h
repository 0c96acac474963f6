// Kezek's own folder on the shared file system, where the output of attempts goes:
// `<root>/<job>/<attempt>/`, made by the daemon's Unix user, writable by the job's, readable by
// both through POSIX ACLs. Works without root.
//
// Nothing below the root is opened through a link: every folder on the way is opened by itself,
// relative to the one above, and a file must be a regular one with a single name. So a job that
// puts a link into its folder shows nobody anything.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kezek/ids.h"
#include "kezek/output.h"
#include "kezek/result.h"

namespace kezek::output {

class OutputRoot final : public OutputFolders, public OutputReader {
 public:
  // Makes the root's last folder if it is not there (mode 0711). FAILED_PRECONDITION: it cannot be
  // made or opened, or another user than the daemon's and root may write into it. That the file
  // system has POSIX ACLs shows at the first Prepare.
  static Result<std::unique_ptr<OutputRoot>> Open(const std::string& root);
  ~OutputRoot() override;
  OutputRoot(const OutputRoot&) = delete;
  OutputRoot& operator=(const OutputRoot&) = delete;

  // The highest number of a job that has a folder here, whatever the database knows. Hangs with the
  // file system: see highest_look.h.
  Result<JobId> HighestJob() const;

  // Whether the attempt's script ever began under this id of the cluster; false, too, where it has
  // no folder. None: its folder cannot be looked into. Hangs with the file system: see
  // begun_looks.h.
  std::optional<bool> HasBegun(const AttemptRef& attempt, std::int64_t cluster_job_id) const;

  Result<void> Prepare(const AttemptRef& attempt, const std::string& unix_account) override;
  Result<OutputPiece> Read(const std::string& path, std::int64_t offset,
                           std::int64_t max_bytes) override;
  Result<std::int64_t> TailOffset(const std::string& path, std::int64_t lines) override;

 private:
  OutputRoot(std::string root, int fd) : root_(std::move(root)), fd_(fd) {}

  const std::string root_;  // absolute, without a slash at its end
  const int fd_;
};

}  // namespace kezek::output

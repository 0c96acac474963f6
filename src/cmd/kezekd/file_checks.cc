#include "cmd/kezekd/file_checks.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace kezek::kezekd {
namespace {

using FileFindings = std::vector<Finding>;

void LookAtSecret(const std::string& what, const std::string& path, FileFindings* findings) {
  struct stat info {};
  const std::string name = what + ": " + path;
  if (::stat(path.c_str(), &info) != 0) {
    findings->push_back({CheckState::kProblem, name + ": " + std::strerror(errno),
                         "correct the path in the configuration, or make the file"});
    return;
  }
  // kezekd's own group may read what root keeps.
  const bool own_group = info.st_gid == ::getegid();
  if ((info.st_mode & (own_group ? 037U : 077U)) != 0) {
    findings->push_back({CheckState::kProblem, name + " can be read by others",
                         std::string("chmod ") + (own_group ? "640 " : "600 ") + path});
  }
  // Whoever owns it can let others read it.
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    findings->push_back({CheckState::kProblem,
                         name + " is user " + std::to_string(info.st_uid) + "'s, not kezekd's",
                         "chown " + std::to_string(::geteuid()) + " " + path});
  }
  if (::access(path.c_str(), R_OK) != 0) {
    findings->push_back({CheckState::kProblem, name + " cannot be read by kezekd's user",
                         "chown " + std::to_string(::geteuid()) + " " + path});
  }
}

}  // namespace

SiteCheck SecretFilesCheck(std::vector<std::pair<std::string, std::string>> files) {
  return {"host-files", [files = std::move(files)](const auto&) {
            FileFindings findings;
            std::size_t looked_at = 0;
            for (const auto& [what, path] : files) {
              if (path.empty()) continue;
              ++looked_at;
              LookAtSecret(what, path, &findings);
            }
            if (findings.empty()) {
              findings.push_back(
                  {CheckState::kOk,
                   std::to_string(looked_at) + " files with secrets are kezekd's alone", ""});
            }
            return findings;
          }};
}

}  // namespace kezek::kezekd

#include "output/site_checks.h"

#include <acl/libacl.h>
#include <fcntl.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "output/access_list.h"
#include "output/descriptor.h"

namespace kezek::output {
namespace {

constexpr uid_t kNobody = 65534;
constexpr unsigned kFreeLeast = 5;  // percent

// A folder that is gone when this is.
class TrialFolder {
 public:
  explicit TrialFolder(const std::string& root) : path_(root + "/.doctor-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) {
      error_ = errno;
      path_.clear();
      return;
    }
    fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd_ < 0) error_ = errno;
  }
  ~TrialFolder() {
    if (fd_ >= 0) ::close(fd_);
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  TrialFolder(const TrialFolder&) = delete;
  TrialFolder& operator=(const TrialFolder&) = delete;
  int fd() const { return fd_; }
  int error() const { return error_; }  // 0: it is there

 private:
  std::string path_;
  int fd_ = -1;
  int error_ = 0;
};

// Whether the ACL that is read back lets `user` write, and others nothing.
bool LetsWrite(int folder, uid_t user) {
  const std::unique_ptr<std::remove_pointer_t<acl_t>, int (*)(void*)> acl(::acl_get_fd(folder),
                                                                          &::acl_free);
  if (!acl) return false;
  const std::unique_ptr<char, int (*)(void*)> text(
      ::acl_to_any_text(acl.get(), nullptr, ',', TEXT_NUMERIC_IDS), &::acl_free);
  if (!text) return false;
  const std::string entries = "," + std::string(text.get()) + ",";
  return entries.find(",user:" + std::to_string(user) + ":rwx,") != std::string::npos &&
         entries.find(",other::---,") != std::string::npos;
}

void LookAtFolder(const std::string& root, const struct stat& info,
                  std::vector<Finding>* findings) {
  if (info.st_uid != ::geteuid()) {
    findings->push_back({CheckState::kProblem,
                         root + " is user " + std::to_string(info.st_uid) + "'s, not kezekd's",
                         "chown kezek: " + root});
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    findings->push_back({CheckState::kProblem, root + ": others than kezekd may write into it",
                         "chmod 711 " + root});
  } else if ((info.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    findings->push_back({CheckState::kWarning, root + ": others may list whose jobs there are",
                         "chmod 711 " + root});
  }
  if ((info.st_mode & S_IXOTH) == 0) {
    findings->push_back({CheckState::kProblem, root + ": users cannot pass through to their output",
                         "chmod 711 " + root});
  }
}

void LookAtRoom(const std::string& root, std::vector<Finding>* findings) {
  struct statvfs room {};
  if (::statvfs(root.c_str(), &room) != 0 || room.f_blocks == 0) return;
  const auto free = static_cast<unsigned>(100 * room.f_bavail / room.f_blocks);
  const bool few_files =
      room.f_files > 0 && 100 * room.f_favail / room.f_files < static_cast<fsfilcnt_t>(kFreeLeast);
  if (free >= kFreeLeast && !few_files) return;
  findings->push_back({CheckState::kWarning,
                       root + (few_files ? ": few more files can be made there"
                                         : ": " + std::to_string(free) + " % of it are free"),
                       "make room, or keep output for less long: output_keep"});
}

void LookAtTrial(const std::string& root, std::vector<Finding>* findings) {
  const TrialFolder trial(root);
  if (trial.error() != 0) {
    findings->push_back({CheckState::kProblem,
                         root + ": no folder can be made there: " + std::strerror(trial.error()),
                         "mount it so that kezekd's user may write"});
    return;
  }
  const auto set = LetWrite(trial.fd(), kNobody);
  if (!set || !LetsWrite(trial.fd(), kNobody)) {
    findings->push_back(
        {CheckState::kProblem,
         root + (set ? ": an ACL that was set is not read back" : ": " + set.error().message),
         "mount the file system with POSIX ACLs (acl; NFSv3 or a parallel file system that has "
         "them): setfacl -m u:nobody:x FOLDER must work there"});
  }
}

std::vector<Finding> LookAtRoot(const std::string& root) {
  struct stat info {};
  if (::stat(root.c_str(), &info) != 0) {
    return {{CheckState::kProblem, root + ": " + std::strerror(errno),
             "mount it, or make it: install -d -o kezek -m 711 " + root}};
  }
  if (!S_ISDIR(info.st_mode)) {
    return {{CheckState::kProblem, root + " is no folder", "name a folder: output_root"}};
  }
  std::vector<Finding> findings;
  LookAtFolder(root, info, &findings);
  LookAtRoom(root, &findings);
  LookAtTrial(root, &findings);
  if (findings.empty()) {
    findings.push_back({CheckState::kOk, root + " can be written, and keeps ACLs", ""});
  }
  return findings;
}

}  // namespace

SiteCheck OutputCheck(const std::string& root) {
  return {"output-root", [root](const auto&) { return LookAtRoot(root); }};
}

}  // namespace kezek::output

#include "cmd/kezekd/unix_accounts.h"

#include <pwd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace kezek::kezekd {

Result<std::int64_t> HostAccounts::FindUid(const std::string& unix_account) {
  std::vector<char> buffer(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  int error = getpwnam_r(unix_account.c_str(), &entry, buffer.data(), buffer.size(), &found);
  while (error == ERANGE && buffer.size() < (1U << 22U)) {
    buffer.resize(buffer.size() * 2);
    error = getpwnam_r(unix_account.c_str(), &entry, buffer.data(), buffer.size(), &found);
  }
  // Some name services answer "not found" by these errors.
  const bool absent = error == 0 || error == ENOENT || error == ESRCH;
  if (found == nullptr && !absent) {
    return Error{
        Code::kUnavailable, "Unix account '" + unix_account + "': " + std::strerror(error), {}};
  }
  if (found == nullptr) {
    return Error{Code::kNotFound, "no Unix account '" + unix_account + "' on this host", {}};
  }
  return static_cast<std::int64_t>(found->pw_uid);
}

}  // namespace kezek::kezekd

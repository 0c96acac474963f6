// Sign-in by a proof of being a Unix user: what the proof must be made for, and whose it is.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/time.h"
#include "kezek/user.h"
#include "rpc/sealed_token.h"

namespace kezek::rpc {

// Challenges that this process gives and takes back once. A credential is made for one of them, so
// it is worth nothing at another server, after a minute, or a second time. Thread-safe.
class SignIn {
 public:
  explicit SignIn(const std::string& installation);

  // "kezek-sign-in/1 INSTALLATION SEAL", good for a minute.
  std::string Challenge(TimeMs now) const;
  // UNAUTHENTICATED CREDENTIAL_INVALID: no challenge of this process; CREDENTIAL_EXPIRED;
  // CREDENTIAL_USED: it has been taken back before.
  Result<void> TakeBack(const std::string& payload, TimeMs now);

 private:
  const std::string prefix_;
  const Sha256 purpose_;
  const TokenSealer sealer_;
  std::mutex mutex_;
  std::map<std::string, TimeMs> used_;  // until when they would hold
};

// The user of a uid: enabled, with a Unix account that has this very uid still. FAILED_PRECONDITION
// NO_UNIX_ACCOUNT (nobody's, or a system account), USER_DISABLED. Blocking.
Result<UserId> UserOfUid(const Directory& directory, std::int64_t uid, std::int64_t min_uid,
                         UnixAccounts* accounts);

}  // namespace kezek::rpc

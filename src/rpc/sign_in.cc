#include "rpc/sign_in.h"

#include <charconv>
#include <cstdint>

#include "rpc/tokens.h"

namespace kezek::rpc {
namespace {

constexpr DurationMs kLifetimeMs = kMinuteMs;

Error Refused(const std::string& reason, const std::string& message) {
  return FieldProblem(Code::kUnauthenticated, {"munge_credential", reason, message, {}});
}

}  // namespace

SignIn::SignIn(const std::string& installation)
    : prefix_("kezek-sign-in/1 " + installation + " "), purpose_(HashBytes(prefix_)) {}

std::string SignIn::Challenge(TimeMs now) const {
  return prefix_ + sealer_.Seal(std::to_string(now + kLifetimeMs), purpose_);
}

Result<void> SignIn::TakeBack(const std::string& payload, TimeMs now) {
  const auto invalid = [] {
    return Refused("CREDENTIAL_INVALID",
                   "the credential was not made for this server: ask it for a challenge first");
  };
  if (!payload.starts_with(prefix_)) return invalid();
  const std::string seal = payload.substr(prefix_.size());
  const auto content = sealer_.Open(seal, purpose_);
  if (!content) return invalid();
  TimeMs until = 0;
  std::from_chars(content->data(), content->data() + content->size(), until);
  if (until <= now) return Refused("CREDENTIAL_EXPIRED", "the challenge has expired: ask again");
  const std::lock_guard lock(mutex_);
  std::erase_if(used_, [&](const auto& entry) { return entry.second <= now; });
  if (!used_.emplace(seal, until).second) {
    return Refused("CREDENTIAL_USED", "this challenge has been used: ask for another one");
  }
  return {};
}

Result<UserId> UserOfUid(const Directory& directory, std::int64_t uid, std::int64_t min_uid,
                         UnixAccounts* accounts) {
  const auto refused = [](const std::string& reason, const std::string& message) {
    return FieldProblem(Code::kFailedPrecondition, {"munge_credential", reason, message, {}});
  };
  const std::string number = std::to_string(uid);
  if (uid < min_uid) {
    return refused("NO_UNIX_ACCOUNT", "uid " + number + " is a system account, and no user's");
  }
  for (const auto& [id, user] : directory.users) {
    if (user.unix_account.empty() || user.unix_uid != uid) continue;
    if (user.disabled) return refused("USER_DISABLED", "user '" + user.name + "' has no access");
    const auto now_has = accounts->FindUid(user.unix_account);
    if (now_has && *now_has == uid) return id;
    return refused("NO_UNIX_ACCOUNT", "the Unix account '" + user.unix_account + "' of '" +
                                          user.name + "' no longer has uid " + number +
                                          ": a cluster admin must set it again");
  }
  return refused("NO_UNIX_ACCOUNT",
                 "uid " + number + " belongs to no user of Kezek: a cluster admin can set it");
}

}  // namespace kezek::rpc

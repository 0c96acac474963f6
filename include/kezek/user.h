// Who may do what: users, roles, tokens.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek {

enum class Role : std::uint8_t {
  kResearcher,        // of a project: submits, sees the project's jobs
  kProjectLead,       // of a project: changes its jobs and members
  kInstitutionAdmin,  // of an account: everything below it
  kClusterAdmin,      // everywhere
  kAuditor,           // reads everything, changes nothing
  kMetricsReader,     // metrics only
};

// `account` is the project or institution of the role; the root for roles that hold everywhere.
struct RoleGrant {
  Role role = Role::kResearcher;
  AccountId account;
  auto operator<=>(const RoleGrant&) const = default;
};

struct User {
  UserId id;
  std::string name;  // global: "aizhan@kaznu"
  std::string display_name;
  std::string unix_account;  // empty: cannot run jobs yet
  std::int64_t unix_uid = 0;
  bool disabled = false;
  std::vector<RoleGrant> roles;  // sorted
  bool operator==(const User&) const = default;
};

// Unix accounts below this are the system's own, unless the configuration says otherwise.
inline constexpr std::int64_t kDefaultMinUid = 1000;

// What is changed of a user. What is absent stays as it is at the moment of the change, whoever
// has changed it since somebody looked.
struct UserChange {
  UserId id;         // none: a new user
  std::string name;  // of a new user
  std::optional<std::string> display_name;
  std::optional<std::string> unix_account;  // empty: taken away
  std::int64_t unix_uid = 0;                // of `unix_account`
  std::optional<bool> disabled;
  std::vector<RoleGrant> give;
  std::vector<RoleGrant> take;  // after `give`
};

// The user with the change made.
inline User Changed(User user, const UserChange& change) {
  if (!change.id) user.name = change.name;
  if (change.display_name) user.display_name = *change.display_name;
  if (change.unix_account) {
    user.unix_account = *change.unix_account;
    user.unix_uid = user.unix_account.empty() ? 0 : change.unix_uid;
  }
  if (change.disabled) user.disabled = *change.disabled;
  std::vector<RoleGrant>& roles = user.roles;
  roles.insert(roles.end(), change.give.begin(), change.give.end());
  std::sort(roles.begin(), roles.end());
  roles.erase(std::unique(roles.begin(), roles.end()), roles.end());
  std::erase_if(roles, [&change](const RoleGrant& grant) {
    return std::find(change.take.begin(), change.take.end(), grant) != change.take.end();
  });
  return user;
}

// What makes `after` of `before`; of a new user `before` has no id.
inline UserChange ChangeBetween(const User& before, const User& after) {
  UserChange change{.id = before.id, .name = after.name};
  if (after.display_name != before.display_name) change.display_name = after.display_name;
  if (after.unix_account != before.unix_account || after.unix_uid != before.unix_uid) {
    change.unix_account = after.unix_account;
    change.unix_uid = after.unix_uid;
  }
  if (after.disabled != before.disabled) change.disabled = after.disabled;
  const auto lacks = [](const User& user, const RoleGrant& grant) {
    return std::find(user.roles.begin(), user.roles.end(), grant) == user.roles.end();
  };
  for (const RoleGrant& grant : after.roles) {
    if (lacks(before, grant)) change.give.push_back(grant);
  }
  for (const RoleGrant& grant : before.roles) {
    if (lacks(after, grant)) change.take.push_back(grant);
  }
  return change;
}

// Port. The Unix accounts the cluster knows. Blocking; thread-safe.
class UnixAccounts {
 public:
  virtual ~UnixAccounts() = default;
  // The uid of an account. NOT_FOUND: there is none; UNAVAILABLE: it cannot be found out now.
  virtual Result<std::int64_t> FindUid(const std::string& unix_account) = 0;
};

// Port. Proof of being a Unix user on a host of the cluster. Blocking; thread-safe.
struct UnixProof {
  std::int64_t uid = 0;
  std::string payload;  // what the proof was made for
};
class UnixProofs {
 public:
  virtual ~UnixProofs() = default;
  // Opens a proof, once: UNAUTHENTICATED CREDENTIAL_INVALID (forged, or made elsewhere),
  // CREDENTIAL_EXPIRED, CREDENTIAL_USED; UNAVAILABLE: nobody here can open it now.
  virtual Result<UnixProof> Open(const std::string& credential) = 0;
};

using Sha256 = std::array<std::uint8_t, 32>;

// Groups of rpcs that a token can be limited to.
enum class Scope : std::uint8_t {
  kRead,
  kSubmit,
  kManage,   // and read
  kAdmin,    // and manage, and read
  kMetrics,  // what is anybody's to know; part of all others
};

// What a token may do less than its user. Empty lists and 0 limit nothing.
struct TokenLimits {
  std::vector<Scope> scopes;        // sorted
  std::vector<AccountId> projects;  // sorted
  MilliGpus job_milli = 0;          // counted GPUs of one job
  bool operator==(const TokenLimits&) const = default;
};

struct Token {
  TokenId id;
  UserId user;
  std::string label;
  Sha256 hash{};  // of the secret, which is shown once and never stored
  TimeMs created_ms = 0;
  TimeMs expires_ms = 0;  // 0: does not expire
  TimeMs revoked_ms = 0;  // 0: valid
  UserId created_by;      // none: it is older than this field
  TokenLimits limits;
  bool operator==(const Token&) const = default;
};

}  // namespace kezek

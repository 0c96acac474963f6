#include "rpc/user_rules.h"

#include <algorithm>
#include <limits>

#include "rpc/status.h"
#include "rpc/token_limits.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kNameMost = 96;

bool IsWord(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  return !text.empty() && kLetters.find(text.front()) != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return c == '.' || c == '-' || c == '_' || kLetters.find(c) != std::string_view::npos;
         });
}

bool HoldsEverywhere(Role role) {
  return role == Role::kClusterAdmin || role == Role::kAuditor || role == Role::kMetricsReader;
}

// Roles of the caller that let this one be given.
bool MayGive(const Caller& caller, const RoleGrant& grant) {
  const auto& roles = caller.directory().users.at(caller.user).roles;
  return std::any_of(roles.begin(), roles.end(), [&](const RoleGrant& own) {
    if (own.role == Role::kClusterAdmin) return true;
    const bool below = own.account && IsWithin(caller.directory(), grant.account, own.account);
    if (own.role == Role::kInstitutionAdmin) return below && grant.role <= Role::kInstitutionAdmin;
    return own.role == Role::kProjectLead && below && grant.role <= Role::kProjectLead;
  });
}

bool HasChildren(const Directory& directory, AccountId account) {
  return std::any_of(directory.accounts.begin(), directory.accounts.end(),
                     [&](const auto& entry) { return entry.second.parent == account; });
}

}  // namespace

Result<void> CheckUserName(const std::string& name) {
  const auto at = name.find('@');
  if (at == std::string::npos || name.size() > kNameMost || !IsWord(name.substr(0, at)) ||
      !IsWord(name.substr(at + 1))) {
    return Invalid("name", "'" + name + "' must be name@institution in lower-case letters, " +
                               "digits, dots and dashes, such as aizhan@kaznu");
  }
  return {};
}

Result<void> CheckUnixName(const std::string& name) {
  if (name.size() > 32 || !IsWord(name)) {
    return Invalid("unix_account", "'" + name + "' is not the name of a Unix account");
  }
  return {};
}

Result<std::int64_t> CheckUnixAccount(const Caller& caller, const std::string& unix_account,
                                      UserId owner, std::int64_t min_uid, UnixAccounts* accounts) {
  if (!caller.everywhere) {
    return Denied("NOT_ADMINISTRATOR", "only cluster admins set Unix accounts");
  }
  const auto name = CheckUnixName(unix_account);
  if (!name) return name.error();
  const auto problem = [&](Code code, const std::string& reason, const std::string& message) {
    return FieldProblem(code, {"unix_account", reason, message, {{"unix_account", unix_account}}});
  };
  const auto uid = accounts->FindUid(unix_account);
  if (!uid) {
    return problem(Code::kFailedPrecondition, "UNIX_ACCOUNT_UNKNOWN",
                   "this host knows no Unix account '" + unix_account + "'");
  }
  if (*uid < min_uid) {
    return problem(Code::kFailedPrecondition, "UNIX_ACCOUNT_SYSTEM",
                   "'" + unix_account + "' is a system account (uid " + std::to_string(*uid) +
                       ", below " + std::to_string(min_uid) + ")");
  }
  for (const auto& [id, user] : caller.directory().users) {
    if (id != owner && user.unix_account == unix_account) {
      return problem(Code::kAlreadyExists, "UNIX_ACCOUNT_TAKEN",
                     "'" + unix_account + "' belongs to user '" + user.name + "'");
    }
  }
  return *uid;
}

AccountId HomeOf(const Directory& directory, std::string_view user_name) {
  const std::string_view called = user_name.substr(user_name.find('@') + 1);
  AccountId home;
  std::ptrdiff_t nearest = std::numeric_limits<std::ptrdiff_t>::max();
  for (const auto& [path, id] : directory.account_by_path) {
    if (directory.accounts.at(id).name != called || called.empty()) continue;
    const auto depth = std::ranges::count(path, '/');
    if (depth > nearest) continue;
    home = depth < nearest ? id : AccountId{};
    nearest = depth;
  }
  return home;
}

bool MayKnow(const Caller& caller, const std::string& name) {
  if (caller.everywhere) return true;
  const Directory& directory = caller.directory();
  const AccountId home = HomeOf(directory, name);
  if (home && caller.SeesAccount(home)) return true;
  const auto found = directory.user_by_name.find(name);
  if (found == directory.user_by_name.end()) return false;
  const User& user = directory.users.at(found->second);
  return caller.ReachesUser(user) || std::ranges::any_of(user.roles, [&](const RoleGrant& grant) {
           return caller.ReachesAccount(grant.account);
         });
}

Error UnknownUser(const std::string& name, const std::string& field) {
  return NotFound("USER_NOT_FOUND", field, "there is no user '" + name + "' that you may see");
}

Result<User> FindUser(const Caller& caller, const std::string& name, const std::string& field) {
  const Directory& directory = caller.directory();
  const auto found = directory.user_by_name.find(name);
  if (found != directory.user_by_name.end()) {
    const User& user = directory.users.at(found->second);
    if (caller.ReachesUser(user)) return user;
  }
  return UnknownUser(name, field);
}

Result<RoleGrant> ReadGrant(const Caller& caller, const v1::RoleGrant& wire,
                            const std::string& field) {
  if (wire.role() <= v1::ROLE_UNSPECIFIED || wire.role() > v1::ROLE_METRICS_READER) {
    return Invalid(field + ".role", "must be one of the roles");
  }
  RoleGrant grant{static_cast<Role>(wire.role() - 1), kRootAccount};
  if (HoldsEverywhere(grant.role)) {
    if (!wire.account().empty()) {
      return Invalid(field + ".account", "must be empty: this role holds everywhere");
    }
  } else {
    if (wire.account().empty()) {
      return Invalid(field + ".account", "say where; of everything there are cluster admins");
    }
    const auto account = FindVisibleAccount(caller, wire.account(), field + ".account");
    if (!account) return account.error();
    grant.account = *account;
  }
  const bool of_project = grant.role == Role::kResearcher || grant.role == Role::kProjectLead;
  if (of_project &&
      (grant.account == kRootAccount || HasChildren(caller.directory(), grant.account))) {
    return FieldProblem(Code::kFailedPrecondition, {field + ".account",
                                                    "NOT_A_LEAF",
                                                    "researchers and leads belong to projects; '" +
                                                        wire.account() + "' has accounts below it",
                                                    {{"account", wire.account()}}});
  }
  if (!MayGive(caller, grant)) {
    return Denied("NOT_ADMINISTRATOR", "you may not give or take this role there");
  }
  return grant;
}

v1::User ToWire(const Caller& caller, const User& user) {
  v1::User wire;
  wire.set_name(user.name);
  const bool reached = !user.id || caller.ReachesUser(user);
  if (reached) {
    wire.set_display_name(user.display_name);
    wire.set_unix_account(user.unix_account);
    wire.set_unix_uid(user.unix_uid);
    wire.set_disabled(user.disabled);
  }
  for (const auto& grant : user.roles) {
    if (user.id != caller.user && !caller.ReachesAccount(grant.account)) continue;
    auto* role = wire.add_roles();
    role->set_role(static_cast<v1::Role>(static_cast<int>(grant.role) + 1));
    if (!HoldsEverywhere(grant.role)) role->set_account(PathOf(caller.directory(), grant.account));
  }
  return wire;
}

v1::Token ToWire(const Directory& directory, const Token& token) {
  v1::Token wire;
  wire.set_id(std::to_string(token.id.value));
  const auto user = directory.users.find(token.user);
  if (user != directory.users.end()) wire.set_user(user->second.name);
  wire.set_label(token.label);
  wire.set_created_ms(token.created_ms);
  wire.set_expires_ms(token.expires_ms);
  wire.set_revoked_ms(token.revoked_ms);
  const auto maker = directory.users.find(token.created_by);
  if (maker != directory.users.end()) wire.set_created_by(maker->second.name);
  if (token.limits != TokenLimits{}) *wire.mutable_limits() = ToWire(directory, token.limits);
  return wire;
}

}  // namespace kezek::rpc

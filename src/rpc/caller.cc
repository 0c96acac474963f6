#include "rpc/caller.h"

#include <algorithm>
#include <vector>

#include "kezek/names.h"
#include "rpc/access_table.h"
#include "rpc/status.h"
#include "rpc/token_limits.h"
#include "rpc/tokens.h"

namespace kezek::rpc {
namespace {

Error Unauthenticated(const std::string& reason, const std::string& message) {
  return FieldProblem(Code::kUnauthenticated, {"", reason, message, {}});
}

Error NotLeader(const View& view) {
  const std::string& leader = view.leader_address;
  return FieldProblem(Code::kUnavailable,
                      {"",
                       "NOT_LEADER",
                       "this kezekd stands by; the one that leads " +
                           (leader.empty() ? "is not known" : "answers at " + leader),
                       {{"leader", leader}}});
}

Result<Token> FindToken(const Directory& directory, std::string_view authorization, TimeMs now) {
  constexpr std::string_view kBearer = "Bearer ";
  if (authorization.empty()) {
    return Unauthenticated("TOKEN_MISSING", "no token: sign in with 'kezek login'");
  }
  if (!authorization.starts_with(kBearer)) {
    return Unauthenticated("TOKEN_INVALID", "authorization must be 'Bearer TOKEN'");
  }
  const auto found = directory.tokens.find(HashToken(authorization.substr(kBearer.size())));
  if (found == directory.tokens.end()) {
    return Unauthenticated("TOKEN_INVALID", "the token is not known: sign in with 'kezek login'");
  }
  const Token& token = found->second;
  if (token.revoked_ms != 0 || (token.expires_ms != 0 && token.expires_ms <= now)) {
    return Unauthenticated("TOKEN_EXPIRED",
                           "the token has expired or was revoked: ask for a new "
                           "one, then 'kezek login'");
  }
  return token;
}

void Extend(Caller* caller, Reach reach, AccountId account) {
  switch (reach) {
    case Reach::kNone:
      return;
    case Reach::kOwn:
      caller->own = true;
      return;
    case Reach::kAccount:
      caller->own = true;
      caller->accounts.insert(account);
      return;
    case Reach::kAll:
      caller->own = true;
      caller->everywhere = true;
      return;
  }
}

// A token for some projects reaches nothing besides.
void Narrow(Caller* caller) {
  if (caller->limits.projects.empty()) return;
  std::set<AccountId> reached;
  for (const AccountId project : caller->limits.projects) {
    if (caller->ReachesAccount(project)) reached.insert(project);
    for (const AccountId mine : caller->accounts) {
      if (IsWithin(caller->directory(), mine, project)) reached.insert(mine);
    }
  }
  caller->everywhere = false;
  caller->accounts = std::move(reached);
}

}  // namespace

bool IsWithin(const Directory& directory, AccountId account, AccountId ancestor) {
  while (account) {
    if (account == ancestor) return true;
    const auto found = directory.accounts.find(account);
    if (found == directory.accounts.end()) return false;
    account = found->second.parent;
  }
  return false;
}

bool Caller::InToken(AccountId account) const {
  return limits.projects.empty() ||
         std::any_of(limits.projects.begin(), limits.projects.end(),
                     [&](AccountId project) { return IsWithin(directory(), account, project); });
}

bool Caller::Reaches(UserId owner, AccountId project) const {
  return everywhere || (own && owner == user && InToken(project)) || ReachesAccount(project);
}

bool Caller::SeesAccount(AccountId account) const {
  return ReachesAccount(account) ||
         std::any_of(accounts.begin(), accounts.end(),
                     [&](AccountId mine) { return IsWithin(directory(), mine, account); });
}

bool Caller::ReachesAccount(AccountId account) const {
  return everywhere || std::any_of(accounts.begin(), accounts.end(), [&](AccountId mine) {
           return IsWithin(directory(), account, mine);
         });
}

bool Caller::ReachesAllOf(const Caller& other) const {
  if (everywhere) return true;
  return !other.everywhere && (own || !other.own) &&
         std::all_of(other.accounts.begin(), other.accounts.end(),
                     [&](AccountId account) { return ReachesAccount(account); });
}

bool Caller::ReachesUser(const User& other) const {
  if (everywhere || (own && other.id == user)) return true;
  return !other.roles.empty() &&
         std::all_of(other.roles.begin(), other.roles.end(),
                     [&](const RoleGrant& grant) { return ReachesAccount(grant.account); });
}

Result<Caller> Authorise(std::string_view method, std::string_view authorization,
                         std::shared_ptr<const View> view, TimeMs now) {
  if (!view || !view->directory) {
    return FieldProblem(Code::kUnavailable,
                        {"", "NOT_READY", "kezekd is starting: try again in a moment", {}});
  }
  const AccessRow* row = FindAccess(method);
  if (row == nullptr) return Denied("ROLE_MISSING", "nobody may call " + std::string(method));
  if (!view->leads && !OnStandby(method)) return NotLeader(*view);
  Caller caller;
  caller.view = std::move(view);
  if (!row->signed_in) return caller;
  const auto token = FindToken(caller.directory(), authorization, now);
  // A standby may not have heard of a new token yet.
  if (!token) return caller.view->leads ? token.error() : NotLeader(*caller.view);
  const auto user = caller.directory().users.find(token->user);
  if (user == caller.directory().users.end() || user->second.disabled) {
    return Denied("USER_DISABLED", "the user of this token has been disabled");
  }
  caller.user = token->user;
  caller.name = user->second.name;
  caller.token = token->id;
  caller.token_expires_ms = token->expires_ms;
  caller.limits = token->limits;
  caller.own = row->everybody;
  for (const auto& grant : user->second.roles) {
    Extend(&caller, row->reach[static_cast<std::size_t>(grant.role)], grant.account);
  }
  if (!caller.own && !caller.everywhere && caller.accounts.empty()) {
    return Denied("ROLE_MISSING",
                  "none of your roles may do this: see 'kezek whoami', or ask your admin");
  }
  if (!Covers(caller.limits, row->scope)) {
    return Denied("TOKEN_TOO_NARROW", "this token is not for '" + std::string(NameOf(row->scope)) +
                                          "': see 'kezek whoami', or use another one");
  }
  Narrow(&caller);
  return caller;
}

std::string PathOf(const Directory& directory, AccountId account) {
  std::string path;
  while (account && account != kRootAccount) {
    const auto found = directory.accounts.find(account);
    if (found == directory.accounts.end()) break;
    path = path.empty() ? found->second.name : found->second.name + "/" + path;
    account = found->second.parent;
  }
  return path;
}

Result<AccountId> FindVisibleAccount(const Caller& caller, const std::string& path,
                                     const std::string& field) {
  const Directory& directory = caller.directory();
  const auto exact = directory.account_by_path.find(path);
  if (exact != directory.account_by_path.end() && caller.SeesAccount(exact->second)) {
    return exact->second;
  }
  std::vector<AccountId> matches;
  for (const auto& [full, id] : directory.account_by_path) {
    if (full.ends_with("/" + path) && caller.SeesAccount(id)) matches.push_back(id);
  }
  if (matches.size() == 1) return matches.front();
  if (matches.size() > 1) {
    return NotFound("ACCOUNT_NOT_FOUND", field,
                    "'" + path + "' can mean several accounts, such as " +
                        PathOf(directory, matches[0]) + " and " + PathOf(directory, matches[1]) +
                        ": give the full path");
  }
  return NotFound("ACCOUNT_NOT_FOUND", field,
                  "there is no account '" + path + "' that you may see");
}

}  // namespace kezek::rpc

// Who calls, and how far the call reaches.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "kezek/desk.h"
#include "kezek/ids.h"
#include "kezek/result.h"
#include "kezek/user.h"

namespace kezek::rpc {

// A signed-in user in one rpc. Holds the view the decision was made on.
struct Caller {
  std::shared_ptr<const View> view;
  UserId user;
  std::string name;
  TokenId token;
  TimeMs token_expires_ms = 0;
  TokenLimits limits;  // of the token; what is reached below is within them
  bool own = false;    // what is the caller's own
  bool everywhere = false;
  std::set<AccountId> accounts;  // with all below them

  const Directory& directory() const { return *view->directory; }
  // Whether the token is for this account, whoever reaches it.
  bool InToken(AccountId account) const;
  // A job by its owner and project.
  bool Reaches(UserId owner, AccountId project) const;
  // An account, as the place something is about.
  bool ReachesAccount(AccountId account) const;
  // An account whose name may be known: reached, or above one that is.
  bool SeesAccount(AccountId account) const;
  // Whatever `other` reaches.
  bool ReachesAllOf(const Caller& other) const;
  // Another user: the caller's own, or one all of whose roles lie in what is reached. A user
  // without roles is reached only from everywhere.
  bool ReachesUser(const User& other) const;
};

// Looks the bearer token up and applies the table's row. `authorization` is the metadata's value,
// "" if there is none. UNAUTHENTICATED TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED;
// PERMISSION_DENIED ROLE_MISSING, USER_DISABLED, TOKEN_TOO_NARROW; UNAVAILABLE before the first
// tick.
Result<Caller> Authorise(std::string_view method, std::string_view authorization,
                         std::shared_ptr<const View> view, TimeMs now);

// Whether `account` is `ancestor` or below it.
bool IsWithin(const Directory& directory, AccountId account, AccountId ancestor);

// "universities/kaznu/nlp"; "" for the root.
std::string PathOf(const Directory& directory, AccountId account);

// By full path, or by a last part of it that only one account has, among those the caller sees:
// no answer tells of others. NOT_FOUND ACCOUNT_NOT_FOUND.
Result<AccountId> FindVisibleAccount(const Caller& caller, const std::string& path,
                                     const std::string& field);

}  // namespace kezek::rpc

// What may be said of users: names, roles and who may give them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/user.h"
#include "kezek/v1/access.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// `name@institution` of lower-case letters, digits, dots and dashes. INVALID_ARGUMENT.
Result<void> CheckUserName(const std::string& name);

// A Unix account name that is safe to hand on. INVALID_ARGUMENT.
Result<void> CheckUnixName(const std::string& name);

// The uid of a Unix account that may become user `owner`'s: it exists, is no system account, and
// belongs to nobody else. FAILED_PRECONDITION UNIX_ACCOUNT_UNKNOWN, UNIX_ACCOUNT_SYSTEM;
// ALREADY_EXISTS UNIX_ACCOUNT_TAKEN; PERMISSION_DENIED NOT_ADMINISTRATOR: cluster admins only.
// Blocking.
Result<std::int64_t> CheckUnixAccount(const Caller& caller, const std::string& unix_account,
                                      UserId owner, std::int64_t min_uid, UnixAccounts* accounts);

// The account whose people bear its name, `kaznu` of `aizhan@kaznu`: the one of that name nearest
// to the root, so that nobody becomes it by making another below. None: there is none, or several.
AccountId HomeOf(const Directory& directory, std::string_view user_name);

// Whether it may be told to the caller if there is a user of this name, and the caller may take
// that user in: the home is the caller's or above it, or the user has a role in what is reached.
bool MayKnow(const Caller& caller, const std::string& name);

// What is said of a user that is not there, or that the caller may not know. NOT_FOUND.
Error UnknownUser(const std::string& name, const std::string& field);

// The user of this name whom the caller reaches; NOT_FOUND USER_NOT_FOUND for any other.
Result<User> FindUser(const Caller& caller, const std::string& name, const std::string& field);

// A grant as the request words it, checked: the account exists and suits the role, and the caller
// may give it (nobody gives a role that reaches further than the own).
Result<RoleGrant> ReadGrant(const Caller& caller, const v1::RoleGrant& wire,
                            const std::string& field);

// As far as the caller may see: of somebody not reached only the name, of roles only those in what
// is reached.
v1::User ToWire(const Caller& caller, const User& user);
v1::Token ToWire(const Directory& directory, const Token& token);

}  // namespace kezek::rpc

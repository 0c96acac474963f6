// What a token may do less than its user: the only place where limits of tokens are read, compared
// and judged. Pure.
#pragma once

#include <string>

#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/user.h"
#include "kezek/v1/access.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// Whether a token with these limits may call an rpc of this scope.
bool Covers(const TokenLimits& limits, Scope scope);

// PERMISSION_DENIED TOKEN_TOO_NARROW: this token submits nothing to the project, or no job that
// large.
Result<void> CheckProject(const Caller& caller, AccountId project);
Result<void> CheckJobSize(const Caller& caller, MilliGpus counted_milli);

// Limits as a request words them. INVALID_ARGUMENT FIELD_INVALID, NOT_FOUND ACCOUNT_NOT_FOUND.
Result<TokenLimits> ReadLimits(const Caller& caller, const v1::TokenLimits& wire);

// A token for another user, made by an admin, reaches no further than the admin does: wherever the
// user may one day be a member. PERMISSION_DENIED TOKEN_WIDER.
Result<void> Confine(const Caller& caller, TokenLimits* limits);

// A token made with another one may do nothing that this one may not, and ends no later.
// PERMISSION_DENIED TOKEN_WIDER.
Result<void> CheckNoWider(const Caller& caller, const Token& made);

v1::TokenLimits ToWire(const Directory& directory, const TokenLimits& limits);

}  // namespace kezek::rpc

// Sign-in without a token, on hosts of the cluster: munge proves who this process' user is.
#pragma once

#include <string>

#include "cmd/kezek/context.h"
#include "cmd/kezek/host.h"
#include "kezek/result.h"

namespace kezek::cli {

// Exchanges a credential of this user for a short token and keeps it for later commands, readable
// by its owner alone; one that was kept is forgotten even if that fails. FAILED_PRECONDITION if
// this host has no munge; else what munge or the server says.
Result<std::string> SignInByMunge(const Context& context, const Host& host);

// The token that an earlier sign-in has kept and that still holds, or a new one; "" if neither this
// host nor the server knows munge. Fails if the server knows it and refuses this user.
Result<std::string> TokenOfThisUser(const Context& context, const Host& host);

}  // namespace kezek::cli

// Nodes dedicated to accounts: who may give which, and what goes back with them. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/result.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// Who does not administer the cluster only divides nodes that accounts which they rule were given,
// and have: nothing that is closed, or below what is, has any. Of all in the tree `after` that is
// changed or below what is: an account may keep what it had, unless it had been closed, itself or
// by one above it, and opens again. Such nodes are everybody's by now. `changed` has the field of
// each change's settings. PERMISSION_DENIED NOT_ADMINISTRATOR (fields node, account).
Result<void> CheckDedicated(const Caller& caller, const Directory& after,
                            const std::map<AccountId, std::string>& changed);

// The nodes that accounts are said to have from now on.
using NodesSaid = std::map<AccountId, std::vector<std::string>>;

// What of the account's nodes stays its own if nothing is said of it: less those that the nearest
// account above which is said to have, or to have lost, them has lost.
std::vector<std::string> NodesLeft(const Directory& directory, const Account& account,
                                   const NodesSaid& said);

}  // namespace kezek::rpc

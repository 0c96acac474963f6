// Makes the Directory (accounts, users, tokens, classes: one immutable value) and checks changes of
// it. Pure functions.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kezek/desk.h"
#include "kezek/node.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "quota/account_tree.h"
#include "scheduler/control/config.h"

namespace kezek::control {

// With indexes and paths. An empty database gets a root account (kind "cluster").
Directory MakeDirectory(const ControlConfig& config, const Snapshot& snapshot);

// Rebuilds what is derived: names, paths, the version.
void Reindex(Directory& directory);

// Checked at every change; the figures of `nodes` are the configured machine.
quota::TreeRules RulesOf(const ControlConfig& config, const std::map<std::string, Node>& nodes);

// The accounts of the command with ids, parents and their one new version filled in, in its order.
// INVALID_ARGUMENT, NOT_FOUND (id), ALREADY_EXISTS (name) with the field below the API's
// AccountChange, and the account in the value `account`; nothing changes then.
Result<std::vector<Account>> PrepareAccounts(const Directory& directory, const PutAccounts& command,
                                             const quota::TreeRules& rules);

// The users as they become, with ids. Names are unique, and so are Unix accounts and their uids, at
// least `min_uid`; roles name accounts that exist; a cluster admin with access is left. Fields are
// named as of the API's User.
Result<std::vector<User>> PrepareUsers(const Directory& directory, const PutUsers& command,
                                       std::int64_t min_uid);

// The token with its id. NOT_FOUND; INVALID_ARGUMENT for a user that does not exist;
// FAILED_PRECONDITION USER_DISABLED for a new one of a user without access.
Result<Token> PrepareToken(const Directory& directory, const PutToken& command);

}  // namespace kezek::control

// The tree as earlier versions of the settings had it, from its history. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kezek/account.h"
#include "kezek/event.h"
#include "kezek/result.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// All accounts as they were under a version. `history` by version. NOT_FOUND VERSION_NOT_FOUND,
// with `field`: there has been no such version.
Result<std::map<AccountId, Account>> AccountsAt(const std::vector<AccountVersion>& history,
                                                std::int64_t version, const std::string& field);

// What every version changed, latest first, of accounts the caller reaches, at or below `top`, in
// the time asked for. Versions that changed none of these are left out. Accounts are those that are
// below now; paths are those of the version.
std::vector<v1::SettingsChange> ChangesOf(const Caller& caller,
                                          const std::vector<AccountVersion>& history, AccountId top,
                                          const v1::TimeRange& time);

// Adds what is said of roles to changes of settings, both latest first. Fields `from` and `to` of
// such events are their values.
void AddRoleChanges(const std::vector<Event>& roles, std::vector<v1::SettingsChange>* changes);

}  // namespace kezek::rpc

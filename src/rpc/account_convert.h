// Accounts and their settings between the API and the words. Pure.
#pragma once

#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/v1/accounts.pb.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

v1::BudgetSpec ToWire(const BudgetSpec& budget);
v1::AccountSettings ToWire(const AccountSettings& settings);
v1::Account ToWire(const Directory& directory, const Account& account);

// What an account has with all it inherits.
AccountSettings Effective(const Directory& directory, AccountId account);

// INVALID_ARGUMENT with the field; UNIMPLEMENTED NOT_YET for what the quota engine will bring.
Result<AccountSettings> ReadSettings(const v1::AccountSettings& wire, const std::string& field);

// All accounts the caller may see: those reached, and the ones above them. Parents before
// children, siblings by name.
std::vector<AccountId> VisibleAccounts(const Caller& caller);

}  // namespace kezek::rpc

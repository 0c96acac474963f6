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

// The command that makes the tree as the changes say, and what it would change. PERMISSION_DENIED
// NOT_ADMINISTRATOR where the caller does not rule: an institution's admins rule below it.
struct AccountPlan {
  PutAccounts command;
  std::vector<v1::FieldChange> changes;
};
Result<AccountPlan> PlanAccounts(const Caller& caller, const v1::ApplyAccountsRequest& request);

// The desk's refusal of such a command, with its field as a path of the request: it says which
// account it is about, and the field below that account's change. `changes`, if it has none.
Error InRequest(const v1::ApplyAccountsRequest& request, const Error& error);

// All accounts the caller may see: those reached, and the ones above them. Parents before
// children, siblings by name.
std::vector<AccountId> VisibleAccounts(const Caller& caller);

}  // namespace kezek::rpc

// What changes of accounts come to: the command for the desk, and every difference it makes. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

struct AccountPlan {
  PutAccounts command;  // without accounts: everything is so already
  std::vector<v1::FieldChange> changes;
  std::vector<v1::Reason> warnings;  // besides WarningsOf
};

// Whether the caller rules what is at the path. That begins below the own account: nobody changes
// what was given to them. Goes by the nearest account above the path that there is: whether there
// is one at the path is not told.
bool RulesPath(const Caller& caller, const std::string& path);

// Makes the tree as the changes say. PERMISSION_DENIED NOT_ADMINISTRATOR where the caller does not
// rule: an institution's admins rule below it, and what Slurm calls an account is not theirs.
Result<AccountPlan> PlanAccounts(const Caller& caller, const v1::ApplyAccountsRequest& request);

// Makes `top` and what is below it as `past` has it: accounts that were not there then are closed.
// Budgets that bookings stand against stay as they are: warnings BUDGET_KEPT and BUDGET_LEFT_OUT
// (account, budget) say which. PERMISSION_DENIED NOT_ADMINISTRATOR: something differs that the
// caller does not rule.
Result<AccountPlan> PlanRevert(const Caller& caller, AccountId top,
                               const std::map<AccountId, Account>& past,
                               const v1::RevertAccountsRequest& request);

// The desk's refusal of a revert: its message says which account it is about.
Error Naming(const Error& error);

// The desk's refusal of such a command, with its field as a path of the request: it says which
// account it is about, and the field below that account's change. `changes`, if it has none.
Error InRequest(const v1::ApplyAccountsRequest& request, const Error& error);

}  // namespace kezek::rpc

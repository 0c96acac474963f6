// The accounts as a command makes them. Pure.
#pragma once

#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/result.h"

namespace kezek::rpc {

struct AccountsAfter {
  Directory tree;              // accounts, and nothing else
  std::vector<AccountId> ids;  // of the command's items: new ones have those that the desk gives
};

// Item by item, as the desk does. Its errors, of what hangs nowhere: NOT_FOUND NO_SUCH_ACCOUNT (no
// such parent by then), INVALID_ARGUMENT CYCLE. So what is above an account comes to an end.
Result<AccountsAfter> MakeAccounts(const Directory& directory, const PutAccounts& command);

// The account above; none above the root.
const Account* Above(const Directory& directory, const Account& account);

// Neither it nor one above it is closed.
bool IsOpen(const Directory& directory, const Account& account);

}  // namespace kezek::rpc

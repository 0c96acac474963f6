// What an admin should know of settings that are taken all the same. Pure.
#pragma once

#include <vector>

#include "kezek/desk.h"
#include "kezek/v1/common.pb.h"

namespace kezek::rpc {

// Of the accounts of a command, as they would be. GUARANTEE_ABOVE_CAPACITY (fields account,
// guarantee, gpu_type, capacity): more than the nodes in service have now, so it cannot be kept in
// full. BUDGET_HAS_NO_NEXT (account, budget, end_ms): it ends within a month, and no period of its
// GPU type comes after it. BUDGET_IS_EMPTY (account, budget): it has no hours of its own.
std::vector<v1::Reason> WarningsOf(const View& view, const PutAccounts& command);

}  // namespace kezek::rpc

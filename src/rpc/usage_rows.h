// What accounts, and users in projects, have used: rows of GetUsage. Pure.
#pragma once

#include <string>
#include <vector>

#include "kezek/desk.h"
#include "kezek/store.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

v1::UsageRow UsageOf(const View& view, AccountId id, const std::string& type,
                     const std::vector<ChargeTotal>& charged);

// Rows of the users of those of `accounts` that are projects: of each that has anything, least
// usage first. Leads and admins are shown all of them, others themselves.
void AddUsers(const Caller& caller, const std::vector<AccountId>& accounts,
              const std::vector<std::string>& types, const std::vector<ChargeTotal>& charged,
              v1::GetUsageResponse* response);

}  // namespace kezek::rpc

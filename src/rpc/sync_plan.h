// What brings users and memberships in line with a directory: worked out first, then applied as it
// was worked out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/result.h"
#include "kezek/user.h"
#include "kezek/v1/access.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

struct SyncRules {
  std::int64_t min_uid = kDefaultMinUid;
  std::int64_t leavers_percent = 20;  // of the members; up to three leavers are never too many
};

struct SyncPlan {
  v1::SyncUsersResponse response;  // the differences and the plan's hash
  std::vector<UserChange> users;
  bool too_many_leavers = false;
};

// A member is who has a role in the account or below it. Who is not in the directory has left:
// these roles go, and with the last role the access. Roles that hold everywhere stay; so does what
// the caller has. Who has left before and is there again gets the access back. In projects, leads
// stay leads; others become researchers.
// INVALID_ARGUMENT FIELD_INVALID, NOT_FOUND ACCOUNT_NOT_FOUND, FAILED_PRECONDITION NOT_A_LEAF,
// PERMISSION_DENIED NOT_ADMINISTRATOR, and those of CheckUnixAccount. Blocking.
Result<SyncPlan> PlanSync(const Caller& caller, const v1::SyncUsersRequest& request,
                          const SyncRules& rules, UnixAccounts* accounts);

}  // namespace kezek::rpc

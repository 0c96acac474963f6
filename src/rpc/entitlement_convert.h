// How an account stands, with the parts of its entitlement, in the API's words. Pure.
#pragma once

#include <string>

#include "kezek/desk.h"
#include "kezek/v1/quota.pb.h"

namespace kezek::rpc {

// The account must be in the view's directory.
v1::EntitlementRow ToEntitlementRow(const View& view, AccountId account, const std::string& type);

}  // namespace kezek::rpc

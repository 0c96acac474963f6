// What settings would do, as the API tells it.
#pragma once

#include "kezek/v1/quota.pb.h"
#include "kezek/what_if.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// What of it the caller reaches: of others' accounts and jobs nothing is told.
v1::WhatIf ToWire(const Caller& caller, const WhatIf& what_if);

}  // namespace kezek::rpc

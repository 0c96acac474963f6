// What new settings would do to the queue, for people.
#pragma once

#include <kezek/v1/quota.pb.h>

#include "cmd/kezek/session.h"

namespace kezek::cli {

// A table of the accounts with a difference, then a line for each list of jobs, at most twenty of
// them named (all with the format wide).
void PrintWhatIf(Session& session, const v1::WhatIf& what_if);

}  // namespace kezek::cli

// Differences between settings, as people read them, and the question whether to make them.
#pragma once

#include <kezek/v1/quota.pb.h>

#include <string>

#include "cmd/kezek/host.h"

namespace kezek::cli {

// `~ universities/kaznu  guarantee h200  32 → 48 GPUs`; `+` in front of a new account.
void PrintChange(const Host& host, const v1::FieldChange& change);

// Whether to go on: `yes`, or the answer on a terminal. Elsewhere, and where `input_is_data`, only
// `yes` is a yes, and that is said.
bool MayApply(const Host& host, bool yes, bool input_is_data, int changes);

}  // namespace kezek::cli

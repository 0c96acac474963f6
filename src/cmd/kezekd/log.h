// The daemon's log: one line for each event, key=value fields; JSON on request.
#pragma once

#include <string>

#include "config/config.h"
#include "kezek/result.h"
#include "scheduler/control/report.h"

namespace kezek::kezekd {

// Sets up spdlog for the process. INVALID_ARGUMENT: an unknown level.
Result<void> StartLog(const config::Config& config);

// What one round of the controller did that an operator wants to read.
void LogRound(const control::RoundReport& report);

}  // namespace kezek::kezekd

// The daemon's log: one line for each event, key=value fields; JSON on request.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "kezek/result.h"
#include "scheduler/control/report.h"

namespace kezek::kezekd {

// A message as it stands in one line of the log, whatever others put into it: control characters
// in hexadecimal; for a JSON string its two special characters escaped, too, and '?' for what is
// not UTF-8.
std::string OneLine(std::string_view message, bool json);

// Sets up spdlog for the process. INVALID_ARGUMENT: an unknown level.
Result<void> StartLog(const config::Config& config);

// What one round of the controller did that an operator wants to read.
void LogRound(const control::RoundReport& report);

}  // namespace kezek::kezekd

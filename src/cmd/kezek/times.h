// Moments and lengths of time as people write them on the command line.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/result.h"

namespace kezek::cli {

// UTC milliseconds of a time that is over: `90m`, `2h`, `3d` (so long ago), `today`, `yesterday`,
// `08:00` (the last time it was that), `2026-11-01`, `2026-11-01T08:00`. Fails with
// INVALID_ARGUMENT.
Result<std::int64_t> ParsePast(const std::string& text, std::int64_t now_ms);

}  // namespace kezek::cli

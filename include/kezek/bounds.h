// Bounds of what may be asked for, the same wherever it is checked.
#pragma once

#include <cstdint>

#include "kezek/time.h"

namespace kezek {

inline constexpr DurationMs kLongestJobMs = 366 * kDayMs;  // time limit of a job
inline constexpr std::int32_t kNodesMost = 100'000;        // of a job
inline constexpr std::int32_t kElementsMost = 10'000;      // of an array

}  // namespace kezek

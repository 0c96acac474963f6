// Time that is decided with or stored: UTC milliseconds since 1970, and durations in milliseconds.
// Only the clock port reads a clock; everything else takes `now` as a parameter.
#pragma once

#include <cstdint>

namespace kezek {

using TimeMs = std::int64_t;
using DurationMs = std::int64_t;

inline constexpr DurationMs kSecondMs = 1'000;
inline constexpr DurationMs kMinuteMs = 60 * kSecondMs;
inline constexpr DurationMs kHourMs = 60 * kMinuteMs;
inline constexpr DurationMs kDayMs = 24 * kHourMs;

// Port. UTC now. May go back; whoever decides with it keeps max(clock, last committed).
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeMs Now() = 0;
};

}  // namespace kezek

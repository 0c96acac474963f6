#pragma once

// KEZEK_CHECK(condition, message): a statement about our own code that must hold. If it does not,
// the process says where and why on standard error and aborts; it is never compiled out, because a
// scheduler that goes on with a broken invariant does worse things than one that restarts and
// reconciles.
//
// Not for input, not for failures of the outside world, not for domain outcomes: those are values.
// `message` is anything a std::string_view can be made from; it is evaluated only on failure. May
// be used from any thread.

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace kezek {

// Prints "FILE:LINE: check failed: CONDITION: MESSAGE" and aborts.
[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition,
                                     std::string_view message) noexcept {
  std::fprintf(stderr, "%s:%d: check failed: %s: %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace kezek

#define KEZEK_CHECK(condition, message)                                \
  do {                                                                 \
    if (!(condition)) [[unlikely]] {                                   \
      ::kezek::CheckFailed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                  \
  } while (false)

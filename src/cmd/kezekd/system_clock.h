// The only clock that decides: UTC of this host.
#pragma once

#include <chrono>

#include "kezek/time.h"

namespace kezek::kezekd {

class SystemClock final : public Clock {
 public:
  TimeMs Now() override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace kezek::kezekd

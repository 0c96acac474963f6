// What the surveyor's files have in common. Internal to this folder.
#pragma once

#include <chrono>

#include "kezek/result.h"
#include "kezek/time.h"
#include "slurm/http.h"

namespace kezek::slurm {

inline constexpr DurationMs kLargeAnswerFactor = 3;
inline constexpr DurationMs kRetryEvery = 1000;

inline DurationMs SteadyMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::steady_clock;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

inline bool Answered(const HttpOutcome& outcome) {
  return outcome.kind == HttpOutcome::Kind::kAnswered;
}

inline Error NotAnswered(const HttpOutcome& outcome) {
  return {Code::kUnavailable, outcome.text, {}};
}

}  // namespace kezek::slurm

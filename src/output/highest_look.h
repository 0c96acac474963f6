// The highest number of a job that was handed over, asked of the shared file system by a thread of
// its own: it may hang, and who asks holds the leader's lock meanwhile.
#pragma once

#include <functional>
#include <memory>

#include "kezek/ids.h"
#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek::output {

class HighestLook {
 public:
  // May block for ever. What it needs it must hold: a look that hangs outlives this object.
  using Look = std::function<Result<JobId>()>;

  // An answer is waited for so long at most: enough to list some hundred thousand folders.
  explicit HighestLook(Look look, DurationMs patience_ms = 30 * kSecondMs);
  // Leaves a look that hangs behind.
  ~HighestLook();
  HighestLook(const HighestLook&) = delete;
  HighestLook& operator=(const HighestLook&) = delete;

  // What is there now. UNAVAILABLE: the look took too long, or one before it does not come back
  // yet; then none is begun. Thread-safe.
  Result<JobId> Ask();

 private:
  struct Shared;
  static void Run(const std::shared_ptr<Shared>& shared);

  const DurationMs patience_ms_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace kezek::output

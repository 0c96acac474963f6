// Whether scripts have begun, asked of the shared file system by a thread of its own: it may hang,
// and whoever asks has other things to do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "kezek/ids.h"
#include "kezek/time.h"

namespace kezek::output {

class BegunLooks {
 public:
  // Under this id of the cluster; none: it cannot tell. May block for ever. What it needs it must
  // hold: a look that hangs outlives this object.
  using Look = std::function<std::optional<bool>(const AttemptRef&, std::int64_t)>;

  // An answer is waited for so long at most.
  explicit BegunLooks(Look look, DurationMs patience_ms = 200);
  // Leaves a look that hangs behind.
  ~BegunLooks();
  BegunLooks(const BegunLooks&) = delete;
  BegunLooks& operator=(const BegunLooks&) = delete;

  // None: that is not known yet, ask again. While a look hangs none is waited for. Thread-safe.
  std::optional<bool> HasBegun(const AttemptRef& attempt, std::int64_t cluster_job_id);

 private:
  struct Shared;
  static void Run(const std::shared_ptr<Shared>& shared);

  const DurationMs patience_ms_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace kezek::output

// What other settings of accounts would do to the queue as it is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

// Of one account and GPU type. Jobs are of projects; of an array those that start are elements, all
// others its row.
struct WhatIfRow {
  AccountId account;
  std::string gpu_type;
  MilliGpus entitled_before_milli = 0;
  MilliGpus entitled_after_milli = 0;
  MilliGpus running_milli = 0;
  std::vector<JobRef> starts;   // at once then, not now
  std::vector<JobRef> waits;    // then; starts at once now
  std::vector<JobRef> stopped;  // by a limit, a budget or a closed account then, not now
  std::vector<JobRef> freed;    // from that, and would wait for GPUs
  // Running, and in no account's guarantee then, while in one now; and the GPU-time they have had.
  std::vector<AttemptRef> unguaranteed;
  MilliGpuMs unguaranteed_ms = 0;
  // Of all that runs, what jobs inside a guarantee would reclaim then, and not now; and the jobs of
  // this account that would.
  std::vector<AttemptRef> preempted;
  std::vector<JobRef> reclaims;
  std::int64_t nearer = 0;   // jobs that wait both times: nearer to the front then
  std::int64_t farther = 0;  // or farther from it
  bool operator==(const WhatIfRow&) const = default;
};

struct WhatIf {
  struct Next {
    JobRef job;
    AccountId project;
    bool operator==(const Next&) const = default;
  };
  // The first in order: those that start at once, then those that wait for GPUs.
  struct Queue {
    std::vector<Next> before;
    std::vector<Next> after;
    bool operator==(const Queue&) const = default;
  };
  TimeMs now_ms = 0;
  std::vector<WhatIfRow> rows;             // with a difference; by account, then GPU type
  std::map<std::string, Queue> next;       // by GPU type
  std::map<AccountId, std::string> paths;  // of `rows`, under the new settings
  bool operator==(const WhatIf&) const = default;
};

}  // namespace kezek

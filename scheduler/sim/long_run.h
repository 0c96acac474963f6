// The long run: does what accounts get, over days, come to what they are entitled to?
//
// 4 sectors x 10 institutions x 5 projects x 5 users with weights and guarantees by seed; every
// user always has jobs waiting: 1 to 16 GPUs, 5 to 60 minutes, often less than their limit. Usage
// has a half-life of a day. The first day is left out; after it the average of what each account
// holds is compared with the average of its entitlement, and what each user holds with an equal
// part of the project's. The difference may be 1.5 hundredths of the parent's entitlement, or the
// largest job's 16 GPUs if that is more.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/resources.h"

namespace kezek::sim {

struct LongRunOptions {
  std::uint64_t seed = 1;
  std::int32_t gpus = 10'000;
  // 0: all in one node, so that only quota decides. Else wide jobs also wait for whole nodes.
  std::int32_t gpus_per_node = 0;
  std::int32_t days = 7;  // at least 2
};

struct ShareLine {
  std::string path;        // of a user: project and number
  std::int32_t level = 0;  // 1: sectors … 4: users
  MilliGpus entitled_milli = 0;
  MilliGpus allocated_milli = 0;
  MilliGpus allowed_milli = 0;  // difference
  bool within() const {
    const MilliGpus difference = allocated_milli - entitled_milli;
    return difference <= allowed_milli && -difference <= allowed_milli;
  }
};

struct LongRunResult {
  std::vector<ShareLine> lines;   // depth first
  MilliGpus allocated_milli = 0;  // of all, on average
  std::int64_t jobs = 0;          // started
  std::int64_t samples = 0;       // a minute each
};

LongRunResult RunLong(const LongRunOptions& options);

}  // namespace kezek::sim

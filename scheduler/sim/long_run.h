// The long run: does what accounts get, over days, come to what they are entitled to?
//
// 4 sectors x 10 institutions x 5 projects x 5 users with weights and guarantees by seed; every
// user always has jobs waiting: 1 to 16 GPUs, 5 to 60 minutes, often less than their limit. Usage
// has a half-life of a day. The first day is left out; after it the average of what each account
// holds is compared with the average of its entitlement, and what each user holds with an equal
// part of the project's. The difference may be 1.5 hundredths of the parent's entitlement, or the
// largest job's 16 GPUs if that is more. Sizes can be smaller. What accounts are entitled to is
// worked out here, from the settings and the demand that the engine saw.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kezek/desk.h"
#include "kezek/resources.h"

namespace kezek::sim {

// How many of each, all at least 1.
struct LongRunSizes {
  std::int64_t sectors = 4;
  std::int64_t institutions = 10;  // of each sector
  std::int64_t projects = 5;       // of each institution
  std::int64_t users = 5;          // of each project
  std::int64_t rows = 2;           // arrays that each user has waiting
  std::int64_t largest_job = 16;   // GPUs
};

struct LongRunOptions {
  std::uint64_t seed = 1;
  LongRunSizes sizes;
  std::int32_t gpus = 10'000;
  // 0: all in one node, so that only quota decides. Else wide jobs also wait for whole nodes.
  std::int32_t gpus_per_node = 0;
  std::int32_t days = 7;               // at least 2
  std::int64_t allowed_permille = 15;  // of the parent's entitlement
  // Changes what the engine is told in place of the settings, so that a test sees the judge fail.
  std::function<void(Directory&)> mistell;
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

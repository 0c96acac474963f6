// What runs in the cluster beside Kezek, and what it is charged.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

// The cluster's books may learn of an end so late and it is still charged: what has been read is
// read again so far back. Later, nobody would know any more whether it has been charged.
inline constexpr DurationMs kForeignLateMs = kDayMs;

// A run of a job that is not Kezek's. Ids come round: with its start there is one.
struct ForeignKey {
  std::int64_t cluster_job_id = 0;
  TimeMs start_ms = 0;
  auto operator<=>(const ForeignKey&) const = default;
};

// How far the cluster's books have been read.
struct ForeignRead {
  TimeMs since_ms = 0;  // what ended before is charged to nobody; 0: nothing is charged
  TimeMs until_ms = 0;  // what ended before, as far as the books knew, is charged
  bool operator==(const ForeignRead&) const = default;
};

// Such a run, charged: what it kept from others on nodes of one GPU type.
struct ForeignCharge {
  ForeignKey run;
  std::string gpu_type;
  TimeMs end_ms = 0;
  std::string unix_account;
  std::vector<std::string> nodes;
  MilliGpus counted_milli = 0;
  std::int64_t rate_milli = 0;
  AccountId project;
  std::int64_t settings_version = 0;
  bool operator==(const ForeignCharge&) const = default;
};

}  // namespace kezek

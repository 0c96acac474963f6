// What one tick of the naive engine knows.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/property/naive_engine.h"

namespace kezek::test {

// What of admins' reservations a stay from now on meets: how many occurrences, of which the asker
// is in one, and whether it may be.
struct NaiveCrossed {
  std::size_t occurrences = 0;
  bool inside = false;
  bool operator==(const NaiveCrossed&) const = default;
};

// A job that has failed to find room, with all that placement looks at.
struct NaiveFailed {
  JobSpec spec;
  Domain within;
  bool preference;
  NaiveCrossed crossed;
  Reason reason;
  bool Same(const JobSpec& other, Domain other_within, bool other_preference) const {
    return spec.shape == other.shape && spec.constraints == other.constraints &&
           spec.nodes == other.nodes && spec.exclude_nodes == other.exclude_nodes &&
           spec.classification == other.classification && spec.reservation == other.reservation &&
           within == other_within && preference == other_preference;
  }
};

// Whoever asks for the same hears the same, but of what admins have reserved.
inline Reason HeardBefore(const std::vector<NaiveFailed>& before, const JobSpec& spec,
                          Domain within, bool preference, Reason reason) {
  if (reason.code == ReasonCode::kReservedByAdmin) return reason;
  for (const NaiveFailed& failed : before) {
    if (failed.reason.code == ReasonCode::kReservedByAdmin) continue;
    if (failed.Same(spec, within, preference)) return failed.reason;
  }
  return reason;
}

struct NaiveEngine::Tick {
  TimeMs now = 0;
  std::map<std::string, Entitled> entitled;
  std::map<std::string, std::vector<std::int64_t>> places;
  NaiveNodes free;
  quota::RunningTable running;
  Holds taken;  // of budgets, by the plan
  engine::Plan plan;
  std::map<JobRef, JobStanding> waiting;
  std::map<JobRef, int> started_apart;  // on dedicated nodes
  std::map<JobRef, Reason> waits_apart;
  // Of one pool:
  engine::PoolKey pool;
  std::map<JobRef, JobStanding> waits;
  std::vector<std::vector<JobRef>> own_orders;  // of projects, all of it taken
  MilliGpus free_milli = 0;
  std::vector<NaiveFailed> failed;
  std::set<std::pair<AccountId, MilliGpus>> kept_from;
  int looked = 0;
  std::int64_t rank = 0;
  std::map<AccountId, int> looked_of;
  std::map<AccountId, std::int64_t> place_of;
};

}  // namespace kezek::test

// Orders in which the baselines look at what waits. Deterministic; ties go to the earlier job.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/job_list.h"

namespace kezek::replay {

class Order {
 public:
  virtual ~Order() = default;
  virtual void Add(JobIndex job, std::int64_t now_s) = 0;
  // These have started and wait no more: all of one part.
  virtual void Started(std::int32_t part, std::span<const JobIndex> jobs, std::int64_t now_s) = 0;
  virtual void Ended(JobIndex /*job*/, std::int64_t /*now_s*/) {}
  // What waits for nodes of this part, the first in order first. Valid until the next call.
  virtual std::span<const JobIndex> Of(std::int32_t part, std::int64_t now_s) = 0;
  virtual std::vector<std::pair<std::string, std::string>> Parameters() const { return {}; }
};

// By submission.
std::unique_ptr<Order> OrderBySubmission(const JobList& list);
// Smallest GPUs x run time first.
std::unique_ptr<Order> OrderByTrueSize(const JobList& list);
std::unique_ptr<Order> OrderByEstimatedSize(const JobList& list);
// The run time as it is predicted when the job arrives, from the last eight of its group, user and
// shape that have ended; without such from all that have ended so far; at first an hour.
std::unique_ptr<Order> OrderByPredictedSize(const JobList& list);

// The group with the least decayed GPU time per weight first, in it by submission. What starts in
// a decision counts from the next one on.
inline constexpr std::int64_t kHalfLife = 7 * 24 * 3600;
std::unique_ptr<Order> OrderByFairShare(const JobList& list, std::int64_t half_life_s = kHalfLife);

// As Slurm's multifactor plugin with the fair tree: groups, in them users, by their level fair
// share (part of the weights / part of the decayed GPU time); the rank among all users is the
// factor. Priorities are worked out every `period_s`, a new job's when it arrives.
struct MultifactorRules {
  double weight_fairshare = 10'000;
  double weight_age = 1'000;
  double weight_size = 1'000;  // large jobs first
  std::int64_t age_max_s = 7 * 24 * 3600;
  std::int64_t half_life_s = kHalfLife;
  std::int64_t period_s = 300;
};
std::unique_ptr<Order> OrderByMultifactor(const JobList& list, const MultifactorRules& rules = {});

}  // namespace kezek::replay

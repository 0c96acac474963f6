#include "scheduler/control/queue_tally.h"

#include <map>
#include <string>
#include <utility>

#include "kezek/index_ranges.h"
#include "quota/counted.h"

namespace kezek::control {
namespace {

struct Sum {
  std::int64_t jobs = 0;
  MilliGpus counted_milli = 0;
  void Add(std::int64_t more, MilliGpus each_milli) {
    jobs += more;
    counted_milli += more * each_milli;
  }
};

// Jobs that a row stands for while it waits.
std::int64_t Waiting(const Job& job) {
  if (IsArrayRow(job)) return CountIndices(job.pending);
  return job.state == JobState::kQueued ? 1 : 0;
}

MilliGpus CountedOf(const JobSpec& spec, const std::map<std::string, quota::GpuType>& types) {
  const auto type = types.find(spec.shape.gpu_type);
  return type == types.end() ? 0 : quota::CountAtMost(spec, type->second);
}

}  // namespace

QueueTally TallyQueue(const QueueState& state, const View& view) {
  const auto types = quota::GpuTypes(state.nodes());
  std::map<std::pair<std::string, ReasonCode>, Sum> queued;
  for (const auto& [ref, job] : state.jobs()) {
    const std::int64_t waiting = Waiting(job);
    if (waiting == 0) continue;
    const auto standing = view.FindWaiting(ref, *job.spec);
    const ReasonCode reason = standing ? standing->reason.code : ReasonCode::kNone;
    queued[{job.spec->job_class, reason}].Add(waiting, CountedOf(*job.spec, types));
  }
  std::map<std::pair<std::string, bool>, Sum> alive;
  for (const auto& [ref, attempt] : state.attempts()) {
    const Job* job = state.FindJob(ref.job);
    if (job == nullptr) continue;
    alive[{job->spec->job_class, attempt.state == AttemptState::kRunning}].Add(
        1, attempt.counted_milli);
  }
  QueueTally tally;
  for (const auto& [key, sum] : queued) {
    tally.queued.push_back({key.first, key.second, sum.jobs, sum.counted_milli});
  }
  for (const auto& [key, sum] : alive) {
    tally.alive.push_back({key.first, key.second, sum.jobs, sum.counted_milli});
  }
  return tally;
}

}  // namespace kezek::control

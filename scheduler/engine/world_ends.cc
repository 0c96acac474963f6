// When what holds nodes will have freed them.

#include <algorithm>
#include <limits>

#include "quota/charge.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {
namespace {

// Of what has not started yet: its end moves with the time.
constexpr TimeMs kStarting = std::numeric_limits<TimeMs>::max();

}  // namespace

DurationMs World::Occupies(DurationMs limit_ms) const {
  return quota::HeldTime(limit_ms, config_.charge);
}

// 0 of what has ended, and is being cleaned up.
TimeMs World::KnownEnd(const Holding& attempt) const {
  if (!attempt.counts) return 0;
  const TimeMs own =
      attempt.start_ms == 0 ? kStarting : attempt.start_ms + Occupies(attempt.limit_ms);
  return attempt.ends_by_ms == 0 ? own : std::min(own, attempt.ends_by_ms);
}

TimeMs World::EndIfTold(const Holding& attempt, TimeMs now) const {
  return std::min(now + attempt.grace_ms, EndOf(attempt, now));
}

TimeMs World::EndOf(const Holding& attempt, TimeMs now) const {
  const TimeMs known = KnownEnd(attempt);
  return std::max(now, known == kStarting ? now + Occupies(attempt.limit_ms) : known);
}

TimeMs World::GoneBy(const Holding& attempt, TimeMs now) const {
  const TimeMs end = EndOf(attempt, now);
  if (!config_.reclaim || !attempt.counts || attempt.ends_by_ms != 0) return end;
  const bool scavenger = attempt.as_scavenger || ClassOf(attempt.job_class).scavenger;
  return scavenger ? EndIfTold(attempt, now) : end;
}

Stay World::StayOf(const Waiting& job, TimeMs now) const {
  const bool scavenger = Scavenges(job) || ClassOf(job.spec->job_class).scavenger;
  const DurationMs limit = StaysFor(job.spec->time_limit_ms);
  const DurationMs stays = config_.reclaim && scavenger ? GraceOf(*job.spec) : limit;
  return {now + std::min(stays, limit), now + limit, WithinOf(job)};
}

DurationMs World::GraceOf(const JobSpec& spec) const {
  const DurationMs most = ClassOf(spec.job_class).grace_max_ms;
  return spec.grace_ms == 0 ? most : std::min(spec.grace_ms, most);
}

const World::Ends& World::ends(const std::string& gpu_type) const {
  const auto found = ends_.find(gpu_type);
  return found == ends_.end() ? no_ends_ : found->second;
}

}  // namespace kezek::engine

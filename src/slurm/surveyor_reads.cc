// Readings of single jobs, and how many there are.
#include <algorithm>

#include "slurm/asking.h"
#include "slurm/surveyor.h"

namespace kezek::slurm {
namespace {

constexpr std::size_t kHotMost = 8;     // read one by one; more of them by listings
constexpr DurationMs kReadCost = 222;   // 4.5 requests a second
constexpr DurationMs kReadsAtOnce = 8;  // after a rest
constexpr int kReadsKept = 4;           // for what is urgent
// In one round, so that nodes and listings go on.
constexpr DurationMs kOverdueFor = 500;

}  // namespace

// What has been asked so far, at the rate that is allowed, is over then.
void Surveyor::Spend() {
  const TimeMs now = SteadyMs();
  const DurationMs most = kReadsAtOnce * kReadCost;
  spent_until_ms_ = std::clamp(spent_until_ms_, now - most, now + most) + kReadCost;
}

DurationMs Surveyor::UntilMayRead(bool urgent) const {
  const int requests = urgent ? 1 : 1 + kReadsKept;
  return std::max<DurationMs>(0, spent_until_ms_ + requests * kReadCost - SteadyMs());
}

// Where there are more of them than can be read in a while one listing tells of all.
void Surveyor::LookHot() {
  LookOverdue();
  if (!up_) return;
  const auto hot = watch_.Hot(SteadyMs(), kHotMost + looks_due_.size() + 1);
  if (hot.size() > kHotMost + looks_due_.size()) HurryListing();
  for (const auto& [job, urgent] : hot) {
    if (looks_due_.contains(job.attempt)) continue;
    if (UntilMayRead(urgent) > 0) {
      if (urgent) HurryListing();
      return;
    }
    Read(job);
    if (!up_) return;
  }
}

// Where jobs come faster than they can be read at that rate, listings are long, too, for slurmctld
// remembers what has ended. So each thing that was done to a job pays for one reading besides, of
// whichever has waited for its own for long.
void Surveyor::LookOverdue() {
  const TimeMs begin = SteadyMs();
  const std::size_t most = static_cast<std::size_t>(earned_) + looks_due_.size();
  for (const Followed& job : watch_.Overdue(begin, most)) {
    if (earned_ == 0 || SteadyMs() - begin > kOverdueFor) return;
    if (looks_due_.contains(job.attempt)) continue;
    --earned_;
    spent_until_ms_ -= kReadCost;
    Read(job);
    if (!up_) return;
  }
}

void Surveyor::Read(const Followed& job) {
  if (!LookAt(job, false)) looks_due_.try_emplace(job.attempt, job);
  watch_.WasRead(job.attempt, SteadyMs());
}

}  // namespace kezek::slurm

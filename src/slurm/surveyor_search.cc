// After a lost answer: what there is under an attempt's name.
#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <utility>

#include "slurm/codec.h"
#include "slurm/surveyor.h"

namespace kezek::slurm {
namespace {

constexpr DurationMs kSearchBack = 30 * kDayMs;

// Midnight of that day, as a query has it; slurmrestd reads it in its own time zone.
std::string QueryDay(TimeMs time) {
  const std::time_t seconds = time / kSecondMs;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT00%%3A00%%3A00", &parts);
  return text.data();
}

// A record of the accounting that has not ended, as slurmctld has it: its owner may have named it
// anew since. None: it waits, says the accounting, has not run, and slurmctld does not know it.
std::optional<ClusterJob> AsItIs(const std::vector<LiveJob>& listing, const ClusterJob& record) {
  for (const auto& live : listing) {
    if (live.job.id != record.id) continue;
    ClusterJob job = live.job;
    job.attempt = record.attempt;
    return job;
  }
  const bool waits = record.state == ClusterJobState::kPending && record.end_ms == 0;
  return waits ? std::nullopt : std::optional(record);
}

}  // namespace

void Surveyor::NothingFound(const std::vector<AttemptRef>& searches) {
  for (const AttemptRef& attempt : searches) sink_(FoundByName{attempt, false, {}});
}

// In the listing that was just read, and in the accounting.
void Surveyor::SearchFor(const AttemptRef& attempt) {
  FoundByName found{attempt, false, {}};
  for (const auto& live : listing_) {
    if (live.job.attempt == attempt) found.jobs.push_back(live.job);
  }
  const auto records = AskAccounting("/jobs?job_name=" + ClusterName(attempt) +
                                     "&start_time=" + QueryDay(clock_.Now() - kSearchBack));
  found.complete = records.has_value();
  for (const auto& record : records ? *records : std::vector<LiveJob>{}) {
    const bool known = std::any_of(found.jobs.begin(), found.jobs.end(),
                                   [&](const ClusterJob& job) { return job.id == record.job.id; });
    if (record.job.attempt != attempt || known) continue;
    auto job =
        HasEnded(record.job.state) ? std::optional(record.job) : AsItIs(listing_, record.job);
    if (job) found.jobs.push_back(*std::move(job));
  }
  sink_(std::move(found));
}

}  // namespace kezek::slurm

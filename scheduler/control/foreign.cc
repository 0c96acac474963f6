// What ran in the cluster beside Kezek, charged to the account that the configuration names.
#include "scheduler/control/foreign.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "kezek/foreign_account.h"
#include "quota/foreign.h"
#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

// Who runs for longer than a year has an end that nobody wrote down in time: it proves nothing.
constexpr DurationMs kLongestRun = 366 * kDayMs;

bool HasTag(const BookedRun& run, const KeyedHash& hash, const std::string& installation) {
  if (run.tag.empty()) return false;
  ClusterJob job;
  job.id = run.cluster_job_id;
  job.attempt = run.attempt;
  job.unix_account = run.unix_account;
  job.tag = run.tag;
  return WhoseIs(hash, installation, {}, job) != Belongs::kNo;
}

bool HasRun(const BookedRun& run) {
  return run.start_ms != 0 && run.end_ms != 0 && !run.granted.empty();
}

// Attempts by the id that the cluster gave them.
class RunsById {
 public:
  explicit RunsById(const std::vector<ChargedAttempt>& known) {
    for (const ChargedAttempt& one : known) by_id_.emplace(one.attempt.cluster_job_id, &one);
  }
  bool Explain(const BookedRun& run) const {
    const auto [first, last] = by_id_.equal_range(run.cluster_job_id);
    return std::any_of(first, last, [&](const auto& one) { return IsRunOf(*one.second, run); });
  }

 private:
  std::multimap<std::int64_t, const ChargedAttempt*> by_id_;
};

// Of a run with a valid tag: whether no other job is recorded for the attempt that it names.
bool IsNotAnothers(const BookedRun& run, const std::vector<ChargedAttempt>& named) {
  const std::int64_t epoch = ParseTag(run.tag)->epoch;
  return std::none_of(named.begin(), named.end(), [&](const ChargedAttempt& one) {
    const Attempt& attempt = one.attempt;
    // A copy of the database that is lost may have given the same number in another epoch.
    if (attempt.ref != run.attempt || attempt.epoch != epoch) return false;
    // Whose id is still looked for may be this.
    if (attempt.cluster_job_id == 0) return attempt.state == AttemptState::kEnded;
    return attempt.cluster_job_id != run.cluster_job_id;
  });
}

// Whether it is to be charged now: not before, and not when nobody knows any more whether it was.
bool IsDue(const Core& core, const BookedRun& run) {
  if (run.start_ms <= 0 || run.end_ms <= run.start_ms || run.cluster_job_id <= 0) return false;
  if (run.end_ms < core.foreign_read.since_ms) return false;
  if (run.end_ms < core.foreign_read.until_ms - kForeignLateMs) return false;
  return !core.foreign.contains({run.cluster_job_id, run.start_ms});
}

void BookRun(Core& core, const BookedRun& run, AccountId account) {
  if (run.end_ms - run.start_ms > kLongestRun) {
    core.Log("not charged: Slurm's job " + std::to_string(run.cluster_job_id) +
             ", which is said to have run for more than a year");
    return;
  }
  const ForeignKey key{run.cluster_job_id, run.start_ms};
  for (const auto& [type, part] : quota::CountForeign(run, core.state.nodes())) {
    const auto rate = core.config.rate_milli.find(type);
    ForeignCharge charge;
    charge.run = key;
    charge.gpu_type = type;
    charge.end_ms = run.end_ms;
    charge.unix_account = run.unix_account;
    charge.nodes = part.nodes;
    charge.counted_milli = part.counted_milli;
    charge.rate_milli = rate == core.config.rate_milli.end() ? 1000 : rate->second;
    charge.project = account;
    charge.settings_version = core.state.directory()->settings_version;
    for (LedgerEntry& entry : quota::ForeignEntries(charge, core.now, core.config.charge)) {
      BookEntry(core, std::move(entry));
    }
    core.ready.changes.foreign.push_back(std::move(charge));
    core.foreign[key] = run.end_ms;
  }
}

void SetRead(Core& core, const ForeignRead& read) {
  if (read == core.foreign_read) return;
  core.foreign_read = read;
  core.ready.changes.foreign_read = read;
  std::erase_if(core.foreign,
                [&](const auto& one) { return one.second < read.until_ms - kForeignLateMs; });
}

}  // namespace

std::vector<BookedRun> ForeignRuns(std::vector<BookedRun> runs,
                                   const std::vector<ChargedAttempt>& known,
                                   const std::vector<ChargedAttempt>& named, const KeyedHash& hash,
                                   const std::string& installation) {
  const RunsById by_id(known);
  std::erase_if(runs, [&](const BookedRun& run) {
    if (!HasRun(run) || by_id.Explain(run)) return true;
    return HasTag(run, hash, installation) && IsNotAnothers(run, named);
  });
  return runs;
}

std::vector<AttemptRef> NamedByTags(const std::vector<BookedRun>& runs,
                                    const std::vector<ChargedAttempt>& known, const KeyedHash& hash,
                                    const std::string& installation) {
  const RunsById by_id(known);
  std::vector<AttemptRef> named;
  for (const BookedRun& run : runs) {
    if (!HasRun(run) || by_id.Explain(run)) continue;
    if (HasTag(run, hash, installation)) named.push_back(run.attempt);
  }
  return named;
}

void BeginForeign(Core& core, const Snapshot& snapshot) {
  core.foreign = snapshot.foreign;
  core.foreign_read = snapshot.foreign_read;
}

// Once it is configured again, what ended meanwhile is not charged. What has been charged is kept
// in mind as long as ever: that may be soon.
void EndForeign(Core& core) {
  if (!core.config.foreign_account.empty()) return;
  SetRead(core, {0, core.foreign_read.until_ms});
}

Result<CommandOutcome> ExecuteForeign(Core& core, const BookForeign& book) {
  const auto account = ForeignAccount(*core.state.directory(), core.config.foreign_account);
  if (!account) return account.error();
  // The first time: what ends from now on.
  if (core.foreign_read.since_ms == 0) SetRead(core, {core.now, core.now});
  for (const BookedRun& run : book.runs) {
    if (IsDue(core, run)) BookRun(core, run, *account);
  }
  SetRead(core, {core.foreign_read.since_ms, std::max(core.foreign_read.until_ms, book.until_ms)});
  CommandOutcome outcome;
  outcome.foreign_until_ms = core.foreign_read.until_ms;
  return outcome;
}

}  // namespace kezek::control

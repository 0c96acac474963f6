// When jobs would start if everything ran to its limit: time is run forward from a plan.
//
// Simple model: at every moment at which something ends, each job of the order that fits, and that
// no limit stops, starts on the nodes that placement gives it; it ends at its limit. What is
// promised begins and ends at its time, and nobody is placed across it. Whoever asks is told the
// first moment at which the job would have nodes, once those ahead of it have had their turn.
//
// Departures, which make this an estimate: ends that lie close together, within a minute or a
// thirty-second of the time that has gone by, are one moment; budgets stay as they are; nobody
// submits anything, and nothing is reclaimed. So a moment costs the shapes that wait, not the jobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/time.h"
#include "quota/limits.h"
#include "scheduler/engine/kept.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/pools.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// Of one GPU type, once.
class Forecast {
 public:
  // After the walk. What is promised to `own` is not in its own way. Both outlive it.
  Forecast(const World& world, const Draft& draft, std::string gpu_type, const JobRef& own);

  struct Answer {
    // Of those asked about, in their order; 0: not found by then.
    std::vector<TimeMs> starts;
    // Of those ahead, as far as it came.
    std::map<JobRef, TimeMs> ahead;
    // All has been followed: what is not found by now has no time. Else nothing that is not found
    // starts before `until_ms`.
    bool complete = true;
    TimeMs until_ms = 0;
  };
  // `ahead`: in their order, of this type. Ends when the first of those asked about has its start;
  // with none when all of those ahead have.
  Answer Run(const std::vector<const Waiting*>& ahead, const std::vector<Waiting>& asked);

 private:
  struct Ending {
    TimeMs at_ms = 0;
    const Shape* shape = nullptr;
    Placement placement;
    std::optional<quota::JobCount> count;  // what limits no longer count then
    bool begins = false;                   // of a promise: from now on it is held
    bool operator>(const Ending& other) const { return at_ms > other.at_ms; }
  };
  // A job with what is asked for it at every moment.
  struct Runner {
    const Waiting* job = nullptr;
    std::vector<PoolKey> pools;
    std::size_t group = 0;  // those with the same room
    quota::AccountIndex project = quota::kNoAccount;
    quota::JobCount count;
    bool may_be_stopped = false;
    std::int32_t left = 1;
    DurationMs occupies = 0;
  };
  struct Found {
    PoolKey key;
    Placement placement;
  };

  std::vector<std::pair<Occurrence, Placement>> WindowsOf() const;
  void Close(const Occurrence& when, const Placement& placement);
  void Promise(const Reservation& promise);
  void FindEnds();
  Runner RunnerOf(const Waiting& job);
  void Apply(const Ending& ending);
  bool Advance();
  bool IsStopped(const Runner& runner, const PoolKey& key) const;
  std::optional<Found> Find(const Runner& runner);
  void Start(Runner& runner, const Found& found);
  void StartAhead(std::vector<Runner>& ahead, Answer& answer);

  const World& world_;
  const Draft& draft_;
  const std::string type_;
  const TimeMs begin_ms_;
  TimeMs now_ms_;
  Machine free_;
  Machine clear_;                 // less what is promised and has not begun
  std::multiset<TimeMs> begins_;  // of promises that have not begun
  std::vector<Ending> endings_;   // a heap, the next one first
  std::vector<Shape> shapes_;     // of promises
  std::set<JobRef> promised_;     // rows that start by these
  quota::RunningTable running_;
  std::vector<MilliGpus> allocated_;
  std::vector<MilliGpus> guarantees_;
  std::vector<quota::Entitlement> entitled_;
  Kept kept_;
  bool limits_ = false;  // somebody may be stopped by limits
  std::map<std::pair<std::vector<PoolKey>, Request>, std::size_t> groups_;
  std::vector<char> failed_;  // by group: has no room at this moment, clear of promises or not
  std::int64_t tries_ = 0;
};

}  // namespace kezek::engine

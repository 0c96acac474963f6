// A town: the engine among jobs that come, run and end, without a controller, a store or faults.
// For what many plans in a row come to: shares, spreads, long runs. Deterministic.
//
// Time goes in ticks. At each, launches and ends up to then are told to the engine at their own
// times, then it decides until nothing more starts. A start is booked at once, with the charge of
// its limit, and corrected at its end; limits are of an hour at most, so that this is one piece.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "scheduler/engine/engine.h"

namespace kezek::sim {

struct Started {
  JobRef job;
  AccountId project;
  UserId user;
  MilliGpus counted_milli = 0;
  DurationMs limit_ms = 0;
  TimeMs at_ms = 0;  // of the decision
};

struct TownRules {
  DurationMs tick_ms = 5 * kSecondMs;
  DurationMs launch_ms = 0;     // from the decision to the job's first second
  bool book_at_launch = false;  // the usage, too: not the rule, but what it guards against
};

class Town {
 public:
  Town(engine::EngineConfig config, std::shared_ptr<const Directory> directory, TimeMs start,
       TownRules rules = {});

  engine::Engine& engine() { return engine_; }
  TimeMs now_ms() const { return now_ms_; }

  // How long a job runs that starts: at most its limit. Must be set. May submit more.
  void OnStart(std::function<DurationMs(const Started&)> run) { run_ = std::move(run); }
  // After each tick in which something was decided.
  void OnPlan(std::function<void(const engine::Plan&)> seen) { seen_ = std::move(seen); }
  // An array's elements start in order.
  void Submit(const engine::Waiting& job);
  void RunUntil(TimeMs until);

 private:
  struct Running {
    engine::Holding holding;
    std::string name;  // of the job
    TimeMs end_ms = 0;
    TimeMs booked_ms = 0;  // date of what is booked; 0: nothing
  };
  void Tick();
  void TellLaunches();
  void TellEnds();
  void Commit(const engine::Start& start);
  void Book(Running* running, TimeMs date_ms, MilliGpuMs amount);

  TownRules rules_;
  engine::Engine engine_;
  std::map<JobRef, engine::Waiting> waiting_;
  std::map<AttemptRef, Running> running_;
  std::multimap<TimeMs, AttemptRef> launches_;
  std::multimap<TimeMs, AttemptRef> ends_;
  std::function<DurationMs(const Started&)> run_;
  std::function<void(const engine::Plan&)> seen_;
  TimeMs now_ms_ = 0;
  bool changed_ = true;  // since the last decision
};

}  // namespace kezek::sim

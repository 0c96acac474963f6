// What would become of a job: the last plan carried on, and what its owner could change tried out.
//
// Simple model: the passes of a tick are made of the facts; what they leave waiting waits. A job
// that is asked about, and each variant of it, is then looked at as the walk would look at it next:
// limits, budgets, room beside all promises, what accounts keep idle. What has no room is followed
// into the future by a Forecast, behind those that stand before it in the order.
//
// Departure: facts may leave out jobs far behind in the order, so entitlements and guarantees are
// those of the tick that had all of them. Where such jobs could stand before the one asked about,
// nothing starts now, and the estimate is a bound.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/desk.h"
#include "kezek/outlook.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/forecast.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/variants.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// Pure. The constructor takes as long as a tick of so many jobs.
class Lookahead final : public Foresight {
 public:
  Lookahead(const Lookahead&) = delete;
  Lookahead& operator=(const Lookahead&) = delete;
  // `standings`: of the last plan; where they say nothing, by what the facts hold.
  Lookahead(Facts facts, std::shared_ptr<const Directory> directory, const Standings& standings,
            TimeMs now);

  TimeMs as_of_ms() const override { return draft_.now_ms; }
  Outlook Of(const OutlookQuestion& question) const override;
  std::map<JobRef, TimeMs> Starts() const override;

 private:
  using Agendas = std::map<PoolKey, Agenda>;
  struct Verdict {
    std::optional<Placement> placement;
    Reason reason;
  };
  // What stands before a job.
  struct Front {
    std::vector<const Waiting*> jobs;
    bool known = true;   // all of it
    bool looked = true;  // the walk comes to the job
  };
  // Of a pool's GPUs, by index: what accounts run, and their guarantees that count now.
  struct Shares {
    std::vector<MilliGpus> allocated_milli;
    std::vector<MilliGpus> guarantee_milli;
  };
  // One question on its way.
  struct Inquiry {
    Waiting job;
    Agendas agendas;
    Front front;
    Outlook outlook;
  };

  static Facts Prepared(Facts facts);
  static const World& Refreshed(World& world, TimeMs now);
  void PlanUpToWalk(const Standings& standings);
  Waiting JobOf(const OutlookQuestion& question) const;
  Reason BarOf(const Waiting& job) const;
  bool StartsByPlan(const Waiting& job, Outlook& outlook) const;
  bool WaitsForTurn(const Waiting& job, Outlook& outlook) const;
  std::vector<MilliGpus> GuaranteesWith(const Waiting& job, const quota::JobCount& count,
                                        const std::string& type) const;
  Verdict TryNow(const Waiting& job, Agendas& agendas) const;
  Verdict TryIn(const Waiting& job, const PoolKey& key, Agendas& agendas) const;
  // Null: it does not wait.
  const JobStanding* StandingOf(const JobRef& row) const {
    const auto found = standings_.find(row);
    return found == standings_.end() ? nullptr : &found->second;
  }
  bool HeldBack(const Waiting& job) const;
  Shares SharesWith(const Waiting& job, const PoolKey& key) const;
  bool IsStoppedWith(const Shares& shares, const Waiting& other, const PoolKey& key) const;
  Front FrontOf(const Waiting& job) const;
  bool ComesTo(const Waiting& job, const std::vector<const Waiting*>& before) const;
  bool ComesToDedicated(const PoolKey& key) const;
  Front FrontOfNew(const Waiting& job, const PoolKey& key) const;
  bool WalkStillComesTo(const Waiting& job, const Waiting& changed) const;
  bool WalkComesToBehindAll(const Waiting& job) const;
  bool AddIfNow(Inquiry& inquiry, const Variant& variant) const;
  void AdviseSmaller(Inquiry& inquiry) const;
  void AdviseShorter(Inquiry& inquiry) const;
  void AdviseNow(Inquiry& inquiry) const;
  static Reason Assumed(const Inquiry& inquiry);
  void ForeseeShorter(Inquiry& inquiry) const;
  void Foresee(Inquiry& inquiry) const;
  void UsePromise(const Waiting& job, StartTime& start) const;

  bool complete_ = true;  // the facts leave nothing out
  World world_;
  Draft draft_;                                             // after the walk
  DemandBasis basis_;                                       // before it
  std::map<std::string, std::vector<MilliGpus>> demand_;    // likewise, by index: of the facts
  std::map<JobRef, JobStanding> standings_;                 // by it
  std::map<PoolKey, std::vector<const Waiting*>> waiting_;  // as walked; dedicated nodes excepted
};

}  // namespace kezek::engine

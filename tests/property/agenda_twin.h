// Engine and naive agenda beside each other, in whatever state a history has come to.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "scheduler/engine/agenda.h"
#include "scheduler/engine/engine.h"
#include "tests/property/naive_agenda.h"
#include "tests/property/seeds.h"

namespace kezek::test {

class AgendaTwin {
 public:
  AgendaTwin(std::uint64_t seed, engine::EngineConfig config,
             std::shared_ptr<const Directory> directory)
      : dice_(seed), config_(std::move(config)), directory_(std::move(directory)) {}

  // Of one GPU type, shared by all.
  struct Tick {
    TimeMs now_ms = 0;
    const std::vector<Node>& nodes;
    const std::vector<engine::Holding>& running;
    const std::map<JobRef, engine::Waiting>& jobs;  // these, and others
    const std::set<JobRef>& waiting;
    const std::map<JobRef, Reservation>& promised;
  };
  // When some of those that wait could start, and where: both say the same. At times not asked.
  void CompareTimes(const Tick& tick);
  // The same beside what the plan has started, ended and promised. What is promised is there at its
  // time, and nobody that was looked at could have started, too, and delayed none.
  void CheckPlan(const Tick& tick, const engine::Plan& plan);

  std::int64_t times() const { return times_; }      // compared
  std::int64_t blocked() const { return blocked_; }  // looked at

 private:
  std::optional<DurationMs> LeavesWithin(const JobSpec& spec) const;
  NaiveAgenda Compare(const Tick& tick, const std::map<JobRef, Reservation>& promised,
                      const engine::Plan& plan);
  void CompareSome(const Tick& tick, engine::Agenda& agenda, const NaiveAgenda& naive);
  void CheckBlocked(const Tick& tick, const engine::Plan& plan, const NaiveAgenda& naive);

  property::Dice dice_;
  const engine::EngineConfig config_;
  const std::shared_ptr<const Directory> directory_;
  std::int64_t times_ = 0;
  std::int64_t blocked_ = 0;
};

}  // namespace kezek::test

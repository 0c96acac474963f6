// What is free when, by its rule, for clarity alone: a list of who has what of which node from when
// until when, looked through node by node at each moment at which anything ends or begins.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/engine/engine.h"
#include "tests/property/naive_placement.h"

namespace kezek::test {

class NaiveAgenda {
 public:
  // `rules`: how long jobs may take to start, to be told to leave, and to be killed.
  NaiveAgenda(const engine::EngineConfig& rules, const std::vector<Node>& nodes, TimeMs now);

  // Runs, or is starting; a scavenger leaves for what is promised.
  void Hold(const engine::Holding& attempt, bool scavenger);
  // The plan ends it.
  void End(const AttemptRef& attempt, TimeMs by_ms);
  // The plan starts it; scavengers have so long to leave.
  void Start(const JobSpec& spec, const Placement& placement,
             std::optional<DurationMs> leaves_within);
  // It is gone when it was promised to be, though it is a little late.
  void StartAsPromised(const Reservation& promise);
  void Promise(const Reservation& reservation) { promises_.push_back(reservation); }

  struct Slot {
    TimeMs from_ms = 0;
    Placement placement;
    bool operator==(const Slot&) const = default;
  };
  // The earliest time at which it may have nodes until its limit, however late it starts, beside
  // what is promised to others.
  std::optional<Slot> Earliest(const JobSpec& spec, const JobRef& row) const;
  // Nodes that it may have now and delay nothing that is promised to others.
  std::optional<Placement> Now(const JobSpec& spec, const JobRef& row,
                               std::optional<DurationMs> leaves_within) const;
  // Whether its nodes are its own at its time, by the limits of all others.
  bool Keeps(const Reservation& promise) const;

 private:
  struct Span {
    AttemptRef attempt;
    Shape shape;
    Placement placement;
    TimeMs gone_by_ms = 0;    // if others need its nodes
    TimeMs end_ms = 0;        // by its limit
    TimeMs free_from_ms = 0;  // what is promised from now on can count on its nodes from then on
    DurationMs late_ms = 0;   // by so much it may start later yet
  };
  using Until = TimeMs Span::*;

  DurationMs Occupies(DurationMs limit_ms) const;
  TimeMs BeginOf(const Reservation& promise) const;
  TimeMs EndOf(const Reservation& promise) const;
  // Of all nodes: what those leave who have not ended by `at_ms`, none of them without it.
  NaiveNodes Left(std::optional<TimeMs> at_ms, Until until) const;
  // Less what is promised to others at that time.
  NaiveNodes Beside(NaiveNodes nodes, TimeMs at_ms, const JobRef& but) const;
  // Less what others whose promises begin from then on, before `until_ms`, will not leave of it.
  struct Stay {
    TimeMs from_ms = 0;
    TimeMs gone_by_ms = 0;
    TimeMs end_ms = 0;
  };
  void Limit(NaiveNodes& nodes, const Stay& stay, const JobRef& but) const;

  const engine::EngineConfig rules_;
  const std::vector<Node> nodes_;
  const TimeMs now_;
  std::vector<Span> spans_;
  std::vector<Reservation> promises_;
};

}  // namespace kezek::test

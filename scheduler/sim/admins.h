// What admins reserve in a simulation, by seed: once and again and again, for maintenance, accounts
// and users, on nodes that are named or chosen, ahead and at short notice; some of it is changed
// and deleted before it begins and while it lasts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kezek/desk.h"
#include "scheduler/sim/random.h"

namespace kezek::sim {

class Admins {
 public:
  using Do = std::function<void(Command)>;

  // In the span from `start`; none: they do nothing.
  Admins(std::uint64_t seed, TimeMs start, DurationMs span_ms);

  // When they want to do something next; nothing: INT64_MAX.
  TimeMs NextMs() const;
  void Act(TimeMs now, const View& view, const Do& command);
  // What repeats without end is deleted, so that everything can finish.
  void DeleteRepeated(const View& view, const Do& command) const;

 private:
  AdminReservation Draw(TimeMs now);
  void DrawTimes(AdminReservation& one, TimeMs now);
  void DrawNodes(AdminReservation& one);
  void DrawUsers(AdminReservation& one);
  AdminReservation Change(AdminReservation one, TimeMs now);

  Random random_;
  std::vector<TimeMs> acts_;  // ascending
  std::size_t next_ = 0;
};

}  // namespace kezek::sim

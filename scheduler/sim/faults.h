// What may go wrong in a simulation. Probabilities are in thousandths for each occasion; all 0: a
// cluster without faults.
#pragma once

#include <cstdint>

#include "scheduler/sim/random.h"

namespace kezek::sim {

struct Faults {
  // On the way to the cluster and back: a request, or its answer.
  std::int32_t answer_lost_done = 0;    // submitted, the answer is lost
  std::int32_t answer_lost_undone = 0;  // neither
  std::int32_t taken_twice = 0;         // answer lost, and two jobs are there
  std::int32_t release_lost = 0;        // of all other requests; half of them have taken effect
  std::int32_t delivered_late = 0;      // after the time-out
  std::int32_t delivered_again = 0;     // once more, up to ten seconds later
  std::int32_t answer_late = 0;         // shortly before the time-out
  std::int32_t silent = 0;              // each minute: no answers for up to two minutes
  std::int32_t keys_fail = 0;           // each minute: tokens, or munge, are no good for a while
  // What the cluster says and does.
  std::int32_t refused = 0;  // submissions and limits
  std::int32_t refused_for_good = 0;
  std::int32_t spoilt = 0;        // submitted, but made for other GPUs, as the answer tells
  std::int32_t never_starts = 0;  // released, and pending for ever
  std::int32_t forgotten = 0;     // vanishes at its start, from the accounting too
  std::int32_t requeued = 0;      // restarts once in the middle of its run
  std::int32_t node_fails = 0;    // each minute, any one node
  std::int32_t strangers = 0;     // each minute: a stranger takes GPUs on a node for a while
  // slurmctld and slurmdbd, each minute.
  std::int32_t restarts = 0;    // slurmctld, with its state
  std::int32_t killed = 0;      // what it had taken in the last second is lost, its ids given again
  std::int32_t begun_cold = 0;  // without its state; ids go on
  std::int32_t wiped = 0;       // likewise, and ids begin at 1 again
  std::int32_t books_away = 0;  // slurmdbd does not answer for up to half an hour, or five hours
  std::int32_t books_lag = 0;   // of the time: how late its news are, in tens of milliseconds
  std::int64_t ids = 0;         // how many there are before they come round; 0: no end
  // Other hands on our jobs, each minute.
  std::int32_t cancelled = 0;
  std::int32_t requeued_by_hand = 0;
  std::int32_t held = 0;      // by the owner, or by an admin
  std::int32_t released = 0;  // what waits for its release
  std::int32_t limit_changed = 0;
  std::int32_t renamed = 0;  // also to a name like one of ours
  std::int32_t comment_changed = 0;
};

// Each is on in half of the seeds, so that they are seen alone and together.
Faults DrawFaults(Random& random);

}  // namespace kezek::sim

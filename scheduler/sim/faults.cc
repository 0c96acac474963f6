#include "scheduler/sim/faults.h"

namespace kezek::sim {

Faults DrawFaults(Random& random) {
  const auto draw = [&random](std::int64_t most) {
    return random.Permille(500) ? static_cast<std::int32_t>(random.Between(1, most)) : 0;
  };
  Faults faults;
  faults.answer_lost_done = draw(150);
  faults.answer_lost_undone = draw(100);
  faults.taken_twice = draw(80);
  faults.release_lost = draw(150);
  faults.delivered_late = draw(100);
  faults.delivered_again = draw(150);
  faults.answer_late = draw(200);
  faults.silent = draw(100);
  faults.keys_fail = draw(80);
  faults.refused = draw(80);
  faults.refused_for_good = draw(30);
  faults.never_starts = draw(60);
  faults.forgotten = draw(40);
  faults.requeued = draw(80);
  faults.node_fails = draw(60);
  faults.strangers = draw(80);
  faults.restarts = draw(60);
  faults.killed = draw(60);
  faults.begun_cold = draw(40);
  faults.wiped = draw(40);
  faults.books_away = draw(40);
  faults.books_lag = draw(1000);
  faults.ids = random.Permille(500) ? random.Between(40, 120) : 0;
  faults.cancelled = draw(80);
  faults.requeued_by_hand = draw(80);
  faults.held = draw(150);
  faults.released = draw(150);
  faults.limit_changed = draw(150);
  faults.renamed = draw(200);
  faults.comment_changed = draw(200);
  faults.spoilt = draw(60);
  return faults;
}

}  // namespace kezek::sim

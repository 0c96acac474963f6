// Whether this daemon can do its work, part by part: for /livez and /readyz. Says nothing that
// would tell a stranger more than that.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kezek/desk.h"
#include "kezek/meter.h"
#include "kezek/store.h"
#include "kezek/time.h"

namespace kezek::kezekd {

// One line for each part, "ok" or what is wrong.
struct Health {
  bool good = true;
  std::string text;
};

// Live: no worker has been at one piece of work for longer than a minute. A database or a Slurm
// that is away does not count: starting anew would not help.
Health Liveness(const std::vector<std::pair<Worker, DurationMs>>& busy);

class Readiness {
 public:
  // All outlive this object; `desk` and `clock` the reads that are under way, too.
  struct Parts {
    Desk* desk = nullptr;
    ReadStore* read = nullptr;
    Clock* clock = nullptr;
  };
  explicit Readiness(Parts parts);

  void SetLeads(bool leads);  // any thread, as all here
  bool leads() const;

  // Ready: leads, or stands by with something to read; has loaded the queue, and ticked within the
  // last minute; and the database answers. It is asked at most once a second, whoever asks here.
  // `done` is called once, from any thread, perhaps at once.
  void Check(std::function<void(const Health&)> done);
  // For when the database has not answered in time.
  Health Late() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the reads that are under way
};

}  // namespace kezek::kezekd

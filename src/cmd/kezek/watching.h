// --watch: looks again and again. A terminal shows the latest answer in place; a pipe gets a line
// with the time for each row that is new or different.
#pragma once

#include <cstdint>
#include <functional>

#include "cmd/kezek/session.h"

namespace kezek::cli {

struct WatchFlags {
  bool watch = false;
  int interval_s = 0;
  // Adds --watch and --interval; `interval_s` is taken if --interval is not given.
  void AddTo(CLI::App& command, int default_interval_s);
};

struct Watched {
  // Asks and prints to session.host as without --watch. `as_log`: for a pipe, where what changes by
  // the clock alone is left out and what is gone from the list is shown once more.
  std::function<Result<int>(bool as_log)> look;
  // Returns once there may be something new, or after so long. Null: sleeps.
  std::function<void(std::int64_t limit_ms)> await;
};

// Without --watch one look. With it looks until Host::go_on says no; a server that is away is
// waited for once the first look has succeeded.
Result<int> LookOrWatch(Session& session, const WatchFlags& flags, const Watched& watched);

// Returns at the first event after `seq` that the caller may see, of these jobs or of any, or after
// so long, or a second after the stream has failed.
void AwaitEvent(Session& session, std::int64_t seq, const std::vector<std::string>& jobs,
                std::int64_t limit_ms);

}  // namespace kezek::cli

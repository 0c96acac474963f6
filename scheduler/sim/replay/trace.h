// A trace of a real cluster as text: comma-separated, a header line, times in seconds. Columns are
// found by their names: submit_s, duration_s and gpus must be there; job_id, nodes, user, vc,
// queue_delay_s and req_walltime_s may be; others are not looked at. Empty: unknown. Lines that
// begin with `#` before the header say what machine it is of (`kezek admin snapshot` writes such
// ones).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/result.h"

namespace kezek::replay {

struct TraceRow {
  std::string id;
  std::int64_t submit_s = 0;
  std::optional<std::int64_t> duration_s;
  std::optional<std::int64_t> milli_gpus;
  std::optional<std::int64_t> nodes;
  std::string user;
  std::string group;                        // the column vc
  std::optional<std::int64_t> waited_s;     // on the real cluster
  std::optional<std::int64_t> requested_s;  // the limit that was asked for
  bool operator==(const TraceRow&) const = default;
};

// What the trace says of its machine, in whole nodes; 0: nothing.
struct TraceMachine {
  std::int64_t gpus = 0;
  std::int32_t gpus_per_node = 0;
  bool operator==(const TraceMachine&) const = default;
};
TraceMachine ParseMachine(std::string_view text);

// INVALID_ARGUMENT names the line and the column. Parts of a second are rounded; what is quoted may
// hold commas and doubled quotes, but no line break.
Result<std::vector<TraceRow>> ParseTrace(std::string_view text);

}  // namespace kezek::replay

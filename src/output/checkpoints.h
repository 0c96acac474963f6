// When a job last wrote where it keeps its checkpoints. Only times are read, no file is opened, and
// no link is followed at the path or below it.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek::output {

struct CheckpointRules {
  int deepest = 3;                  // folders below the path
  std::int64_t entries_max = 1000;  // looked at
};

// The latest change of a regular file at or below `path`, which is absolute; 0: there is none yet.
// FAILED_PRECONDITION, with the system's words: it cannot be told, for it is a link, may not be
// read, or nothing of the path is on this host.
Result<TimeMs> LastWritten(const std::string& path, const CheckpointRules& rules = {});

}  // namespace kezek::output

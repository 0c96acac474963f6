// When a job last wrote where it keeps its checkpoints. Only times are read, no file is opened, no
// link is followed anywhere, and nothing is told of what is not the job's own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek::output {

struct CheckpointRules {
  ::uid_t uid = 0;       // the job's Unix account: whose files count
  TimeMs before_ms = 0;  // last written then or earlier: what is younger is being written
  int deepest = 3;       // folders below the path
  std::int64_t entries_max = 1000;  // looked at
};

// The same words whatever the cause: who names another's path learns nothing of what is there.
inline constexpr const char* kCheckpointsNotSeen =
    "kezekd, as its own account, sees no checkpoint of yours there: it does not exist, is not "
    "yours, may not be read, does not answer, or is behind a link; kezek checkpoint reports one";

// The latest change of a regular file of the job's at or below `path`, which is absolute; 0: there
// is none yet. The path's own folder may be another's, those below are the job's.
// FAILED_PRECONDITION: kCheckpointsNotSeen. RESOURCE_EXHAUSTED: there is more than is looked at.
Result<TimeMs> LastWritten(const std::string& path, const CheckpointRules& rules);

}  // namespace kezek::output

// What jobs have written, on standard output: from the server, or read here where the script put it
// where the server does not look.
#pragma once

#include <kezek/v1/job_service.pb.h>

#include <cstdint>
#include <optional>

#include "cmd/kezek/session.h"

namespace kezek::cli {

struct LogPiece {
  std::optional<std::int64_t> tail;    // only the last lines
  std::optional<std::int64_t> before;  // only what is before this byte; not with follow
};

// Prints the output `request` names (job, attempt, stream, node, task, follow), all of it or a
// piece. Following goes on through restarts of the server and ends with the attempt. Returns where
// in the file what was printed begins; absent: nothing was printed.
Result<std::optional<std::int64_t>> PrintLogs(Session& session, v1::LogsRequest request,
                                              const LogPiece& piece = {});

}  // namespace kezek::cli

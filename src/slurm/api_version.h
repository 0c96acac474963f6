// Which version of slurmrestd's API to speak, found out by asking.
#pragma once

#include <string>
#include <vector>

#include "kezek/result.h"
#include "slurm/http.h"

namespace kezek::slurm {

// Those that books and checks are known to work with, in the order in which they are asked for:
// that of 22.05, then those of 24.11 and 26.05.
const std::vector<std::string>& KnownApis();

// The first that the server serves, such as "v0.0.38". UNAVAILABLE: no answer; FAILED_PRECONDITION
// NO_API: it serves none of them.
Result<std::string> FindApi(HttpClient& client, const std::string& user, DurationMs timeout_ms);

// An error for what was not answered.
Error NoAnswer(const HttpOutcome& outcome);

}  // namespace kezek::slurm

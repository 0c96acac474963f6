// Which version of slurmrestd's API to speak, found out by asking.
#pragma once

#include <string>

#include "kezek/result.h"
#include "slurm/http.h"

namespace kezek::slurm {

// The newest of Codecs() that the server serves, such as "v0.0.38". UNAVAILABLE: no answer;
// FAILED_PRECONDITION NO_API: it serves none of them.
Result<std::string> FindApi(HttpClient& client, const std::string& user, DurationMs timeout_ms);

// An error for what was not answered.
Error NoAnswer(const HttpOutcome& outcome);

}  // namespace kezek::slurm

// Names that the server or this host knows, to complete words with.
#pragma once

#include <string>
#include <vector>

#include "cmd/kezek/complete.h"

namespace kezek::cli {

// Candidates for a value called `JOB`, `PROJECT`, `NODE`, `USER`, `ACCOUNT`, `CLASS`, `TYPE`,
// `DOMAIN`, `TOKEN`, `STATE` or `CONTEXT`; none for others, and none if nobody answers at once.
std::vector<Candidate> KnownNames(Session& session, const std::string& value);

}  // namespace kezek::cli

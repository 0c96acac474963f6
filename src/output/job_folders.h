// The names of the folders below the output root: one for each job that has been handed over.
#pragma once

#include <optional>
#include <string_view>

#include "kezek/ids.h"
#include "kezek/result.h"

namespace kezek::output {

// The job a folder is named after, "48211" or "48211_7"; none of any other name.
std::optional<JobRef> JobOfFolder(std::string_view name);

// The highest of the jobs that have a folder below the open folder `root`; JobId{} of none.
Result<JobId> HighestJob(int root);

}  // namespace kezek::output

// Traces as files: plain or gzipped, by path or by name.
#pragma once

#include <string>
#include <vector>

#include "kezek/result.h"

namespace kezek::simcmd {

// The file that is meant: a path that exists, else NAME, NAME.csv.gz or NAME.csv in `folder`.
// NOT_FOUND names where it was looked for, and what is there.
Result<std::string> FindTrace(const std::string& name, const std::string& folder);

// All of it, unpacked if it is gzipped. NOT_FOUND, DATA_LOSS (cut off, or no gzip after all),
// RESOURCE_EXHAUSTED (more than 2 GiB).
Result<std::string> ReadFile(const std::string& path);

}  // namespace kezek::simcmd

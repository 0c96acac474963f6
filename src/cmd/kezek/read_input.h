// Files that commands read, or standard input for them.
#pragma once

#include <string>

#include "cmd/kezek/host.h"
#include "kezek/result.h"

namespace kezek::cli {

// The text of a file, or of standard input for `-`. NOT_FOUND: it cannot be read, or is empty.
Result<std::string> ReadInput(const Host& host, const std::string& path);

}  // namespace kezek::cli

// The first start of an installation.
#pragma once

#include <string>

#include "config/config.h"
#include "kezek/result.h"

namespace kezek::kezekd {

// Brings the schema up to date and, where there is no cluster admin yet, makes `admin` one and
// writes a token for it into `token_file`, readable by its owner only. The answer says what was
// done. UNAVAILABLE: no database, or a daemon is running.
Result<std::string> Init(const config::Config& config, const std::string& admin,
                         const std::string& token_file);

}  // namespace kezek::kezekd

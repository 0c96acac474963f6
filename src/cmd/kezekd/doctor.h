// `kezekd doctor`: the checks of the site without a server, such as before the first start.
#pragma once

#include <ostream>
#include <string>

#include "config/config.h"

namespace kezek::kezekd {

// Prints a line for each finding, and what to do about it below. 1: there is a problem; else 0.
int RunDoctor(const config::Config& config, const std::string& config_file, std::ostream& out);

}  // namespace kezek::kezekd

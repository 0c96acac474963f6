// All checks of `kezek admin doctor` and `kezekd doctor`, in their order.
#pragma once

#include <vector>

#include "config/config.h"
#include "kezek/site_check.h"

namespace kezek::kezekd {

// They hold what they need, and may outlive whoever runs them. `config_file` is looked at, too.
std::vector<SiteCheck> SiteChecks(const config::Config& config, const std::string& config_file);

}  // namespace kezek::kezekd

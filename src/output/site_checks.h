// The check of the shared file system: whether folders of attempts can be made as they must be.
#pragma once

#include <string>

#include "kezek/site_check.h"

namespace kezek::output {

// "output-root". Makes a folder of its own there, and takes it away again.
SiteCheck OutputCheck(const std::string& root);

}  // namespace kezek::output

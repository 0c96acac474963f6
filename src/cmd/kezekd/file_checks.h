// Checks of files on kezekd's host: who may read secrets, and whose they are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kezek/site_check.h"

namespace kezek::kezekd {

// "host-files": these, (what it is, path), are kezekd's user's alone; an empty path is not looked
// at.
SiteCheck SecretFilesCheck(std::vector<std::pair<std::string, std::string>> files);

}  // namespace kezek::kezekd

// What to do about an error, where its own words do not say it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kezek/result.h"

namespace kezek::cli {

// The error with the names of the command's flags where it names fields of the request. `flags`:
// beginning of a field's name, and its flag.
Error WithFlags(Error error, const std::vector<std::pair<std::string, std::string>>& flags);

// A line for people, by the error's reason or code; empty if there is nothing to add.
std::string WayOut(const Error& error);

}  // namespace kezek::cli

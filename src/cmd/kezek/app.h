// The program: parses the command line, runs the command, prints what went wrong.
#pragma once

#include <string>
#include <vector>

#include "cmd/kezek/host.h"

namespace kezek::cli {

// `arguments` without the program's name. Returns the exit code; never throws.
int RunApp(Host host, std::vector<std::string> arguments);

}  // namespace kezek::cli

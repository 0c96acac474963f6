// Manual pages, made from the same descriptions as the help: kezek.1 and one for each command.
#pragma once

#include <map>
#include <string>

namespace CLI {
class App;
}

namespace kezek::cli {

// File names, such as `kezek-queue.1`, and their text in the man macros.
std::map<std::string, std::string> ManualPages(const CLI::App& app);

}  // namespace kezek::cli

// Flags for what a context of the configuration file knows.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmd/kezek/context.h"

namespace CLI {
class App;
}

namespace kezek::cli {

// By key, as far as they were given; an empty one takes a setting away.
using ContextValues = std::map<std::string, std::string>;

// Adds `--ca-file` for `ca_file` and so on, for all keys but those left out.
void AddContextFlags(CLI::App& command, const std::shared_ptr<ContextValues>& values,
                     const std::vector<std::string>& left_out);

void Keep(const ContextValues& values, Context& context);

}  // namespace kezek::cli

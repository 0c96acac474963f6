#include "cmd/kezek/context_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cmd/kezek/usage_error.h"

namespace kezek::cli {

void AddContextFlags(CLI::App& command, const std::shared_ptr<ContextValues>& values,
                     const std::vector<std::string>& left_out) {
  for (const ContextKey& key : ContextKeys()) {
    const std::string name(key.name);
    if (std::find(left_out.begin(), left_out.end(), name) != left_out.end()) continue;
    std::string option = (name == "project" ? "-A,--" : "--") + name;
    std::replace(option.begin(), option.end(), '_', '-');
    CLI::Option* added = command.add_option_function<std::string>(
        option, [values, name](const std::string& value) { (*values)[name] = value; },
        std::string(key.about));
    added->type_name(std::string(key.value));
    if (name == "tls") added->check(OneOf({"on", "off", ""}));
  }
}

void Keep(const ContextValues& values, Context& context) {
  for (const ContextKey& key : ContextKeys()) {
    const auto given = values.find(std::string(key.name));
    if (given != values.end()) context.*key.field = given->second;
  }
}

}  // namespace kezek::cli

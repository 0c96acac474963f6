// A command line that was not understood, in our own words: what is wrong and where help is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/result.h"

namespace CLI {
class App;
class ParseError;
class Validator;
}  // namespace CLI

namespace kezek::cli {

// What the parser threw after it read `app`'s command line.
Error UsageError(const CLI::App& app, const CLI::ParseError& error);

// A command line that cannot be meant.
Error BadUsage(const std::string& message);

// There is no such command in this one.
Error NoSuchCommand(const CLI::App& command, const std::string& written);

// Checks of values; their errors name what is expected and what was perhaps meant.
CLI::Validator OneOf(std::vector<std::string> words);
CLI::Validator Between(std::int64_t min, std::int64_t max);

}  // namespace kezek::cli

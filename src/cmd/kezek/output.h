// The forms an answer is printed in: for people (table, wide) or for programs (json, yaml: the
// API's own messages with the proto's field names; name: one identifier a line).
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "cmd/kezek/host.h"

namespace kezek::cli {

enum class Format { kTable, kWide, kJson, kYaml, kName };

// All names, in order, for help and checks.
const std::vector<std::string>& FormatNames();
// kTable if the name is none of them.
Format FormatNamed(std::string_view name);

// Prints a message as JSON or YAML and says true, or does nothing for the other forms.
bool PrintMessage(const Host& host, Format format, const google::protobuf::Message& message);

// A text as YAML writes it, so that it is read back as that text.
std::string YamlText(const std::string& text);

// JSON text as YAML in block style.
std::string YamlFromJson(const std::string& json);

}  // namespace kezek::cli

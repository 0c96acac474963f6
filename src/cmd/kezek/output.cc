#include "cmd/kezek/output.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>

#include "kezek/check.h"

namespace kezek::cli {
namespace {

// Whether a text, written plainly in YAML, would be read back as that text.
bool IsPlain(const std::string& text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-@+() ";
  constexpr std::string_view kReserved[] = {"true", "false", "null", "yes", "no", "on", "off"};
  if (text.empty() || text.find_first_not_of(kSafe) != std::string::npos) return false;
  const char first = text.front();
  if (text.back() == ' ' ||
      !((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/')) {
    return false;
  }
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::find(std::begin(kReserved), std::end(kReserved), lower) == std::end(kReserved);
}

std::string Escaped(const std::string& text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      quoted += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 0xFU]};
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

// JSON's quoted texts have the tag `!`, all else has `?`.
std::string ScalarText(const YAML::Node& node) {
  if (node.IsNull()) return "null";
  const bool quoted = node.Tag() == "!";
  return quoted && !IsPlain(node.Scalar()) ? Escaped(node.Scalar()) : node.Scalar();
}

void Write(const YAML::Node& node, std::size_t indent, bool after_dash, std::string& text) {
  const std::string margin(indent, ' ');
  bool first = after_dash;
  const auto start_line = [&] {
    if (!first) text += margin;
    first = false;
  };
  const auto write_child = [&](const YAML::Node& child) {
    const bool nested = (child.IsMap() || child.IsSequence()) && child.size() > 0;
    if (!nested) {
      text += " " + (child.IsMap() ? "{}" : child.IsSequence() ? "[]" : ScalarText(child)) + "\n";
      return;
    }
    text += "\n";
    Write(child, indent + 2, false, text);
  };
  if (node.IsMap()) {
    for (const auto& entry : node) {
      start_line();
      const std::string& key = entry.first.Scalar();
      text += (IsPlain(key) ? key : Escaped(key)) + ":";
      write_child(entry.second);
    }
  } else {
    for (const auto& item : node) {
      start_line();
      text += "-";
      if (item.IsMap() && item.size() > 0) {
        text += " ";
        Write(item, indent + 2, true, text);
      } else {
        write_child(item);
      }
    }
  }
}

}  // namespace

const std::vector<std::string>& FormatNames() {
  static const std::vector<std::string> names = {"table", "wide", "json", "yaml", "name"};
  return names;
}

Format FormatNamed(std::string_view name) {
  const std::vector<std::string>& names = FormatNames();
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? Format::kTable : static_cast<Format>(found - names.begin());
}

std::string YamlText(const std::string& text) { return IsPlain(text) ? text : Escaped(text); }

std::string YamlFromJson(const std::string& json) {
  const YAML::Node root = YAML::Load(json);
  std::string text;
  if ((root.IsMap() || root.IsSequence()) && root.size() > 0) {
    Write(root, 0, false, text);
    return text;
  }
  return root.IsMap() ? "{}\n" : ScalarText(root) + "\n";
}

namespace {

using google::protobuf::Descriptor;

// Names of the fields that are maps, of the message and of what is in it.
void CollectMaps(const Descriptor& message, std::set<const Descriptor*>* seen,
                 std::set<std::string>* maps) {
  if (!seen->insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    if (field.is_map()) maps->insert(field.name());
    if (field.message_type() != nullptr) CollectMaps(*field.message_type(), seen, maps);
  }
}

void SortMaps(const std::set<std::string>& maps, nlohmann::ordered_json* value) {
  for (auto& [name, part] : value->items()) {
    if (!part.is_structured()) continue;
    SortMaps(maps, &part);
    if (!maps.contains(name) || !part.is_object()) continue;
    std::map<std::string, nlohmann::ordered_json> sorted;
    for (auto& [key, item] : part.items()) sorted.emplace(key, std::move(item));
    part = nlohmann::ordered_json(sorted);
  }
}

// Protobuf prints a map as it lies, which differs from run to run.
std::string WithSortedMaps(const std::string& json, const Descriptor& message) {
  std::set<const Descriptor*> seen;
  std::set<std::string> maps;
  CollectMaps(message, &seen, &maps);
  auto value = nlohmann::ordered_json::parse(json);
  SortMaps(maps, &value);
  return value.dump(1) + "\n";
}

}  // namespace

bool PrintMessage(const Host& host, Format format, const google::protobuf::Message& message) {
  if (format != Format::kJson && format != Format::kYaml) return false;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(message, &json, options);
  KEZEK_CHECK(printed.ok(), "a message of our own has a JSON form");
  json = WithSortedMaps(json, *message.GetDescriptor());
  *host.out << (format == Format::kJson ? json : YamlFromJson(json));
  return true;
}

}  // namespace kezek::cli

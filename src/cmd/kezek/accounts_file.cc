#include "cmd/kezek/accounts_file.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "cmd/kezek/output.h"
#include "cmd/kezek/unit_words.h"
#include "cmd/kezek/yaml_message.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// `PROJECT_RULE_FAIR` as `fair`.
std::string EnumText(const google::protobuf::EnumValueDescriptor& value) {
  const std::string first = value.type()->value(0)->name();
  std::string name = value.name().substr(first.rfind("UNSPECIFIED"));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// What files have also where it is empty, as the root's path, or 0, as the amount of a budget.
bool IsNeeded(const std::string& field) {
  return field == "path" || field == "milli_gpu_hours" || field == "end_ms";
}

// Writes what is set, in the order of the API.
class Writing {
 public:
  std::string Take() && { return std::move(text_); }

  void Item(const Message& message) {
    const std::size_t begin = text_.size();
    Fields(message, 2);
    if (text_.size() > begin) text_[begin] = '-';
  }

 private:
  void Line(std::size_t indent, const std::string& name, const std::string& value) {
    text_ += std::string(indent, ' ') + name + ":" + (value.empty() ? "" : " " + value) + "\n";
  }

  void Fields(const Message& message, std::size_t indent) {
    const auto& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const auto& reflection = *message.GetReflection();
      if (field.is_map()) {
        Map(message, field, indent);
      } else if (field.is_repeated()) {
        List(message, field, indent);
      } else if (reflection.HasField(message, &field) || IsNeeded(field.name())) {
        One(message, field, field.name(), indent);
      }
    }
  }

  void One(const Message& message, const FieldDescriptor& field, const std::string& name,
           std::size_t indent) {
    const auto& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Nested(reflection.GetMessage(message, &field), name, indent);
      case FieldDescriptor::CPPTYPE_STRING:
        return Line(indent, name, YamlText(reflection.GetString(message, &field)));
      case FieldDescriptor::CPPTYPE_BOOL:
        return Line(indent, name, reflection.GetBool(message, &field) ? "true" : "false");
      case FieldDescriptor::CPPTYPE_ENUM:
        return Line(indent, name, EnumText(*reflection.GetEnum(message, &field)));
      case FieldDescriptor::CPPTYPE_INT32:
        return Line(indent, name, std::to_string(reflection.GetInt32(message, &field)));
      case FieldDescriptor::CPPTYPE_INT64: {
        const auto [written, value] = WithoutUnit(field, reflection.GetInt64(message, &field));
        return Line(indent, written, value);
      }
      case FieldDescriptor::CPPTYPE_UINT32:
      case FieldDescriptor::CPPTYPE_UINT64:
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        return;  // no settings are of these
    }
  }

  void Nested(const Message& message, const std::string& name, std::size_t indent) {
    Line(indent, name, "");
    const std::size_t begin = text_.size();
    Fields(message, indent + 2);
    if (text_.size() == begin) text_.insert(begin - 1, " {}");
  }

  void Map(const Message& message, const FieldDescriptor& field, std::size_t indent) {
    const auto& reflection = *message.GetReflection();
    std::map<std::string, const Message*> entries;  // in a fixed order
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      const FieldDescriptor& key = *entry.GetDescriptor()->FindFieldByName("key");
      entries[entry.GetReflection()->GetString(entry, &key)] = &entry;
    }
    if (entries.empty()) return;
    Line(indent, field.name(), "");
    for (const auto& [name, entry] : entries) {
      One(*entry, *entry->GetDescriptor()->FindFieldByName("value"), YamlText(name), indent + 2);
    }
  }

  void List(const Message& message, const FieldDescriptor& field, std::size_t indent) {
    const auto& reflection = *message.GetReflection();
    const int size = reflection.FieldSize(message, &field);
    if (size == 0) return;
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Line(indent, field.name(), "");
      for (int i = 0; i < size; ++i) {
        const std::size_t begin = text_.size();
        Fields(reflection.GetRepeatedMessage(message, &field, i), indent + 4);
        if (text_.size() > begin) text_[begin + indent + 2] = '-';
      }
      return;
    }
    std::string list;
    for (int i = 0; i < size; ++i) {
      list += (i > 0 ? ", " : "[") + YamlText(reflection.GetRepeatedString(message, &field, i));
    }
    Line(indent, field.name(), list + "]");
  }

  std::string text_;
};

bool TakeVersion(const YAML::Node& node, std::int64_t* lowest) {
  std::int64_t version = 0;
  if (!YAML::convert<std::int64_t>::decode(node, version) || version <= 0) return false;
  *lowest = *lowest == 0 ? version : std::min(*lowest, version);
  return true;
}

// Left out, either would be 0: a budget that refuses every job, a period without an end.
void CheckBudgets(const YAML::Node& account, YamlReading* reading) {
  const YAML::Node settings = account["settings"];
  if (!settings.IsDefined() || !settings.IsMap() || !settings["budgets"].IsDefined()) return;
  for (const YAML::Node& budget : settings["budgets"]) {
    for (const auto& [key, unit_key] :
         {std::pair{"gpu_hours", "milli_gpu_hours"}, std::pair{"end", "end_ms"}}) {
      if (budget[key].IsDefined() || budget[unit_key].IsDefined()) continue;
      reading->Fail(budget.Mark(), "settings.budgets: '" + std::string(key) + "' is missing");
    }
  }
}

// The first key that no such file has.
std::string OtherKey(const YAML::Node& document) {
  static const std::set<std::string> known = {"accounts", "version"};
  if (!document.IsMap()) return "";
  for (const auto& entry : document) {
    if (!entry.first.IsScalar() || known.contains(entry.first.Scalar())) continue;
    return ", and found '" + entry.first.Scalar() + ":'";
  }
  return "";
}

}  // namespace

Result<AccountsFile> ReadAccounts(const std::string& text, const std::string& path) {
  YamlReading reading(path, {.what = "an account", .without_units = true});
  AccountsFile file;
  std::set<std::string> paths;
  for (const YAML::Node& document : reading.Load(text)) {
    if (document.IsNull()) continue;
    const YAML::Node list = document.IsMap() ? document["accounts"] : YAML::Node();
    const YAML::Node version = document.IsMap() ? document["version"] : YAML::Node();
    const std::size_t known = version.IsDefined() ? 2 : 1;
    if (!list.IsDefined() || !list.IsSequence() || document.size() != known) {
      reading.Fail(document.Mark(),
                   "expected a list of accounts under 'accounts:'" + OtherKey(document));
      break;
    }
    if (version.IsDefined() && !TakeVersion(version, &file.version)) {
      reading.Fail(version.Mark(), "version: must be a number of a version, as 'export' wrote it");
    }
    for (const YAML::Node& node : list) {
      v1::AccountChange& change = file.changes.emplace_back();
      file.lines.push_back(node.Mark().line + 1);
      reading.ReadMessage(node, "", change);
      if (reading.error()) return *reading.error();
      if (!node["path"].IsDefined()) reading.Fail(node.Mark(), "'path' is missing");
      CheckBudgets(node, &reading);
      if (!paths.insert(change.path()).second) {
        reading.Fail(node.Mark(), "path: '" + change.path() + "' is there twice");
      }
    }
  }
  if (reading.error()) return *reading.error();
  if (file.changes.empty()) {
    return Error{Code::kInvalidArgument, path + ": there is no account in it", {}};
  }
  return file;
}

std::string WriteAccounts(const std::vector<v1::Account>& accounts) {
  Writing writing;
  for (const v1::Account& account : accounts) {
    v1::AccountChange change;
    change.set_path(account.path());
    change.set_kind(account.kind());
    if (!account.title().empty()) change.set_title(account.title());
    *change.mutable_attributes() = account.attributes();
    *change.mutable_settings() = account.settings();
    if (account.closed()) change.set_closed(true);
    writing.Item(change);
  }
  return "accounts:\n" + std::move(writing).Take();
}

Error InFile(Error error, const AccountsFile& file, const std::string& path) {
  constexpr std::string_view kFront = "changes[";
  for (FieldError& detail : error.details) {
    const std::size_t end = detail.field.find(']');
    if (!detail.field.starts_with(kFront) || end == std::string::npos) continue;
    const auto index =
        script::ParseNumber(detail.field.substr(kFront.size(), end - kFront.size()), 0, 1'000'000);
    if (!index || static_cast<std::size_t>(*index) >= file.lines.size()) continue;
    const std::string field = detail.field.substr(std::min(end + 2, detail.field.size()));
    const std::string line = std::to_string(file.lines[static_cast<std::size_t>(*index)]);
    const std::string said = detail.field + ": " + detail.message;
    detail.field = path + " line " + line;
    detail.message = (field.empty() ? "" : field + ": ") + detail.message;
    if (error.message == said) error.message = detail.field + ": " + detail.message;
  }
  return error;
}

}  // namespace kezek::cli

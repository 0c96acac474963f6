#include "rpc/account_diff.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/wrappers.pb.h>

#include <map>
#include <string>

namespace kezek::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Quoted(const std::string& text) {
  google::protobuf::StringValue value;
  value.set_value(text);
  std::string json;
  return google::protobuf::util::MessageToJsonString(value, &json).ok() ? json : "";
}

// One value as JSON; "" if there is none.
std::string ValueOf(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  if (field.has_presence() && !reflection.HasField(message, &field)) return "";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return Quoted(reflection.GetEnum(message, &field)->name());
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = reflection.GetString(message, &field);
      return text.empty() ? "" : Quoted(text);
    }
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "";  // no settings are of these
  }
  return "";
}

// Texts of a list as JSON; "" if it is empty.
std::string ListOf(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  std::string list;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    list += (i > 0 ? "," : "[") + Quoted(reflection.GetRepeatedString(message, &field, i));
  }
  return list.empty() ? "" : list + "]";
}

class Comparison {
 public:
  Comparison(std::string account, std::vector<v1::FieldChange>* out)
      : account_(std::move(account)), out_(out) {}

  void Add(const std::string& field, const std::string& before, const std::string& after) {
    if (before == after) return;
    v1::FieldChange& change = out_->emplace_back();
    change.set_account(account_);
    change.set_field(field);
    change.set_before(before);
    change.set_after(after);
  }

  void Fields(const std::string& prefix, const Message& before, const Message& after) {
    const auto& type = *before.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) Field(prefix, *type.field(i), before, after);
  }

  void Field(const std::string& prefix, const FieldDescriptor& field, const Message& before,
             const Message& after) {
    const std::string name = prefix + field.name();
    const bool message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (message && field.is_repeated()) return Named(name, field, before, after);
    if (field.is_repeated()) return Add(name, ListOf(before, field), ListOf(after, field));
    if (!message) return Add(name, ValueOf(before, field), ValueOf(after, field));
    Fields(name + ".", before.GetReflection()->GetMessage(before, &field),
           after.GetReflection()->GetMessage(after, &field));
  }

 private:
  // What has a name: entries of a map by their keys, items of a list by the name in them.
  using ByName = std::map<std::string, const Message*>;
  static ByName NamesOf(const Message& message, const FieldDescriptor& field) {
    ByName names;
    const auto& reflection = *message.GetReflection();
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Message& item = reflection.GetRepeatedMessage(message, &field, i);
      names[item.GetReflection()->GetString(item, item.GetDescriptor()->field(0))] = &item;
    }
    return names;
  }

  void Named(const std::string& name, const FieldDescriptor& field, const Message& before,
             const Message& after) {
    const Message& none =
        *before.GetReflection()->GetMessageFactory()->GetPrototype(field.message_type());
    std::map<std::string, std::pair<const Message*, const Message*>> both;
    for (const auto& [key, item] : NamesOf(before, field)) both[key] = {item, &none};
    for (const auto& [key, item] : NamesOf(after, field)) {
      both.try_emplace(key, &none, &none).first->second.second = item;
    }
    for (const auto& [key, items] : both) {
      const std::string path = name + "[" + key + "]";
      if (!field.is_map()) {
        Fields(path + ".", *items.first, *items.second);
        continue;
      }
      const FieldDescriptor& value = *field.message_type()->FindFieldByName("value");
      if (value.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Fields(path + ".", items.first->GetReflection()->GetMessage(*items.first, &value),
               items.second->GetReflection()->GetMessage(*items.second, &value));
      } else {
        Add(path, ValueOf(*items.first, value), ValueOf(*items.second, value));
      }
    }
  }

  std::string account_;
  std::vector<v1::FieldChange>* out_;
};

}  // namespace

void AddDifferences(const v1::Account& before, const v1::Account& after,
                    std::vector<v1::FieldChange>* out) {
  Comparison comparison(after.path(), out);
  const bool made = before.kind().empty();
  if (made) {
    comparison.Add("", "", Quoted(after.kind()));
  } else {
    comparison.Add("path", Quoted(before.path()), Quoted(after.path()));
  }
  for (const char* name : {"kind", "title", "attributes", "closed", "settings"}) {
    if (made && std::string(name) == "kind") continue;
    comparison.Field("", *v1::Account::descriptor()->FindFieldByName(name), before, after);
  }
}

}  // namespace kezek::rpc

#include "rpc/request_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/status.h"

namespace kezek::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Judged where they are read: the only map that every submission has, as walking it would copy it,
// and submissions that are answered one by one.
constexpr std::string_view kApart[] = {"kezek.v1.JobSpec.environment",
                                       "kezek.v1.SubmitManyRequest.submissions"};

bool FindNul(const Message& message, std::string* path);

// Whether the text, or a text below the message, at `index` of the field (-1: it is not repeated)
// holds a NUL; its path below the field is put behind `path` then.
bool FindNulAt(const Message& message, const FieldDescriptor* field, int index, std::string* path) {
  const auto& reflection = *message.GetReflection();
  if (field->type() == FieldDescriptor::TYPE_STRING) {
    std::string scratch;
    const std::string& text =
        index < 0 ? reflection.GetStringReference(message, field, &scratch)
                  : reflection.GetRepeatedStringReference(message, field, index, &scratch);
    return text.find('\0') != std::string::npos;
  }
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return false;
  const Message& below = index < 0 ? reflection.GetMessage(message, field)
                                   : reflection.GetRepeatedMessage(message, field, index);
  std::string under;
  if (!FindNul(below, &under)) return false;
  *path += "." + under;
  return true;
}

// The same for an entry of a map, which is a message of a key and a value.
bool FindNulInEntry(const Message& entry, std::string* path) {
  const FieldDescriptor* key = entry.GetDescriptor()->map_key();
  const FieldDescriptor* value = entry.GetDescriptor()->map_value();
  if (FindNulAt(entry, key, -1, path)) return true;
  std::string under;
  if (!FindNulAt(entry, value, -1, &under)) return false;
  const bool named = key->type() == FieldDescriptor::TYPE_STRING;
  if (named) *path += "[" + entry.GetReflection()->GetString(entry, key) + "]" + under;
  return true;
}

bool FindNul(const Message& message, std::string* path) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    *path = field->name();
    if (!field->is_repeated()) {
      if (FindNulAt(message, field, -1, path)) return true;
      continue;
    }
    if (std::ranges::find(kApart, field->full_name()) != std::end(kApart)) continue;
    const int count = reflection.FieldSize(message, field);
    for (int i = 0; i < count; ++i) {
      if (field->is_map()) {
        if (FindNulInEntry(reflection.GetRepeatedMessage(message, field, i), path)) return true;
      } else if (std::string under; FindNulAt(message, field, i, &under)) {
        *path += "[" + std::to_string(i) + "]" + under;
        return true;
      }
    }
  }
  return false;
}

}  // namespace

Result<void> CheckTexts(const Message& request) {
  std::string path;
  if (!FindNul(request, &path)) return {};
  return Invalid(path, "must not hold a NUL byte");
}

}  // namespace kezek::rpc

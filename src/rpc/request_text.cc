#include "rpc/request_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/field_checks.h"

namespace kezek::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Judged where they are read: the only map that every submission has, as walking it would copy it,
// and submissions that are answered one by one.
constexpr std::string_view kApart[] = {"kezek.v1.JobSpec.environment",
                                       "kezek.v1.SubmitManyRequest.submissions"};

constexpr std::size_t kMost = 4096;
constexpr std::size_t kElsewhere = std::numeric_limits<std::size_t>::max();

// Fields, in whatever message, whose texts may be longer than kMost.
struct Longer {
  std::string_view field;
  std::size_t most;
};
constexpr auto kLonger = std::to_array<Longer>({
    {"script", kElsewhere},     // spec_convert, by the configuration
    {"arguments", kElsewhere},  // spec_convert
    {"jobs", 131'072},          // a list of all elements of an array
    {"indices", 131'072},
    {"nodes", 131'072},  // lists of nodes
    {"nodelist", 131'072},
    {"exclude_nodes", 131'072},
});

std::size_t MostOf(const FieldDescriptor* field) {
  const auto* found = std::ranges::find(kLonger, field->name(), &Longer::field);
  return found == kLonger.end() ? kMost : found->most;
}

// What is wrong with a text, and where: a path below what was looked at. Nothing: no problem.
struct Problem {
  std::string path;
  std::string message;
  bool unknown = false;  // no text: a field of another version of the API
};

Problem Find(const Message& message);

// Of the text, or of a text below the message, at `index` of the field (-1: it is not repeated).
Problem FindAt(const Message& message, const FieldDescriptor* field, int index) {
  const auto& reflection = *message.GetReflection();
  if (field->type() == FieldDescriptor::TYPE_STRING) {
    std::string scratch;
    const std::string& text =
        index < 0 ? reflection.GetStringReference(message, field, &scratch)
                  : reflection.GetRepeatedStringReference(message, field, index, &scratch);
    if (text.find('\0') != std::string::npos) return {"", "must not hold a NUL byte"};
    const std::size_t most = MostOf(field);
    if (text.size() <= most) return {};
    return {"", TooLong(text.size(), most)};
  }
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return {};
  Problem below = Find(index < 0 ? reflection.GetMessage(message, field)
                                 : reflection.GetRepeatedMessage(message, field, index));
  if (!below.message.empty()) below.path = "." + below.path;
  return below;
}

// The same for an entry of a map, which is a message of a key and a value.
Problem FindInEntry(const Message& entry) {
  const FieldDescriptor* key = entry.GetDescriptor()->map_key();
  Problem problem = FindAt(entry, key, -1);
  if (!problem.message.empty()) return problem;
  problem = FindAt(entry, entry.GetDescriptor()->map_value(), -1);
  const bool named = !problem.message.empty() && key->type() == FieldDescriptor::TYPE_STRING;
  if (named) problem.path = "[" + entry.GetReflection()->GetString(entry, key) + "]" + problem.path;
  return problem;
}

Problem Find(const Message& message) {
  const auto& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) {
    return {std::to_string(unknown.field(0).number()), "a field that this server does not know",
            true};
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (std::ranges::find(kApart, field->full_name()) != std::end(kApart)) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      Problem problem = field->is_map()
                            ? FindInEntry(reflection.GetRepeatedMessage(message, field, i))
                            : FindAt(message, field, field->is_repeated() ? i : -1);
      if (problem.message.empty()) continue;
      const bool list = field->is_repeated() && !field->is_map();
      problem.path = field->name() + (list ? "[" + std::to_string(i) + "]" : "") + problem.path;
      return problem;
    }
  }
  return {};
}

}  // namespace

Result<void> CheckTexts(const Message& request) {
  const Problem problem = Find(request);
  if (problem.message.empty()) return {};
  if (problem.unknown) return NotYet(problem.path, problem.message);
  return Invalid(problem.path, problem.message);
}

}  // namespace kezek::rpc

#include "cmd/kezek/yaml_message.h"

#include <google/protobuf/descriptor.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <set>
#include <sstream>
#include <string_view>

#include "cmd/kezek/unit_words.h"
#include "kezek/text.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Fields in `_ms` that are moments, not lengths.
constexpr std::string_view kMoments[] = {"begin_ms", "deadline_ms"};

std::string Name(const std::string& where) { return where.empty() ? "" : where + ": "; }

// Fields that begin alike, or all of them when there are few.
std::string Nearest(const Descriptor& type, const std::string& key) {
  std::string alike;
  for (int i = 0; i < type.field_count(); ++i) {
    const std::string& name = type.field(i)->name();
    const bool close =
        key.size() > 2 && (name.starts_with(key.substr(0, 3)) ||
                           ("_" + name + "_").find("_" + key + "_") != std::string::npos);
    if (close || type.field_count() < 8) alike += (alike.empty() ? "" : ", ") + name;
  }
  return alike.empty() ? "" : "; there is " + alike;
}

// Notices what yaml-cpp lets through. It takes a stray `,` or `]` for a document without end and
// begins with it again, for ever; and it writes `\N` and `\_` as one byte that is not UTF-8.
class FirstLook final : public YAML::EventHandler {
 public:
  struct Problem {
    YAML::Mark mark;
    std::string message;
  };
  // The first, if there is one.
  const std::optional<Problem>& problem() const { return problem_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (mark.pos == last_) {
      problem_ = {mark, "what stands here belongs to nothing, such as a stray ','"};
    }
    last_ = mark.pos;
  }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string& value) override {
    if (problem_ || IsUtf8(value)) return;
    problem_ = {mark, R"(the escapes \N and \_ are not taken: write \u0085 and \u00a0)"};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  int last_ = -1;
  std::optional<Problem> problem_;
};

std::optional<FirstLook::Problem> LookAt(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  FirstLook look;
  while (!look.problem() && parser.HandleNextDocument(look)) {
  }
  return look.problem();
}

// The line with the first byte that is not UTF-8, which yaml-cpp lets through into quoted text.
std::optional<YAML::Mark> FindForeign(const std::string& text) {
  YAML::Mark mark;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line); ++mark.line) {
    if (!IsUtf8(line)) return mark;
  }
  return std::nullopt;
}

}  // namespace

// A field of a message that is read, and how its value is written.
struct YamlReading::Place {
  const FieldDescriptor& field;
  const std::string& where;
  Message& message;
  bool plain = true;  // in the API's own unit; false: without_units
};

void YamlReading::Fail(const YAML::Mark& mark, const std::string& message) {
  if (error_) return;
  const std::string line = std::to_string(mark.line + 1);
  error_ = FieldProblem(Code::kInvalidArgument,
                        {path_ + " line " + line, "FIELD_INVALID", message, {{"line", line}}});
}

std::vector<YAML::Node> YamlReading::Load(const std::string& text) {
  try {
    if (const auto foreign = FindForeign(text)) {
      Fail(*foreign, "not UTF-8: convert it, for example with iconv");
      return {};
    }
    if (const auto problem = LookAt(text)) {
      Fail(problem->mark, problem->message);
      return {};
    }
    return YAML::LoadAll(text);
  } catch (const YAML::Exception& problem) {
    Fail(problem.mark, problem.msg);
    return {};
  }
}

void YamlReading::ReadMessage(const YAML::Node& node, const std::string& where, Message& message) {
  if (!node.IsMap()) return Fail(node.Mark(), Name(where) + "expected fields, one a line");
  const Descriptor& type = *message.GetDescriptor();
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    const std::string field_path = where.empty() ? key : where + "." + key;
    const FieldDescriptor* field = type.FindFieldByName(key);
    const bool plain = field != nullptr;
    if (!plain && words_.without_units) field = FieldWithoutUnit(type, key);
    if (field == nullptr) {
      return Fail(entry.first.Mark(),
                  "'" + field_path + "' is no field of " + words_.what + Nearest(type, key));
    }
    if (!seen.insert(field->name()).second) {
      return Fail(entry.first.Mark(), "'" + field_path + "' is there twice");
    }
    ReadField(entry.second, {*field, field_path, message, plain});
    if (error_) return;
  }
}

void YamlReading::ReadField(const YAML::Node& node, const Place& place) {
  if (place.field.is_map()) return ReadMap(node, place);
  if (!place.field.is_repeated()) return ReadOne(node, place);
  if (!node.IsSequence()) {
    return Fail(node.Mark(), place.where + ": expected a list, such as [a, b]");
  }
  for (const YAML::Node& item : node) ReadOne(item, place);
}

void YamlReading::ReadMap(const YAML::Node& node, const Place& place) {
  if (!node.IsMap()) return Fail(node.Mark(), place.where + ": expected names with values");
  const Reflection& reflection = *place.message.GetReflection();
  const FieldDescriptor& value = *place.field.message_type()->FindFieldByName("value");
  std::set<std::string> seen;
  for (const auto& pair : node) {
    if (!pair.first.IsScalar()) return Fail(pair.first.Mark(), place.where + ": expected a name");
    const std::string name = place.where + "." + pair.first.Scalar();
    if (!seen.insert(pair.first.Scalar()).second) {
      return Fail(pair.first.Mark(), "'" + name + "' is there twice");
    }
    Message& entry = *reflection.AddMessage(&place.message, &place.field);
    const FieldDescriptor& key = *place.field.message_type()->FindFieldByName("key");
    entry.GetReflection()->SetString(&entry, &key, pair.first.Scalar());
    ReadOne(pair.second, {value, name, entry});
  }
}

void YamlReading::ReadOne(const YAML::Node& node, const Place& place) {
  if (error_) return;
  const FieldDescriptor& field = place.field;
  Message& message = place.message;
  const Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    Message* part = field.is_repeated() ? reflection.AddMessage(&message, &field)
                                        : reflection.MutableMessage(&message, &field);
    return ReadMessage(node, place.where, *part);
  }
  if (!node.IsScalar()) return Fail(node.Mark(), place.where + ": expected one value");
  const std::string text = node.Scalar();
  const auto type = field.cpp_type();
  if (type == FieldDescriptor::CPPTYPE_ENUM) return ReadEnum(node, place);
  if (type == FieldDescriptor::CPPTYPE_STRING) {
    if (field.is_repeated()) return reflection.AddString(&message, &field, text);
    return reflection.SetString(&message, &field, text);
  }
  if (type != FieldDescriptor::CPPTYPE_BOOL) return ReadNumber(node, place);
  if (text != "true" && text != "false") {
    return Fail(node.Mark(), place.where + ": expected true or false");
  }
  reflection.SetBool(&message, &field, text == "true");
}

// The number a text stands for. INVALID_ARGUMENT with what was expected.
Result<std::int64_t> YamlReading::NumberOf(const std::string& text, const Place& place) const {
  if (!place.plain) return ValueWithoutUnit(place.field, text);
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed == std::errc() && end == text.data() + text.size()) return value;
  const std::string& name = place.field.name();
  if (!name.ends_with("_ms")) return Error{Code::kInvalidArgument, "expected a whole number", {}};
  const bool moment =
      std::find(std::begin(kMoments), std::end(kMoments), name) != std::end(kMoments);
  return moment ? script::ParseMoment(text, words_.now_ms) : script::ParseDuration(text);
}

void YamlReading::ReadNumber(const YAML::Node& node, const Place& place) {
  const Result<std::int64_t> value = NumberOf(node.Scalar(), place);
  if (!value) return Fail(node.Mark(), place.where + ": " + value.error().message);
  const Reflection& reflection = *place.message.GetReflection();
  if (place.field.cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    return reflection.SetInt64(&place.message, &place.field, *value);
  }
  if (*value < std::numeric_limits<std::int32_t>::min() ||
      *value > std::numeric_limits<std::int32_t>::max()) {
    return Fail(node.Mark(), place.where + ": the number is too large");
  }
  reflection.SetInt32(&place.message, &place.field, static_cast<std::int32_t>(*value));
}

void YamlReading::ReadEnum(const YAML::Node& node, const Place& place) {
  const auto& type = *place.field.enum_type();
  // JOB_KIND_UNSPECIFIED: what all names begin with.
  const std::string first = type.value(0)->name();
  const std::string prefix = first.substr(0, first.rfind("UNSPECIFIED"));
  std::string upper = node.Scalar();
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) {
    return static_cast<char>(c == '-' ? '_' : std::toupper(c));
  });
  const EnumValueDescriptor* value = type.FindValueByName(node.Scalar());
  if (value == nullptr) value = type.FindValueByName(prefix + upper);
  if (value == nullptr || value->number() == 0) {
    std::string known;
    for (int i = 1; i < type.value_count(); ++i) {
      std::string name = type.value(i)->name().substr(prefix.size());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      known += (i > 1 ? ", " : "") + name;
    }
    return Fail(node.Mark(), place.where + ": expected one of " + known);
  }
  place.message.GetReflection()->SetEnum(&place.message, &place.field, value);
}

}  // namespace kezek::cli

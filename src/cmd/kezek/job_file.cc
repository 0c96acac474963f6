#include "cmd/kezek/job_file.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <set>
#include <sstream>

#include "kezek/text.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Fields in `_ms` that are moments, not lengths.
constexpr std::string_view kMoments[] = {"begin_ms", "deadline_ms"};

// Reads one file; keeps the first thing wrong.
class Reading {
 public:
  Reading(std::string path, std::int64_t now_ms) : path_(std::move(path)), now_ms_(now_ms) {}

  const std::optional<Error>& error() const { return error_; }

  void Fail(const YAML::Mark& mark, const std::string& message) {
    if (error_) return;
    const std::string place = path_ + " line " + std::to_string(mark.line + 1);
    error_ =
        FieldProblem(Code::kInvalidArgument,
                     {place, "FIELD_INVALID", message, {{"line", std::to_string(mark.line + 1)}}});
  }

  void ReadMessage(const YAML::Node& node, const std::string& where, Message& message) {
    if (!node.IsMap()) return Fail(node.Mark(), Name(where) + "expected fields, one a line");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      const std::string field_path = where.empty() ? key : where + "." + key;
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(key);
      if (field == nullptr) {
        return Fail(entry.first.Mark(), "'" + field_path + "' is no field of a job" +
                                            Nearest(*message.GetDescriptor(), key));
      }
      if (!seen.insert(key).second) {
        return Fail(entry.first.Mark(), "'" + field_path + "' is there twice");
      }
      ReadField(entry.second, *field, field_path, message);
      if (error_) return;
    }
  }

 private:
  static std::string Name(const std::string& where) { return where.empty() ? "" : where + ": "; }

  // Fields that begin alike, or all of them when there are few.
  static std::string Nearest(const google::protobuf::Descriptor& type, const std::string& key) {
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

  void ReadField(const YAML::Node& node, const FieldDescriptor& field, const std::string& where,
                 Message& message) {
    if (field.is_map()) return ReadMap(node, field, where, message);
    if (!field.is_repeated()) return ReadOne(node, field, where, message);
    if (!node.IsSequence()) return Fail(node.Mark(), where + ": expected a list, such as [a, b]");
    for (const YAML::Node& item : node) ReadOne(item, field, where, message);
  }

  void ReadMap(const YAML::Node& node, const FieldDescriptor& field, const std::string& where,
               Message& message) {
    if (!node.IsMap()) return Fail(node.Mark(), where + ": expected names with values");
    const Reflection& reflection = *message.GetReflection();
    const FieldDescriptor& value = *field.message_type()->FindFieldByName("value");
    std::set<std::string> seen;
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) return Fail(pair.first.Mark(), where + ": expected a name");
      if (!seen.insert(pair.first.Scalar()).second) {
        return Fail(pair.first.Mark(),
                    "'" + where + "." + pair.first.Scalar() + "' is there twice");
      }
      Message& entry = *reflection.AddMessage(&message, &field);
      const FieldDescriptor& key = *field.message_type()->FindFieldByName("key");
      entry.GetReflection()->SetString(&entry, &key, pair.first.Scalar());
      ReadOne(pair.second, value, where + "." + pair.first.Scalar(), entry);
    }
  }

  void ReadOne(const YAML::Node& node, const FieldDescriptor& field, const std::string& where,
               Message& message) {
    if (error_) return;
    const Reflection& reflection = *message.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* part = field.is_repeated() ? reflection.AddMessage(&message, &field)
                                          : reflection.MutableMessage(&message, &field);
      return ReadMessage(node, where, *part);
    }
    if (!node.IsScalar()) return Fail(node.Mark(), where + ": expected one value");
    const std::string text = node.Scalar();
    const auto type = field.cpp_type();
    if (type == FieldDescriptor::CPPTYPE_ENUM) return ReadEnum(node, field, where, message);
    if (type == FieldDescriptor::CPPTYPE_STRING) {
      if (field.is_repeated()) return reflection.AddString(&message, &field, text);
      return reflection.SetString(&message, &field, text);
    }
    if (type != FieldDescriptor::CPPTYPE_BOOL) return ReadNumber(node, field, where, message);
    if (text != "true" && text != "false") {
      return Fail(node.Mark(), where + ": expected true or false");
    }
    reflection.SetBool(&message, &field, text == "true");
  }

  void ReadNumber(const YAML::Node& node, const FieldDescriptor& field, const std::string& where,
                  Message& message) {
    const std::string text = node.Scalar();
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool plain = failed == std::errc() && end == text.data() + text.size();
    if (!plain && field.name().ends_with("_ms")) {
      const bool moment =
          std::find(std::begin(kMoments), std::end(kMoments), field.name()) != std::end(kMoments);
      const Result<std::int64_t> read =
          moment ? script::ParseMoment(text, now_ms_) : script::ParseDuration(text);
      if (!read) return Fail(node.Mark(), where + ": " + read.error().message);
      value = *read;
    } else if (!plain) {
      return Fail(node.Mark(), where + ": expected a whole number");
    }
    const Reflection& reflection = *message.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      return reflection.SetInt64(&message, &field, value);
    }
    if (value < std::numeric_limits<std::int32_t>::min() ||
        value > std::numeric_limits<std::int32_t>::max()) {
      return Fail(node.Mark(), where + ": the number is too large");
    }
    reflection.SetInt32(&message, &field, static_cast<std::int32_t>(value));
  }

  void ReadEnum(const YAML::Node& node, const FieldDescriptor& field, const std::string& where,
                Message& message) {
    const auto& type = *field.enum_type();
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
      return Fail(node.Mark(), where + ": expected one of " + known);
    }
    message.GetReflection()->SetEnum(&message, &field, value);
  }

  std::string path_;
  std::int64_t now_ms_;
  std::optional<Error> error_;
};

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

bool IsJobFile(std::string_view path) { return path.ends_with(".yaml") || path.ends_with(".yml"); }

Result<std::vector<FileJob>> ParseJobFile(const std::string& text, const std::string& path,
                                          std::int64_t now_ms) {
  Reading reading(path, now_ms);
  std::vector<FileJob> jobs;
  if (const auto foreign = FindForeign(text)) {
    reading.Fail(*foreign, "not UTF-8: convert it, for example with iconv");
    return *reading.error();
  }
  try {
    if (const auto problem = LookAt(text)) {
      reading.Fail(problem->mark, problem->message);
      return *reading.error();
    }
    for (const YAML::Node& document : YAML::LoadAll(text)) {
      if (document.IsNull()) continue;
      FileJob job;
      job.line = document.Mark().line + 1;
      reading.ReadMessage(document, "", job.spec);
      if (reading.error()) return *reading.error();
      job.has_environment = document["environment"].IsDefined();
      if (job.spec.script().empty()) reading.Fail(document.Mark(), "'script' is missing");
      if (reading.error()) return *reading.error();
      jobs.push_back(std::move(job));
    }
  } catch (const YAML::Exception& problem) {
    reading.Fail(problem.mark, problem.msg);
    return *reading.error();
  }
  if (jobs.empty()) return Error{Code::kInvalidArgument, path + ": there is no job in it", {}};
  return jobs;
}

}  // namespace kezek::cli

// YAML files whose keys are the fields of the API's messages. The first thing wrong is kept, with
// its line. Pure, but for the time zone of moments.
#pragma once

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kezek/result.h"

namespace kezek::cli {

// How keys and values are written.
struct YamlWords {
  std::string what;         // that the fields are of, in errors: "a job"
  std::int64_t now_ms = 0;  // what moments such as `tomorrow` count from
  // Besides the API's own names, those without a unit: `guarantee_gpus: 1.5` is
  // `guarantee_milli_gpus: 1500`, `weight: 2` is `weight_milli: 2000`, `gpu_hours: 10` is
  // `milli_gpu_hours: 10000`, `time_limit: 12h` is `time_limit_ms`, `target: 40%` is `target_ppm`,
  // `end: 2027-01-01` or `2027-01-01T08:00:00`, in UTC, is `end_ms`.
  bool without_units = false;
};

class YamlReading {
 public:
  YamlReading(std::string path, YamlWords words)
      : path_(std::move(path)), words_(std::move(words)) {}

  const std::optional<Error>& error() const { return error_; }
  // INVALID_ARGUMENT FIELD_INVALID with file and line, unless something was wrong before.
  void Fail(const YAML::Mark& mark, const std::string& message);
  // The documents of a text; none if it is no YAML.
  std::vector<YAML::Node> Load(const std::string& text);
  // Fields into a message; `where` is the path of what holds them.
  void ReadMessage(const YAML::Node& node, const std::string& where,
                   google::protobuf::Message& message);

 private:
  struct Place;
  void ReadField(const YAML::Node& node, const Place& place);
  void ReadMap(const YAML::Node& node, const Place& place);
  void ReadOne(const YAML::Node& node, const Place& place);
  void ReadNumber(const YAML::Node& node, const Place& place);
  void ReadEnum(const YAML::Node& node, const Place& place);
  Result<std::int64_t> NumberOf(const std::string& text, const Place& place) const;

  std::string path_;
  YamlWords words_;
  std::optional<Error> error_;
};

}  // namespace kezek::cli

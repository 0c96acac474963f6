// Reading a YAML mapping strictly: a key nobody asked for is an error with its line.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek::config {

// Problems of one file, in the order they were met. `field` is the key's path ("slurm.url").
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}
  void Add(const YAML::Node& at, const std::string& path, const std::string& message);
  bool empty() const { return details_.empty(); }
  // INVALID_ARGUMENT with every problem; the message has one line for each: "file:line: path: …".
  Error ToError() const;

 private:
  std::string file_;
  std::vector<FieldError> details_;
};

// One mapping of the file. Each getter leaves `out` untouched if the key is absent. Call Finish
// last: it reports the keys that no getter asked for, with the nearest one that exists.
class Section {
 public:
  Section(const YAML::Node& node, std::string path, Problems* problems);

  void Text(const std::string& key, std::string* out);
  void Texts(const std::string& key, std::vector<std::string>* out);
  void Flag(const std::string& key, bool* out);
  void Number(const std::string& key, std::int64_t lowest, std::int64_t highest, std::int64_t* out);
  void Number(const std::string& key, std::int64_t lowest, std::int64_t highest, std::int32_t* out);
  // "250ms", "30s", "5m", "12h", "7d".
  void Duration(const std::string& key, DurationMs lowest, DurationMs* out);
  // A decimal number with at most three places, in thousandths: 1.5 is 1500.
  void Milli(const std::string& key, std::int64_t* out);
  // Calls `read` with the mapping under `key`, if there is one.
  void Child(const std::string& key, const std::function<void(Section&)>& read);
  // Calls `read` with each mapping of the list under `key`.
  void List(const std::string& key, const std::function<void(Section&)>& read);
  // Calls `read` with each key of this mapping and its mapping; takes all keys as known.
  void Each(const std::function<void(const std::string& name, Section&)>& read);
  bool Has(const std::string& key);
  void Require(const std::string& key);
  void Problem(const std::string& key, const std::string& message);
  void Finish();

 private:
  YAML::Node Take(const std::string& key);
  std::string Path(const std::string& key) const;

  YAML::Node node_;
  std::string path_;
  Problems* problems_;
  std::set<std::string> known_;
};

// NOT_FOUND: the file cannot be read.
Result<std::string> ReadFile(const std::string& path);
// Parses the text and hands the top mapping to `read`; INVALID_ARGUMENT names every problem.
Result<void> ReadYaml(const std::string& text, const std::string& file_name,
                      const std::function<void(Section&)>& read);

// Parses "250ms", "30s", "5m", "12h", "7d"; absent if it is none.
std::optional<DurationMs> ParseDuration(const std::string& text);

}  // namespace kezek::config

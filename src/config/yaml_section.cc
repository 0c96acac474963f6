#include "config/yaml_section.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>

namespace kezek::config {
namespace {

// Edit distance, to name the key that was meant.
std::size_t Distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

std::string Nearest(const std::string& key, const std::set<std::string>& known) {
  const auto best = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return Distance(key, a) < Distance(key, b);
  });
  return best != known.end() && Distance(key, *best) <= 3 ? *best : "";
}

std::string Joined(const std::set<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::optional<std::int64_t> ParseInteger(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

void Problems::Add(const YAML::Node& at, const std::string& path, const std::string& message) {
  const int line = at.IsDefined() && !at.Mark().is_null() ? at.Mark().line + 1 : 0;
  const std::string where = file_ + (line > 0 ? ":" + std::to_string(line) : "");
  details_.push_back({path,
                      "CONFIG_INVALID",
                      where + ": " + path + ": " + message,
                      {{"file", file_}, {"line", std::to_string(line)}}});
}

Error Problems::ToError() const {
  std::string message;
  for (const auto& detail : details_) message += (message.empty() ? "" : "\n") + detail.message;
  return Error{Code::kInvalidArgument, message, details_};
}

Section::Section(const YAML::Node& node, std::string path, Problems* problems)
    : node_(node), path_(std::move(path)), problems_(problems) {}

std::string Section::Path(const std::string& key) const {
  return path_.empty() ? key : path_ + "." + key;
}

YAML::Node Section::Take(const std::string& key) {
  known_.insert(key);
  const YAML::Node& node = node_;
  return node.IsMap() ? node[key] : YAML::Node(YAML::NodeType::Undefined);
}

void Section::Text(const std::string& key, std::string* out) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  if (!value.IsScalar()) {
    problems_->Add(value, Path(key), "must be a text");
    return;
  }
  *out = value.Scalar();
}

void Section::Texts(const std::string& key, std::vector<std::string>* out) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  if (!value.IsSequence()) {
    problems_->Add(value, Path(key), "must be a list of texts");
    return;
  }
  out->clear();
  for (const auto& item : value) {
    if (item.IsScalar()) {
      out->push_back(item.Scalar());
    } else {
      problems_->Add(item, Path(key), "must be a list of texts");
    }
  }
}

void Section::Flag(const std::string& key, bool* out) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  const std::string text = value.IsScalar() ? value.Scalar() : "";
  if (text != "true" && text != "false") {
    problems_->Add(value, Path(key), "must be true or false");
    return;
  }
  *out = text == "true";
}

void Section::Number(const std::string& key, std::int64_t lowest, std::int64_t highest,
                     std::int64_t* out) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  const auto number = value.IsScalar() ? ParseInteger(value.Scalar()) : std::nullopt;
  if (!number || *number < lowest || *number > highest) {
    problems_->Add(
        value, Path(key),
        "must be a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
    return;
  }
  *out = *number;
}

void Section::Number(const std::string& key, std::int64_t lowest, std::int64_t highest,
                     std::int32_t* out) {
  std::int64_t wide = *out;
  Number(key, lowest, std::min<std::int64_t>(highest, std::numeric_limits<std::int32_t>::max()),
         &wide);
  *out = static_cast<std::int32_t>(wide);
}

void Section::Duration(const std::string& key, DurationMs lowest, DurationMs* out) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  const auto duration = value.IsScalar() ? ParseDuration(value.Scalar()) : std::nullopt;
  if (!duration || *duration < lowest) {
    problems_->Add(value, Path(key),
                   "must be a length of time such as 250ms, 30s, 5m, 12h or 7d, at least " +
                       std::to_string(lowest) + "ms");
    return;
  }
  *out = *duration;
}

void Section::Milli(const std::string& key, std::int64_t* out) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  const std::string text = value.IsScalar() ? value.Scalar() : "";
  const auto dot = text.find('.');
  std::string places = dot == std::string::npos ? "" : text.substr(dot + 1);
  const bool short_enough = places.size() <= 3 && (dot == std::string::npos || !places.empty());
  places.resize(3, '0');
  const auto number = short_enough ? ParseInteger(text.substr(0, dot) + places) : std::nullopt;
  if (!number || *number < 0 || *number > 1'000'000'000) {
    problems_->Add(value, Path(key), "must be a number such as 1, 0.5 or 1.25, at most 1000000");
    return;
  }
  *out = *number;
}

void Section::Child(const std::string& key, const std::function<void(Section&)>& read) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  if (!value.IsMap()) {
    problems_->Add(value, Path(key), "must be a mapping");
    return;
  }
  Section section(value, Path(key), problems_);
  read(section);
  section.Finish();
}

void Section::List(const std::string& key, const std::function<void(Section&)>& read) {
  const YAML::Node value = Take(key);
  if (!value.IsDefined()) return;
  if (!value.IsSequence()) {
    problems_->Add(value, Path(key), "must be a list");
    return;
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string path = Path(key) + "[" + std::to_string(i) + "]";
    if (!value[i].IsMap()) {
      problems_->Add(value[i], path, "must be a mapping");
      continue;
    }
    Section section(value[i], path, problems_);
    read(section);
    section.Finish();
  }
}

void Section::Each(const std::function<void(const std::string& name, Section&)>& read) {
  if (!node_.IsMap()) return;
  for (const auto& entry : node_) {
    const std::string name = entry.first.Scalar();
    known_.insert(name);
    if (!entry.second.IsMap()) {
      problems_->Add(entry.first, Path(name), "must be a mapping");
      continue;
    }
    Section section(entry.second, Path(name), problems_);
    read(name, section);
    section.Finish();
  }
}

bool Section::Has(const std::string& key) { return Take(key).IsDefined(); }

void Section::Require(const std::string& key) {
  if (!Has(key)) problems_->Add(node_, Path(key), "is missing, and has no default");
}

void Section::Problem(const std::string& key, const std::string& message) {
  const YAML::Node value = Take(key);
  problems_->Add(value.IsDefined() ? value : node_, Path(key), message);
}

void Section::Finish() {
  if (!node_.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    const std::string key = entry.first.Scalar();
    if (!seen.insert(key).second) problems_->Add(entry.first, Path(key), "is there twice");
    if (known_.contains(key)) continue;
    const std::string nearest = Nearest(key, known_);
    problems_->Add(entry.first, Path(key),
                   nearest.empty() ? "is not known here; known are " + Joined(known_)
                                   : "is not known here; did you mean " + nearest + "?");
  }
}

std::optional<DurationMs> ParseDuration(const std::string& text) {
  static constexpr std::pair<const char*, DurationMs> kUnits[] = {
      {"ms", 1}, {"s", kSecondMs}, {"m", kMinuteMs}, {"h", kHourMs}, {"d", kDayMs}};
  const auto digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string::npos) return std::nullopt;
  const auto number = ParseInteger(text.substr(0, digits));
  if (!number || *number > 1'000'000'000) return std::nullopt;
  for (const auto& [unit, length] : kUnits) {
    if (text.substr(digits) == unit) return *number * length;
  }
  return std::nullopt;
}

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Error{Code::kNotFound, path + ": cannot be read", {}};
  }
  return text.str();
}

Result<void> ReadYaml(const std::string& text, const std::string& file_name,
                      const std::function<void(Section&)>& read) {
  Problems problems(file_name);
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) {
      problems.Add(root, "file", "must be a mapping of keys to values");
      return problems.ToError();
    }
    Section section(root, "", &problems);
    read(section);
    section.Finish();
  } catch (const YAML::Exception& error) {
    return Error{Code::kInvalidArgument,
                 file_name + ":" + std::to_string(error.mark.line + 1) + ": " + error.msg,
                 {}};
  }
  if (!problems.empty()) return problems.ToError();
  return {};
}

}  // namespace kezek::config

#include "cmd/kezek/unit_words.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "script/values.h"

namespace kezek::cli {
namespace {

using google::protobuf::FieldDescriptor;

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kDay = 86'400 * kSecond;
// Lengths and moments are written in words within these.
constexpr std::int64_t kLongest = 10'000 * kDay;
constexpr std::int64_t kLatest = 253'402'300'799 * kSecond;

enum class Unit { kMilli, kPercent, kLength, kMoment };

struct Form {
  std::string_view before;  // of the API's name
  std::string_view after;
  Unit unit;
};

// The first that fits.
constexpr std::array<Form, 6> kForms = {{{"", "_milli_gpus", Unit::kMilli},
                                         {"", "_milli", Unit::kMilli},
                                         {"milli_", "", Unit::kMilli},
                                         {"", "_ppm", Unit::kPercent},
                                         {"start", "_ms", Unit::kMoment},
                                         {"end", "_ms", Unit::kMoment}}};
constexpr Form kLength = {"", "_ms", Unit::kLength};

Error Expected(const std::string& what) {
  return Error{Code::kInvalidArgument, "expected " + what, {}};
}

std::optional<Form> FormOf(const std::string& name) {
  for (const Form& form : kForms) {
    const bool whole = form.unit != Unit::kMoment || name.size() == form.before.size() + 3;
    if (whole && name.starts_with(form.before) && name.ends_with(form.after)) return form;
  }
  if (name.ends_with(kLength.after)) return kLength;
  return std::nullopt;
}

std::string ShortName(const std::string& name, const Form& form) {
  if (form.unit == Unit::kMoment) return std::string(form.before);
  const std::string middle =
      name.substr(form.before.size(), name.size() - form.before.size() - form.after.size());
  return form.after == "_milli_gpus" ? middle + "_gpus" : middle;
}

// `1.25` as so many of its last decimal.
std::optional<std::int64_t> Decimal(const std::string& text, std::size_t decimals) {
  const std::size_t point = text.find('.');
  std::string fraction = point == std::string::npos ? "" : text.substr(point + 1);
  if (fraction.size() > decimals || (point != std::string::npos && fraction.empty())) {
    return std::nullopt;
  }
  fraction.resize(decimals, '0');
  const auto whole = script::ParseNumber(text.substr(0, point), 0, 1'000'000'000'000);
  const auto part = script::ParseNumber(fraction, 0, 999'999);
  if (!whole || !part) return std::nullopt;
  std::int64_t scale = 1;
  for (std::size_t i = 0; i < decimals; ++i) scale *= 10;
  return *whole * scale + *part;
}

std::string DecimalText(std::int64_t value, std::size_t decimals) {
  std::int64_t scale = 1;
  for (std::size_t i = 0; i < decimals; ++i) scale *= 10;
  std::string text = std::to_string(value / scale);
  std::string fraction = std::to_string(value % scale + scale).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return fraction.empty() ? text : text + "." + fraction;
}

std::optional<std::int64_t> MomentOf(const std::string& text) {
  for (const char* form : {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"}) {
    std::tm fields{};
    const char* end = strptime(text.c_str(), form, &fields);
    if (end == nullptr || *end != '\0') continue;
    const std::tm asked = fields;
    const std::time_t seconds = timegm(&fields);
    if (fields.tm_mday != asked.tm_mday || seconds < 0) return std::nullopt;  // 31 February
    return static_cast<std::int64_t>(seconds) * kSecond;
  }
  return std::nullopt;
}

std::string MomentText(std::int64_t value) {
  const std::time_t seconds = value / kSecond;
  std::tm fields{};
  gmtime_r(&seconds, &fields);
  std::array<char, 32> text{};
  const char* form = value % kDay == 0 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%S";
  return {text.data(), std::strftime(text.data(), text.size(), form, &fields)};
}

std::string LengthText(std::int64_t value) {
  for (const auto& [unit, length] :
       {std::pair{"d", kDay}, std::pair{"h", 3600 * kSecond}, std::pair{"m", 60 * kSecond}}) {
    if (value % length == 0) return std::to_string(value / length) + unit;
  }
  return std::to_string(value / kSecond) + "s";
}

bool HasText(const Form& form, std::int64_t value) {
  switch (form.unit) {
    case Unit::kMilli:
      return value >= 0 && value <= 1'000'000'000'000;
    case Unit::kPercent:
      return value >= 0 && value <= 1'000'000;
    case Unit::kLength:
      return value > 0 && value <= kLongest && value % kSecond == 0 &&
             value / kSecond < 999'999'999;
    case Unit::kMoment:
      return value >= 0 && value <= kLatest && value % kSecond == 0;
  }
  return false;
}

}  // namespace

const FieldDescriptor* FieldWithoutUnit(const google::protobuf::Descriptor& message,
                                        const std::string& name) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const auto form = FormOf(field.name());
    if (form && ShortName(field.name(), *form) == name) return &field;
  }
  return nullptr;
}

Result<std::int64_t> ValueWithoutUnit(const FieldDescriptor& field, const std::string& text) {
  const auto form = FormOf(field.name());
  if (!form) return Expected("no such value");
  switch (form->unit) {
    case Unit::kMilli: {
      const auto value = Decimal(text, 3);
      if (!value) return Expected("a number with at most three decimals");
      return *value;
    }
    case Unit::kPercent: {
      const bool percent = text.ends_with('%');
      const auto value = percent ? Decimal(text.substr(0, text.size() - 1), 4) : std::nullopt;
      if (!value) return Expected("a part such as 40% or 12.5%");
      return *value;
    }
    case Unit::kLength:
      if (text.find_first_of("dhms") == std::string::npos) return Expected("a time such as 12h");
      return script::ParseDuration(text);
    case Unit::kMoment: {
      const auto value = MomentOf(text);
      if (!value) return Expected("a moment in UTC: 2027-01-01 or 2027-01-01T08:00:00");
      return *value;
    }
  }
  return Expected("no such value");
}

std::pair<std::string, std::string> WithoutUnit(const FieldDescriptor& field, std::int64_t value) {
  const auto form = FormOf(field.name());
  if (!form || !HasText(*form, value)) return {field.name(), std::to_string(value)};
  const std::string name = ShortName(field.name(), *form);
  switch (form->unit) {
    case Unit::kMilli:
      return {name, DecimalText(value, 3)};
    case Unit::kPercent:
      return {name, DecimalText(value, 4) + "%"};
    case Unit::kLength:
      return {name, LengthText(value)};
    case Unit::kMoment:
      return {name, MomentText(value)};
  }
  return {field.name(), std::to_string(value)};
}

}  // namespace kezek::cli

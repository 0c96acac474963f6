#include "cmd/kezek/change_text.h"

#include <algorithm>
#include <cctype>
#include <istream>
#include <ostream>
#include <string_view>
#include <utility>

#include "cmd/kezek/render.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

std::string Spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// Takes the ending off, if it is there.
bool Cut(std::string& name, std::string_view ending) {
  if (!name.ends_with(ending)) return false;
  name.resize(name.size() - ending.size());
  return true;
}

enum class Unit { kNone, kGpus, kPlainMilli, kGpuHours, kLength, kMoment, kPart };

// `settings.shares[h200].guarantee_milli_gpus`: `guarantee h200`, in GPUs.
std::pair<std::string, Unit> Words(std::string field) {
  Unit unit = Unit::kNone;
  if (field.ends_with(".start_ms") || field.ends_with(".end_ms")) unit = Unit::kMoment;
  if (Cut(field, "_milli_gpus")) unit = Unit::kGpus;
  if (Cut(field, "_milli")) unit = Unit::kPlainMilli;
  if (Cut(field, "milli_gpu_hours")) {
    unit = Unit::kGpuHours;
    field += "amount";
  }
  if (Cut(field, "_ppm")) unit = Unit::kPart;
  if (Cut(field, "_ms") && unit == Unit::kNone) unit = Unit::kLength;
  if (field.starts_with("settings.")) field.erase(0, sizeof("settings.") - 1);
  for (const auto& [front, said] :
       {std::pair{"account_limits.", "limit "}, std::pair{"user_limits.", "limit of a user "}}) {
    if (field.starts_with(front)) field = said + field.substr(std::string(front).size());
  }
  const std::size_t open = field.find('[');
  const std::size_t close = field.find(']');
  if (open == std::string::npos || close == std::string::npos) return {Spaced(field), unit};
  const std::string key = field.substr(open + 1, close - open - 1);
  const std::string rest = field.substr(std::min(close + 2, field.size()));
  if (rest.empty()) return {key, unit};
  if (field.starts_with("budgets[")) return {"budget " + key + " " + Spaced(rest), unit};
  return {Spaced(rest) + " " + key, unit};
}

std::string Unquoted(const std::string& json) {
  const bool quoted = json.size() > 1 && json.front() == '"' && json.back() == '"';
  return quoted ? json.substr(1, json.size() - 2) : json;
}

// `PROJECT_RULE_FAIR` as files have it: `fair`.
std::string ChoiceText(const std::string& value) {
  for (const std::string_view front : {"PROJECT_RULE_", "BUDGET_EXHAUSTION_"}) {
    if (!value.starts_with(front)) continue;
    std::string text = value.substr(front.size());
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text == "unspecified" ? "-" : text;
  }
  return value;
}

std::string ValueText(const std::string& json, Unit unit) {
  if (json.empty()) return "-";
  const auto number = script::ParseNumber(json, -9'000'000'000'000'000, 9'000'000'000'000'000);
  if (!number || unit == Unit::kNone) return ChoiceText(Unquoted(json));
  switch (unit) {
    case Unit::kNone:
      break;
    case Unit::kGpus:
    case Unit::kPlainMilli:
    case Unit::kGpuHours:
      return Gpus(*number);
    case Unit::kLength:
      return *number == 0 ? "-" : Length(*number);
    case Unit::kMoment:
      return *number == 0 ? "-" : ExactMoment(*number);
    case Unit::kPart:
      return Percent(*number);
  }
  return Unquoted(json);
}

}  // namespace

void PrintChange(const Host& host, const v1::FieldChange& change) {
  const bool roles = change.field().starts_with("roles[");  // of a user, not of an account
  const std::string path = roles ? "roles" : change.account().empty() ? "(root)" : change.account();
  if (change.field().empty()) {
    *host.out << Styled(host, Style::kGood, "+") << " " << path << "  " << Unquoted(change.after())
              << '\n';
    return;
  }
  const auto [what, unit] = Words(change.field());
  const std::string_view of = unit == Unit::kGpus       ? " GPUs"
                              : unit == Unit::kGpuHours ? " GPU-h"
                                                        : "";
  const std::string after = ValueText(change.after(), unit);
  *host.out << "~ " << path << "  " << what << "  " << ValueText(change.before(), unit)
            << (after == "-" ? of : "") << " → " << after << (after == "-" ? "" : of) << '\n';
}

bool MayApply(const Host& host, bool yes, bool input_is_data, int changes) {
  if (yes) return true;
  if (!host.out_is_terminal || input_is_data) {
    *host.err << "Nothing was changed. With --yes this is applied.\n";
    return false;
  }
  *host.out << "Apply " << changes << (changes == 1 ? " change? [y/N] " : " changes? [y/N] ")
            << std::flush;
  std::string answer;
  std::getline(*host.in, answer);
  return answer == "y" || answer == "yes";
}

}  // namespace kezek::cli

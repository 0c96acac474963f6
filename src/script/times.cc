// Lengths of time and moments.
#include <algorithm>
#include <array>
#include <cstddef>
#include <ctime>
#include <optional>

#include "script/text.h"
#include "script/values.h"

namespace kezek::script {
namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kLongestMs = 10'000 * kDay;

std::optional<std::int64_t> DigitsOf(std::string_view text) {
  Result<std::int64_t> number = ParseNumber(text, 0, 999'999'999);
  return number ? std::optional(*number) : std::nullopt;
}

// `1h30m`: numbers with units, each unit smaller than the one before.
std::optional<std::int64_t> WithUnits(std::string_view text) {
  constexpr std::string_view kUnits = "dhms";
  constexpr std::array<std::int64_t, 4> kLengths = {kDay, kHour, kMinute, kSecond};
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::optional<std::int64_t> number = DigitsOf(text.substr(0, end));
    if (!number || end == text.size()) return std::nullopt;
    const std::size_t unit = kUnits.find(text[end]);
    if (unit == std::string_view::npos || unit < next_unit) return std::nullopt;
    total += *number * kLengths.at(unit);
    next_unit = unit + 1;
    text.remove_prefix(end + 1);
  }
  return total;
}

// Slurm's forms: the meaning of a number depends on how many there are and on a day in front.
std::optional<std::int64_t> SlurmForm(std::string_view text) {
  std::int64_t total = 0;
  const std::size_t dash = text.find('-');
  const bool has_days = dash != std::string_view::npos;
  if (has_days) {
    const std::optional<std::int64_t> days = DigitsOf(text.substr(0, dash));
    if (!days) return std::nullopt;
    total = *days * kDay;
    text = text.substr(dash + 1);
  }
  std::array<std::int64_t, 3> numbers = {0, 0, 0};
  const std::vector<std::string_view> parts = Split(text, ':');
  if (parts.size() > numbers.size()) return std::nullopt;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::optional<std::int64_t> number = DigitsOf(parts[i]);
    if (!number) return std::nullopt;
    numbers.at(i) = *number;
  }
  if (has_days || parts.size() == 3) {
    return total + numbers[0] * kHour + numbers[1] * kMinute + numbers[2] * kSecond;
  }
  return numbers[0] * kMinute + numbers[1] * kSecond;
}

}  // namespace

Result<std::int64_t> ParseDuration(std::string_view text) {
  const std::string lower = Lower(text);
  if (lower == "unlimited" || lower == "infinite" || lower == "-1") {
    return Bad("a job without end is not possible here: give a limit such as 12h or 2-00:00:00");
  }
  const std::optional<std::int64_t> length =
      lower.find_first_of("dhms") != std::string::npos ? WithUnits(lower) : SlurmForm(lower);
  if (!length) {
    return Bad(Quoted(text) +
               " is not a length of time: expected minutes, mm:ss, hh:mm:ss, d-hh, " +
               "d-hh:mm, d-hh:mm:ss, or 30m, 12h, 2d");
  }
  if (*length == 0) return Bad(Quoted(text) + " is no time at all");
  if (*length > kLongestMs) return Bad(Quoted(text) + " is longer than 10000 days");
  return *length;
}

namespace {

struct Clock {
  int hour = 0;
  int minute = 0;
  int second = 0;
};
struct Date {
  int year = 0;
  int month = 0;
  int day = 0;
};

int Small(std::string_view digits) {
  return static_cast<int>(DigitsOf(digits).value_or(std::int64_t{10'000}));
}

// `16:00`, `4:30pm`, `08:00:30`, `noon` and Slurm's other names of hours.
std::optional<Clock> ParseClock(std::string text) {
  if (text == "midnight") return Clock{0, 0, 0};
  if (text == "elevenses") return Clock{11, 0, 0};
  if (text == "noon") return Clock{12, 0, 0};
  if (text == "fika") return Clock{15, 0, 0};
  if (text == "teatime") return Clock{16, 0, 0};
  int add = 0;
  bool half_day = false;
  if (text.ends_with("am") || text.ends_with("pm")) {
    half_day = true;
    add = text.ends_with("pm") ? 12 : 0;
    text.resize(text.size() - 2);
  }
  const std::vector<std::string_view> parts = Split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
  Clock clock{Small(parts[0]), Small(parts[1]), parts.size() == 3 ? Small(parts[2]) : 0};
  if (half_day) {
    if (clock.hour < 1 || clock.hour > 12) return std::nullopt;
    clock.hour = clock.hour % 12 + add;
  }
  if (clock.hour > 23 || clock.minute > 59 || clock.second > 59) return std::nullopt;
  return clock;
}

bool RealDate(const Date& date) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (date.year < 1970 || date.year > 9999 || date.month < 1 || date.month > 12) return false;
  const bool leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
  const int days = kDays.at(static_cast<std::size_t>(date.month - 1));
  return date.day >= 1 && date.day <= days + (date.month == 2 && leap ? 1 : 0);
}

// `2026-12-01`, `12/01/26`, `12.01.26`, `120126`, and month and day alone, in this year.
std::optional<Date> ParseDate(std::string_view text, int this_year) {
  Date date;
  const char separator = text.find('/') != std::string_view::npos ? '/' : '.';
  if (const std::vector<std::string_view> iso = Split(text, '-'); iso.size() == 3) {
    if (iso[0].size() != 4) return std::nullopt;
    date = {Small(iso[0]), Small(iso[1]), Small(iso[2])};
  } else if (IsDigits(text) && text.size() == 6) {
    date = {2000 + Small(text.substr(4)), Small(text.substr(0, 2)), Small(text.substr(2, 2))};
  } else {
    const std::vector<std::string_view> parts = Split(text, separator);
    if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
    int year = this_year;
    if (parts.size() == 3) year = Small(parts[2]) + (parts[2].size() == 2 ? 2000 : 0);
    date = {year, Small(parts[0]), Small(parts[1])};
  }
  return RealDate(date) ? std::optional(date) : std::nullopt;
}

std::int64_t ToUtcMs(const Date& date, const Clock& clock) {
  std::tm local{};
  local.tm_year = date.year - 1900;
  local.tm_mon = date.month - 1;
  local.tm_mday = date.day;
  local.tm_hour = clock.hour;
  local.tm_min = clock.minute;
  local.tm_sec = clock.second;
  local.tm_isdst = -1;
  return std::int64_t{std::mktime(&local)} * 1000;
}

// What follows `now`: `+60`, `+2hours`, `+1day`. Slurm's unit without a name is the second.
Result<std::int64_t> ParseOffset(std::string_view text) {
  const Error bad = Bad(Quoted("now" + std::string(text)) +
                        " is not a time: expected now+90minutes, now+2hours, now+1day, now+1week");
  if (text.empty()) return std::int64_t{0};
  if (text[0] != '+') return bad;
  text.remove_prefix(1);
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<std::int64_t> count = DigitsOf(text.substr(0, end));
  if (!count) return bad;
  std::string unit(text.substr(end));
  if (unit.size() > 3 && unit.ends_with('s')) unit.pop_back();
  std::int64_t length = 0;
  if (unit.empty() || unit == "second" || unit == "sec") length = kSecond;
  if (unit == "minute" || unit == "min") length = kMinute;
  if (unit == "hour") length = kHour;
  if (unit == "day") length = kDay;
  if (unit == "week") length = 7 * kDay;
  if (length == 0) return bad;
  if (*count > kLongestMs / length) return Bad("the time is more than 10000 days away");
  return *count * length;
}

}  // namespace

Result<std::int64_t> ParseMoment(std::string_view text, std::int64_t now_ms) {
  const std::string lower = Lower(text);
  if (lower.starts_with("now")) {
    Result<std::int64_t> offset = ParseOffset(std::string_view(lower).substr(3));
    if (!offset) return offset.error();
    return now_ms + *offset;
  }
  const Error bad = Bad(Quoted(text) + " is not a time: expected now+1hour, 16:00, tomorrow, " +
                        "2026-12-01 or 2026-12-01T08:00");
  const std::time_t now_s = static_cast<std::time_t>(now_ms / 1000);
  std::tm local{};
  if (localtime_r(&now_s, &local) == nullptr) return bad;
  const Date today{local.tm_year + 1900, local.tm_mon + 1, local.tm_mday};
  if (const std::optional<Clock> clock = ParseClock(lower)) {
    const std::int64_t at = ToUtcMs(today, *clock);
    if (at > now_ms) return at;
    return ToUtcMs({today.year, today.month, today.day + 1}, *clock);
  }
  std::string day = lower;
  Clock clock;
  std::size_t split = lower.find_first_of("t ");
  for (const std::string_view name : {"today", "tomorrow"}) {
    if (lower.starts_with(name))
      split = lower.size() > name.size() ? name.size() : std::string::npos;
  }
  if (split != std::string::npos) {
    const std::optional<Clock> given = ParseClock(lower.substr(split + 1));
    if (!given || (lower[split] != 't' && lower[split] != ' ')) return bad;
    clock = *given;
    day = lower.substr(0, split);
  }
  if (day == "today") return ToUtcMs(today, clock);
  if (day == "tomorrow") return ToUtcMs({today.year, today.month, today.day + 1}, clock);
  const std::optional<Date> date = ParseDate(day, today.year);
  if (!date) return bad;
  return ToUtcMs(*date, clock);
}

}  // namespace kezek::script

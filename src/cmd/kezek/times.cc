#include "cmd/kezek/times.h"

#include <ctime>

#include "script/values.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

// Midnight of the day, so many days before today, in the local time zone.
std::int64_t MidnightMs(std::int64_t now_ms, int days_ago) {
  const std::time_t now = static_cast<std::time_t>(now_ms / 1000);
  std::tm day{};
  localtime_r(&now, &day);
  day.tm_hour = day.tm_min = day.tm_sec = 0;
  day.tm_mday -= days_ago;
  day.tm_isdst = -1;
  return std::int64_t{std::mktime(&day)} * 1000;
}

bool IsLength(const std::string& text) {
  return text.find_first_not_of("0123456789smhd") == std::string::npos &&
         text.find_first_of("smhd") != std::string::npos && text[0] >= '0' && text[0] <= '9';
}

bool IsTimeOfDay(const std::string& text) {
  return text.find(':') != std::string::npos && text.find('-') == std::string::npos &&
         text.find('/') == std::string::npos && text.find('T') == std::string::npos;
}

}  // namespace

Result<std::int64_t> ParsePast(const std::string& text, std::int64_t now_ms) {
  const Error bad{Code::kInvalidArgument,
                  "'" + text + "' is no time that is over: expected 2h, 3d, today, yesterday, " +
                      "08:00, 2026-11-01 or 2026-11-01T08:00",
                  {}};
  if (text == "today") return MidnightMs(now_ms, 0);
  if (text == "yesterday") return MidnightMs(now_ms, 1);
  if (IsLength(text)) {
    const Result<std::int64_t> length = script::ParseDuration(text);
    return length ? Result<std::int64_t>(now_ms - *length) : bad;
  }
  Result<std::int64_t> moment = script::ParseMoment(text, now_ms);
  if (!moment || text.starts_with("now")) return bad;
  // A time of day that is over means tomorrow to a batch script.
  if (IsTimeOfDay(text) && *moment > now_ms) moment = *moment - kDayMs;
  return *moment > now_ms ? Result<std::int64_t>(bad) : moment;
}

}  // namespace kezek::cli

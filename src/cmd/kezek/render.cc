#include "cmd/kezek/render.h"

#include <kezek/v1/quota.pb.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <ostream>
#include <utility>

namespace kezek::cli {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

std::tm Local(std::int64_t utc_ms) {
  const std::time_t seconds = static_cast<std::time_t>(utc_ms / 1000);
  std::tm local{};
  localtime_r(&seconds, &local);
  return local;
}

std::string Formatted(const std::tm& time, const char* format) {
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), format, &time);
  return std::string(text.data(), length);
}

// Two numbers as `a.bc` without zeros at the end; `part` is in thousandths.
std::string Decimal(std::int64_t whole, std::int64_t thousandths) {
  std::string text = std::to_string(thousandths + 1000).substr(1);
  while (!text.empty() && text.back() == '0') text.pop_back();
  return std::to_string(whole) + (text.empty() ? "" : "." + text);
}

void Pad(std::ostream& out, const std::string& text, std::size_t width) {
  out << text << std::string(width - std::min(width, Width(text)), ' ');
}

}  // namespace

void Facts::Add(std::string name, std::string value) {
  if (!value.empty()) facts_.emplace_back(std::move(name), std::move(value));
}

void Facts::Print(const Host& host) const {
  std::size_t width = 0;
  for (const auto& fact : facts_) width = std::max(width, Width(fact.first));
  for (const auto& [name, value] : facts_) {
    if (host.out_is_terminal) {
      Pad(*host.out, Styled(host, Style::kBold, name), width + 2);
      *host.out << value << '\n';
    } else {
      *host.out << name << '\t' << value << '\n';
    }
  }
}

std::string Styled(const Host& host, Style style, const std::string& text) {
  if (!host.colour || text.empty()) return text;
  const char* code = style == Style::kBold   ? "1"
                     : style == Style::kGood ? "32"
                     : style == Style::kBad  ? "31"
                     : style == Style::kBusy ? "36"
                                             : "2";
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

std::size_t Width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size());
      continue;
    }
    const bool continues = (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U;
    width += continues ? 0 : 1;
  }
  return width;
}

std::string CutTo(const std::string& text, std::size_t width) {
  if (Width(text) <= width) return text;
  std::string cut;
  std::size_t used = 0;
  bool coloured = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      const std::size_t end = std::min(text.find('m', i), text.size() - 1);
      cut += text.substr(i, end - i + 1);
      coloured = true;
      i = end;
      continue;
    }
    const bool continues = (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U;
    if (!continues && ++used >= width) break;
    cut += text[i];
  }
  return cut + "…" + (coloured ? "\x1b[0m" : "");
}

std::string Moment(const Host& host, std::int64_t utc_ms) {
  if (utc_ms == 0) return "";
  const std::int64_t now_ms = host.now_ms();
  const std::tm then = Local(utc_ms);
  const std::tm now = Local(now_ms);
  const std::tm tomorrow = Local(now_ms + kDay);
  const auto same_day = [&then](const std::tm& day) {
    return then.tm_year == day.tm_year && then.tm_yday == day.tm_yday;
  };
  if (same_day(now)) return Formatted(then, "%H:%M");
  if (same_day(tomorrow)) return "tomorrow " + Formatted(then, "%H:%M");
  const std::string day = std::to_string(then.tm_mday) + " ";
  return day + Formatted(then, then.tm_year == now.tm_year ? "%b %H:%M" : "%b %Y %H:%M");
}

std::string ExactMoment(std::int64_t utc_ms) {
  return utc_ms == 0 ? "" : Formatted(Local(utc_ms), "%Y-%m-%d %H:%M:%S");
}

std::string Elapsed(std::int64_t ms) {
  const std::int64_t length = std::max<std::int64_t>(ms, 0);
  if (length < kMinute) return std::to_string(length / 1000) + " s";
  const std::int64_t hours = length / kHour;
  std::string minutes = std::to_string(length / kMinute % 60 + 100).substr(1);
  if (length < kDay) return std::to_string(hours) + ":" + minutes;
  return std::to_string(hours / 24) + "-" + std::to_string(hours % 24 + 100).substr(1) + ":" +
         minutes;
}

std::string Length(std::int64_t ms) {
  const std::int64_t seconds = ms / 1000;
  std::string text;
  const auto add = [&text](std::int64_t number, const char* unit) {
    if (number == 0) return;
    text += (text.empty() ? "" : " ") + std::to_string(number) + " " + unit;
  };
  const bool days = seconds % 86'400 == 0 || seconds >= 3 * 86'400;
  add(days ? seconds / 86'400 : 0, "d");
  add(days ? seconds % 86'400 / 3600 : seconds / 3600, "h");
  add(seconds / 60 % 60, "min");
  add(seconds % 60, "s");
  return text.empty() ? "0 s" : text;
}

std::string Gpus(std::int64_t milli_gpus) { return Decimal(milli_gpus / 1000, milli_gpus % 1000); }

std::string Thousands(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string GpuHours(std::int64_t milli_gpu_ms) {
  constexpr std::int64_t kSmall = 10;  // below, thousandths matter
  const std::int64_t milli = milli_gpu_ms / kHour;
  const std::int64_t size = milli < 0 ? -milli : milli;
  std::string decimals = std::to_string(1000 + size % 1000).substr(1);
  while (decimals.size() > 1 && (size >= kSmall * 1000 || decimals.back() == '0')) {
    decimals.pop_back();
  }
  return (milli < 0 ? "-" : "") + Thousands(size / 1000) + "." + decimals;
}

std::string Memory(std::int64_t mib) {
  constexpr std::int64_t kGib = 1024;
  constexpr std::int64_t kTib = 1024 * kGib;
  if (mib < kGib) return std::to_string(mib) + " MiB";
  const std::int64_t unit = mib < kTib ? kGib : kTib;
  return Decimal(mib / unit, mib % unit * 10 / unit * 100) + (mib < kTib ? " GiB" : " TiB");
}

std::string Percent(std::int64_t ppm) {
  const std::int64_t tenths = (ppm + 500) / 1000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

std::string Count(std::int64_t number, const std::string& one) {
  return Thousands(number) + " " + one + (number == 1 ? "" : "s");
}

std::string Words(std::string_view enumerator, std::size_t skip) {
  std::string text(enumerator.substr(std::min(skip, enumerator.size())));
  for (char& c : text) {
    c = c == '_' ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

std::string BoundBy(const v1::EntitlementRow& row) {
  std::string text = row.bound_by().code();
  for (char& c : text) c = c == '_' ? ' ' : static_cast<char>(std::tolower(c));
  const auto limit = row.bound_by().fields().find("limit");
  return limit == row.bound_by().fields().end() ? text : text + " " + limit->second;
}

}  // namespace kezek::cli

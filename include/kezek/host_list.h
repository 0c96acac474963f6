// Host lists as Slurm writes them: "n[01-04,07]", "leaf1-n3", comma-separated.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/result.h"

namespace kezek {

// Names a list may stand for at most, so that a typing error cannot fill the memory.
inline constexpr std::size_t kHostListMax = 100'000;
inline constexpr std::size_t kHostNameMax = 255;  // bytes of each, as a host's name has them

namespace host_list_internal {

inline Error Invalid(std::string_view list, const std::string& why) {
  const std::string shown(list.substr(0, kHostNameMax));
  return Error{Code::kInvalidArgument, "host list '" + shown + "': " + why, {}};
}

inline bool ParseNumber(std::string_view text, std::int64_t* value) {
  if (text.empty() || text.size() > 9) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= 0;
}

inline std::string Padded(std::int64_t value, std::size_t width) {
  std::string text = std::to_string(value);
  return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

// Splits at commas that are not inside brackets.
inline std::vector<std::string_view> SplitOutside(std::string_view list) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  bool inside = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '[') inside = true;
    if (list[i] == ']') inside = false;
    if (list[i] != ',' || inside) continue;
    parts.push_back(list.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(list.substr(begin));
  return parts;
}

// One "first-last" or "number" between brackets.
inline bool ExpandRange(std::string_view range, const std::string& before,
                        std::vector<std::string>* out) {
  const auto dash = range.find('-');
  const std::string_view first_text = range.substr(0, dash);
  const std::string_view last_text =
      dash == std::string_view::npos ? first_text : range.substr(dash + 1);
  std::int64_t first = 0;
  std::int64_t last = 0;
  if (!ParseNumber(first_text, &first) || !ParseNumber(last_text, &last) || last < first) {
    return false;
  }
  if (static_cast<std::size_t>(last - first) >=
      kHostListMax - std::min(kHostListMax, out->size())) {
    return false;
  }
  if (before.size() + first_text.size() + last_text.size() > kHostNameMax) return false;
  for (std::int64_t i = first; i <= last; ++i)
    out->push_back(before + Padded(i, first_text.size()));
  return true;
}

inline bool ExpandOne(std::string_view part, std::vector<std::string>* out) {
  std::vector<std::string> names{""};
  while (!part.empty()) {
    const auto open = part.find('[');
    const std::string_view plain = part.substr(0, open);
    for (auto& name : names) {
      if (name.size() + plain.size() > kHostNameMax) return false;
      name += plain;
    }
    if (open == std::string_view::npos) break;
    const auto close = part.find(']', open);
    if (close == std::string_view::npos) return false;
    std::vector<std::string> longer;
    for (const auto& name : names) {
      for (const auto range : SplitOutside(part.substr(open + 1, close - open - 1))) {
        if (!ExpandRange(range, name, &longer)) return false;
      }
    }
    names = std::move(longer);
    part.remove_prefix(close + 1);
  }
  if (names.size() + out->size() > kHostListMax) return false;
  out->insert(out->end(), names.begin(), names.end());
  return true;
}

}  // namespace host_list_internal

// The names in the order of the list. INVALID_ARGUMENT: unbalanced brackets, empty names, names
// longer than kHostNameMax, ranges that go down, more than kHostListMax names. An empty list has no
// names.
inline Result<std::vector<std::string>> ExpandHostList(std::string_view list) {
  std::vector<std::string> names;
  if (list.empty()) return names;
  for (const auto part : host_list_internal::SplitOutside(list)) {
    if (part.empty()) return host_list_internal::Invalid(list, "an empty name between commas");
    if (!host_list_internal::ExpandOne(part, &names)) {
      return host_list_internal::Invalid(list,
                                         "must be names or ranges such as n[01-04,07], at most " +
                                             std::to_string(kHostListMax) + " names");
    }
  }
  return names;
}

// The shortest usual form of these names: numbers at the end become ranges. Sorted.
inline std::string CompressHostList(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  struct Numbered {
    std::string stem;
    std::size_t width = 0;
    std::int64_t number = 0;
  };
  const auto split = [](const std::string& name) {
    std::size_t digits = name.size();
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
    Numbered parts{name.substr(0, digits), name.size() - digits, 0};
    if (!host_list_internal::ParseNumber(std::string_view(name).substr(digits), &parts.number)) {
      parts = {name, 0, 0};
    }
    return parts;
  };
  std::string text;
  for (std::size_t i = 0; i < names.size();) {
    const Numbered first = split(names[i]);
    std::string ranges;
    std::size_t members = 0;
    while (i < names.size()) {
      const Numbered start = split(names[i]);
      if (start.stem != first.stem || start.width != first.width || start.width == 0) break;
      std::int64_t last = start.number;
      for (++i, ++members; i < names.size(); ++i, ++members, ++last) {
        const Numbered next = split(names[i]);
        if (next.stem != start.stem || next.width != start.width || next.number != last + 1) break;
      }
      ranges += (ranges.empty() ? "" : ",") + host_list_internal::Padded(start.number, start.width);
      if (last != start.number) ranges += "-" + host_list_internal::Padded(last, start.width);
    }
    text += text.empty() ? "" : ",";
    if (first.width == 0) {
      text += names[i++];
    } else if (members == 1) {
      text += first.stem + ranges;
    } else {
      text += first.stem + "[" + ranges + "]";
    }
  }
  return text;
}

}  // namespace kezek

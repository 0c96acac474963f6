#include "script/text.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace kezek::script {

Error Bad(std::string message) { return Error{Code::kInvalidArgument, std::move(message), {}}; }

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  for (;;) {
    const std::size_t at = text.find(separator);
    pieces.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return pieces;
    text.remove_prefix(at + 1);
  }
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool IsDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string quoted = "'";
  for (const char c : text.substr(0, kLongest)) {
    const bool control = (c >= 0 && c < ' ') || c == '\x7f';
    quoted += control ? '?' : c;
  }
  if (text.size() > kLongest) quoted += "…";
  return quoted + "'";
}

}  // namespace kezek::script

#include "postgres/array_literal.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "kezek/text.h"

namespace kezek::postgres {

bool IsStorable(std::string_view text) {
  return text.find('\0') == std::string_view::npos && IsUtf8(text);
}

std::string MakeStorable(std::string_view text) {
  std::string made = MakeUtf8(text);
  std::ranges::replace(made, '\0', '?');
  return made;
}

void ArrayLiteral::Next() {
  if (count_++ > 0) body_ += ',';
}

void ArrayLiteral::AddInt(std::int64_t value) {
  Next();
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  body_.append(digits.data(), end.ptr);
}

void ArrayLiteral::AddBool(bool value) {
  Next();
  body_ += value ? 't' : 'f';
}

void ArrayLiteral::AddText(std::string_view text) {
  if (!IsStorable(text)) return AddText(MakeStorable(text));
  Next();
  body_.reserve(body_.size() + text.size() + 2);
  body_ += '"';
  std::size_t from = 0;  // not yet copied
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '"' && text[i] != '\\') continue;
    body_.append(text, from, i - from);
    body_ += '\\';
    from = i;
  }
  body_.append(text, from);
  body_ += '"';
}

void ArrayLiteral::AddBytes(std::span<const std::uint8_t> bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  Next();
  body_.reserve(body_.size() + 2 * bytes.size() + 6);
  body_ += "\"\\\\x";
  for (const std::uint8_t byte : bytes) {
    body_ += kHex[byte >> 4U];
    body_ += kHex[byte & 0x0FU];
  }
  body_ += '"';
}

void ArrayLiteral::Append(const ArrayLiteral& other) {
  if (other.count_ == 0) return;
  if (count_ > 0) body_ += ',';
  body_ += other.body_;
  count_ += other.count_;
}

}  // namespace kezek::postgres

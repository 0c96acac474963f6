#include "postgres/array_literal.h"

#include <array>
#include <charconv>
#include <cstring>

namespace kezek::postgres {
namespace {

// Length of the sequence that begins with `lead`, and the least code point it may stand for; length
// 0: not a lead byte.
struct Lead {
  std::size_t length;
  std::uint32_t least;
  std::uint32_t bits;
};

Lead LeadOf(std::uint8_t lead) {
  if (lead < 0x80U) return {1, 0, lead};
  if ((lead & 0xE0U) == 0xC0U) return {2, 0x80, lead & 0x1FU};
  if ((lead & 0xF0U) == 0xE0U) return {3, 0x800, lead & 0x0FU};
  if ((lead & 0xF8U) == 0xF0U) return {4, 0x10000, lead & 0x07U};
  return {0, 0, 0};
}

// Plain ASCII without a NUL, of which there is most: so much of the text from `i` on, in steps of
// eight.
std::size_t SkipPlain(std::string_view text, std::size_t i) {
  constexpr std::uint64_t kHigh = 0x8080808080808080U;
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    // A byte above 0x7F has its high bit; less 1, so has a byte of 0.
    if (((word | (word - kOnes)) & kHigh) != 0) break;
  }
  return i;
}

}  // namespace

bool IsStorable(std::string_view text) {
  for (std::size_t i = SkipPlain(text, 0); i < text.size();) {
    const Lead lead = LeadOf(static_cast<std::uint8_t>(text[i]));
    if (lead.length == 0 || lead.length > text.size() - i) return false;
    std::uint32_t point = lead.bits;
    for (std::size_t k = 1; k < lead.length; ++k) {
      const std::uint32_t next = static_cast<std::uint8_t>(text[i + k]);
      if ((next & 0xC0U) != 0x80U) return false;
      point = point << 6U | (next & 0x3FU);
    }
    const bool surrogate = point >= 0xD800U && point <= 0xDFFFU;
    if (point == 0 || point < lead.least || point > 0x10FFFFU || surrogate) return false;
    i += lead.length;
  }
  return true;
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

void ArrayLiteral::AddNull() {
  Next();
  body_ += "NULL";
}

void ArrayLiteral::AddText(std::string_view text) {
  Next();
  if (!IsStorable(text)) {
    ok_ = false;
    text = {};
  }
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
  ok_ = ok_ && other.ok_;
}

}  // namespace kezek::postgres

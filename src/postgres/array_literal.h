// PostgreSQL array literals for parameters such as $1::bigint[]: the one place that quotes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kezek::postgres {

// True if PostgreSQL can store it as text: valid UTF-8 (no surrogates, no overlong forms, at most
// U+10FFFF) without a NUL.
bool IsStorable(std::string_view text);

// The same text with '?' for each byte that cannot be stored.
std::string MakeStorable(std::string_view text);

// Builds a one-dimensional literal, element by element. Every text element is quoted, so that the
// text NULL, the empty text, commas, braces, quotes and backslashes mean themselves. A value type;
// one thread at a time.
class ArrayLiteral {
 public:
  void AddInt(std::int64_t value);
  void AddBool(bool value);
  // As MakeStorable makes it: whoever must not store another text looks at it before.
  void AddText(std::string_view text);
  // As bytea's hexadecimal form.
  void AddBytes(std::span<const std::uint8_t> bytes);
  // All elements of `other`, behind these.
  void Append(const ArrayLiteral& other);

  std::size_t count() const { return count_; }
  std::size_t bytes() const { return body_.size(); }
  std::string Text() const { return "{" + body_ + "}"; }

 private:
  void Next();

  std::string body_;  // without the braces
  std::size_t count_ = 0;
};

}  // namespace kezek::postgres

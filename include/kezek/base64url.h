// Bytes as text of letters, digits, - and _ (RFC 4648, section 5), without padding. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kezek {

inline constexpr std::string_view kBase64UrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

inline std::string ToBase64Url(std::string_view bytes) {
  std::string text;
  unsigned bits = 0;
  unsigned value = 0;
  for (const char c : bytes) {
    value = (value << 8U) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) text += kBase64UrlAlphabet[(value >> (bits - 6)) & 63U];
    value &= (1U << bits) - 1;
  }
  if (bits > 0) text += kBase64UrlAlphabet[(value << (6 - bits)) & 63U];
  return text;
}

// None: not what ToBase64Url makes of any bytes. So there is one text for the same bytes.
inline std::optional<std::string> FromBase64Url(std::string_view text) {
  std::string bytes;
  unsigned bits = 0;
  unsigned value = 0;
  for (const char c : text) {
    const auto digit = kBase64UrlAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = (value << 6U) | static_cast<unsigned>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>((value >> bits) & 255U);
    value &= (1U << bits) - 1;
  }
  if (bits >= 6 || value != 0) return std::nullopt;
  return bytes;
}

}  // namespace kezek

#include "rpc/field_checks.h"

#include <algorithm>
#include <cstring>

namespace kezek::rpc {
namespace {

// Bytes of the sequence that begins with `lead`, and the smallest code point it may stand for.
struct Sequence {
  std::size_t bytes;
  std::uint32_t smallest;
};

Sequence SequenceOf(unsigned char lead) {
  if (lead < 0x80) return {1, 0};
  if ((lead & 0xE0U) == 0xC0) return {2, 0x80};
  if ((lead & 0xF0U) == 0xE0) return {3, 0x800};
  if ((lead & 0xF8U) == 0xF0) return {4, 0x10000};
  return {0, 0};
}

}  // namespace

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    // Most text is ASCII: eight bytes at once.
    std::uint64_t eight = 0;
    if (i + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & 0x8080'8080'8080'8080U) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    const auto lead = static_cast<unsigned char>(text[i]);
    const Sequence sequence = SequenceOf(lead);
    if (sequence.bytes == 0 || i + sequence.bytes > text.size()) return false;
    std::uint32_t point = sequence.bytes == 1 ? lead : lead & (0x7FU >> sequence.bytes);
    for (std::size_t k = 1; k < sequence.bytes; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0U) != 0x80) return false;
      point = (point << 6U) | (next & 0x3FU);
    }
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    if (point < sequence.smallest || point > 0x10FFFF || surrogate) return false;
    i += sequence.bytes;
  }
  return true;
}

void FieldChecks::Fail(const std::string& field, const std::string& message) {
  if (!error_) error_ = Invalid(prefix_ + field, message);
}

void FieldChecks::Fail(Error error) {
  if (!error_) error_ = std::move(error);
}

void FieldChecks::Missing(bool given, const std::string& field, const std::string& what) {
  if (given && !error_) error_ = NotYet(prefix_ + field, what);
}

void FieldChecks::Require(bool holds, const std::string& field, const std::string& message) {
  if (!holds) Fail(field, message);
}

void FieldChecks::Line(const std::string& field, std::string_view text, std::size_t max) {
  if (error_) return;
  if (text.size() > max) {
    return Fail(field, "is " + std::to_string(text.size()) + " bytes long; at most " +
                           std::to_string(max) + " are allowed");
  }
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
  if (control) return Fail(field, "must be one line without control characters");
  if (!IsUtf8(text)) Fail(field, "must be UTF-8");
}

void FieldChecks::Text(const std::string& field, std::string_view text, std::size_t max) {
  if (error_) return;
  if (text.size() > max) {
    return Fail(field, "is " + std::to_string(text.size()) + " bytes long; at most " +
                           std::to_string(max) + " are allowed");
  }
  if (text.find('\0') != std::string_view::npos) return Fail(field, "must not hold a NUL byte");
  if (!IsUtf8(text)) Fail(field, "must be UTF-8");
}

void FieldChecks::Path(const std::string& field, std::string_view path) {
  Line(field, path, kPathBytes);
}

void FieldChecks::Range(const std::string& field, std::int64_t value, std::int64_t low,
                        std::int64_t high) {
  if (error_ || (value >= low && value <= high)) return;
  Fail(field, "is " + std::to_string(value) + "; must be from " + std::to_string(low) + " to " +
                  std::to_string(high));
}

}  // namespace kezek::rpc

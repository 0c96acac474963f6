#include "rpc/field_checks.h"

#include <algorithm>

#include "kezek/text.h"

namespace kezek::rpc {

void FieldChecks::Fail(const std::string& field, const std::string& message) {
  if (!error_) error_ = Invalid(prefix_ + field, message);
}

void FieldChecks::Fail(Error error) {
  if (!error_) error_ = std::move(error);
}

void FieldChecks::Missing(bool given, const std::string& field, const std::string& what) {
  if (given && !error_) error_ = NotYet(prefix_ + field, what);
}

std::string TooLong(std::size_t size, std::size_t most) {
  return "is " + std::to_string(size) + " bytes long; at most " + std::to_string(most) +
         " are allowed";
}

void FieldChecks::Require(bool holds, const std::string& field, const std::string& message) {
  if (!holds) Fail(field, message);
}

void FieldChecks::Line(const std::string& field, std::string_view text, std::size_t max) {
  if (error_) return;
  if (text.size() > max) {
    return Fail(field, TooLong(text.size(), max));
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
    return Fail(field, TooLong(text.size(), max));
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

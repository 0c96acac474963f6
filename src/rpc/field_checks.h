// Checks of a request's fields. The first thing wrong is kept; what follows is not looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/result.h"
#include "rpc/status.h"

namespace kezek::rpc {

// Latest time a request may name: the end of the year 9999.
inline constexpr std::int64_t kLatestMs = 253'402'300'799'999;
inline constexpr std::size_t kPathBytes = 4095;

// What is said of a text that is longer than it may be.
std::string TooLong(std::size_t size, std::size_t most);

class FieldChecks {
 public:
  // `prefix` is put before every field, such as "spec.".
  explicit FieldChecks(std::string prefix = {}) : prefix_(std::move(prefix)) {}

  bool ok() const { return !error_.has_value(); }
  // Only if not ok().
  const Error& error() const { return *error_; }
  Result<void> result() const { return error_ ? Result<void>(*error_) : Result<void>(); }

  // FIELD_INVALID.
  void Fail(const std::string& field, const std::string& message);
  void Fail(Error error);
  // UNIMPLEMENTED NOT_YET, if `given`.
  void Missing(bool given, const std::string& field, const std::string& what);
  // FIELD_INVALID unless it holds.
  void Require(bool holds, const std::string& field, const std::string& message);
  // UTF-8 on one line, without control characters, of at most `max` bytes.
  void Line(const std::string& field, std::string_view text, std::size_t max);
  // UTF-8 without NUL; lines and tabs may be in it.
  void Text(const std::string& field, std::string_view text, std::size_t max);
  // A path on one line; empty is no path.
  void Path(const std::string& field, std::string_view path);
  void Range(const std::string& field, std::int64_t value, std::int64_t low, std::int64_t high);

 private:
  std::string prefix_;
  std::optional<Error> error_;
};

}  // namespace kezek::rpc

// Result<T>: the outcome of an operation that can fail for operational reasons.
//
// The codes are gRPC's canonical ones, number for number, so the wire needs no table. Member names
// follow std::expected, which gcc 12 does not have yet.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kezek/check.h"

namespace kezek {

enum class Code : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// What is wrong with one field of a request. `field` is a path in the request's own names
// ("spec.shape.nodes", "script line 6"); `reason` a stable code ("OUT_OF_RANGE"); `message` a
// sentence for people that names the way out; `values` the figures in it, by name.
struct FieldError {
  std::string field;
  std::string reason;
  std::string message;
  std::map<std::string, std::string> values;
  bool operator==(const FieldError&) const = default;
};

struct Error {
  Code code = Code::kUnknown;
  std::string message;
  std::vector<FieldError> details;
  bool operator==(const Error&) const = default;
};

// An error about exactly one field.
inline Error FieldProblem(Code code, FieldError detail) {
  std::string message =
      detail.field.empty() ? detail.message : detail.field + ": " + detail.message;
  return Error{code, std::move(message), {std::move(detail)}};
}

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  const T& value() const& {
    KEZEK_CHECK(has_value(), "value() of a Result that holds an error");
    return std::get<0>(state_);
  }
  T& value() & {
    KEZEK_CHECK(has_value(), "value() of a Result that holds an error");
    return std::get<0>(state_);
  }
  T&& value() && {
    KEZEK_CHECK(has_value(), "value() of a Result that holds an error");
    return std::get<0>(std::move(state_));
  }
  const Error& error() const {
    KEZEK_CHECK(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const {
    KEZEK_CHECK(error_.has_value(), "error() of a Result that holds no error");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace kezek

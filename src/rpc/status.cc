#include "rpc/status.h"

#include <string_view>

#include "kezek/v1/status.pb.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kTextMost = 512;

// What a request holds comes back in errors, and gRPC carries no more than some KiB of them: the
// client would be told of that instead. Cut between characters.
std::string Cut(std::string_view text) {
  if (text.size() <= kTextMost) return std::string(text);
  std::size_t end = kTextMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace

std::string ToStatusBytes(const Error& error) {
  v1::Status status;
  status.set_code(static_cast<int>(error.code));
  status.set_message(Cut(error.message));
  for (const auto& detail : error.details) {
    v1::ErrorDetail wire;
    wire.set_field(Cut(detail.field));
    wire.set_reason(detail.reason);
    wire.set_message(Cut(detail.message));
    for (const auto& [name, value] : detail.values) (*wire.mutable_fields())[name] = Cut(value);
    status.add_details()->PackFrom(wire);
  }
  return status.SerializeAsString();
}

grpc::Status ToGrpc(const Error& error) {
  return {static_cast<grpc::StatusCode>(error.code), Cut(error.message), ToStatusBytes(error)};
}

Error NotYet(const std::string& field, const std::string& missing) {
  return FieldProblem(
      Code::kUnimplemented,
      {field, "NOT_YET", missing + " is not there yet", {{"missing", missing}, {"field", field}}});
}

Error Invalid(const std::string& field, const std::string& message) {
  return FieldProblem(Code::kInvalidArgument, {field, "FIELD_INVALID", message, {}});
}

Error NotFound(const std::string& reason, const std::string& field, const std::string& what) {
  return FieldProblem(Code::kNotFound, {field, reason, what, {}});
}

Error Denied(const std::string& reason, const std::string& message) {
  return FieldProblem(Code::kPermissionDenied, {"", reason, message, {}});
}

}  // namespace kezek::rpc

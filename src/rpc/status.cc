#include "rpc/status.h"

#include "kezek/v1/status.pb.h"

namespace kezek::rpc {

std::string ToStatusBytes(const Error& error) {
  v1::Status status;
  status.set_code(static_cast<int>(error.code));
  status.set_message(error.message);
  for (const auto& detail : error.details) {
    v1::ErrorDetail wire;
    wire.set_field(detail.field);
    wire.set_reason(detail.reason);
    wire.set_message(detail.message);
    wire.mutable_fields()->insert(detail.values.begin(), detail.values.end());
    status.add_details()->PackFrom(wire);
  }
  return status.SerializeAsString();
}

grpc::Status ToGrpc(const Error& error) {
  return {static_cast<grpc::StatusCode>(error.code), error.message, ToStatusBytes(error)};
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

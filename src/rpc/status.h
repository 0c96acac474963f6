// Errors on the wire: kezek::Error as a grpc::Status whose details are a kezek.v1.Status.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "kezek/result.h"

namespace kezek::rpc {

// The same error for gRPC. Every detail becomes a kezek.v1.ErrorDetail, its texts cut to what
// surely gets through.
grpc::Status ToGrpc(const Error& error);

// A serialised kezek.v1.Status, as `grpc-status-details-bin` and SubmitManyResponse carry it.
std::string ToStatusBytes(const Error& error);

// Shorthands for the errors that handlers make most.
Error NotYet(const std::string& field, const std::string& missing);   // UNIMPLEMENTED NOT_YET
Error Invalid(const std::string& field, const std::string& message);  // FIELD_INVALID
Error NotFound(const std::string& reason, const std::string& field, const std::string& what);
Error Denied(const std::string& reason, const std::string& message);

}  // namespace kezek::rpc

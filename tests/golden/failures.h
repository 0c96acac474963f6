// Refusals as kezekd sends them.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

namespace kezek::golden {

// With one detail.
grpc::Status Refused(grpc::StatusCode code, const std::string& field, const std::string& reason,
                     const std::string& message);

// What kezekd says of a submission, by its reason; INTERNAL if there is no such reason here.
grpc::Status FailureNamed(const std::string& reason);

}  // namespace kezek::golden

// Refusals of submissions in kezekd's words.
#pragma once

#include <grpcpp/support/status_code_enum.h>

#include <string>

namespace kezek::golden {

struct Failure {
  const char* reason;
  grpc::StatusCode code;
  const char* field;
  const char* message;
};

// Null if there is none.
const Failure* FindFailure(const std::string& reason);

}  // namespace kezek::golden

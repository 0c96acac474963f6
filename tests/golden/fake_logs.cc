#include "tests/golden/fake_logs.h"

#include <kezek/v1/status.pb.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/golden/failures.h"

namespace kezek::golden {
namespace {

using grpc::Status;
using grpc::StatusCode;

// Where the transcripts' files are: the same process writes them.
std::string OutputFolder() {
  return (std::filesystem::temp_directory_path() / ("kezek-golden-" + std::to_string(::getpid())))
      .string();
}

Status Elsewhere(const std::string& path) {
  v1::ErrorDetail detail;
  detail.set_reason("LOG_ELSEWHERE");
  (*detail.mutable_fields())["path"] = path;
  (*detail.mutable_fields())["attempt"] = "1";
  v1::Status status;
  status.set_code(StatusCode::FAILED_PRECONDITION);
  status.set_message("its output is where the script put it: " + path);
  status.add_details()->PackFrom(detail);
  return Status(StatusCode::FAILED_PRECONDITION, status.message(), status.SerializeAsString());
}

// In pieces of ten bytes, so that joining them is seen.
Status Backwards(const std::string& text, std::int64_t end,
                 grpc::ServerWriter<v1::LogsResponse>& writer) {
  for (std::int64_t begin = end; begin > 0;) {
    const std::int64_t size = std::min<std::int64_t>(10, begin);
    begin -= size;
    v1::LogsResponse response;
    response.set_attempt(1);
    response.set_offset(begin);
    response.set_data(text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(size)));
    if (!writer.Write(response)) break;
  }
  return Status::OK;
}

}  // namespace

grpc::Status CannedLogs(const v1::LogsRequest& request,
                        grpc::ServerWriter<v1::LogsResponse>& writer) {
  if (request.job() == "48211") {
    return Refused(StatusCode::NOT_FOUND, "job", "LOG_NOT_YET", "job 48211 has written nothing");
  }
  if (request.job() == "47001") return Elsewhere(OutputFolder() + "/tokenise.out");
  if (request.job() == "47002") return Elsewhere("/no/such/folder/smoke.out");
  if (request.job() == "47003") {
    return Refused(StatusCode::NOT_FOUND, "job", "LOG_REMOVED",
                   "the output of job 47003 was kept for its time and is removed");
  }
  const std::string text = "rank 0 of 32 on n05\nstep 1 loss 11.2\nstep 2 loss 10.9\n";
  if (request.backwards()) return Backwards(text, request.offset(), writer);
  if (!request.node().empty() || request.has_task()) {
    v1::LogsResponse own;
    own.set_data(request.node() + (request.has_task() ? "task " : " ") + "writes this\n");
    writer.Write(own);
    return Status::OK;
  }
  const std::int64_t offset = request.tail_lines() > 0 ? 37 : request.offset();
  v1::LogsResponse response;
  response.set_attempt(1);
  response.set_offset(offset);
  const std::int64_t most = request.max_bytes() > 0 ? request.max_bytes() : 100;
  response.set_data(text.substr(static_cast<std::size_t>(offset),
                                request.follow() ? 20 : static_cast<std::size_t>(most)));
  if (response.data().empty()) return Status::OK;
  writer.Write(response);
  // A server that goes away in the middle: the reader comes back for the rest.
  const bool more = offset + 20 < static_cast<std::int64_t>(text.size());
  if (request.follow() && more) return Status(StatusCode::UNAVAILABLE, "restarting");
  return Status::OK;
}

}  // namespace kezek::golden

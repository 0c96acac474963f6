// What the fake server says of jobs' output, by the job: here, elsewhere, removed, not yet.
#pragma once

#include <grpcpp/support/sync_stream.h>
#include <kezek/v1/job_service.pb.h>

namespace kezek::golden {

grpc::Status CannedLogs(const v1::LogsRequest& request,
                        grpc::ServerWriter<v1::LogsResponse>& writer);

}  // namespace kezek::golden

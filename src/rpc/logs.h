// JobService.Logs: an attempt's output, read on the pool, followed until the attempt is over.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "kezek/job.h"
#include "kezek/v1/job_service.pb.h"
#include "rpc/streams.h"

namespace kezek::rpc {

// Begins to read. The stream ends itself; the pointer is gRPC's.
grpc::ServerWriteReactor<v1::LogsResponse>* OpenLogs(const std::shared_ptr<Streams>& streams,
                                                     grpc::CallbackServerContext* context,
                                                     const v1::LogsRequest& request);

// What is wrong with the request by itself: FIELD_INVALID.
Result<void> CheckLogs(const v1::LogsRequest& request);

// Whether Kezek may read `path` for whoever may read the attempt's output: only in the attempt's
// own folder, so that nobody gets at another's file by naming it as his output.
bool InOwnFolder(const std::string& path, const std::string& root, const AttemptRef& attempt);

}  // namespace kezek::rpc

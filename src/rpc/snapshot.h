// ClusterService.Snapshot: what ran here, as a trace that kezek-sim replays.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "kezek/desk.h"
#include "kezek/store.h"
#include "kezek/v1/cluster.pb.h"
#include "rpc/streams.h"

namespace kezek::rpc {

// Begins to send it. The stream ends itself; the pointer is gRPC's.
grpc::ServerWriteReactor<v1::SnapshotResponse>* OpenSnapshot(
    const std::shared_ptr<Streams>& streams, grpc::CallbackServerContext* context,
    const v1::SnapshotRequest& request);

// The lines before the rows: the machine of this GPU type, and the names of the columns.
std::string TraceHeader(const View& view, const std::string& cluster, const std::string& gpu_type);

// A job as rows of the trace, a line each; an array's row as those of its elements that have no
// rows of their own; nothing of one that ended before it ran. Users are numbers, projects their
// paths; nothing that a job's owner wrote is there. Time run for nothing, whose work was done
// again, counts as waited.
std::string TraceRows(const JobRecord& record, const Directory& directory);

}  // namespace kezek::rpc

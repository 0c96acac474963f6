// Tables of nodes, for `nodes` and `admin node`.
#pragma once

#include <kezek/v1/cluster.pb.h>

#include <string>
#include <vector>

#include "cmd/kezek/session.h"

namespace kezek::cli {

// All nodes that match, page by page.
Result<v1::ListNodesResponse> ListAllNodes(Session& session, v1::ListNodesRequest request);

// The GPU type meant where none is named: the cluster's first.
Result<std::string> DefaultGpuType(Session& session);

// Nodes as the format says; `answer` is the message they are of.
void PrintNodes(Session& session, const google::protobuf::Message& answer,
                const google::protobuf::RepeatedPtrField<v1::Node>& nodes);

}  // namespace kezek::cli

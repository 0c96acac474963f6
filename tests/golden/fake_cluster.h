// The part of the fake server that answers for nodes. No contract of its own: it answers what the
// transcripts need.
#pragma once

#include <kezek/v1/cluster.grpc.pb.h>

#include <memory>

namespace kezek::golden {

std::unique_ptr<v1::ClusterService::Service> MakeFakeCluster();

}  // namespace kezek::golden

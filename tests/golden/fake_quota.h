// The part of the fake server that answers for quota. No contract of its own: it answers what the
// transcripts need.
#pragma once

#include <kezek/v1/quota.grpc.pb.h>

#include <memory>

namespace kezek::golden {

std::unique_ptr<v1::QuotaService::Service> MakeFakeQuota();

}  // namespace kezek::golden

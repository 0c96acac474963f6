// JobService.Watch: events from a number on, from the ring or, for what is older, from the store.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kezek/v1/job_service.pb.h"
#include "rpc/streams.h"

namespace kezek::rpc {

// Begins to watch. The stream ends itself; the pointer is gRPC's.
grpc::ServerWriteReactor<v1::WatchResponse>* OpenWatch(const std::shared_ptr<Streams>& streams,
                                                       grpc::CallbackServerContext* context,
                                                       const v1::WatchRequest& request);

// Which events a watcher asked for. An empty condition holds for all.
struct WatchFilter {
  std::set<JobRef> jobs;  // an array's row stands for its elements too
  std::set<AccountId> accounts;
  std::set<UserId> users;
  bool by_users = false;
  std::set<int> kinds;  // v1::EventKind
};

// INVALID_ARGUMENT FIELD_INVALID; NOT_FOUND ACCOUNT_NOT_FOUND.
Result<WatchFilter> ReadWatchFilter(const v1::WatchRequest& request, const Caller& caller);

// Only events of jobs that the caller may read.
bool Passes(const WatchFilter& filter, const Caller& caller, const Event& event);

}  // namespace kezek::rpc

#include "rpc/job_service.h"

#include <utility>

#include "rpc/logs.h"
#include "rpc/outlooks.h"
#include "rpc/sealed_token.h"
#include "rpc/streams.h"
#include "rpc/watch.h"

namespace kezek::rpc {
namespace {

// Events that a watcher may be behind before it is too slow.
constexpr std::size_t kRingEvents = 65'536;

}  // namespace

JobServiceImpl::JobServiceImpl(Parts parts, Settings settings)
    : parts_(parts),
      settings_(settings),
      sealer_(std::make_unique<TokenSealer>()),
      streams_(std::make_shared<Streams>(parts, std::move(settings), kRingEvents, StreamTimes{})),
      outlooks_(std::make_shared<Outlooks>(parts)) {
  SetMessageAllocatorFor_Submit(&submit_messages_);
  SetMessageAllocatorFor_SubmitMany(&submit_many_messages_);
}

JobServiceImpl::~JobServiceImpl() {
  Stop();
  outlooks_->Stop();
  streams_->wakeups.Stop();
}

void JobServiceImpl::OnCommitted(const Committed& committed) {
  streams_->ring.OnCommitted(committed);
  outlooks_->OnCommitted(committed);
}

void JobServiceImpl::Stop() { streams_->Stop(); }

grpc::ServerWriteReactor<v1::WatchResponse>* JobServiceImpl::Watch(
    grpc::CallbackServerContext* context, const v1::WatchRequest* request) {
  return OpenWatch(streams_, context, *request);
}

grpc::ServerWriteReactor<v1::LogsResponse>* JobServiceImpl::Logs(
    grpc::CallbackServerContext* context, const v1::LogsRequest* request) {
  return OpenLogs(streams_, context, *request);
}

}  // namespace kezek::rpc

// JobService: submit, look, wait, change, end, and why. The handlers stand in job_submit.cc,
// job_read.cc and job_change.cc; streams in watch.h and logs.h.
#pragma once

#include <memory>
#include <string_view>

#include "kezek/store.h"
#include "kezek/v1/job_service.grpc.pb.h"
#include "rpc/arena_messages.h"
#include "rpc/unary.h"

namespace kezek::rpc {

inline constexpr std::string_view kGetJobs = "/kezek.v1.JobService/Get";
inline constexpr std::string_view kListJobs = "/kezek.v1.JobService/List";
inline constexpr std::string_view kCancelJobs = "/kezek.v1.JobService/Cancel";
inline constexpr std::string_view kUpdateJobs = "/kezek.v1.JobService/Update";
inline constexpr std::string_view kRequeueJobs = "/kezek.v1.JobService/Requeue";

class Outlooks;
class Streams;
class TokenSealer;

// Outlives every call. Stop() before the ports go.
class JobServiceImpl : public v1::JobService::CallbackService, public CommitObserver {
 public:
  JobServiceImpl(Parts parts, Settings settings);
  ~JobServiceImpl() override;
  JobServiceImpl(const JobServiceImpl&) = delete;
  JobServiceImpl& operator=(const JobServiceImpl&) = delete;

  // The watchers' side of the store. Quick; on the store's thread.
  void OnCommitted(const Committed& committed) override;

  // What its streams stand on: there is one of it for all services.
  const std::shared_ptr<Streams>& streams() const { return streams_; }

  // Ends all streams with UNAVAILABLE and takes no new ones. Idempotent. Does not wait: the
  // server's own shutdown does.
  void Stop();

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const v1::SubmitRequest* request,
                                   v1::SubmitResponse* response) override;
  grpc::ServerUnaryReactor* SubmitMany(grpc::CallbackServerContext* context,
                                       const v1::SubmitManyRequest* request,
                                       v1::SubmitManyResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const v1::GetJobsRequest* request,
                                v1::GetJobsResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const v1::ListJobsRequest* request,
                                 v1::ListJobsResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                     const v1::WatchRequest* request) override;
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context,
                                   const v1::CancelRequest* request,
                                   v1::CancelResponse* response) override;
  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* context,
                                   const v1::UpdateRequest* request,
                                   v1::UpdateResponse* response) override;
  grpc::ServerUnaryReactor* Requeue(grpc::CallbackServerContext* context,
                                    const v1::RequeueRequest* request,
                                    v1::RequeueResponse* response) override;
  grpc::ServerUnaryReactor* ReportCheckpoint(grpc::CallbackServerContext* context,
                                             const v1::ReportCheckpointRequest* request,
                                             v1::ReportCheckpointResponse* response) override;
  grpc::ServerWriteReactor<v1::LogsResponse>* Logs(grpc::CallbackServerContext* context,
                                                   const v1::LogsRequest* request) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::ExplainResponse* response) override;

 private:
  Parts parts_;
  Settings settings_;
  std::unique_ptr<TokenSealer> sealer_;
  ArenaMessages<v1::SubmitRequest, v1::SubmitResponse> submit_messages_;
  ArenaMessages<v1::SubmitManyRequest, v1::SubmitManyResponse> submit_many_messages_;
  std::shared_ptr<Streams> streams_;  // shared with the streams there are
  std::shared_ptr<Outlooks> outlooks_;
};

}  // namespace kezek::rpc

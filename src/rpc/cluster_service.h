// ClusterService: nodes, topology, capacity and the state of Kezek itself.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/v1/cluster.grpc.pb.h"
#include "rpc/doctor.h"
#include "rpc/lane.h"
#include "rpc/site_lane.h"
#include "rpc/unary.h"

namespace kezek::rpc {

class Streams;

class ClusterServiceImpl : public v1::ClusterService::CallbackService {
 public:
  ClusterServiceImpl(Parts parts, Settings settings, std::shared_ptr<Streams> streams)
      : parts_(parts),
        settings_(std::move(settings)),
        streams_(std::move(streams)),
        started_ms_(parts.clock->Now()),
        long_reads_(std::make_shared<Lane>(parts.read, 1)) {}

  // Calls that wait for the site are answered soon.
  void Stop() { site_.Stop(); }

  grpc::ServerUnaryReactor* GetCluster(grpc::CallbackServerContext* context,
                                       const v1::GetClusterRequest* request,
                                       v1::Cluster* response) override;
  grpc::ServerUnaryReactor* ListNodes(grpc::CallbackServerContext* context,
                                      const v1::ListNodesRequest* request,
                                      v1::ListNodesResponse* response) override;
  grpc::ServerUnaryReactor* GetNodes(grpc::CallbackServerContext* context,
                                     const v1::GetNodesRequest* request,
                                     v1::GetNodesResponse* response) override;
  grpc::ServerUnaryReactor* DrainNodes(grpc::CallbackServerContext* context,
                                       const v1::DrainNodesRequest* request,
                                       v1::NodesChanged* response) override;
  grpc::ServerUnaryReactor* ResumeNodes(grpc::CallbackServerContext* context,
                                        const v1::ResumeNodesRequest* request,
                                        v1::NodesChanged* response) override;
  grpc::ServerUnaryReactor* GetTopology(grpc::CallbackServerContext* context,
                                        const v1::GetTopologyRequest* request,
                                        v1::GetTopologyResponse* response) override;
  grpc::ServerUnaryReactor* GetCapacity(grpc::CallbackServerContext* context,
                                        const v1::GetCapacityRequest* request,
                                        v1::GetCapacityResponse* response) override;
  grpc::ServerUnaryReactor* ListReservations(grpc::CallbackServerContext* context,
                                             const v1::ListReservationsRequest* request,
                                             v1::ListReservationsResponse* response) override;
  grpc::ServerUnaryReactor* PutReservation(grpc::CallbackServerContext* context,
                                           const v1::PutReservationRequest* request,
                                           v1::PutReservationResponse* response) override;
  grpc::ServerUnaryReactor* DeleteReservation(grpc::CallbackServerContext* context,
                                              const v1::DeleteReservationRequest* request,
                                              v1::DeleteReservationResponse* response) override;
  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context,
                                       const v1::ListEventsRequest* request,
                                       v1::ListEventsResponse* response) override;
  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusResponse* response) override;
  grpc::ServerUnaryReactor* Doctor(grpc::CallbackServerContext* context,
                                   const v1::DoctorRequest* request,
                                   v1::DoctorResponse* response) override;
  grpc::ServerUnaryReactor* ApplySlurmAccounts(grpc::CallbackServerContext* context,
                                               const v1::ApplySlurmAccountsRequest* request,
                                               v1::ApplySlurmAccountsResponse* response) override;
  grpc::ServerUnaryReactor* ResumeScheduling(grpc::CallbackServerContext* context,
                                             const v1::ResumeSchedulingRequest* request,
                                             v1::ResumeSchedulingResponse* response) override;
  grpc::ServerWriteReactor<v1::SnapshotResponse>* Snapshot(
      grpc::CallbackServerContext* context, const v1::SnapshotRequest* request) override;

 private:
  static std::string Method(std::string_view name) {
    return "/kezek.v1.ClusterService/" + std::string(name);
  }

  // Drains or resumes, here and in the cluster; answers with the nodes as they then are.
  template <class Request>
  void ChangeService(const std::shared_ptr<const Caller>& caller, const Request& request,
                     bool drain, v1::NodesChanged* response, const Reply& reply);

  Parts parts_;
  Settings settings_;
  std::shared_ptr<Streams> streams_;
  TimeMs started_ms_;
  rpc::Doctor doctor_;
  std::shared_ptr<Lane> long_reads_;  // of what only grows: the events
  SiteLane site_;
};

}  // namespace kezek::rpc
